"""Measures of commands and sessions: listings, S3 requests a command, and what an idle session costs."""

from __future__ import annotations

import ftplib
import os
import time
from collections.abc import Callable

from bench.clients import Session
from bench.idle import IdleClients
from bench.processes import BenchError
from bench.programs import say
from bench.record import KIB, MIB, Record, Scale
from bench.servers import AIOFTPS3, Gateway, Lab

__all__ = ("idle", "listings", "requests")

LIST = "list"
IDLE = "idle"
REQUESTS = "requests"

MANY_PARTS_BYTES = 20 * MIB

DIRECTORY = "bench-directory"


def listings(lab: Lab, scale: Scale, record: Record) -> None:
    """LIST of directories that the sink makes up, S3 far away."""
    sink = lab.sink()
    for start in (lab.aioftps3, lab.rclone):
        with record.attempt(LIST):
            gateway = start(sink)
            own = gateway.name == AIOFTPS3
            with Session(gateway.access) as session:
                sum(1 for _ in session.chunks("LIST"))
                for count in (
                    scale.list_counts if own else [n for n in scale.list_counts if n <= scale.list_peers_up_to]
                ):
                    # rclone remembers what it has listed: only the first time says something.
                    for _ in range(scale.rounds if own else 1):
                        say(f"{LIST}: {count} entries by {gateway.name}")
                        _list(gateway, session, count, scale, record)


def _list(gateway: Gateway, session: Session, count: int, scale: Scale, record: Record) -> None:
    process = gateway.process
    process.settle()
    process.reset_peak()
    gateway.store.reset(delay_ms=scale.delay_ms)
    before, cpu = process.rss_bytes, process.cpu_seconds
    began = time.perf_counter()
    first = 0.0
    lines = 0
    for chunk in session.chunks(f"LIST /list/{count}"):
        first = first or time.perf_counter() - began
        lines += chunk.count(b"\n")
    total = time.perf_counter() - began
    if lines != count:
        raise BenchError(f"{gateway.name} lists {lines} of {count}")
    record.add(
        LIST,
        f"{count} entries",
        gateway,
        ("first byte", "s", first),
        ("total", "s", total),
        ("S3 requests", "sent", sum(gateway.store.counts().values())),
        ("RSS growth", "MiB", (process.peak_rss_bytes - before) / MIB),
    )
    process.settle()
    record.add(LIST, f"{count} entries", gateway, ("CPU", "s", process.cpu_seconds - cpu))


def idle(lab: Lab, scale: Scale, record: Record) -> None:
    """Logged-in TLS sessions that do nothing: memory of each, and how fast they log in."""
    sink = lab.sink()

    def minio() -> Gateway:
        return lab.minio_with_ftp()[1]

    starts: tuple[Callable[[], Gateway], ...] = (lambda: lab.aioftps3(sink), lambda: lab.rclone(sink), minio)
    for start in starts:
        with record.attempt(IDLE):
            gateway = start()
            with IdleClients(gateway.access) as clients:
                clients.open(scale.idle_warm)
                gateway.process.settle()
                before, have = gateway.process.rss_bytes, scale.idle_warm
                for count in scale.idle:
                    say(f"{IDLE}: {count} sessions with {gateway.name}")
                    seconds = clients.open(count)
                    gateway.process.settle()
                    each = (gateway.process.rss_bytes - before) / KIB / (count - scale.idle_warm)
                    record.add(
                        IDLE,
                        f"{count} sessions",
                        gateway,
                        ("RSS", "KiB each", each),
                        ("logins", "a second", (count - have) / seconds),
                        ("held", "sessions", clients.check()),
                    )
                    have = count


def requests(lab: Lab, scale: Scale, record: Record) -> None:  # noqa: ARG001  # all parts are called alike
    """S3 requests a command, counted between the server and MinIO."""
    with record.attempt(REQUESTS):
        relay = lab.relay(lab.minio())
        for start in (lab.aioftps3, lab.rclone):
            with record.attempt(REQUESTS):
                gateway = start(relay)
                say(f"{REQUESTS}: {gateway.name}")
                with Session(gateway.access) as session:
                    for case, act in _commands(session):
                        _count(gateway, case, act, record)


def _count(gateway: Gateway, case: str, act: Callable[[], object], record: Record) -> None:
    gateway.process.settle()
    gateway.store.reset()
    note = ""
    try:
        act()
    except (ftplib.error_perm, ftplib.error_temp) as error:
        note = f"refused: {str(error)[:3]}"
    # What goes on after the reply belongs to the command, too.
    gateway.process.settle()
    counts = gateway.store.counts()
    detail = ", ".join(f"{name} x {count}" if count > 1 else name for name, count in sorted(counts.items()))
    note = ", ".join(text for text in (note, detail) if text)
    record.add(
        REQUESTS, case, gateway, ("S3 requests", "a command", sum(counts.values())), note=f"({note})" if note else ""
    )


def _commands(session: Session) -> list[tuple[str, Callable[[], object]]]:
    """In this order: later ones need what earlier ones have made."""
    content = os.urandom(10 * KIB)
    many_parts = os.urandom(MANY_PARTS_BYTES)
    directory = session.path(DIRECTORY)
    inside = f"{DIRECTORY}/file"

    def listed(command: str) -> Callable[[], object]:
        return lambda: sum(1 for _ in session.chunks(f"{command} {directory}"))

    def renamed() -> None:
        session.rename(session.path(inside), session.path(f"{inside}-renamed"))

    return [
        ("the first CWD /", lambda: session.cwd("/")),
        ("MKD", lambda: session.mkd(directory)),
        ("CWD", lambda: session.cwd(directory)),
        ("CDUP", lambda: session.voidcmd("CDUP")),
        ("STOR 10 KiB, new", lambda: session.store(inside, content)),
        ("STOR 10 KiB, over an old one", lambda: session.store(inside, content)),
        ("STOR of nothing", lambda: session.store(f"{DIRECTORY}/empty", b"")),
        ("STOR 20 MiB", lambda: session.store(f"{DIRECTORY}/parts", many_parts)),
        ("RETR 10 KiB", lambda: session.fetch(inside)),
        ("RETR 20 MiB", lambda: session.fetch(f"{DIRECTORY}/parts")),
        ("SIZE", lambda: session.voidcmd(f"SIZE {session.path(inside)}")),
        ("MDTM", lambda: session.voidcmd(f"MDTM {session.path(inside)}")),
        ("MLST", lambda: session.voidcmd(f"MLST {session.path(inside)}")),
        ("LIST of 3", listed("LIST")),
        ("NLST of 3", listed("NLST")),
        ("MLSD of 3", listed("MLSD")),
        ("RNFR, RNTO of a file", renamed),
        ("DELE", lambda: session.delete(session.path(f"{inside}-renamed"))),
        ("DELE of an empty file", lambda: session.delete(session.path(f"{DIRECTORY}/empty"))),
        ("DELE of the last one", lambda: session.delete(session.path(f"{DIRECTORY}/parts"))),
        ("RMD", lambda: session.rmd(directory)),
        ("NOOP", lambda: session.voidcmd("NOOP")),
    ]

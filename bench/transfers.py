"""Measures of transfers: one large file, many small ones, many at once, and how long commands wait meanwhile."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.clients import Probe, Session, curl_download, curl_upload
from bench.crowd import Crowd, uploads_at_once
from bench.processes import BenchError
from bench.programs import say
from bench.record import MIB, Record, Scale
from bench.servers import Gateway, Lab, Store

__all__ = ("at_once", "lag", "large", "small")

LARGE = "large"
SMALL = "small"
AT_ONCE = "concurrent"
LAG = "lag"

BLOCK_BYTES = 8 * MIB
"""Of random bytes, of which test files are made by repetition."""

IDLE_PROBE_SECONDS = 2.0

LARGE_STORES_BYTES = 3
"""Large files on the disk at the same time at most: the source, one object, and its parts or its trash."""


def large(lab: Lab, scale: Scale, record: Record) -> None:
    """One large file up and down by curl over TLS, each server in turn, a few rounds."""
    lab.check_disk(LARGE_STORES_BYTES * scale.large_bytes)
    source = _file(lab, "large", scale.large_bytes)
    warm = _file(lab, "warm", scale.warm_bytes)
    gateways = _in_front_of_minio(lab, record) + _in_front_of_the_sink(lab, record)
    with record.attempt("aioftps3 on MinIO https"):
        gateways.append(lab.aioftps3(lab.minio(https=True)))
    for gateway in gateways:
        with record.attempt(f"{LARGE}: {gateway.name} on {gateway.store.name}, warming up"):
            curl_upload(gateway.access, [(warm, "warm")])
            curl_download(gateway.access, ["warm"])
            _delete(gateway, ["warm"])
    for number in range(scale.rounds):
        for gateway in gateways:
            say(f"{LARGE}: round {number + 1} of {scale.rounds}, {gateway.name} on {gateway.store.name}")
            with record.attempt(f"{LARGE}: {gateway.name} on {gateway.store.name}"):
                _large_round(gateway, source, scale, record)


def _large_round(gateway: Gateway, source: Path, scale: Scale, record: Record) -> None:
    def upload() -> float:
        (run,) = curl_upload(gateway.access, [(source, "large")])
        _check_size(run.sent, scale.large_bytes)
        return run.seconds

    def download() -> float:
        (run,) = curl_download(gateway.access, ["large"])
        _check_size(run.received, scale.large_bytes)
        return run.seconds

    for case, transfer in (("upload", upload), ("download", download)):
        wall, cpu, peak = _cost(gateway, transfer)
        record.add(LARGE, case, gateway, ("wall", "s", wall), ("CPU", "s", cpu), ("peak RSS", "MiB", peak))
    _delete(gateway, ["large"])


def small(lab: Lab, scale: Scale, record: Record) -> None:
    """Small files one after another in one session, S3 far away and near.

    Not by curl: with several files in one session curl 7.88 often sleeps for a second after EPSV.
    """
    content = os.urandom(scale.small_bytes)
    gateways = _behind_the_relay(lab, record) + _in_front_of_the_sink(lab, record)
    for number in range(scale.rounds):
        for gateway in gateways:
            say(f"{SMALL}: round {number + 1} of {scale.rounds}, {gateway.name} on {gateway.store.name}")
            for delay_ms in (scale.delay_ms, 0.0):
                if delay_ms and gateway.store.control_port is None:
                    continue  # MinIO's own FTP server reaches its objects without a network
                names = [f"small-{number}-{delay_ms:g}-{index:04}" for index in range(scale.small_files)]
                with record.attempt(f"{SMALL}: {gateway.name} on {gateway.store.name}"):
                    _small_round(gateway, names, content, delay_ms, scale, record)


def _small_round(
    gateway: Gateway, names: Sequence[str], content: bytes, delay_ms: float, scale: Scale, record: Record
) -> None:
    with Session(gateway.access) as session:
        # The first transfer looks at the directory, and opens the connection to S3.
        session.store("first", content)
        session.fetch("first")

        def upload() -> float:
            began = time.perf_counter()
            for name in names:
                session.store(name, content)
            return time.perf_counter() - began

        def download() -> float:
            began = time.perf_counter()
            for name in names:
                _check_size(session.fetch(name), len(content))
            return time.perf_counter() - began

        for case, transfer in (("upload", upload), ("download", download)):
            _small_case(gateway, f"{case}, {scale.delay_text(delay_ms)}", transfer, delay_ms, len(names), record)
    _delete(gateway, [*names, "first"])


def _small_case(
    gateway: Gateway, case: str, transfer: Callable[[], float], delay_ms: float, count: int, record: Record
) -> None:
    counts_requests = gateway.store.control_port is not None
    if counts_requests:
        gateway.store.reset(delay_ms=delay_ms)
    wall, cpu, _ = _cost(gateway, transfer)
    record.add(
        SMALL, case, gateway, ("wall", "ms a file", wall * 1000 / count), ("CPU", "ms a file", cpu * 1000 / count)
    )
    if counts_requests:
        requests = sum(gateway.store.counts().values())
        record.add(SMALL, case, gateway, ("S3 requests", "a file", requests / count))
        gateway.store.reset()


def at_once(lab: Lab, scale: Scale, record: Record) -> None:
    """Many uploads at the same time, each in a session of its own."""
    few, *many = scale.at_once
    lab.check_disk((2 * few + 1) * scale.at_once_bytes)
    source = _file(lab, "at-once", scale.at_once_bytes)
    near = _in_front_of_the_sink(lab, record)
    plan = [(gateway, few) for gateway in _in_front_of_minio(lab, record)]
    plan += [(gateway, count) for count in (few, *many) for gateway in near]
    for number in range(scale.rounds):
        for gateway, count in plan:
            say(f"{AT_ONCE}: round {number + 1} of {scale.rounds}, {count} to {gateway.name} on {gateway.store.name}")
            names = [f"at-once-{index:03}" for index in range(count)]
            with record.attempt(f"{AT_ONCE}: {gateway.name} on {gateway.store.name}"):
                crowd = _at_once_round(gateway, source, names, record)
                _delete(gateway, crowd.uploaded)
                if crowd.errors:
                    say(f"{len(crowd.errors)} failed, the first one with: {crowd.errors[0]}")


def _at_once_round(gateway: Gateway, source: Path, names: Sequence[str], record: Record) -> Crowd:
    crowds: list[Crowd] = []

    def upload() -> float:
        crowds.append(uploads_at_once(gateway.access, source, names))
        return crowds[0].seconds

    wall, cpu, peak = _cost(gateway, upload)
    gateway.store.process.check()  # else everybody's uploads fail
    record.add(
        AT_ONCE,
        f"{len(names)} uploads",
        gateway,
        ("wall", "s", wall),
        ("failed", "files", len(crowds[0].errors)),
        ("peak RSS", "MiB", peak),
        ("CPU", "s", cpu),
    )
    return crowds[0]


def lag(lab: Lab, scale: Scale, record: Record) -> None:
    """How long NOOP waits on an idle session while others transfer."""
    source = _file(lab, "large", scale.large_bytes)
    part = _file(lab, "at-once", scale.at_once_bytes)
    names = [f"at-once-{index:03}" for index in range(scale.at_once[0])]
    for gateway in _in_front_of_the_sink(lab, record):
        say(f"{LAG}: {gateway.name} on {gateway.store.name}")
        with record.attempt(f"{LAG}: {gateway.name} on {gateway.store.name}"):
            access = gateway.access
            _lag_case(gateway, "idle", lambda: time.sleep(IDLE_PROBE_SECONDS), record)
            _lag_case(gateway, "upload", lambda: curl_upload(access, [(source, "large")]), record)  # noqa: B023
            _lag_case(gateway, "download", lambda: curl_download(access, ["large"]), record)  # noqa: B023
            case = f"{len(names)} uploads"
            _lag_case(gateway, case, lambda: uploads_at_once(access, part, names), record)  # noqa: B023
            _delete(gateway, ["large", *names])


def _lag_case(gateway: Gateway, case: str, load: Callable[[], object], record: Record) -> None:
    with Probe(gateway.access) as probe:
        load()
    probe.check()
    times = sorted(probe.milliseconds)
    record.add(
        LAG,
        case,
        gateway,
        ("p50", "ms", _quantile(times, 0.5)),
        ("p99", "ms", _quantile(times, 0.99)),
        ("max", "ms", times[-1]),
        ("NOOPs", "sent", len(times)),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


# -- the servers of a part, and what they spend ----------------------------------------------------------------------


def _in_front_of_minio(lab: Lab, record: Record) -> list[Gateway]:
    gateways: list[Gateway] = []
    with record.attempt("MinIO"):
        store, own = lab.minio_with_ftp()
        gateways += [*_both(lab, store, record), own]
    return gateways


def _behind_the_relay(lab: Lab, record: Record) -> list[Gateway]:
    gateways: list[Gateway] = []
    with record.attempt("MinIO"):
        store, own = lab.minio_with_ftp()
        gateways += [*_both(lab, lab.relay(store), record), own]
    return gateways


def _in_front_of_the_sink(lab: Lab, record: Record) -> list[Gateway]:
    return _both(lab, lab.sink(), record)


def _both(lab: Lab, store: Store, record: Record) -> list[Gateway]:
    gateways = []
    for start in (lab.aioftps3, lab.rclone):
        with record.attempt(f"a server in front of {store.name}"):
            gateways.append(start(store))
    return gateways


def _cost(gateway: Gateway, transfer: Callable[[], float]) -> tuple[float, float, float]:
    """Wall seconds as the transfer tells them, the server's CPU seconds, and its peak RSS in MiB."""
    process = gateway.process
    process.settle()
    process.reset_peak()
    cpu = process.cpu_seconds
    wall = transfer()
    process.settle()
    return wall, process.cpu_seconds - cpu, process.peak_rss_bytes / MIB


def _delete(gateway: Gateway, names: Sequence[str]) -> None:
    with Session(gateway.access) as session:
        for name in names:
            session.delete(session.path(name))
    gateway.store.empty_trash()


def _file(lab: Lab, name: str, size: int) -> Path:
    path = lab.directory / name
    block = os.urandom(min(size, BLOCK_BYTES))
    with path.open("wb") as file:
        for start in range(0, size, len(block)):
            file.write(block[: size - start])
    return path


def _check_size(size: int, wanted: int) -> None:
    if size != wanted:
        raise BenchError(f"{size} bytes came of {wanted}")

"""Many logged-in sessions in a process of their own: `python -m bench.idle`, driven by `IdleClients`.

Standard input has one JSON line with the access, then commands, each answered with a line: `open N` logs in until
there are N sessions, and tells the seconds that took; `check` sends NOOP on each, and tells how many answer.
"""

from __future__ import annotations

import dataclasses
import ftplib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Self

from bench.clients import Session
from bench.processes import ROOT, BenchError
from bench.servers import Access

__all__ = ("IdleClients",)

WORKERS = 8
"""Logins at the same time."""

SESSIONS_PER_ADDRESS = 500
"""From each of 127.0.0.2, 127.0.0.3 and so on, so that no pair of addresses runs out of ports."""

FILES_BESIDE = 64
"""Open files of the process that are no sessions."""


class IdleClients:
    """The other end: starts the process, and ends it with the `with` block."""

    def __init__(self, access: Access) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.idle"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._send(json.dumps(dataclasses.asdict(access), default=str))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Sessions die with it; logging out of thousands would only take time.
        self._process.kill()
        self._process.communicate()

    def open(self, count: int) -> float:
        """Have so many sessions; the seconds it took."""
        return float(self._ask(f"open {count}"))

    def check(self) -> int:
        """How many sessions still answer."""
        return int(self._ask("check"))

    def _send(self, line: str) -> IO[str]:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: PT018
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout

    def _ask(self, command: str) -> str:
        answer = self._send(command).readline().strip()
        word, _, value = answer.partition(" ")
        if word != "done":
            raise BenchError(f"{command}: {value or 'the clients have ended'}")
        return value


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(f"the system allows {hard} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _answer(sessions: list[Session], access: Access, command: str, argument: str) -> str:
    with ThreadPoolExecutor(WORKERS) as workers:
        if command == "check":
            return str(sum(workers.map(_is_alive, sessions)))
        count = int(argument)
        _allow_files(count)
        numbers = range(len(sessions), count)
        began = time.perf_counter()
        sessions += workers.map(lambda number: Session(access, source=_source(number)), numbers)
        return f"{time.perf_counter() - began:.6f}"


def _source(number: int) -> str:
    return f"127.0.0.{2 + number // SESSIONS_PER_ADDRESS}"


def _is_alive(session: Session) -> bool:
    try:
        session.voidcmd("NOOP")
    except (OSError, EOFError, ftplib.Error):
        return False
    return True


def _main(lines: Sequence[str] | IO[str]) -> None:
    reader = iter(lines)
    fields = json.loads(next(reader))
    fields["certificate"] = Path(fields["certificate"])
    access = Access(**fields)
    sessions: list[Session] = []
    for line in reader:
        command, _, argument = line.strip().partition(" ")
        try:
            print("done", _answer(sessions, access, command, argument), flush=True)
        except (OSError, EOFError, ftplib.Error, BenchError) as error:
            print("failed", repr(error), flush=True)


if __name__ == "__main__":
    _main(sys.stdin)

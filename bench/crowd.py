"""Many uploads at the same time, each in a session and a thread of its own.

`uploads_at_once` runs `python -m bench.crowd`, so that the measuring process is free meanwhile.

Not curl: its `--parallel` waits for the reply to one upload without serving the others, which a server that shares a
memory budget among uploads may be waiting for; and hundreds of curl processes take seconds to start.
"""

from __future__ import annotations

import dataclasses
import ftplib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.clients import Session
from bench.processes import ROOT, BenchError
from bench.servers import Access

__all__ = ("Crowd", "uploads_at_once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How many uploads at once went."""

    seconds: float
    """From the first connection to the last reply, logins too."""
    uploaded: list[str]
    errors: list[str]


def uploads_at_once(access: Access, source: Path, names: Sequence[str]) -> Crowd:
    """Upload one file under many names. Raises BenchError when the clients themselves fail."""
    order = {"access": dataclasses.asdict(access), "source": source, "names": list(names)}
    done = subprocess.run(
        [sys.executable, "-m", "bench.crowd"],
        cwd=ROOT,
        input=json.dumps(order, default=str),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the clients failed: {done.stderr.strip().rpartition(chr(10))[2]}")
    return Crowd(**json.loads(done.stdout))


def _upload_all(access: Access, source: Path, names: Sequence[str]) -> Crowd:
    content = source.read_bytes()
    ready = threading.Barrier(len(names) + 1)

    def upload(name: str) -> str:
        ready.wait()
        try:
            with Session(access) as session:
                session.store(name, content)
        except (OSError, EOFError, ftplib.Error) as error:
            return str(error) or type(error).__name__
        return ""

    with ThreadPoolExecutor(len(names)) as threads:
        outcomes = [threads.submit(upload, name) for name in names]
        ready.wait()
        began = time.perf_counter()
        errors = [outcome.result() for outcome in outcomes]
        seconds = time.perf_counter() - began
    uploaded = [name for name, error in zip(names, errors, strict=True) if not error]
    return Crowd(seconds=seconds, uploaded=uploaded, errors=[error for error in errors if error])


def _main() -> None:
    order = json.load(sys.stdin)
    access = Access(**{**order["access"], "certificate": Path(order["access"]["certificate"])})
    print(json.dumps(dataclasses.asdict(_upload_all(access, Path(order["source"]), order["names"]))))


if __name__ == "__main__":
    _main()

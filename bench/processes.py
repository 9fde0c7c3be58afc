"""Programs that are started and stopped, and what Linux tells of them: CPU time and memory."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

__all__ = ("HOST", "LOWEST_PORT", "ROOT", "BenchError", "Process", "free_port", "free_range")

ROOT = Path(__file__).parents[1]

HOST = "127.0.0.1"

START_SECONDS = 60.0

STOP_SECONDS = 15.0

POLL_SECONDS = 0.02

SETTLE_SECONDS = 0.3
"""A process that used no CPU for so long has done all its work."""

SETTLE_LIMIT_SECONDS = 2.0
"""MinIO always has something to do."""

LOWEST_PORT = 20_000
HIGHEST_PORT = 28_000
CONTROL_PORTS = range(HIGHEST_PORT, 32_000)
"""All of them below the range from which Linux gives ports to outgoing connections."""

RANGE_STEP = 500

KIBIBYTE = 1024

_ports = iter(random.sample(CONTROL_PORTS, len(CONTROL_PORTS)))

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something could not be measured; the text says what and why."""


class Process:
    """A program that runs until `stop`, which is also what leaving its `with` block does."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        home: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it with nothing but PATH, a home directory of its own and the environment given."""
        self.name = name
        self.log = log
        # Under a session of its own a Ctrl-C in the terminal does not reach it: it is stopped after its clients.
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": str(home), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it: kindly, then by force."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait until it has said this. Raises BenchError when it ends instead, or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            match = re.search(pattern, self.log.read_text(errors="replace"), re.MULTILINE)
            if match is not None:
                return match
            self._check_alive(deadline)

    def wait_for_port(self, port: int) -> None:
        """Wait until it accepts connections. Raises BenchError when it ends instead, or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
            except OSError:
                self._check_alive(deadline)
            else:
                return

    def _check_alive(self, deadline: float) -> None:
        if self._process.poll() is not None or time.monotonic() > deadline:
            words = self.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise BenchError(f"{self.name} does not start: {' / '.join(words) or 'it said nothing'}")
        time.sleep(POLL_SECONDS)

    @property
    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        # The name, in brackets, may hold anything; what follows it are numbers.
        fields = self._proc("stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / _TICKS_PER_SECOND

    @property
    def rss_bytes(self) -> int:
        """Physical memory now."""
        return self._status("VmRSS")

    @property
    def peak_rss_bytes(self) -> int:
        """The most physical memory since the start or `reset_peak`."""
        return self._status("VmHWM")

    def reset_peak(self) -> None:
        """Begin the peak anew with what it has now (proc(5), clear_refs)."""
        self._proc("clear_refs").write_text("5")

    def settle(self) -> None:
        """Wait until it has nothing more to do."""
        deadline = time.monotonic() + SETTLE_LIMIT_SECONDS
        last, since = self.cpu_seconds, time.monotonic()
        while time.monotonic() - since < SETTLE_SECONDS and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            if (now := self.cpu_seconds) > last:
                last, since = now, time.monotonic()

    def check(self) -> None:
        """Raise BenchError when it has ended, be it that the system killed it for the memory that it took."""
        if self._process.poll() is not None:
            raise BenchError(f"{self.name} has ended, code {self._process.returncode}")

    def _proc(self, name: str) -> Path:
        self.check()
        return Path(f"/proc/{self._process.pid}/{name}")

    def _status(self, name: str) -> int:
        match = re.search(rf"^{name}:\s+(\d+) kB$", self._proc("status").read_text(), re.MULTILINE)
        if match is None:
            raise BenchError(f"the system does not tell {name}")
        return int(match[1]) * KIBIBYTE


def free_port() -> int:
    """A port that nothing listens on, and that was not given before.

    Not one that the kernel gives to outgoing connections: a client that tries until the server is there could be
    connected to itself.
    """
    for port in _ports:
        if _is_free(port):
            return port
    raise BenchError("there are no free ports")


def free_range(size: int, lowest: int = LOWEST_PORT) -> tuple[int, int]:
    """The first and the last of so many neighbouring ports, of which none is taken."""
    for first in range(lowest, HIGHEST_PORT - size, RANGE_STEP):
        if all(_is_free(port) for port in range(first, first + size)):
            return first, first + size - 1
    raise BenchError(f"there are no {size} free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True

"""The daemon as its operators run it: `python -m aioftps3 serve` with nothing but environment variables."""

from __future__ import annotations

import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from aioftps3.certificates import make_self_signed
from tests.support.polling import wait_until

__all__ = ("HOST", "ROOT", "Access", "Daemon", "daemon_environment", "run_aioftps3")

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
LOGIN = "user"

READY_SECONDS = 20.0
STOP_SECONDS = 20.0

S3_IS_GOOD = "the bucket can be listed"
"""What the daemon logs once it has looked at the bucket: from then on it sends S3 only what clients ask for."""

_READY = re.compile(rf"ready ftp://{HOST}:(\d+) ftps://{HOST}:(\d+)\n")
_UNWANTED_IN_LOG = re.compile(r"Traceback|Warning:|Exception ignored|never retrieved|incident| CRITICAL ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a client is told: one way into the daemon."""

    port: int
    implicit: bool
    encrypted: bool = True
    """Whether the client is to use TLS at all."""
    certificate: Path
    login: str
    password: str = field(repr=False)

    @property
    def scheme(self) -> str:
        """`ftps` means implicit TLS to every client that knows both."""
        return "ftps" if self.implicit else "ftp"

    @property
    def url(self) -> str:
        """The server without a path."""
        return f"{self.scheme}://{HOST}:{self.port}"


def daemon_environment(directory: Path, given: Mapping[str, str], password: str) -> dict[str, str]:
    """All that a daemon of the tests is told: what is given, mostly S3, and the rest; its certificate is made here."""
    made = make_self_signed(["localhost", HOST], now=datetime.now(UTC))
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    with socket.socket() as free:
        free.bind((HOST, 0))
        implicit_port = free.getsockname()[1]
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PYTHONWARNINGS": "always",
        "FTP_USER_LOGIN": LOGIN,
        "FTP_USER_PASSWORD": password,
        "AIOFTPS3_HOST": HOST,
        "AIOFTPS3_PORT": "0",
        "AIOFTPS3_IMPLICIT_PORT": str(implicit_port),
        "AIOFTPS3_DATA_PORTS": "0",
        "AIOFTPS3_TLS_CERT": str(certificate),
        "AIOFTPS3_TLS_KEY": str(key),
        "AIOFTPS3_LOG_LEVEL": "debug",
        **given,
    }


def run_aioftps3(command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command of the command line that ends by itself."""
    arguments = [sys.executable, "-m", "aioftps3", command]
    return subprocess.run(
        arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=READY_SECONDS, check=False
    )


class Daemon:
    """A running daemon; made by `start`, ended by `stop`."""

    def __init__(self, process: subprocess.Popen[str], log: Path, environment: Mapping[str, str]) -> None:
        self._process = process
        self._log = log
        self._environment = environment
        self._ports: tuple[int, int] = (0, 0)

    @classmethod
    def start(cls, directory: Path, given: Mapping[str, str], *, s3_is_good: bool = True) -> Self:
        """Start a daemon on free ports and wait until it is ready, and until it has looked at a good S3."""
        environment = daemon_environment(directory, given, password=secrets.token_hex(12))
        log = directory / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "aioftps3", "serve"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        daemon = cls(process, log, environment)
        try:
            daemon._wait_until_ready()
            if s3_is_good:
                daemon.wait_for_log(S3_IS_GOOD)
        except BaseException:
            daemon.kill()
            raise
        return daemon

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], READY_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        match = _READY.fullmatch(line)
        assert match is not None, f"no ready line but {line!r}; the log:\n{self.log()}"
        self._ports = int(match[1]), int(match[2])

    def access(self, mode: str) -> Access:
        """How clients get in, mode `explicit`, `implicit` or `clear`."""
        implicit = mode == "implicit"
        return Access(
            port=self._ports[implicit],
            implicit=implicit,
            encrypted=mode != "clear",
            certificate=Path(self._environment["AIOFTPS3_TLS_CERT"]),
            login=LOGIN,
            password=self._environment["FTP_USER_PASSWORD"],
        )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def peak_memory_bytes(self) -> int:
        """The most physical memory that the process has had at any time."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (kibibytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(kibibytes) * 1024

    def log(self, start: int = 0) -> str:
        """What the daemon has logged, from a position in the log on."""
        return self._log.read_bytes()[start:].decode()

    @property
    def log_size(self) -> int:
        """The position after all that is logged now."""
        return self._log.stat().st_size

    def wait_for_log(self, text: str, *, start: int = 0) -> None:
        """Wait until the text is in the log."""
        wait_until(lambda: text in self.log(start), f"{text!r} in the daemon's log")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self._process.returncode

    def kill(self) -> None:
        """End it at once, if it has not ended yet."""
        self._process.kill()
        self._process.communicate()

    def check_log(self) -> None:
        """Fail when the log holds a traceback, a warning of Python's, an unforeseen error, or a secret."""
        log = self.log()
        unwanted = [line for line in log.splitlines() if _UNWANTED_IN_LOG.search(line)]
        assert not unwanted, "\n".join(unwanted)
        for name in ("FTP_USER_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
            assert self._environment[name] not in log, f"{name} is in the log"

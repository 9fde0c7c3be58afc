"""The clients: one FTP session over TLS, curl, and a probe that looks how long commands wait during transfers."""

from __future__ import annotations

import contextlib
import ftplib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.processes import HOST, BenchError
from bench.servers import Access

__all__ = ("CurlRun", "Probe", "Session", "curl_download", "curl_upload")

TIMEOUT_SECONDS = 120.0
"""Without a byte or an answer."""

CURL_SECONDS = 600.0
"""For a whole transfer."""

READ_BYTES = 256 * 1024

SEND_BYTES = 256 * 1024

PROBE_INTERVAL_SECONDS = 0.005

PROBE_STOP_SECONDS = 30.0

CURL_FORMAT = r"done %{exitcode} %{size_upload} %{size_download} %{time_pretransfer} %{time_total}\n"

_CURL_LINE = re.compile(r"^done (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)$", re.MULTILINE)


class Session(ftplib.FTP_TLS):
    """A logged-in session whose data connections, where they are encrypted, resume the control connection's TLS.

    Per file it sends PASV and one command, no more: TYPE I is sent once.
    """

    def __init__(self, access: Access, *, source: str = "") -> None:
        """Connect, from the address `source` if one is given, and log in."""
        super().__init__(context=client_context(access), timeout=TIMEOUT_SECONDS)
        self._access = access
        self.connect(HOST, access.port, source_address=(source, 0) if source else None)
        try:
            self.login(access.login, access.password)
            if access.data_tls:
                self.prot_p()
            self.voidcmd("TYPE I")
        except BaseException:
            self.close()
            raise

    def connect(
        self, host: str = "", port: int = 0, timeout: float = -999, source_address: tuple[str, int] | None = None
    ) -> str:
        """As ftplib's, but for implicit TLS and TCP_NODELAY, which other clients set."""
        if not self._access.implicit:
            welcome = super().connect(host, port, timeout, source_address)
            _no_delay(self.sock)
            return welcome
        self.host, self.port = host, port
        plain = socket.create_connection((host, port), TIMEOUT_SECONDS, source_address)
        _no_delay(plain)
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """As ftplib's, with the session resumed."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        _no_delay(connection)
        if not self._access.data_tls:
            return connection, size
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.context.wrap_socket(connection, server_hostname=HOST, session=self.sock.session), size

    def path(self, name: str) -> str:
        """Where a file of this name goes."""
        return self._access.directory + name

    def store(self, name: str, content: bytes) -> None:
        """Upload."""
        with self.transfercmd(f"STOR {self.path(name)}") as connection:
            view = memoryview(content)
            for start in range(0, len(view), SEND_BYTES):
                connection.sendall(view[start : start + SEND_BYTES])
            _end_sending(connection)
            # Closed only now: tickets that were not read would make the kernel answer with RST. Nor is the server's
            # close waited for before: some close after their reply only.
            self.voidresp()

    def fetch(self, name: str) -> int:
        """Download; the number of bytes."""
        return sum(len(chunk) for chunk in self.chunks(f"RETR {self.path(name)}"))

    def chunks(self, command: str) -> Iterator[bytes]:
        """What a command sends, as it comes."""
        with self.transfercmd(command) as connection:
            while chunk := connection.recv(READ_BYTES):
                yield chunk
            _end_sending(connection)
            self.voidresp()


def client_context(access: Access) -> ssl.SSLContext:
    """One for a session: its control and data connections share the TLS session."""
    return ssl.create_default_context(cafile=str(access.certificate))


def _no_delay(connection: socket.socket | None) -> None:
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _end_sending(connection: socket.socket) -> None:
    """Over TLS with close_notify, without waiting for the server's own."""
    with contextlib.suppress(OSError):
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(0)
            with contextlib.suppress(OSError):
                connection.unwrap()
        connection.shutdown(socket.SHUT_WR)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurlRun:
    """What curl said of one transfer."""

    exit_code: int
    sent: int
    received: int
    seconds: float
    """From the server's 150 to its 226. What was before is left out: curl 7.88 often sleeps for a second after EPSV."""


def curl_upload(access: Access, files: Sequence[tuple[Path, str]]) -> list[CurlRun]:
    """Upload files, one after another in one session. Raises BenchError when one fails."""
    lines = [f'upload-file = "{source}"\nurl = "{_url(access, name)}"' for source, name in files]
    return _all_good(_curl(access, lines))


def curl_download(access: Access, names: Sequence[str]) -> list[CurlRun]:
    """Download files to nowhere, one after another in one session. Raises BenchError when one fails."""
    return _all_good(_curl(access, [f'output = "/dev/null"\nurl = "{_url(access, name)}"' for name in names]))


def _url(access: Access, name: str) -> str:
    scheme = "ftps" if access.implicit else "ftp"
    # curl takes the path as relative to where the login put it, which is the root.
    return f"{scheme}://localhost:{access.port}{access.directory}{name}"


def _curl(access: Access, lines: Sequence[str]) -> list[CurlRun]:
    """The configuration goes through standard input, so that the password is in no command line."""
    config = [
        "ssl-reqd" if access.data_tls else "ftp-ssl-control",
        "ipv4",
        "silent",
        "show-error",
        f'cacert = "{access.certificate}"',
        f'user = "{access.login}:{access.password}"',
        f"max-time = {CURL_SECONDS:g}",
        f'write-out = "{CURL_FORMAT}"',
        *lines,
    ]
    # No timeout here: Popen waits with one by looking now and then, which is not exact.
    done = subprocess.run(
        ["curl", "--disable", "--noproxy", "*", "--config", "-"],
        input="\n".join(config),
        capture_output=True,
        text=True,
        check=False,
    )
    runs = [
        CurlRun(exit_code=int(code), sent=int(sent), received=int(received), seconds=float(end) - float(begin))
        for code, sent, received, begin, end in _CURL_LINE.findall(done.stdout)
    ]
    if not runs:
        raise BenchError(f"curl on {access.name}: {done.stderr.strip()}")
    return runs


def _all_good(runs: list[CurlRun]) -> list[CurlRun]:
    for run in runs:
        if run.exit_code:
            raise BenchError(f"curl ended with code {run.exit_code}")
    return runs


class Probe:
    """Sends NOOP on an idle session again and again, and takes the times until the answers.

    A server with one event loop answers late while the loop is held. The probe's own process, and the machine, add to
    that; what they add shows when nothing is transferred.
    """

    def __init__(self, access: Access) -> None:
        self.milliseconds: list[float] = []
        self._session = Session(access)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PROBE_STOP_SECONDS)
        self._session.close()

    def check(self) -> None:
        """Raises BenchError when the session did not survive, or nothing was seen."""
        if self._failure is not None or not self.milliseconds:
            raise BenchError(f"the session that sends NOOP failed: {self._failure!r}")

    def _run(self) -> None:
        try:
            while not self._stop.wait(PROBE_INTERVAL_SECONDS):
                began = time.perf_counter()
                self._session.voidcmd("NOOP")
                self.milliseconds.append((time.perf_counter() - began) * 1000)
        except (OSError, EOFError, ftplib.Error) as error:
            self._failure = error

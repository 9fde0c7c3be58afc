"""The clients that the tests drive: curl, lftp and ftplib."""

from __future__ import annotations

import ftplib
import io
import shlex
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import IO
from urllib.parse import quote

import pytest

from tests.support.daemon import HOST, Access

__all__ = ("connect", "curl", "curl_command", "lftp", "needs_curl", "needs_lftp", "read", "store", "url")

CLIENT_SECONDS = 60.0
"""Longest that a client may run, the large-file tests excepted."""

SOCKET_SECONDS = 20.0

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_lftp = pytest.mark.skipif(shutil.which("lftp") is None, reason="lftp is not installed")


def url(access: Access, path: str) -> str:
    """A path as curl wants it, from the login directory on; one of a directory ends with a slash."""
    return f"{access.url}/{quote(path)}"


def curl_command(access: Access, *arguments: str | Path) -> list[str]:
    """curl with all that is the same in every call."""
    return [
        *("curl", "--disable", "--silent", "--show-error", "--noproxy", "*", "--globoff"),
        *("--ssl-reqd", "--cacert", str(access.certificate), "--user", f"{access.login}:{access.password}"),
        *map(str, arguments),
    ]


def curl(
    access: Access,
    *arguments: str | Path,
    stdin: IO[bytes] | None = None,
    exit_code: int = 0,
) -> subprocess.CompletedProcess[bytes]:
    """Run curl and check how it ended."""
    command = curl_command(access, *arguments)
    done = subprocess.run(
        command, stdin=stdin or subprocess.DEVNULL, capture_output=True, timeout=CLIENT_SECONDS, check=False
    )
    assert done.returncode == exit_code, f"{shlex.join(command)} ended with {done.returncode}: {done.stderr.decode()}"
    return done


def lftp(access: Access, directory: Path, *commands: str) -> str:
    """Run lftp commands in a local directory, the first failure ends them; what lftp printed."""
    script = [
        "set cmd:fail-exit yes",
        "set ftp:ssl-force yes",
        "set ftp:ssl-protect-data yes",
        f"set ssl:ca-file {access.certificate}",
        "set net:max-retries 1",
        "set net:timeout 20",
        "set xfer:clobber yes",
        f"open -u {access.login},{access.password} {access.url}",
        *commands,
    ]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory.parent), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["lftp", "--norc", "-c", "\n".join(script)],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CLIENT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"lftp ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


class _ImplicitTls(ftplib.FTP_TLS):
    """ftplib knows only explicit TLS; implicit TLS is a handshake before the greeting."""

    def connect(
        self,
        host: str = "",
        port: int = 0,
        timeout: float = SOCKET_SECONDS,
        source_address: tuple[str, int] | None = None,
    ) -> str:
        self.host, self.port, self.timeout = host, port, timeout
        plain = socket.create_connection((host, port), timeout, source_address)
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome


def connect(access: Access, *, version: ssl.TLSVersion | None = None) -> ftplib.FTP_TLS:
    """A session of ftplib, logged in, with encrypted data connections; `version` asks for one version of TLS."""
    context = ssl.create_default_context(cafile=str(access.certificate))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    session = (_ImplicitTls if access.implicit else ftplib.FTP_TLS)(context=context, timeout=SOCKET_SECONDS)
    session.connect(HOST, access.port)
    session.login(access.login, access.password)
    session.prot_p()
    return session


def store(session: ftplib.FTP_TLS, path: str, content: bytes) -> None:
    """Upload a file with ftplib."""
    session.storbinary(f"STOR {path}", io.BytesIO(content))


def read(session: ftplib.FTP_TLS, path: str, *, rest: int | None = None) -> bytes:
    """Download a file with ftplib."""
    chunks: list[bytes] = []
    session.retrbinary(f"RETR {path}", chunks.append, rest=rest)
    return b"".join(chunks)

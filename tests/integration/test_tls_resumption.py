"""Data connections resume TLS sessions: faster, some clients insist on it, and so can the daemon.

What each client does in a session of many transfers is counted in tests/integration/clients.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.clients import connect, curl, lftp, needs_curl, needs_lftp, url
from tests.support.daemon import HOST, Access, Daemon

FILES = 3


def _data_connections(daemon: Daemon, start: int) -> list[str]:
    return re.findall(r"data connection with a (\w+) TLS session", daemon.log(start))


def _curl_version() -> tuple[int, ...]:
    said = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, said.split()[1].split(".")[:2]))


def _uploads(access: Access, folder: str, file: Path) -> list[str | Path]:
    file.write_bytes(b"x")
    return [word for number in range(FILES) for word in ("--upload-file", file, url(access, f"{folder}/{number}"))]


@needs_curl
def test_curl_resumes_every_listing_and_download_of_a_run(
    access: Access, daemon: Daemon, backend: Backend, folder: str
) -> None:
    """OpenSSL uses a ticket of TLS 1.3 once, and curl keeps one or two: each connection gives it another one."""
    for number in range(FILES):
        backend.put(f"{folder}/{number}", b"x")
    start = daemon.log_size
    curl(access, *(url(access, f"{folder}/{name}") for name in ("", *range(FILES), "", *range(FILES))))
    assert _data_connections(daemon, start) == ["resumed"] * 2 * (FILES + 1)


@needs_curl
def test_curl_resumes_every_upload_of_a_run_since_it_reads_to_the_end(
    access: Access, daemon: Daemon, folder: str, tmp_path: Path
) -> None:
    start = daemon.log_size
    curl(access, *_uploads(access, folder, tmp_path / "up"))
    curl(access, *_uploads(access, folder, tmp_path / "up"))
    later = "resumed" if _curl_version() >= (8, 9) else "new"
    assert _data_connections(daemon, start) == ["resumed", *[later] * (FILES - 1)] * 2


@needs_curl
def test_curl_resumes_every_data_connection_of_a_run_over_tls_1_2(
    backend: Backend, folder: str, tmp_path: Path
) -> None:
    """So that resumption can be required of every curl, by the daemon's own choice of the version."""
    (tmp_path / "daemon").mkdir()
    chosen = {"AIOFTPS3_TLS_MAX_VERSION": "1.2", "AIOFTPS3_REQUIRE_TLS_RESUMPTION": "true"}
    daemon = Daemon.start(tmp_path / "daemon", {**backend.environment, **chosen})
    try:
        access = daemon.access("explicit")
        curl(access, *_uploads(access, folder, tmp_path / "up"))
        curl(access, *(url(access, f"{folder}/{name}") for name in ("", *range(FILES))))
        assert _data_connections(daemon, 0) == ["resumed"] * (FILES + 1 + FILES)
        assert daemon.stop() == 0
        daemon.check_log()
    finally:
        daemon.kill()


@needs_lftp
def test_lftp_resumes_every_data_connection(access: Access, daemon: Daemon, folder: str, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(FILES):
        (tmp_path / "tree" / str(number)).write_bytes(b"x")
    start = daemon.log_size
    lftp(access, tmp_path, f"mirror --reverse tree {folder}/tree", f"mirror {folder}/tree back")
    connections = _data_connections(daemon, start)
    assert len(connections) >= 2 * FILES
    assert set(connections) == {"resumed"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_python_resumes_when_it_is_told_to(
    access: Access, daemon: Daemon, folder: str, version: ssl.TLSVersion
) -> None:
    start = daemon.log_size
    with contextlib.closing(connect(access, version=version)) as session:
        assert isinstance(session.sock, ssl.SSLSocket)
        assert session.sock.version() == version.name.replace("_", ".")
        for number in range(FILES):
            _, port = session.makepasv()
            session.putcmd(f"STOR {folder}/{number}")
            assert session.getresp().startswith("150 ")
            with _data_socket(session.context, port, session.sock.session) as data:
                assert data.session_reused
                data.sendall(b"x")
                data.unwrap()
            assert session.voidresp().startswith("226 ")
        session.quit()
    assert _data_connections(daemon, start) == ["resumed"] * FILES


def test_a_client_that_does_not_resume_is_served_too(access: Access, daemon: Daemon, folder: str) -> None:
    start = daemon.log_size
    with contextlib.closing(connect(access)) as session:
        assert session.nlst(folder) == []
        session.quit()
    assert _data_connections(daemon, start) == ["new"]


def _data_socket(context: ssl.SSLContext, port: int, tls_session: ssl.SSLSession | None) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection((HOST, port), 20), server_hostname=HOST, session=tls_session)

"""Data connections resume the TLS session of their control connection: faster, and some clients insist on it."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.clients import connect, curl, lftp, needs_curl, needs_lftp, url
from tests.support.daemon import HOST, Access, Daemon

FILES = 3


def _data_connections(daemon: Daemon, start: int) -> list[str]:
    return re.findall(r"data connection with a (\w+) TLS session", daemon.log(start))


@needs_curl
def test_curl_resumes_with_the_ticket_of_its_control_connection(
    access: Access, daemon: Daemon, folder: str, tmp_path: Path
) -> None:
    start = daemon.log_size
    (tmp_path / "up").write_bytes(b"x")
    # One transfer a run: OpenSSL uses a TLS 1.3 ticket once, and curl keeps one of them.
    for number in range(FILES):
        curl(access, "--upload-file", tmp_path / "up", url(access, f"{folder}/{number}"))
        curl(access, url(access, f"{folder}/{number}"))
        curl(access, url(access, f"{folder}/"))
    assert _data_connections(daemon, start) == ["resumed"] * (3 * FILES)


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


@needs_curl
def test_curl_resumes_every_data_connection_of_a_run_over_tls_1_2(
    access: Access, daemon: Daemon, backend: Backend, folder: str
) -> None:
    for number in range(FILES):
        backend.put(f"{folder}/{number}", b"x")
    start = daemon.log_size
    curl(access, "--tls-max", "1.2", *(url(access, f"{folder}/{name}") for name in ("", *range(FILES))))
    assert _data_connections(daemon, start) == ["resumed"] * (FILES + 1)


def test_a_client_that_does_not_resume_is_served_too(access: Access, daemon: Daemon, folder: str) -> None:
    start = daemon.log_size
    with contextlib.closing(connect(access)) as session:
        assert session.nlst(folder) == []
        session.quit()
    assert _data_connections(daemon, start) == ["new"]


def _data_socket(context: ssl.SSLContext, port: int, tls_session: ssl.SSLSession | None) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection((HOST, port), 20), server_hostname=HOST, session=tls_session)

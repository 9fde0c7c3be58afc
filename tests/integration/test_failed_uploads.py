"""Uploads that do not end well leave nothing: no object, no changed object, no multipart upload. Promise 1."""

from __future__ import annotations

import contextlib
import ftplib
import re
import signal
import socket
import ssl
import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.clients import connect, curl_command, lftp, needs_curl, needs_lftp, read, store, url
from tests.support.daemon import Access, Daemon
from tests.support.polling import wait_until

MIB = 1024 * 1024
OLD = b"the old content"


def _wait_for_upload(backend: Backend, path: str) -> None:
    """Until the first part is full and on its way: from here on S3 holds something that has to be removed."""
    wait_until(lambda: backend.uploads(path) == 1, f"a multipart upload of {path}")


def _check_nothing_is_left(backend: Backend, path: str) -> None:
    wait_until(lambda: backend.uploads(path) == 0, f"the multipart upload of {path} is gone")
    assert backend.read(path) == OLD


@needs_curl
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_client_that_is_killed(
    access: Access, daemon: Daemon, backend: Backend, folder: str, tmp_path: Path, number: signal.Signals
) -> None:
    path = f"{folder}/file"
    backend.put(path, OLD)
    (tmp_path / "up").write_bytes(bytes(40 * MIB))
    start = daemon.log_size
    throttled = curl_command(
        access, "--limit-rate", "20M", "--upload-file", tmp_path / "up", "--no-progress-meter", url(access, path)
    )
    with subprocess.Popen(throttled, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        _wait_for_upload(backend, path)
        client.send_signal(number)
    _check_nothing_is_left(backend, path)
    wait_until(lambda: f"STOR /{path} by " in daemon.log(start), "the log tells of the upload")
    (line,) = [line for line in daemon.log(start).splitlines() if f"STOR /{path} by " in line]
    assert re.search(r": [1-9]\d{6,} bytes in .+, failed: ", line), line


def test_a_data_connection_that_is_reset(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", OLD)
    data = _begin(ftp, backend, folder)
    _reset(data)
    with pytest.raises(ftplib.error_temp, match=r"^426 "):
        ftp.voidresp()
    _check_nothing_is_left(backend, f"{folder}/file")
    store(ftp, "file", b"new")
    assert read(ftp, "file") == b"new"


def test_a_control_connection_that_is_closed(access: Access, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", OLD)
    session = connect(access)
    session.cwd(folder)
    with _begin(session, backend, folder) as data:
        session.close()
        _check_nothing_is_left(backend, f"{folder}/file")
        data.settimeout(10)
        with contextlib.suppress(OSError):
            assert data.recv(1) == b"", "the data connection is closed too"


def test_a_control_connection_that_is_closed_together_with_the_data_connection(
    access: Access, backend: Backend, folder: str
) -> None:
    # As the kernel does it for a process that is killed: both get a FIN, and no TLS goodbye.
    backend.put(f"{folder}/file", OLD)
    session = connect(access)
    session.cwd(folder)
    data = _begin(session, backend, folder)
    assert session.sock is not None
    socket.socket(fileno=session.sock.detach()).close()
    socket.socket(fileno=data.detach()).close()
    _check_nothing_is_left(backend, f"{folder}/file")
    session.close()


def test_an_upload_shorter_than_announced(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", OLD)
    ftp.voidcmd("TYPE I")
    ftp.voidcmd(f"ALLO {10 * MIB}")
    with pytest.raises(ftplib.error_temp, match=r"^426 "):
        store(ftp, "file", bytes(9 * MIB))
    _check_nothing_is_left(backend, f"{folder}/file")


def test_a_client_that_never_opens_the_data_connection_may_leave(access: Access, backend: Backend, folder: str) -> None:
    session = connect(access)
    session.makepasv()
    session.putcmd(f"STOR {folder}/file")
    assert session.getresp().startswith("150 ")
    session.close()
    assert backend.sizes(folder) == {f"{folder}/": 0}


def test_a_stop_of_the_daemon_aborts_what_does_not_end_within_the_grace(
    backend: Backend, folder: str, tmp_path: Path
) -> None:
    backend.put(f"{folder}/file", OLD)
    running = Daemon.start(tmp_path, {**backend.environment, "AIOFTPS3_SHUTDOWN_GRACE": "1"})
    try:
        session = connect(running.access("explicit"))
        session.cwd(folder)
        with contextlib.closing(session), _begin(session, backend, folder):
            assert running.stop() == 0
        assert backend.uploads(f"{folder}/file") == 0
        assert backend.read(f"{folder}/file") == OLD
        running.check_log()
    finally:
        running.kill()


def test_a_stop_of_the_daemon_lets_a_running_upload_end(backend: Backend, folder: str, tmp_path: Path) -> None:
    running = Daemon.start(tmp_path, backend.environment)
    try:
        session = connect(running.access("explicit"))
        session.cwd(folder)
        with contextlib.closing(session):
            with contextlib.closing(_begin(session, backend, folder)) as data:
                start = running.log_size
                running.signal(signal.SIGTERM)
                running.wait_for_log("draining", start=start)
                data.sendall(b"the end")
                data.unwrap()
            assert session.voidresp().startswith("226 ")
            assert session.getline().startswith("421 ")
        assert backend.sizes(f"{folder}/file") == {f"{folder}/file": 12 * MIB + len(b"the end")}
        wait_until(lambda: not running.running, "the daemon ends")
        assert running.stop() == 0
        running.check_log()
    finally:
        running.kill()


@needs_lftp
def test_lftp_and_ftplib_say_goodbye_and_are_believed_at_once(backend: Backend, folder: str, tmp_path: Path) -> None:
    running = Daemon.start(tmp_path, {**backend.environment, "AIOFTPS3_UPLOAD_END": "strict"})
    try:
        (tmp_path / "tree").mkdir()
        for number in range(5):
            (tmp_path / "tree" / str(number)).write_bytes(bytes(number))
        for mode in ("explicit", "implicit"):
            access = running.access(mode)
            lftp(access, tmp_path, f"mirror --reverse tree {folder}/{mode}")
            with contextlib.closing(connect(access)) as session:
                store(session, f"{folder}/{mode}/5", bytes(5))
                session.quit()
            assert backend.sizes(f"{folder}/{mode}/") == {
                f"{folder}/{mode}/": 0,
                **{f"{folder}/{mode}/{number}": number for number in range(6)},
            }
        assert running.stop() == 0
        running.check_log()
    finally:
        running.kill()


def _begin(session: ftplib.FTP_TLS, backend: Backend, folder: str) -> ssl.SSLSocket:
    """An upload of `file` in the current directory, of which 12 MiB are sent."""
    session.voidcmd("TYPE I")
    data = session.transfercmd("STOR file")
    assert isinstance(data, ssl.SSLSocket)
    data.sendall(bytes(12 * MIB))
    _wait_for_upload(backend, f"{folder}/file")
    return data


def _reset(sock: ssl.SSLSocket) -> None:
    plain = socket.socket(fileno=sock.detach())
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()

"""A renewed certificate reaches clients while the daemon runs and their sessions go on."""

from __future__ import annotations

import contextlib
import dataclasses
import ftplib
import signal
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aioftps3.certificates import make_self_signed
from aioftps3.keypair import KeyPair
from tests.support.backends import Backend
from tests.support.clients import connect, read, store
from tests.support.daemon import HOST, Access, Daemon


def _replace(path: Path, content: bytes) -> None:
    """As those who renew certificates do it: by another file of the same name."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.rename(path)


def _upload_resumed(session: ftplib.FTP_TLS, name: str) -> None:
    """An upload that resumes the TLS session of its control connection."""
    assert isinstance(session.sock, ssl.SSLSocket)
    _, port = session.makepasv()
    session.putcmd(f"STOR {name}")
    assert session.getresp().startswith("150 ")
    plain = socket.create_connection((HOST, port), 20)
    with session.context.wrap_socket(plain, server_hostname=HOST, session=session.sock.session) as data:
        assert data.session_reused
        data.sendall(name.encode())
        data.unwrap()
    assert session.voidresp().startswith("226 ")


def _trusting(access: Access, path: Path, pair: KeyPair) -> Access:
    """The same way in for a client that trusts this certificate alone."""
    path.write_bytes(pair.certificate)
    return dataclasses.replace(access, certificate=path)


@pytest.mark.parametrize("mode", ["explicit", "implicit"])
def test_a_renewed_certificate_is_for_new_sessions_and_disturbs_none(
    mode: str, backend: Backend, tmp_path: Path
) -> None:
    """P20."""
    (tmp_path / "daemon").mkdir()
    new = make_self_signed([HOST], now=datetime.now(UTC))
    daemon = Daemon.start(tmp_path / "daemon", backend.environment)
    try:
        access = daemon.access(mode)
        certificate, key = access.certificate, access.certificate.with_name("key.pem")
        old = KeyPair.load(certificate, key)
        trusting_old = _trusting(access, tmp_path / "old.pem", old)
        trusting_new = _trusting(access, tmp_path / "new.pem", new)
        with contextlib.ExitStack() as stack:
            sessions = [
                stack.enter_context(contextlib.closing(connect(trusting_old, version=version)))
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
            ]
            slow = stack.enter_context(contextlib.closing(connect(trusting_old)))
            upload = stack.enter_context(slow.transfercmd("STOR slow"))
            upload.sendall(b"before, ")

            _replace(certificate, new.certificate)
            daemon.signal(signal.SIGHUP)
            daemon.wait_for_log(f"stays, {old.expiry}")
            with contextlib.closing(connect(trusting_old)) as session:
                session.quit()

            _replace(key, new.key)
            daemon.signal(signal.SIGHUP)
            daemon.wait_for_log(f"renewed, SHA-256 fingerprint {new.fingerprint}, {new.expiry}")
            with pytest.raises(ssl.SSLCertVerificationError):
                connect(trusting_old)
            with contextlib.closing(connect(trusting_new)) as session:
                store(session, "new", b"new")
                assert read(session, "new") == b"new"
                session.quit()

            for number, session in enumerate(sessions):
                _upload_resumed(session, f"old {number}")
                store(session, "old", b"not resumed")
                session.quit()
            upload.sendall(b"and behind")
            assert isinstance(upload, ssl.SSLSocket)
            upload.unwrap()
            upload.close()
            assert slow.voidresp().startswith("226 ")
            slow.quit()
        assert backend.read("slow") == b"before, and behind"
        assert daemon.stop() == 0
        daemon.check_log()
    finally:
        daemon.kill()

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from aioftps3.certificates import make_self_signed
from aioftps3.keypair import KeyPair

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def made() -> KeyPair:
    return make_self_signed(["localhost", "127.0.0.1", "::1"], now=NOW)


def test_the_key_is_p256_and_not_in_the_repr(made: KeyPair) -> None:
    key = x509.load_pem_x509_certificate(made.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert "PRIVATE" not in repr(made)


def test_it_is_valid_from_a_day_ago_for_about_a_year(made: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(made.certificate)
    assert certificate.not_valid_before_utc <= NOW - timedelta(hours=23)
    assert timedelta(days=300) < certificate.not_valid_after_utc - NOW < timedelta(days=398)


def test_two_certificates_differ(made: KeyPair) -> None:
    assert make_self_signed(["localhost"], now=NOW).certificate != made.certificate


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_it_accepts_it_by_the_strictest_rules(made: KeyPair, tmp_path: Path, name: str) -> None:
    (tmp_path / "both.pem").write_bytes(made.pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "both.pem")
    client = ssl.create_default_context(cadata=made.certificate.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(left, server_side=True) as connection:
            connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(right, server_hostname=name) as connection:
        connection.send(b"x")
    thread.join(10)
    assert not thread.is_alive()

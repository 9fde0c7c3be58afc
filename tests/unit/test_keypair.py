"""Certificates and keys as they come from files."""

import hashlib
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from aioftps3.certificates import make_self_signed
from aioftps3.keypair import BadKeyPair, EncryptedKey, Expired, KeyPair, as_file, reason
from aioftps3.tls import ServerTls

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def made() -> KeyPair:
    return make_self_signed(["localhost"], now=NOW)


def test_the_key_may_be_in_the_certificates_file_or_in_its_own(made: KeyPair, tmp_path: Path) -> None:
    both, certificate, key = (tmp_path / name for name in ("both.pem", "cert.pem", "key.pem"))
    both.write_bytes(made.pem)
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    assert KeyPair.load(both, None) == KeyPair(made.pem, made.pem)
    assert KeyPair.load(certificate, key) == made


def test_a_missing_file_and_an_encrypted_key_are_errors(made: KeyPair, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.certificate)
    with pytest.raises(FileNotFoundError):
        KeyPair.load(certificate, key)
    passphrase = serialization.BestAvailableEncryption(b"passphrase")
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        loaded = serialization.load_pem_private_key(made.key, None)
        key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, form, passphrase))
        with pytest.raises(EncryptedKey) as caught:
            KeyPair.load(certificate, key)
        assert isinstance(caught.value, BadKeyPair)
        assert reason(caught.value) == "the key is encrypted"


def test_the_key_is_not_in_the_repr(made: KeyPair) -> None:
    assert "PRIVATE" not in repr(made)


def test_fingerprint_is_the_sha256_of_the_der_form(made: KeyPair) -> None:
    der = ssl.PEM_cert_to_DER_cert(made.certificate.decode())
    for pair in (made, KeyPair(made.pem, made.pem)):
        assert pair.fingerprint.replace(":", "") == hashlib.sha256(der).hexdigest().upper()
        assert len(pair.fingerprint) == 95


def test_a_file_without_certificate_has_no_fingerprint_and_no_validity(made: KeyPair) -> None:
    pair = KeyPair(made.key, made.key)
    with pytest.raises(BadKeyPair, match="there is no CERTIFICATE in it"):
        _ = pair.fingerprint
    assert pair.validity is None
    assert pair.expiry == "valid for an unknown time"
    assert pair.warning(NOW) is None
    pair.check_expiry(NOW)


def test_the_old_label_of_certificates_is_taken(made: KeyPair) -> None:
    old = KeyPair(made.certificate.replace(b" CERTIFICATE-", b" X509 CERTIFICATE-"), made.key)
    assert (old.fingerprint, old.validity) == (made.fingerprint, made.validity)
    ServerTls(old)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "there is no CERTIFICATE in it"),
        (b"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----", "no plain"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CERTIFICATE-----", "there is no CERTIFICATE in it"),
        (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----", "its certificate is no base64"),
    ],
)
def test_a_file_without_a_certificate_is_an_error(made: KeyPair, tmp_path: Path, content: bytes, text: str) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(content)
    key.write_bytes(made.key)
    with pytest.raises(BadKeyPair, match=text):
        KeyPair.load(certificate, key)


def test_a_trusted_certificate_in_front_of_its_chain_is_refused(made: KeyPair, tmp_path: Path) -> None:
    """OpenSSL would serve it, and everything else would be told of the one behind it."""
    trusted = made.certificate.replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-")
    (tmp_path / "both.pem").write_bytes(made.key + trusted + made.certificate)
    with pytest.raises(BadKeyPair, match="its first certificate is no plain CERTIFICATE"):
        KeyPair.load(tmp_path / "both.pem", None)


def test_the_validity_is_that_of_the_first_certificate(made: KeyPair) -> None:
    longer = make_self_signed(["authority"], now=NOW, validity=4000 * DAY)
    parsed = x509.load_pem_x509_certificate(made.certificate)
    chain = KeyPair(made.certificate + longer.certificate, made.key)
    assert chain.validity == (parsed.not_valid_before_utc, parsed.not_valid_after_utc)
    assert chain.expiry == "valid until 2027-12-24 12:00 UTC"


@pytest.mark.parametrize(
    ("days", "left", "level", "text"),
    [
        (90, 15, None, ""),
        (90, 13.5, logging.WARNING, "expires at 2026-12-06 00:00 UTC, in 13.5 days"),
        (5, 2, None, ""),  # a quarter of six days, the one before its making among them
        (5, 1.25, logging.WARNING, "expires at 2026-11-23 18:00 UTC, in 1.2 days"),
        (90, 0, logging.ERROR, "has expired at 2026-11-22 12:00 UTC: clients refuse it"),
        (90, -1, logging.ERROR, "has expired at 2026-11-21 12:00 UTC: clients refuse it"),
        (90, 92, logging.ERROR, "is not valid before 2026-11-23 12:00 UTC: clients refuse it"),
    ],
)
def test_an_operator_is_warned_in_time(days: int, left: float, level: int | None, text: str) -> None:
    pair = make_self_signed(["localhost"], now=NOW + left * DAY - days * DAY, validity=days * DAY)
    assert pair.warning(NOW) == (None if level is None else (level, text))


def test_an_expired_certificate_is_an_error_from_its_last_second_on(made: KeyPair) -> None:
    assert made.validity is not None
    made.check_expiry(made.validity[1] - timedelta(seconds=1))
    with pytest.raises(Expired, match="it has expired at 2027-12-24 12:00 UTC"):
        made.check_expiry(made.validity[1])


def test_a_file_in_memory_can_be_read_and_is_gone_afterwards() -> None:
    with as_file(b"content") as path:
        assert path.read_bytes() == b"content"
    assert not path.exists()


def test_reasons_are_short(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"none\.pem") as missing:
        (tmp_path / "none.pem").read_bytes()
    assert reason(missing.value) == "No such file or directory"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "empty.pem").write_bytes(b"")
    with pytest.raises(ssl.SSLError) as empty:
        context.load_cert_chain(tmp_path / "empty.pem")
    assert reason(empty.value) in {"PEM lib", "NO_START_LINE", "PEM_LIB", "SSLError"}

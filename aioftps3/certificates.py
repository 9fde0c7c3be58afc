"""A self-signed certificate for a start without one: ECDSA P-256, made in memory."""

import contextlib
import hashlib
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ("SelfSigned", "as_file", "fingerprint", "make_self_signed")

COMMON_NAME = "aioftps3"

VALIDITY = timedelta(days=397)
"""The longest that clients accept from a public authority; a start makes a new certificate anyway."""

CLOCK_TOLERANCE = timedelta(hours=24)
"""How far a client's clock may be behind."""


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """A certificate and its private key in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def pem(self) -> bytes:
        """Both in one file, as `ssl.SSLContext.load_cert_chain` takes them."""
        return self.key + self.certificate


def make_self_signed(names: Sequence[str], *, now: datetime) -> SelfSigned:
    """A certificate for host names and addresses, at least one, valid from a day before now (aware) on."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
    )
    return SelfSigned(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a PEM file's first certificate as clients show it: `AB:CD:...`. Raises ValueError if it has none."""
    start = pem.index(b"-----BEGIN CERTIFICATE-----")
    end = pem.index(b"-----END CERTIFICATE-----", start) + len(b"-----END CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(pem[start:end].decode("ascii"))
    return hashlib.sha256(der).digest().hex(":").upper()


@contextlib.contextmanager
def as_file(pem: bytes) -> Iterator[Path]:
    """A path to read it from, for OpenSSL, which takes a key from files only. On Linux it never reaches a disk."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("aioftps3"), "wb") as file:
            file.write(pem)
            file.flush()
            yield Path(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(pem)
            file.flush()
            yield Path(file.name)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

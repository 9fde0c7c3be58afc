"""A certificate and its private key, in PEM as they come from files, and what operators want to know of them.

BadKeyPair (ValueError)
├── EncryptedKey    the key has a passphrase, which nobody could be asked for
└── Expired         the certificate is valid no more
"""

import base64
import binascii
import contextlib
import hashlib
import logging
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

__all__ = ("BadKeyPair", "EncryptedKey", "Expired", "KeyPair", "as_file", "reason")

WARN_BEFORE = timedelta(days=14)
"""Whoever renews certificates does it earlier; ACME clients a month before the end, or in the last third."""

WARN_PART = 4
"""The last so many-th of a certificate that is valid for a shorter time than that suits."""


_CERTIFICATE = re.compile(rb"-----BEGIN ([^-\r\n]*CERTIFICATE)-----(.*?)-----END \1-----", re.DOTALL)

_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE")
"""Of RFC 7468 section 5. OpenSSL takes TRUSTED CERTIFICATE, too, whose content is another one."""


class BadKeyPair(ValueError):
    """This cannot be served."""


class EncryptedKey(BadKeyPair):
    """The key has a passphrase."""


class Expired(BadKeyPair):
    """The certificate is valid no more."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain, leaf first, and a private key. Whether they belong together is found when they are used."""

    certificate: bytes
    key: bytes = field(repr=False)

    @classmethod
    def load(cls, certificate: Path, key: Path | None) -> "KeyPair":
        """Read the files; the key may be in the certificate's. Raises OSError and BadKeyPair."""
        chain = certificate.read_bytes()
        pair = cls(chain, chain if key is None else key.read_bytes())
        if b"ENCRYPTED" in pair.key:
            raise EncryptedKey("the key is encrypted")
        _leaf(chain)
        return pair

    @property
    def pem(self) -> bytes:
        """Both in one file, as `ssl.SSLContext.load_cert_chain` takes them."""
        return self.key + self.certificate

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as clients show it: `AB:CD:...`. Raises BadKeyPair if there is none."""
        return hashlib.sha256(_leaf(self.certificate)).digest().hex(":").upper()

    @property
    def validity(self) -> tuple[datetime, datetime] | None:
        """From when to when (UTC); None for certificates that OpenSSL takes, but `cryptography` finds fault with."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
        except (ValueError, x509.InvalidVersion):
            return None
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc

    @property
    def expiry(self) -> str:
        """The end of its validity, in words."""
        return "valid for an unknown time" if self.validity is None else f"valid until {_day(self.validity[1])}"

    def check_expiry(self, now: datetime) -> None:
        """Raise Expired if the certificate has expired."""
        if self.validity is not None and self.validity[1] <= now:
            raise Expired(f"it has expired at {_day(self.validity[1])}")

    def warning(self, now: datetime) -> tuple[int, str] | None:
        """What an operator should hear of the validity at that time, and the log level of it."""
        if self.validity is None:
            return None
        begin, end = self.validity
        if end <= now:
            return logging.ERROR, f"has expired at {_day(end)}: clients refuse it"
        if now < begin:
            return logging.ERROR, f"is not valid before {_day(begin)}: clients refuse it"
        if end - now < min(WARN_BEFORE, (end - begin) / WARN_PART):
            return logging.WARNING, f"expires at {_day(end)}, in {(end - now) / timedelta(days=1):.1f} days"
        return None


def _leaf(chain: bytes) -> bytes:
    """The first certificate, in DER."""
    found = _CERTIFICATE.search(chain)
    if found is None:
        raise BadKeyPair("there is no CERTIFICATE in it")
    if found[1] not in _LABELS:
        raise BadKeyPair("its first certificate is no plain CERTIFICATE")
    try:
        return base64.b64decode(found[2])
    except binascii.Error as error:
        raise BadKeyPair("its certificate is no base64") from error


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


def reason(error: OSError | ValueError) -> str:
    """Why a pair cannot be used, in few words and none of a file's content."""
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")

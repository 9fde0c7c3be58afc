"""TLS 1.3 records that no ordinary client sends, made from the secrets of a connection (RFC 8446 sections 5 and 7)."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

__all__ = ("ClientRecords", "log_secrets")

_ALERT, _HANDSHAKE, _APPLICATION_DATA = 21, 22, 23
_CLOSE_NOTIFY = bytes((1, 0))
_KEY_UPDATE_REQUESTED = bytes((24, 0, 0, 1, 1))


def log_secrets(context: ssl.SSLContext, path: Path) -> None:
    """Have the connections of a client's context write their secrets down."""
    context.keylog_filename = str(path)


class ClientRecords:
    """What a client sends on a connection on which it has sent nothing since the handshake."""

    def __init__(self, tls: ssl.SSLObject, secrets: Path) -> None:
        """``secrets`` is the file of `log_secrets`; the last connection in it is meant."""
        cipher = tls.cipher()
        assert cipher is not None
        assert cipher[0] == "TLS_AES_256_GCM_SHA384"
        lines = [line.split() for line in secrets.read_text().splitlines()]
        self._use(bytes.fromhex([line[2] for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0"][-1]))

    def data(self, content: bytes) -> bytes:
        """A record with bytes of the stream."""
        return self._sealed(content, _APPLICATION_DATA)

    def close_notify(self) -> bytes:
        """The record that ends the stream."""
        return self._sealed(_CLOSE_NOTIFY, _ALERT)

    def key_updates(self, count: int) -> bytes:
        """Records, each of which changes the keys and asks the server to change its own, which it answers."""
        records = []
        for _ in range(count):
            records.append(self._sealed(_KEY_UPDATE_REQUESTED, _HANDSHAKE))
            self._use(_expanded(self._secret, b"traffic upd", 48))
        return b"".join(records)

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(_expanded(secret, b"key", 32))
        self._iv = int.from_bytes(_expanded(secret, b"iv", 12))
        self._number = 0

    def _sealed(self, content: bytes, kind: int) -> bytes:
        header = bytes((_APPLICATION_DATA, 3, 3)) + (len(content) + 17).to_bytes(2)
        nonce = (self._iv ^ self._number).to_bytes(12)
        self._number += 1
        return header + self._cipher.encrypt(nonce, content + bytes((kind,)), header)


def _expanded(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label without a context."""
    label = b"tls13 " + label
    info = length.to_bytes(2) + bytes((len(label),)) + label + b"\0"
    return HKDFExpand(SHA384(), length, info).derive(secret)

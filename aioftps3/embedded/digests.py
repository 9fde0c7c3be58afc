"""Digests of bodies: MD5 for ETags, SHA-256 for signed payloads, and S3's additional checksums. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from typing import TYPE_CHECKING, Protocol

from aioftps3.embedded.state import Checksum

if TYPE_CHECKING:
    from collections.abc import Sequence

CRC32_BITS = 32
_CRC32_POLYNOMIAL = 0xEDB88320


class Hash(Protocol):
    """What hashlib's objects do, as far as it is used here."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """CRC-32 with the interface of a hash; the digest is big-endian, as S3 writes it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(CRC32_BITS // 8, "big")


def new_hash(algorithm: str) -> Hash:
    """A fresh hash for ``crc32``, ``md5``, ``sha1`` or ``sha256``."""
    if algorithm == "crc32":
        return Crc32()
    return hashlib.new(algorithm, usedforsecurity=False)


ALGORITHMS = {"crc32": 4, "sha1": 20, "sha256": 32}
"""The additional checksums that are verified here, with the bytes of their digests."""


def decode_digest(text: str, size: int) -> bytes | None:
    """The digest behind base64 text, or None when the text is not base64 of that many bytes."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == size else None


def encode_digest(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def multipart_etag(etags: Sequence[str]) -> str:
    """The ETag of a multipart object: MD5 over the parts' MD5s, and the number of parts."""
    joined = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"


def composite_checksum(algorithm: str, parts: Sequence[str]) -> Checksum:
    """The checksum over the parts' checksums, which are given in base64."""
    hashed = new_hash(algorithm)
    for part in parts:
        hashed.update(base64.b64decode(part))
    return Checksum(algorithm=algorithm, value=f"{encode_digest(hashed.digest())}-{len(parts)}", kind="COMPOSITE")


def full_object_crc32(parts: Sequence[tuple[str, int]]) -> Checksum:
    """The CRC-32 of the whole object from its parts' CRC-32s (base64) and sizes."""
    total = 0
    for value, size in parts:
        total = combine_crc32(total, int.from_bytes(base64.b64decode(value), "big"), size)
    return Checksum(algorithm="crc32", value=encode_digest(total.to_bytes(CRC32_BITS // 8, "big")))


def combine_crc32(first: int, second: int, second_size: int) -> int:
    """CRC-32 of two pieces put together, from the CRC-32 of each and the size of the second.

    Appending a zero bit is a linear map over GF(2); its powers, by repeated squaring, carry the first CRC over the
    second piece.
    """
    matrix = [_CRC32_POLYNOMIAL, *(1 << bit for bit in range(CRC32_BITS - 1))]
    bits = second_size * 8
    while bits:
        if bits & 1:
            first = _times(matrix, first)
        matrix = [_times(matrix, column) for column in matrix]
        bits >>= 1
    return first ^ second


def _times(matrix: Sequence[int], vector: int) -> int:
    total = 0
    for column in matrix:
        if not vector:
            break
        if vector & 1:
            total ^= column
        vector >>= 1
    return total

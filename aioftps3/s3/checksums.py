"""Checksums of content: computed as bytes come, put together from parts, and held against what S3 says. Pure.

What S3 knows of them: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html

- A CRC of a whole object follows from those of its parts ("full object"); SHA-256 does not, and S3 then keeps the hash
  of the parts' hashes ("composite", with a "-N"), which nobody can check against the content alone.
- Content-MD5 is older than all of them: it protects a request, and S3 does not keep it.
- CRC32 is computed by zlib-ng with the processor's instructions for it: 0.02 s for each GiB, 0.25 s with the standard
  library's zlib.
- CRC64NVME is taken from `awscrt` where that is installed.
"""

import base64
import binascii
import enum
import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from zlib_ng import zlib_ng

from aioftps3.s3.errors import ChecksumMismatch, RequestInvalid

HEADER_PREFIX = "x-amz-checksum-"

CRC64NVME_PACKAGE = "awscrt"


class Algorithm(enum.StrEnum):
    """What a request's body can be protected by."""

    CRC32 = "crc32"
    CRC64NVME = "crc64nvme"
    SHA256 = "sha256"
    MD5 = "md5"

    @property
    def is_crc(self) -> bool:
        """Whether the value of a whole follows from those of its parts."""
        return self in _CRCS

    @property
    def is_kept(self) -> bool:
        """Whether S3 keeps it with the object, so that downloads can be checked."""
        return self is not Algorithm.MD5


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum that S3 keeps with an object."""

    algorithm: str
    """Lower case, as in the header's name: crc32, crc32c, crc64nvme, sha1, sha256."""
    value: str
    """Base64; with a "-N" suffix when it is a checksum of N parts' checksums."""


class Digest(Protocol):
    """A checksum on its way."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Give the checksum of what was added so far; CRCs are big-endian."""


@dataclass(frozen=True, slots=True)
class _CrcKind:
    bits: int
    polynomial: int
    """Bits reversed, as the reflected algorithm has it."""


_CRCS = {
    Algorithm.CRC32: _CrcKind(32, 0xEDB88320),
    Algorithm.CRC64NVME: _CrcKind(64, 0x9A6C9329AC4BC9B5),
}


class _Crc:
    __slots__ = ("_bytes", "_function", "_value")

    def __init__(self, function: Callable[..., int], bits: int) -> None:
        self._function = function
        self._bytes = bits // 8
        self._value = 0

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._bytes, "big")


def chosen_algorithm(choice: str, *, on_aws: bool) -> Algorithm | None:
    """Turn an operator's choice ("auto", "none" or an algorithm's name) into what is sent to an endpoint.

    "auto" is CRC32 on AWS and nothing elsewhere: some stores refuse a request that has a header they do not know, and
    MD5, which most take, costs more than TLS and everything else together.

    Raises:
        RequestInvalid: there is no such algorithm, or nothing here that computes it.
    """
    if choice == "none" or (choice == "auto" and not on_aws):
        return None
    try:
        algorithm = Algorithm.CRC32 if choice == "auto" else Algorithm(choice)
    except ValueError:
        raise RequestInvalid("there is no such checksum") from None
    if not is_available(algorithm):
        raise RequestInvalid(f"{algorithm} needs the package {CRC64NVME_PACKAGE}")
    return algorithm


def is_available(algorithm: Algorithm) -> bool:
    """Say whether this installation can compute it."""
    return algorithm is not Algorithm.CRC64NVME or importlib.util.find_spec(CRC64NVME_PACKAGE) is not None


def new_digest(algorithm: Algorithm) -> Digest:
    """Begin a checksum; it must be available."""
    match algorithm:
        case Algorithm.CRC32:
            return _Crc(zlib_ng.crc32, 32)
        case Algorithm.CRC64NVME:
            return _Crc(_crc64nvme(), 64)
        case Algorithm.SHA256:
            return hashlib.sha256()
        case Algorithm.MD5:
            return hashlib.md5(usedforsecurity=False)


def header(algorithm: Algorithm, digest: bytes) -> tuple[str, str]:
    """Give the header that tells S3 what to expect of a body."""
    name = f"{HEADER_PREFIX}{algorithm}" if algorithm.is_kept else "Content-MD5"
    return name, base64.b64encode(digest).decode()


class WholeCrc:
    """The CRC of a whole content from those of its pieces, told in their order; nothing for other algorithms."""

    __slots__ = ("_algorithm", "_crc", "size")

    def __init__(self, algorithm: Algorithm | None) -> None:
        self._algorithm = algorithm if algorithm is not None and algorithm.is_crc else None
        self._crc: bytes | None = None
        self.size = 0
        """Bytes of the pieces so far."""

    @property
    def algorithm(self) -> Algorithm | None:
        """The one to add; None: there is nothing to add."""
        return self._algorithm

    def add(self, crc: bytes, size: int) -> None:
        """Go on with a piece of so many bytes."""
        if self._algorithm is not None:
            self._crc = crc if self._crc is None else combine(self._algorithm, self._crc, crc, size)
            self.size += size

    def checksum(self, before: Sequence[tuple[Checksum | None, int]] = ()) -> Checksum | None:
        """Give the checksum of the content, with these pieces and their sizes put before it. None when it is not known,
        because one of theirs is not, or there is no piece at all.
        """
        whole = WholeCrc(self._algorithm)
        for piece, size in before:
            crc = _digest(piece) if piece is not None and piece.algorithm == self._algorithm else None
            if crc is None:
                return None
            whole.add(crc, size)
        if self._crc is not None:
            whole.add(self._crc, self.size)
        if whole._algorithm is None or whole._crc is None:
            return None
        return Checksum(whole._algorithm, base64.b64encode(whole._crc).decode())


def combine(algorithm: Algorithm, first: bytes, second: bytes, second_size: int) -> bytes:
    """Give the CRC of two pieces put together from the CRC of each and the size in bytes of the second.

    Appending zero bytes to a message is a linear map of its CRC over GF(2); the CRC of the first is carried over the
    second one's length by such maps for powers of two.
    """
    kind = _CRCS[algorithm]
    value, power = int.from_bytes(first, "big"), 0
    while second_size >> power:
        if second_size >> power & 1:
            value = _times(_zeros(kind, power), value)
        power += 1
    return (value ^ int.from_bytes(second, "big")).to_bytes(kind.bits // 8, "big")


@cache  # one for each bit of a size
def _zeros(kind: _CrcKind, power: int) -> tuple[int, ...]:
    """The map of appending 2^power zero bytes, as the images of single bits."""
    if power:
        half = _zeros(kind, power - 1)
        return tuple(_times(half, column) for column in half)
    one_bit = (kind.polynomial, *(1 << bit for bit in range(kind.bits - 1)))
    result = one_bit
    for _ in range(3):
        result = tuple(_times(result, column) for column in result)
    return result


def _times(matrix: tuple[int, ...], vector: int) -> int:
    total = 0
    for column in matrix:
        if not vector:
            break
        if vector & 1:
            total ^= column
        vector >>= 1
    return total


class Verification:
    """Holds the content of a whole object, as it comes, against the checksum that S3 keeps."""

    __slots__ = ("_digest", "_expected", "_size", "position")

    def __init__(self, algorithm: Algorithm, expected: bytes, size: int) -> None:
        self._digest = new_digest(algorithm)
        self._expected = expected
        self._size = size
        self.position = 0
        """Bytes seen; the next ones have to follow on them."""

    def update(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            ChecksumMismatch: these are the last ones, and the content is not what was stored.
        """
        self._digest.update(data)
        self.position += len(data)
        if self.position == self._size and self._digest.digest() != self._expected:
            raise ChecksumMismatch("the content is not what its checksum in S3 says")


def verification_of(checksum: Checksum | None, size: int) -> Verification | None:
    """Make ready to verify an object of `size` bytes; None when its checksum is not one of the whole content, or one
    that cannot be computed here.
    """
    if checksum is None:
        return None
    expected = _digest(checksum)
    return None if expected is None else Verification(Algorithm(checksum.algorithm), expected, size)


def _digest(checksum: Checksum) -> bytes | None:
    """What a checksum says of a whole content; None when it cannot be computed here, or is one of parts ("-N")."""
    try:
        algorithm = Algorithm(checksum.algorithm)
        digest = base64.b64decode(checksum.value, validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest if is_available(algorithm) and len(digest) == len(new_digest(algorithm).digest()) else None


def _crc64nvme() -> Callable[..., int]:
    function: Callable[..., int] = importlib.import_module(f"{CRC64NVME_PACKAGE}.checksums").crc64nvme
    return function

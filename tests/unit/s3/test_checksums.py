"""Checksums: values, headers, what an endpoint is sent, and the verification of downloads."""

import base64
import hashlib
import sys
import types
import zlib

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from aioftps3.s3 import checksums
from aioftps3.s3.checksums import (
    Algorithm,
    Checksum,
    WholeCrc,
    chosen_algorithm,
    combine,
    header,
    new_digest,
    verification_of,
)
from aioftps3.s3.errors import ChecksumMismatch, RequestInvalid
from aioftps3.s3.models import BytesBody, Endpoint

DATA = b"123456789"

CHECK_VALUES = {
    Algorithm.CRC32: "cbf43926",
    Algorithm.CRC64NVME: "ae8b14860a799888",
    Algorithm.SHA256: hashlib.sha256(DATA).hexdigest(),
    Algorithm.MD5: hashlib.md5(DATA, usedforsecurity=False).hexdigest(),
}
"""Of "123456789": the value that catalogues of CRCs print."""


def crc64nvme(data: bytes | bytearray | memoryview, previous: int = 0) -> int:
    """Bit by bit, from the polynomial's definition."""
    value = previous ^ (2**64 - 1)
    for byte in bytes(data):
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)
    return value ^ (2**64 - 1)


@pytest.fixture
def crt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that computes CRC64NVME, or one that stands for it."""
    if checksums.is_available(Algorithm.CRC64NVME):
        return
    package, module = types.ModuleType("awscrt"), types.ModuleType("awscrt.checksums")
    package.__spec__ = types.SimpleNamespace()  # type: ignore[assignment] # all that find_spec looks for
    package.__path__ = []
    module.crc64nvme = crc64nvme  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "awscrt", package)
    monkeypatch.setitem(sys.modules, "awscrt.checksums", module)


@pytest.mark.usefixtures("crt")
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_checksums_have_their_known_values(algorithm: Algorithm) -> None:
    digest = new_digest(algorithm)
    for piece in (DATA[:4], bytearray(DATA[4:5]), memoryview(DATA)[5:]):
        digest.update(piece)
    assert digest.digest().hex() == CHECK_VALUES[algorithm]
    assert BytesBody(DATA).checksum(algorithm) == digest.digest()


@given(pieces=lists(binary(max_size=600), max_size=8), start=integers(0, 63))
def test_crc32_is_the_standard_librarys_however_the_bytes_come(pieces: list[bytes], start: int) -> None:
    """zlib-ng takes other ways for long, for short and for unaligned pieces."""
    digest = new_digest(Algorithm.CRC32)
    for piece in pieces:
        digest.update(memoryview(bytes(start) + piece * 9)[start:])
    assert digest.digest() == zlib.crc32(b"".join(piece * 9 for piece in pieces)).to_bytes(4)


@pytest.mark.usefixtures("crt")
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.CRC64NVME])
@pytest.mark.parametrize("cut", range(10))
def test_crc_of_a_whole_follows_from_its_pieces(algorithm: Algorithm, cut: int) -> None:
    first, second = BytesBody(DATA[:cut]).checksum(algorithm), BytesBody(DATA[cut:]).checksum(algorithm)
    assert combine(algorithm, first, second, len(DATA) - cut).hex() == CHECK_VALUES[algorithm]


def test_large_pieces_are_combined_without_their_bytes() -> None:
    zeros = 2**33 + 3
    crc = BytesBody(DATA).checksum(Algorithm.CRC32)
    whole = combine(Algorithm.CRC32, crc, combine(Algorithm.CRC32, bytes(4), crc, 9), zeros + 9)
    assert whole != crc
    # A CRC has a period: the same zeros in two goes.
    once = combine(Algorithm.CRC32, combine(Algorithm.CRC32, crc, bytes(4), 2**33), bytes(4), 3)
    assert once == combine(Algorithm.CRC32, crc, bytes(4), zeros)


def test_headers_are_those_of_s3() -> None:
    assert header(Algorithm.CRC32, bytes(4)) == ("x-amz-checksum-crc32", "AAAAAA==")
    assert header(Algorithm.SHA256, b"x" * 32)[0] == "x-amz-checksum-sha256"
    assert header(Algorithm.MD5, b"x" * 16) == ("Content-MD5", base64.b64encode(b"x" * 16).decode())


@pytest.mark.parametrize(
    ("host", "algorithm"),
    [
        (None, Algorithm.CRC32),
        ("s3.cn-north-1.amazonaws.com.cn", Algorithm.CRC32),
        ("bucket.s3.eu-west-1.amazonaws.com:443", Algorithm.CRC32),
        ("https://s3.eu-west-1.amazonaws.com:8443", Algorithm.CRC32),
        ("http://127.0.0.1:9000", None),
        ("s3.us-west-004.backblazeb2.com", None),
        ("amazonaws.com.example.com", None),
        ("xamazonaws.com", None),
    ],
)
def test_auto_is_crc32_on_aws_and_nothing_elsewhere(host: str | None, algorithm: Algorithm | None) -> None:
    endpoint = Endpoint.for_bucket("bucket", "eu-west-1", host)
    assert chosen_algorithm("auto", on_aws=endpoint.on_aws) is algorithm


@pytest.mark.usefixtures("crt")
def test_a_named_checksum_is_taken_everywhere() -> None:
    for algorithm in Algorithm:
        assert chosen_algorithm(algorithm.value, on_aws=False) is algorithm
    assert chosen_algorithm("none", on_aws=True) is None
    with pytest.raises(RequestInvalid):
        chosen_algorithm("crc16", on_aws=True)


def test_crc64nvme_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "CRC64NVME_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(RequestInvalid, match="a_package_that_is_not_there"):
        chosen_algorithm("crc64nvme", on_aws=True)
    assert verification_of(Checksum("crc64nvme", "AAAAAAAAAAA="), 5) is None


@pytest.mark.usefixtures("crt")
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.CRC64NVME, Algorithm.SHA256])
@pytest.mark.parametrize("step", [1, 4, 9, 100])
def test_content_is_held_against_its_checksum_with_its_last_byte(algorithm: Algorithm, step: int) -> None:
    checksum = Checksum(algorithm, header(algorithm, BytesBody(DATA).checksum(algorithm))[1])
    good, bad = verification_of(checksum, 9), verification_of(checksum, 9)
    assert good is not None
    assert bad is not None
    damaged = DATA[:-1] + b"8"
    pieces = range(0, 9, step)
    for start in pieces:
        good.update(DATA[start : start + step])
    assert good.position == 9
    for start in pieces[:-1]:
        bad.update(damaged[start : start + step])
    with pytest.raises(ChecksumMismatch):
        bad.update(damaged[pieces[-1] :])


@pytest.mark.parametrize(
    "checksum",
    [
        None,
        Checksum("crc32", "AAAAAA==-3"),
        Checksum("crc32", "AAAA"),
        Checksum("crc32", "not base64"),
        Checksum("crc32c", "AAAAAA=="),
        Checksum("sha256", base64.b64encode(bytes(32)).decode() + "-2"),
    ],
)
def test_what_is_no_checksum_of_the_whole_content_is_not_compared(checksum: Checksum | None) -> None:
    assert verification_of(checksum, 9) is None


def test_the_values_are_zlibs() -> None:
    assert new_digest(Algorithm.CRC32).digest() == bytes(4)
    assert BytesBody(b"abc").checksum(Algorithm.CRC32) == zlib.crc32(b"abc").to_bytes(4, "big")


def test_the_crc_of_a_whole_is_made_of_those_of_its_pieces_whichever_come_first() -> None:
    whole = WholeCrc(Algorithm.CRC32)
    for piece in (b"de", b"", b"fg"):
        whole.add(_crc32(piece), len(piece))
    assert whole.checksum() == Checksum("crc32", base64.b64encode(_crc32(b"defg")).decode())
    before = [(Checksum("crc32", base64.b64encode(_crc32(piece)).decode()), len(piece)) for piece in (b"a", b"bc")]
    assert whole.checksum(before=before) == Checksum("crc32", base64.b64encode(_crc32(b"abcdefg")).decode())


def test_the_crc_of_a_whole_is_not_known_when_one_of_a_piece_is_not() -> None:
    whole = WholeCrc(Algorithm.CRC32)
    assert whole.checksum() is None
    whole.add(_crc32(b"a"), 1)
    for piece in (None, Checksum("crc32", "nonsense"), Checksum("crc32", "AAAA"), Checksum("crc64nvme", "AAAAAA==")):
        assert whole.checksum(before=[(piece, 1)]) is None
    for algorithm in (None, Algorithm.SHA256, Algorithm.MD5):
        assert (WholeCrc(algorithm).algorithm, WholeCrc(algorithm).checksum()) == (None, None)


def _crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")

from __future__ import annotations

import base64
import hashlib
import zlib

from hypothesis import given
from hypothesis import strategies as st

from aioftps3.embedded.digests import (
    combine_crc32,
    composite_checksum,
    decode_digest,
    encode_digest,
    full_object_crc32,
    multipart_etag,
    new_hash,
)


@given(first=st.binary(max_size=300), second=st.binary(max_size=300))
def test_combined_crc32_is_that_of_the_whole(first: bytes, second: bytes) -> None:
    assert combine_crc32(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(parts=st.lists(st.binary(max_size=50), max_size=6))
def test_full_object_crc32_of_any_parts_is_that_of_the_whole(parts: list[bytes]) -> None:
    known = [(encode_digest(zlib.crc32(part).to_bytes(4, "big")), len(part)) for part in parts]
    expected = zlib.crc32(b"".join(parts)).to_bytes(4, "big")
    assert base64.b64decode(full_object_crc32(known).value) == expected


def test_crc32_is_written_big_endian() -> None:
    hashed = new_hash("crc32")
    hashed.update(b"1234")
    hashed.update(b"56789")
    assert hashed.digest().hex() == "cbf43926"


def test_multipart_etag_is_the_md5_of_the_md5s() -> None:
    parts = [hashlib.md5(part).hexdigest() for part in (b"a", b"b")]
    expected = hashlib.md5(bytes.fromhex(parts[0] + parts[1])).hexdigest()
    assert multipart_etag(parts) == f"{expected}-2"


def test_composite_checksum_is_taken_over_the_digests() -> None:
    digests = [hashlib.sha1(part).digest() for part in (b"a", b"b")]
    checksum = composite_checksum("sha1", [encode_digest(digest) for digest in digests])
    assert checksum.value == f"{encode_digest(hashlib.sha1(b''.join(digests)).digest())}-2"
    assert checksum.kind == "COMPOSITE"


def test_digest_has_to_be_base64_of_the_right_length() -> None:
    assert decode_digest("AAAAAA==", 4) == bytes(4)
    for text in ("", "AAAAAA", "AAAA", "AAAAAA==\n", "é", "!AAAAAA=="):
        assert decode_digest(text, 4) is None

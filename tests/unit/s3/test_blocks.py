"""The memory of a part: what is put in comes out, and nobody's block is ever another's."""

import hashlib
import zlib

import pytest

from aioftps3.s3.blocks import BlockPool, PartBody
from aioftps3.s3.checksums import Algorithm

BLOCK = 8


def body_of(content: bytes, *, size: int | None = None, algorithms: tuple[Algorithm, ...] = ()) -> PartBody:
    body = PartBody(1, len(content) if size is None else size, algorithms)
    put(body, content)
    return body


def put(body: PartBody, content: bytes) -> None:
    while content:
        if not body.has_room:
            body.add(bytearray(min(BLOCK, body.size - body.length)))
        with body.room() as room:
            count = min(len(room), len(content))
            room[:count] = content[:count]
            with room[:count] as piece:
                body.take(piece)
        content = content[count:]


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 3])
def test_what_was_put_into_blocks_comes_out_in_slices_of_them(size: int) -> None:
    content = hashlib.sha512(b"x").digest()[:size]
    body = body_of(content)
    for _ in range(2):
        pieces = list(body.chunks())
        assert b"".join(pieces) == content
        assert [len(piece) for piece in pieces[:-1]] == [BLOCK] * (len(pieces) - 1)
    assert body.length == size
    assert body.is_full
    assert not body.has_room


@pytest.mark.parametrize("known", [True, False])
def test_checksums_are_those_of_what_was_put_in(known: bool) -> None:
    content = bytes(range(43))
    body = body_of(content, size=100, algorithms=(Algorithm.SHA256, Algorithm.CRC32) if known else ())
    assert body.sha256 == hashlib.sha256(content).hexdigest()
    assert body.checksum(Algorithm.CRC32) == zlib.crc32(content).to_bytes(4)
    assert not body.is_full


def test_a_block_is_used_again() -> None:
    pool = BlockPool(BLOCK)
    block = pool.take(BLOCK)
    pool.give(block)
    assert pool.idle_bytes == BLOCK
    assert pool.take(BLOCK - 1) is not block
    assert pool.take(BLOCK) is block
    assert len(block) == BLOCK
    assert pool.take(BLOCK) is not block


def test_only_blocks_of_the_one_size_are_kept() -> None:
    pool = BlockPool(BLOCK)
    pool.give(bytearray(BLOCK - 1))
    assert pool.idle_bytes == 0


def test_a_block_that_is_still_looked_at_is_not_used_again() -> None:
    pool = BlockPool(BLOCK)
    block = pool.take(BLOCK)
    view = memoryview(block)[3:5]
    pool.give(block)
    assert pool.take(BLOCK) is not block
    view.release()
    pool.give(block)
    assert pool.take(BLOCK) is block


def test_a_connection_that_has_begun_to_send_keeps_every_block_of_the_part() -> None:
    pool = BlockPool(BLOCK)
    body = body_of(bytes(3 * BLOCK))
    chunks = body.chunks()
    for block in body.drop():
        pool.give(block)
    assert pool.idle_bytes == 0
    assert b"".join(chunks) == bytes(3 * BLOCK)
    assert list(body.chunks()) == []


def test_no_more_is_kept_than_is_allowed() -> None:
    pool = BlockPool(BLOCK)
    for _ in range(4):
        pool.give(bytearray(BLOCK))
    pool.shrink(2 * BLOCK + 1)
    assert pool.idle_bytes == 2 * BLOCK

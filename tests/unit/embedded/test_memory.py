from __future__ import annotations

import os

import pytest

from aioftps3.embedded.memory import MemoryStore
from aioftps3.embedded.state import STREAM_CHUNK, Segment, cut, make_blob


@pytest.mark.parametrize("sizes", [[], [1], [10] * 5000, [100_000, 1, 2, 300_000], [STREAM_CHUNK * 4 + 1]])
async def test_what_is_written_is_read_in_chunks(sizes: list[int]) -> None:
    store = MemoryStore()
    pieces = [os.urandom(size) for size in sizes]
    writer = store.writer()
    for piece in pieces:
        writer.write(piece)
    blob = writer.finish()
    chunks = [chunk async for chunk in store.reader(blob)]
    assert b"".join(chunks) == b"".join(pieces) == store.read(blob)
    assert all(len(chunk) <= STREAM_CHUNK for chunk in chunks)


def test_small_writes_are_gathered_and_big_ones_kept_as_they_are() -> None:
    writer = MemoryStore().writer()
    big = bytes(100_000)
    for _ in range(1000):
        writer.write(b"x" * 100)
    writer.write(big)
    blob = writer.finish()
    assert [segment.length for segment in blob.segments] == [100_000, 100_000]
    assert blob.segments[1].source is big


async def test_closed_reader_is_at_its_end() -> None:
    store = MemoryStore()
    reader = store.reader(cut(make_blob([Segment(b"data", 0, 4)]), 1, 2))
    await reader.aclose()
    assert [chunk async for chunk in reader] == []

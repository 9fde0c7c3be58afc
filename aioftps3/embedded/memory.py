"""The store that keeps everything in memory and nothing afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aioftps3.embedded.state import STREAM_CHUNK, Blob, Part, Segment, StoredObject, Upload, make_blob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioftps3.embedded.answers import BodyStream

_SMALL_WRITE = 32 * 1024
"""Writes below this many bytes are gathered, because each segment costs some hundred bytes."""


class MemoryStore:
    """Bytes live as long as a blob refers to them; there is nothing to save and nothing to clean up."""

    def open(self) -> None:
        """Nothing is saved, so the index stays as it is."""

    def close(self) -> None:
        """Nothing is held open."""

    def writer(self) -> MemoryWriter:
        return MemoryWriter()

    def reader(self, blob: Blob) -> BodyStream:
        return _MemoryReader(blob)

    def read(self, blob: Blob) -> bytes:
        return b"".join(_pieces(blob))

    def discard(self, blob: Blob) -> None:
        """The bytes go with the blob."""

    def save_object(self, stored: StoredObject, replaced: StoredObject | None) -> None:
        """Nothing outlives the index."""

    def delete_object(self, stored: StoredObject) -> None:
        """Nothing outlives the index."""

    def save_upload(self, upload: Upload) -> None:
        """Nothing outlives the index."""

    def save_part(self, upload: Upload, part: Part, replaced: Part | None) -> None:
        """Nothing outlives the index."""

    def delete_upload(self, upload: Upload) -> None:
        """Nothing outlives the index."""


class MemoryWriter:
    """Keeps big writes as they come and joins small ones."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._gathered: list[bytes] = []
        self._gathered_size = 0

    def write(self, data: bytes) -> None:
        if len(data) >= _SMALL_WRITE:
            self._flush()
            self._segments.append(Segment(data, 0, len(data)))
            return
        self._gathered.append(data)
        self._gathered_size += len(data)
        if self._gathered_size >= STREAM_CHUNK:
            self._flush()

    def finish(self) -> Blob:
        self._flush()
        return make_blob(self._segments)

    def abandon(self) -> None:
        self._segments.clear()
        self._gathered.clear()

    def _flush(self) -> None:
        if self._gathered:
            self._segments.append(Segment(b"".join(self._gathered), 0, self._gathered_size))
            self._gathered.clear()
            self._gathered_size = 0


class _MemoryReader:
    def __init__(self, blob: Blob) -> None:
        self._pieces = _pieces(blob)

    def __aiter__(self) -> _MemoryReader:
        return self

    async def __anext__(self) -> bytes:
        # A receiver that keeps up never makes a write wait, and the other connections need their turn.
        await asyncio.sleep(0)
        piece = next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._pieces = iter(())


def _pieces(blob: Blob) -> Iterator[bytes]:
    for segment in blob.segments:
        if not isinstance(segment.source, bytes):
            raise TypeError("a blob of another store")
        if segment.length == len(segment.source) <= STREAM_CHUNK:
            yield segment.source
            continue
        end = segment.first + segment.length
        for start in range(segment.first, end, STREAM_CHUNK):
            yield segment.source[start : min(end, start + STREAM_CHUNK)]

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field

import pytest

from aioftps3.embedded.errors import Refusal
from aioftps3.embedded.intake import BLOCK, receive_blob, receive_document
from aioftps3.embedded.memory import MemoryStore, MemoryWriter
from aioftps3.embedded.verifier import UNSIGNED_PAYLOAD, WireRequest
from aioftps3.embedded.wire import Call, Target


@dataclass
class Pieces:
    """A body that comes in the given pieces, and then fails if it is told to."""

    pieces: list[bytes]
    failure: Exception | None = None
    exhausted: asyncio.Event = field(default_factory=asyncio.Event)
    never_ends: bool = False

    @property
    def length(self) -> int | None:
        return sum(map(len, self.pieces))

    async def read(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        self.exhausted.set()
        if self.failure is not None:
            raise self.failure
        if self.never_ends:
            await asyncio.Event().wait()
        return b""


class WatchedStore(MemoryStore):
    """Counts what happens to the writers that it makes."""

    def __init__(self) -> None:
        self.abandoned = 0
        self.hold = threading.Event()
        self.hold.set()

    def writer(self) -> MemoryWriter:
        store = self

        class Watched(MemoryWriter):
            busy = False

            def write(self, data: bytes) -> None:
                self.busy = True
                assert store.hold.wait(5)
                super().write(data)
                self.busy = False

            def abandon(self) -> None:
                assert not self.busy
                store.abandoned += 1
                super().abandon()

        return Watched()


def call_of(body: Pieces, payload: str = UNSIGNED_PAYLOAD, **headers: str) -> Call:
    wire = WireRequest(
        method="PUT", target="/b/k", headers=[(name.replace("_", "-"), value) for name, value in headers.items()]
    )
    target = Target(operation="PutObject", bucket="b", key="k", query={})
    return Call(target=target, wire=wire, body=body, request_id="1", payload=payload)


@pytest.mark.parametrize("sizes", [[], [1], [BLOCK], [BLOCK + 1, 5], [70_000] * 40, [BLOCK * 3, BLOCK, 1]])
async def test_blocks_are_stored_and_hashed_in_order(sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    whole = b"".join(pieces)
    store = MemoryStore()
    call = call_of(Pieces(list(pieces)), hashlib.sha256(whole).hexdigest())
    received = await receive_blob(call, store, limit=1 << 30)
    assert store.read(received.blob) == whole
    assert received.etag == hashlib.md5(whole).hexdigest()
    assert received.checksum is None


@pytest.mark.parametrize("size", [10, BLOCK, BLOCK * 2 + 5])
async def test_body_that_breaks_off_is_abandoned(size: int) -> None:
    store = WatchedStore()
    with pytest.raises(ConnectionResetError):
        await receive_blob(call_of(Pieces([bytes(size)], ConnectionResetError())), store, limit=1 << 30)
    assert store.abandoned == 1


async def test_cancelled_request_waits_for_its_thread_before_it_abandons() -> None:
    store = WatchedStore()
    store.hold.clear()
    body = Pieces([bytes(BLOCK)], never_ends=True)
    task = asyncio.create_task(receive_blob(call_of(body), store, limit=1 << 30))
    await body.exhausted.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    store.hold.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.abandoned == 1


async def test_mismatch_is_abandoned() -> None:
    store = WatchedStore()
    with pytest.raises(Refusal, match="XAmzContentSHA256Mismatch"):
        await receive_blob(call_of(Pieces([b"x"]), "0" * 64), store, limit=10)
    assert store.abandoned == 1


async def test_documents_are_limited_in_length() -> None:
    assert await receive_document(call_of(Pieces([b"ab", b"c"])), limit=3) == b"abc"
    with pytest.raises(Refusal, match="MaxMessageLengthExceeded"):
        await receive_document(call_of(Pieces([b"ab", b"cd"])), limit=3)

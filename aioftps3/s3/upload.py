"""One object, written as a stream of unknown length.

What stays true:

- nothing is visible under the key before `complete` has returned;
- memory is taken block by block as bytes come, by the rules of `budget`: an upload that has got nothing holds nothing,
  and what is full is on its way before more is asked for;
- every byte that was taken is given back, however the upload ends and wherever it is cancelled;
- at most `parts_in_flight` parts are on their way, and one more is being filled;
- the multipart upload is created only when a byte beyond the first part arrives: whatever fits is one PutObject, unless
  memory is short, when what has come of a part may be sent before it is full;
- nobody can write into memory that is on its way: there is no room while a part is sent, and none after the end;
- an object that must be new is looked for before that, and again by S3 itself when it is written;
- what S3 is to copy for its beginning (`begin`) are its first parts, whatever is written.
"""

import asyncio
import enum
import logging
from collections.abc import Callable, Mapping
from typing import Any

from aioftps3.s3 import requests
from aioftps3.s3.blocks import PartBody
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm, WholeCrc
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import PartCopies
from aioftps3.s3.errors import (
    RequestInvalid,
    S3Error,
    TooLarge,
    UploadEnded,
    UploadEvicted,
)
from aioftps3.s3.guard import Guard
from aioftps3.s3.models import BytesBody, CompletedPart, UploadResult
from aioftps3.s3.parts import LARGEST_PART_BYTES, PART_BYTES, PARTS, plan_parts
from aioftps3.s3.target import Target

log = logging.getLogger(__name__)

PARTS_IN_FLIGHT = 4


class _State(enum.Enum):
    OPEN = enum.auto()
    BROKEN = enum.auto()
    COMPLETED = enum.auto()
    ABORTED = enum.auto()


class Upload:
    """Writes one object. Exactly one of `complete` and `abort` ends it; one task at a time may use it."""

    def __init__(
        self,
        client: S3Client,
        key: str,
        *,
        budget: ByteBudget,
        part_size: int = PART_BYTES,
        parts_in_flight: int = PARTS_IN_FLIGHT,
        expected_size: int | None = None,
        equal_parts: bool = False,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: requests.Pairs = (),
        if_none_match: str | None = None,
        guard: Guard | None = None,
        begins_with: PartCopies | None = None,
    ) -> None:
        """Sizes are in bytes. `expected_size` is a hint for what will be written: an object that would not fit into
        10,000 parts gets larger ones from the start. `equal_parts` False: parts grow, see `parts`. `headers` say what
        else is kept with the object, see `requests.likeness`. `if_none_match` is checked by S3 when the object is
        written, at its end; with a `guard`, the end is its. `begins_with`: see `begin`.

        Raises:
            RequestInvalid: the budget cannot hold one part, or no part is allowed in flight.
        """
        if not 0 < part_size <= min(budget.total, LARGEST_PART_BYTES) or parts_in_flight < 1:
            raise RequestInvalid("an upload needs a part that fits into the budget")
        self._key = key
        self._budget = budget
        self._account = budget.account(short=self._send_if_due, evicted=self._evicted, filled=lambda: self._size)
        self._begins_with = begins_with
        self._copies = 0 if begins_with is None else len(begins_with.ranges)
        self.plan = plan_parts(
            part_size, budget.total, expected_size=expected_size, equal_parts=equal_parts, parts=PARTS - self._copies
        )
        """The sizes of the parts that are written, and with them the most that can be."""
        self._algorithms = {Algorithm.SHA256} if client.signs_payload else set()
        if client.checksum is not None:
            self._algorithms.add(client.checksum)
        self._parts_in_flight = parts_in_flight
        self._target = Target(
            client,
            key,
            content_type=content_type,
            metadata=metadata,
            headers=headers,
            if_none_match=if_none_match,
            guard=guard,
            copies=begins_with,
        )
        self._state = _State.OPEN
        self._failure: BaseException | None = None
        self._on_broken: Callable[[], None] | None = None
        self._is_asked = False
        self._size = 0
        self._whole = WholeCrc(client.checksum)
        self._number = 0
        self._lost = 0
        self._part: PartBody | None = None
        self._room: memoryview | None = None
        self._copying: asyncio.Task[list[CompletedPart]] | None = None
        self._sending: dict[asyncio.Task[CompletedPart], PartBody] = {}
        self._sent: list[CompletedPart] = []
        self._late_parts = False
        self._ending = asyncio.Lock()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def on_broken(self, callback: Callable[[], None] | None) -> None:
        """Have this called from the loop, once, when the upload can no longer succeed although nobody asks it for
        anything: a part could not be sent, or its memory was taken (`UploadEvicted`). The next `room`, `write` or
        `complete` raises the reason, and `abort` is due. None: have nothing called any more.
        """
        self._on_broken = callback
        if callback is not None and self._failure is not None:
            self._tell_soon()

    async def begin(self) -> None:
        """Have S3 copy the ranges that the object begins with; called once, before anything is written. Returns when
        one of them is there and the others are on their way, so that it is known whether the store can do that. Without
        such ranges it does nothing. After any error or cancellation the upload can only be aborted.

        Raises:
            ObjectChanged: their object is not there any more.
            NotSupported: this store cannot copy parts.
            S3Error: any other failure.
        """
        self._check_open()
        if self._begins_with is None:
            return
        copied = asyncio.Event()
        self._target.begin()
        self._copying = asyncio.create_task(self._target.copy(lambda _: copied.set()))
        self._copying.add_done_callback(lambda _: copied.set())
        self._copying.add_done_callback(self._copies_done)
        self._is_asked = True
        try:
            await copied.wait()
            self._raise_failure()
        except BaseException:
            self._state = _State.BROKEN
            raise
        finally:
            self._is_asked = False

    async def room(self) -> memoryview:
        """Give a view into the upload's memory, at least one byte long, for the next bytes to be put into; `filled`
        says when they are there. Ask only when there is a byte to put: room takes memory, and room beyond the first
        part starts a multipart upload. Waiting here is the backpressure: for the budget, and for parts to be sent.

        The view is good until `filled`, `complete` or `abort`; afterwards writing to it raises ValueError. Do not keep
        it while a client is silent: memory that could be sent is not sent as long as somebody may write into it. After
        any error or cancellation the upload can only be aborted.

        Raises:
            S3Error: a part could not be sent; it may be an earlier one.
            UploadEvicted: memory was short, and nothing had come for too long.
            TooLarge: 10,000 parts are full.
            UploadEnded: it has been completed or aborted, or has failed before.
        """
        self._check_open()
        if self._account.is_sealed:
            raise UploadEnded("all bytes have come")
        self._release_room()
        self._is_asked = True
        try:
            while self._part is None or not self._part.has_room:
                await self._make_room()
        except BaseException:
            self._state = _State.BROKEN
            raise
        finally:
            self._is_asked = False
        self._room = self._part.room()
        return self._room

    def filled(self, count: int) -> None:
        """Say that `count` bytes were put at the start of the view that `room` gave; they are hashed now. When the
        upload has ended or has failed meanwhile, they are dropped.

        Raises:
            RequestInvalid: there is no such view, or it is shorter.
        """
        room, self._room = self._room, None
        if not self._is_alive:
            if room is not None:
                room.release()
            return
        if room is None or self._part is None or not 0 <= count <= len(room):
            raise RequestInvalid("more bytes than there was room for")
        with room, room[:count] as piece:
            self._part.take(piece)
        self._size += count
        self._send_if_due()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes; they are copied. Waits as `room` does.

        Raises:
            S3Error: as `room` does.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        while view:
            room = await self.room()
            taken = min(len(room), len(view))
            room[:taken] = view[:taken]
            self.filled(taken)
            view = view[taken:]

    def seal(self) -> None:
        """Say that all bytes have come. While the upload waits to be completed it does not count as silent, and what
        would only be in the way of others is sent.
        """
        if self._is_alive:
            self._account.seal()
            self._release_room()
            if self._target.is_multipart:
                self._send_if_due()
            else:
                # An upload that nothing keeps from its end has begun it by then, and is one PutObject.
                asyncio.get_running_loop().call_soon(self._send_if_due)

    async def complete(self) -> UploadResult:
        """Make the object visible; returns only when S3 has confirmed it. After an error, call `abort`.

        Raises:
            S3Error: the object was not written, or that could not be found out.
            PreconditionFailed: a condition does not hold.
            UploadEnded: it has been completed or aborted, or has failed before.
        """
        async with self._ending:
            self._check_open()
            self._state = _State.BROKEN
            self._release_room()
            result = await (self._complete_parts() if self._target.is_multipart else self._put())
            self._state = _State.COMPLETED
            self._account.close()
            return result

    async def abort(self) -> None:
        """Drop everything: waits until no part is on its way, and until S3 has forgotten the parts it has.

        Idempotent, and does nothing after `complete` has returned. When it is cancelled or fails, the memory has been
        given back or is being given back, and it can be called again. What S3 holds is not forgotten when it is
        cancelled: a task of its own goes on, until S3 has answered or the client's retries are over.

        Raises:
            S3Error: S3 could not be told.
        """
        if self._state is not _State.COMPLETED and self._state is not _State.ABORTED:
            self._state = _State.BROKEN
            self._account.close()
            self._cut_parts()
        async with self._ending:
            if self._state is not _State.BROKEN:
                return
            if tasks := self._on_their_way:
                try:
                    await asyncio.wait(tasks)
                except asyncio.CancelledError:
                    self._target.drop()
                    raise
                self._harvest()
            await self._target.abort(late_parts=self._late_parts)
            self._state = _State.ABORTED

    def _check_open(self) -> None:
        self._harvest()
        if self._state is not _State.OPEN:
            raise UploadEnded("the upload has ended")
        if self._failure is not None:
            self._state = _State.BROKEN
            raise self._failure

    @property
    def _is_alive(self) -> bool:
        return self._state is _State.OPEN and self._failure is None

    async def _make_room(self) -> None:
        """Do one thing that is in the way of room, or wait for it. Whatever is waited for, the part may be sent
        meanwhile.
        """
        part = self._part
        if part is None:
            self._plan_part()
        elif part.is_full:
            await self._send_part()
            return
        if self._account.is_at_limit:
            await self._one_sent()
            return
        block = self._account.try_take()
        if block is None:
            if part is not None and self._can_be_sent(part):
                await self._send_part()
                return
            block = await self._account.take()
        if part is None:
            self._number += 1
            size = self.plan.size(self._number)
            part = self._part = PartBody(self._copies + self._number, size, self._algorithms)
        part.add(block)

    def _plan_part(self) -> None:
        number = self._number + 1
        if number > self.plan.parts:
            raise TooLarge("EntityTooLarge", 400, operation="UploadPart")
        self._account.begin(self.plan.size(number), self.plan.least(number, self._lost))

    def _can_be_sent(self, part: PartBody) -> bool:
        return part.length >= self._account.least

    async def _one_sent(self) -> None:
        await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure()

    async def _send_part(self) -> None:
        """Put the part on its way, when there is a free place."""
        while len(self._sending) >= self._parts_in_flight:
            await self._one_sent()
        self._raise_failure()
        self._start_sending()

    def _send_if_due(self) -> None:
        """Put the part on its way if nothing is gained by waiting and there is a free place."""
        part = self._part
        if part is None or self._room is not None or not self._is_alive or len(self._sending) >= self._parts_in_flight:
            return
        is_last = part.is_full or self._account.is_sealed
        if (self._target.is_multipart and is_last) or (self._budget.is_short and self._can_be_sent(part)):
            self._start_sending()

    def _start_sending(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        self._lost += part.size - part.length
        self._add_to_whole(part)
        self._target.begin()
        task = asyncio.create_task(self._target.send(part))
        self._sending[task] = part
        # A callback, because a task that is cancelled before its first step runs no `finally`.
        task.add_done_callback(self._part_done)
        self._account.send()

    def _part_done(self, _: asyncio.Task[CompletedPart]) -> None:
        self._harvest()
        if self._failure is not None:
            self._give_up()
        self._send_if_due()

    def _evicted(self) -> None:
        """The budget wants the memory: the client has been silent for too long."""
        log.warning("memory for uploads is short: the upload of %s, which had fallen silent, is dropped", self._key)
        self._failure = self._failure or UploadEvicted("the memory was needed for others, and nothing came")
        self._give_up()

    def _give_up(self) -> None:
        """The upload has failed while nobody asks it for anything: hold nothing, and tell the owner."""
        self._drop_part()
        self._account.close(self._failure if isinstance(self._failure, S3Error) else None)
        self._tell_soon()

    def _tell_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        callback, self._on_broken = self._on_broken, None
        # Whoever has ended it, or is told by an error, needs no call.
        if callback is not None and self._state is _State.OPEN and not self._is_asked:
            callback()

    def _add_to_whole(self, part: PartBody) -> None:
        if self._whole.algorithm is not None:
            self._whole.add(part.checksum(self._whole.algorithm), part.length)

    def _copies_done(self, _: asyncio.Task[list[CompletedPart]]) -> None:
        self._harvest_copies()
        if self._failure is not None:
            self._give_up()

    async def _put(self) -> UploadResult:
        part, self._part = self._part, None
        self._account.send()
        try:
            return await self._target.put(BytesBody(b"") if part is None else part)
        finally:
            if part is not None:
                self._account.returned(part.drop())

    async def _complete_parts(self) -> UploadResult:
        if self._part is not None:
            await self._send_part()
        if tasks := self._on_their_way:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        self._raise_failure()
        parts = sorted(self._sent, key=lambda part: part.number)
        copied = [(part.checksum, part.size) for part in parts[: self._copies]]
        return await self._target.complete(parts, self._whole.checksum(before=copied))

    @property
    def _on_their_way(self) -> set[asyncio.Task[Any]]:
        return {*self._sending} if self._copying is None else {*self._sending, self._copying}

    def _harvest(self) -> None:
        """Take the results of the parts that are done, and give their memory back."""
        for task in [task for task in self._sending if task.done()]:
            self._account.returned(self._sending.pop(task).drop())
            if not self._has_failed(task):
                self._sent.append(task.result())

    def _harvest_copies(self) -> None:
        """Take what S3 has copied, when all of it is there."""
        copying = self._copying
        if copying is None or not copying.done():
            return
        self._copying = None
        if self._has_failed(copying):
            self._late_parts = True
        else:
            self._sent += copying.result()

    def _has_failed(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task that sends or copies parts has failed, and with it the upload."""
        error = UploadEnded("sending a part was cancelled") if task.cancelled() else task.exception()
        if error is None:
            return False
        self._failure = self._failure or error
        if isinstance(error, S3Error) and error.may_have_acted:
            self._late_parts = True
        return True

    def _raise_failure(self) -> None:
        self._harvest()
        self._harvest_copies()
        if self._failure is not None:
            raise self._failure

    def _cut_parts(self) -> None:
        self._release_room()
        for task in self._on_their_way:
            if task.cancel() and self._target.may_have_parts:
                self._late_parts = True
        self._drop_part()

    def _release_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.release()

    def _drop_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            self._account.drop(part.drop())

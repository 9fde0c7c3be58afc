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
- an object that must be new is looked for before that, and again by S3 itself when it is written.
"""

import asyncio
import base64
import enum
import logging
from collections.abc import Callable, Mapping

from aioftps3.s3 import checksums, completion
from aioftps3.s3.blocks import PartBody
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm, Checksum
from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import (
    NoSuchKey,
    PreconditionFailed,
    RequestInvalid,
    S3Error,
    TooLarge,
    UploadEnded,
    UploadEvicted,
)
from aioftps3.s3.models import Body, BytesBody, CompletedPart, UploadResult
from aioftps3.s3.parts import LARGEST_PART_BYTES, PART_BYTES, PARTS, plan_parts

log = logging.getLogger(__name__)

PARTS_IN_FLIGHT = 4

_dropping: set[asyncio.Task[None]] = set()
"""Uploads that are dropped after nobody waits for it any more; the loop itself holds tasks only weakly."""


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
        if_none_match: str | None = None,
        if_match: str | None = None,
    ) -> None:
        """Sizes are in bytes. `expected_size` is a hint: an object that would not fit into 10,000 parts gets larger
        ones from the start. `equal_parts` False: parts grow, see `parts`. The conditions are checked by S3 when the
        object is written, at its end.

        Raises:
            RequestInvalid: the budget cannot hold one part, or no part is allowed in flight.
        """
        if not 0 < part_size <= min(budget.total, LARGEST_PART_BYTES) or parts_in_flight < 1:
            raise RequestInvalid("an upload needs a part that fits into the budget")
        self._client = client
        self._key = key
        self._budget = budget
        self._account = budget.account(short=self._send_if_due, evicted=self._evicted)
        self.plan = plan_parts(part_size, budget.total, expected_size=expected_size, equal_parts=equal_parts)
        """The sizes of its parts, and with them the largest size of the object."""
        self._algorithms = {Algorithm.SHA256} if client.signs_payload else set()
        if client.checksum is not None:
            self._algorithms.add(client.checksum)
        self._parts_in_flight = parts_in_flight
        self._content_type = content_type
        self._metadata = metadata
        self._if_none_match = if_none_match
        self._if_match = if_match
        self._token = completion.new_token()
        self._state = _State.OPEN
        self._failure: BaseException | None = None
        self._on_broken: Callable[[], None] | None = None
        self._is_asked = False
        self._size = 0
        self._whole_crc: bytes | None = None
        self._number = 0
        self._lost = 0
        self._part: PartBody | None = None
        self._room: memoryview | None = None
        self._creating: asyncio.Task[str] | None = None
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
        """Say that all bytes have come: what can be sent is sent, and the upload does not count as silent while it
        waits to be completed.
        """
        if self._is_alive:
            self._account.is_sealed = True
            self._release_room()
            self._send_if_due()

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
            result = await (self._put() if self._creating is None else self._complete_parts(self._creating))
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
            if self._sending:
                await asyncio.wait(self._sending)
                self._harvest()
            try:
                upload_id = await self._created_id()
                if upload_id is not None:
                    await completion.abort(self._client, self._key, upload_id, late_parts=self._late_parts)
            except asyncio.CancelledError:
                self._drop_later()
                raise
            self._state = _State.ABORTED

    def _drop_later(self) -> None:
        if self._creating is not None:
            dropping = asyncio.create_task(completion.drop(self._client, self._key, self._creating))
            _dropping.add(dropping)
            dropping.add_done_callback(_dropping.discard)

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
            part = self._part = PartBody(self._number, self.plan.size(self._number), self._algorithms)
        part.add(block)

    def _plan_part(self) -> None:
        number = self._number + 1
        if number > PARTS:
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
        is_sealed = self._account.is_sealed
        if self._creating is not None and (part.is_full or is_sealed):
            is_due = True
        else:
            is_due = self._budget.is_short and self._can_be_sent(part) and not is_sealed
        if is_due:
            self._start_sending()

    def _start_sending(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        self._lost += part.size - part.length
        self._add_to_whole(part)
        if self._creating is None:
            self._creating = asyncio.create_task(self._begin())
        task = asyncio.create_task(self._upload_part(part, self._creating))
        self._sending[task] = part
        # A callback, because a task that is cancelled before its first step runs no `finally`.
        task.add_done_callback(self._part_done)
        self._account.send()

    async def _upload_part(self, part: PartBody, creating: asyncio.Task[str]) -> CompletedPart:
        upload_id = await asyncio.shield(creating)
        return await self._client.upload_part(self._key, upload_id, part.number, part)

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
        algorithm = self._client.checksum
        if algorithm is None or not algorithm.is_crc:
            return
        crc = part.checksum(algorithm)
        whole = self._whole_crc
        self._whole_crc = crc if whole is None else checksums.combine(algorithm, whole, crc, part.length)

    def _whole_checksum(self) -> Checksum | None:
        if self._client.checksum is None or self._whole_crc is None:
            return None
        return Checksum(self._client.checksum, base64.b64encode(self._whole_crc).decode())

    async def _begin(self) -> str:
        """Create the multipart upload. A task of its own, which nothing cancels: its answer is the only way to learn
        the id, without which the upload could not be aborted.
        """
        if self._if_none_match is not None:
            await self._refuse_existing()
        return await self._client.create_multipart_upload(
            self._key,
            content_type=self._content_type,
            metadata=completion.with_token(self._metadata, self._token),
            checksum=self._client.checksum,
        )

    async def _refuse_existing(self) -> None:
        """S3 checks the condition when all has been sent; there is no need to send all if it does not hold now."""
        try:
            await self._client.head_object(self._key)
        except NoSuchKey:
            return
        raise PreconditionFailed("PreconditionFailed", 412, operation="HeadObject")

    async def _created_id(self) -> str | None:
        if self._creating is None:
            return None
        await asyncio.wait({self._creating})
        if self._creating.cancelled() or self._creating.exception() is not None:
            return None
        return self._creating.result()

    async def _put(self) -> UploadResult:
        part, self._part = self._part, None
        body: Body = BytesBody(b"") if part is None else part
        self._account.send()
        try:
            return await completion.put(
                self._client,
                self._key,
                body,
                token=self._token,
                content_type=self._content_type,
                metadata=self._metadata,
                if_none_match=self._if_none_match,
                if_match=self._if_match,
            )
        finally:
            if part is not None:
                self._account.returned(part.drop())

    async def _complete_parts(self, creating: asyncio.Task[str]) -> UploadResult:
        if self._part is not None:
            await self._send_part()
        if self._sending:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_EXCEPTION)
        self._raise_failure()
        upload_id = await asyncio.shield(creating)
        return await completion.complete(
            self._client,
            self._key,
            upload_id,
            self._sent,
            token=self._token,
            checksum=self._whole_checksum(),
            if_none_match=self._if_none_match,
            if_match=self._if_match,
        )

    def _harvest(self) -> None:
        """Take the results of the parts that are done, and give their memory back."""
        for task in [task for task in self._sending if task.done()]:
            self._account.returned(self._sending.pop(task).drop())
            if task.cancelled():
                self._failure = self._failure or UploadEnded("sending a part was cancelled")
            elif (error := task.exception()) is not None:
                self._failure = self._failure or error
                if isinstance(error, S3Error) and error.may_have_acted:
                    self._late_parts = True
            else:
                self._sent.append(task.result())

    def _raise_failure(self) -> None:
        self._harvest()
        if self._failure is not None:
            raise self._failure

    def _cut_parts(self) -> None:
        self._release_room()
        # Before the upload was created no part can have been on its way.
        is_created = self._creating is not None and self._creating.done()
        for task in self._sending:
            if task.cancel() and is_created:
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

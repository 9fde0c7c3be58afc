"""One object, written as a stream of unknown length.

What stays true:

- nothing is visible under the key before `complete` has returned;
- a part's whole memory is reserved from the budget before its first byte is stored, and what is full is on its way
  before more is asked for, so that uploads that wait for the budget never wait for each other;
- every reserved byte is given back, however the upload ends and wherever it is cancelled;
- at most `parts_in_flight` parts are on their way, and one more is being filled;
- the multipart upload is created only when a byte beyond the first part arrives: whatever fits is one PutObject;
- an object that must be new is looked for before that, and again by S3 itself when it is written.
"""

import asyncio
import base64
import enum
from collections.abc import Iterable, Iterator, Mapping

from aioftps3.s3 import checksums, completion
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm, Checksum
from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import NoSuchKey, PreconditionFailed, RequestInvalid, S3Error, TooLarge, UploadEnded
from aioftps3.s3.models import SLICE_BYTES, Body, BytesBody, CompletedPart, UploadResult, slices
from aioftps3.s3.parts import LARGEST_PART_BYTES, PART_BYTES, PARTS, plan_parts

PARTS_IN_FLIGHT = 4


_dropping: set[asyncio.Task[None]] = set()
"""Uploads that are dropped after nobody waits for it any more; the loop itself holds tasks only weakly."""


class _State(enum.Enum):
    OPEN = enum.auto()
    BROKEN = enum.auto()
    COMPLETED = enum.auto()
    ABORTED = enum.auto()


class _Part:
    """A part's memory while it is filled and sent; a `Body`."""

    def __init__(self, number: int, buffer: bytearray, algorithms: Iterable[Algorithm]) -> None:
        self.number = number
        self.buffer = buffer
        self.filled = 0
        self._digests = {algorithm: checksums.new_digest(algorithm) for algorithm in algorithms}

    @property
    def length(self) -> int:
        return self.filled

    @property
    def is_full(self) -> bool:
        return self.filled == len(self.buffer)

    @property
    def sha256(self) -> str:
        return self.checksum(Algorithm.SHA256).hex()

    def checksum(self, algorithm: Algorithm) -> bytes:
        if algorithm not in self._digests:
            digest = self._digests[algorithm] = checksums.new_digest(algorithm)
            with memoryview(self.buffer) as view:
                digest.update(view[: self.filled])
        return self._digests[algorithm].digest()

    def room(self) -> memoryview:
        """A view of what is free of the current slice."""
        return memoryview(self.buffer)[self.filled : (self.filled // SLICE_BYTES + 1) * SLICE_BYTES]

    def take(self, piece: memoryview) -> None:
        """Hear that the next bytes are there; `piece` is a view of them."""
        self.filled += len(piece)
        for digest in self._digests.values():
            digest.update(piece)

    def chunks(self) -> Iterator[memoryview]:
        return slices(memoryview(self.buffer)[: self.filled])


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
        self._size = 0
        self._whole_crc: bytes | None = None
        self._number = 0
        self._part: _Part | None = None
        self._room: memoryview | None = None
        self._creating: asyncio.Task[str] | None = None
        self._sending: set[asyncio.Task[CompletedPart]] = set()
        self._sent: list[CompletedPart] = []
        self._late_parts = False
        self._ending = asyncio.Lock()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    async def room(self) -> memoryview:
        """Give a view into the upload's memory, at least one byte long, for the next bytes to be put into; `filled`
        says when they are there. Ask only when there is a byte to put: room beyond the first part starts a multipart
        upload. Waiting here is the backpressure: for the budget, and for parts to be sent.

        The view is good until `filled` or `abort`; afterwards writing to it raises ValueError. After any error or
        cancellation the upload can only be aborted.

        Raises:
            S3Error: a part could not be sent; it may be an earlier one.
            TooLarge: 10,000 parts are full.
            UploadEnded: it has been completed or aborted, or has failed before.
        """
        self._check_open()
        try:
            part = await self._part_with_room()
        except BaseException:
            self._state = _State.BROKEN
            raise
        self._release_room()
        self._room = part.room()
        return self._room

    def filled(self, count: int) -> None:
        """Say that `count` bytes were put at the start of the view that `room` gave; they are hashed now. When the
        upload has ended meanwhile, they are dropped.

        Raises:
            RequestInvalid: there is no such view, or it is shorter.
        """
        room, self._room = self._room, None
        if self._state is not _State.OPEN:
            return
        if room is None or self._part is None or not 0 <= count <= len(room):
            raise RequestInvalid("more bytes than there was room for")
        with room, room[:count] as piece:
            self._part.take(piece)
        self._size += count

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
        try:
            if self._part is not None and self._part.is_full and self._creating is not None:
                await self._send_part()
        except BaseException:
            self._state = _State.BROKEN
            raise

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
            result = await (self._put() if self._creating is None else self._complete_parts())
            self._state = _State.COMPLETED
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

    async def _part_with_room(self) -> _Part:
        if self._part is not None and self._part.is_full:
            await self._send_part()
        if self._part is None:
            if self._number == PARTS:
                raise TooLarge("EntityTooLarge", 400, operation="UploadPart")
            size = self.plan.size(self._number + 1)
            await self._budget.acquire(size)
            try:
                buffer = self._budget.take_buffer(size)
            except MemoryError:
                self._budget.release(size)
                raise
            self._number += 1
            self._part = _Part(self._number, buffer, self._algorithms)
            self._raise_failure()
        return self._part

    async def _send_part(self) -> None:
        """Put the part that was filled on its way, when there is a free place."""
        upload_id = await self._create()
        while len(self._sending) >= self._parts_in_flight:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            self._harvest()
        self._raise_failure()
        part, self._part = self._part, None
        if part is None:
            return
        self._add_to_whole(part)
        task = asyncio.create_task(self._client.upload_part(self._key, upload_id, part.number, part))
        # A callback, because a task that is cancelled before its first step runs no `finally`.
        task.add_done_callback(lambda _: self._give_back(part))
        self._sending.add(task)

    def _add_to_whole(self, part: _Part) -> None:
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

    async def _create(self) -> str:
        """Create the multipart upload once. The request goes on when its caller is cancelled: its answer is the only
        way to learn the id, without which the upload could not be aborted.
        """
        if self._creating is None:
            self._creating = asyncio.create_task(self._begin())
        return await asyncio.shield(self._creating)

    async def _begin(self) -> str:
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
                self._give_back(part)

    async def _complete_parts(self) -> UploadResult:
        upload_id = await self._create()
        if self._part is not None:
            await self._send_part()
        if self._sending:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_EXCEPTION)
        self._raise_failure()
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
        """Take the results of the parts that are done."""
        for task in [task for task in self._sending if task.done()]:
            self._sending.discard(task)
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
        for task in self._sending:
            if task.cancel():
                self._late_parts = True
        self._give_back_current()

    def _give_back_current(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            self._give_back(part)

    def _release_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.release()

    def _give_back(self, part: _Part) -> None:
        buffer, part.buffer = part.buffer, bytearray()
        part.filled = 0
        self._budget.release(len(buffer))
        self._budget.give_buffer(buffer)

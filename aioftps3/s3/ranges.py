"""The rest of an object by several GETs at a time, each of a range, put together in order.

What must stay true:

- A range is sent for when memory for all of it was taken from the process's budget, without waiting; it is given back
  when the range was delivered, or on any other end.
- Half of the budget stays with the uploads: what is fetched ahead for a client that has gone slow may lie there long.
- After `close` nothing is read any more: every task has ended, every connection is closed or was read to its end.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Verification
from aioftps3.s3.errors import S3TransportError
from aioftps3.s3.parts import MIB
from aioftps3.s3.version import RESUMES, Version

RANGE_BYTES = 8 * MIB
"""One range. A connection needs a tenth of a second for it, so that the time to its first byte does not matter much."""

LEAST_RANGES = 2
"""A single range with nothing behind it would be slower than the one stream that it stands for."""

PARALLEL_BYTES = 64 * MIB
"""Least number of bytes that more than one GET is worth it for."""

MEASURED_BYTES = 8 * MIB
"""Bytes over which S3 and the client are compared. The buffers of the connection, which are full when the client comes
late, are smaller."""

CLEARLY = 4
"""Times that the client's share must be S3's before less is fetched ahead: to and fro would cost requests."""

BUDGET_SHARE = 2
"""Ranges are fetched ahead only while less than this part of the budget is in use: a half."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """How large objects are read by several GETs at a time."""

    budget: ByteBudget
    """Where the memory for ranges comes from."""
    streams: int
    """Most GETs of one download at the same time; two at least."""
    range_bytes: int = RANGE_BYTES
    least_bytes: int = PARALLEL_BYTES
    """A download of fewer bytes is one GET."""
    measured_bytes: int = MEASURED_BYTES
    clock: Callable[[], float] = time.monotonic
    """Seconds, from whenever."""


@dataclass(slots=True)
class Pace:
    """Which of two is the slower one: S3, or the client that its bytes go to."""

    waited: float = 0.0
    """Seconds of waiting for S3."""
    taken: float = 0.0
    """Seconds that the client took."""
    moved: int = 0
    """Bytes."""

    def add(self, moved: int, *, waited: float, taken: float) -> None:
        """Count a chunk."""
        self.moved += moved
        self.waited += waited
        self.taken += taken

    @property
    def is_held_up_by_s3(self) -> bool:
        """Whether most of the time was spent waiting for S3."""
        return self.waited > self.taken

    @property
    def is_held_up_by_client(self) -> bool:
        """Whether the client clearly was the slower one."""
        return self.taken > CLEARLY * self.waited


@dataclass(frozen=True, slots=True, eq=False)
class _Range:
    length: int
    arrived: asyncio.Queue[bytes]
    """Its bytes, and b"" when no more will come; `task` then tells why."""
    task: asyncio.Task[None]


class Ranges:
    """An object from `offset` on; `begin`, then `chunks`, and `close` in any case."""

    def __init__(self, version: Version, parallel: Parallel, offset: int, verification: Verification | None) -> None:
        self._version = version
        self._budget = parallel.budget
        self._range_bytes = parallel.range_bytes
        self._most = parallel.streams
        self._width = LEAST_RANGES
        self._next = offset
        self._verification = verification
        self._held: deque[_Range] = deque()

    @property
    def measured_bytes(self) -> int:
        """Bytes after which `adapt` can judge: a round of ranges, because those of one round arrive together."""
        return max(self._width, 1) * self._range_bytes

    def begin(self) -> bool:
        """Send for the first ranges. False: there is no memory for two of them, and nothing was sent."""
        self._fill()
        return bool(self._held)

    def adapt(self, pace: Pace) -> None:
        """Fetch further ahead, or less far, and in the end not at all: the client then is content with one stream.

        It begins with little and doubles: the first bytes may only have filled buffers on the way to the client.
        """
        if pace.is_held_up_by_client:
            self._width = 0 if self._width <= LEAST_RANGES else self._width - 1
        elif pace.is_held_up_by_s3:
            self._width = min(2 * self._width, self._most)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give the content in order; can be used once. It ends early when nothing more can be fetched ahead.

        Raises:
            ObjectChanged: it is another one now.
            ChecksumMismatch: the whole object came, and is not what was stored.
            S3Error: a range could not be read.
        """
        while self._held:
            head = self._held[0]
            while chunk := await head.arrived.get():
                if self._verification is not None:
                    self._verification.update(chunk)
                yield chunk
            await head.task
            self._held.popleft()
            self._budget.release(head.length)
            self._fill()

    async def close(self) -> None:
        """Stop. Idempotent."""
        held, self._held = self._held, deque()
        self._width = 0
        for each in held:
            each.task.cancel()
            self._budget.release(each.length)
        if held:
            await asyncio.wait([each.task for each in held])

    def _fill(self) -> None:
        size = self._version.info.size
        while len(self._held) < self._width and self._next < size:
            end = min(self._next + self._range_bytes, size)
            wanted = end - self._next if self._held else min(LEAST_RANGES * self._range_bytes, size - self._next)
            if self._budget.in_use + wanted > self._budget.total // BUDGET_SHARE:
                return
            if not self._budget.try_acquire(end - self._next):
                return
            arrived: asyncio.Queue[bytes] = asyncio.Queue()
            task = asyncio.create_task(self._fetch(self._next, end, arrived))
            task.add_done_callback(_seen)
            self._held.append(_Range(end - self._next, arrived, task))
            self._next = end

    async def _fetch(self, offset: int, end: int, arrived: asyncio.Queue[bytes]) -> None:
        resumes = RESUMES
        try:
            while offset < end:
                stream = await self._version.open(offset, end - offset)
                try:
                    async for chunk in stream.chunks():
                        offset += len(chunk)
                        arrived.put_nowait(chunk)
                except S3TransportError as error:
                    if offset == end:
                        return
                    if not resumes:
                        raise
                    resumes -= 1
                    _log.warning("a range of a download broke at byte %d, going on: %s", offset, error)
                finally:
                    await stream.close()
        finally:
            arrived.put_nowait(b"")


def _seen(task: asyncio.Task[None]) -> None:
    """A failed range that nobody comes to any more is no news."""
    if not task.cancelled():
        task.exception()

"""A process-wide limit on the bytes that all uploads together hold.

Invariants:

- `in_use` never passes `total`, and what was granted is exactly what must be released;
- waiters are served in the order in which they came, so that a large request is not starved by small ones;
- a waiter that is cancelled takes nothing with it, also when it was granted in the same turn of the loop;
- buffers kept for reuse and bytes in use are together at most `total`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aioftps3.s3.errors import RequestInvalid


class ByteBudget:
    """Grants bytes up to a total; whoever wants more waits."""

    def __init__(self, total: int) -> None:
        if total < 1:
            raise RequestInvalid("a budget has at least one byte")
        self._total = total
        self._in_use = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._idle: list[bytearray] = []
        self._idle_bytes = 0

    @property
    def total(self) -> int:
        """Bytes that can be in use at the same time."""
        return self._total

    @property
    def in_use(self) -> int:
        """Bytes granted and not yet released."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """Number of callers that wait for bytes."""
        return len(self._waiters)

    async def acquire(self, amount: int) -> None:
        """Take `amount` bytes, waiting for earlier callers and for room.

        Raises:
            RequestInvalid: more than the whole budget is asked for; that could never be granted.
        """
        if not 0 <= amount <= self._total:
            raise RequestInvalid("more bytes asked for than the budget has")
        if not self._waiters and self._in_use + amount <= self._total:
            self._take(amount)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((amount, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.release(amount)
            else:
                # `_grant` has dropped it already when it ran between the cancellation and this line.
                with suppress(ValueError):
                    self._waiters.remove((amount, granted))
                self._grant()
            raise

    def try_acquire(self, amount: int) -> bool:
        """Take `amount` bytes if that needs no waiting; say whether it was done."""
        if amount < 0 or self._waiters or self._in_use + amount > self._total:
            return False
        self._take(amount)
        return True

    def release(self, amount: int) -> None:
        """Give bytes back.

        Raises:
            RequestInvalid: more is given back than was taken; the books would be wrong from then on.
        """
        if not 0 <= amount <= self._in_use:
            raise RequestInvalid("more bytes released than were acquired")
        self._in_use -= amount
        self._grant()

    @asynccontextmanager
    async def reserved(self, amount: int) -> AsyncIterator[None]:
        """Hold `amount` bytes inside an `async with` block."""
        await self.acquire(amount)
        try:
            yield
        finally:
            self.release(amount)

    def take_buffer(self, size: int) -> bytearray:
        """Give a buffer of exactly `size` bytes, whose content is undefined; the bytes must have been acquired."""
        for index, buffer in enumerate(self._idle):
            if len(buffer) == size:
                del self._idle[index]
                self._idle_bytes -= size
                return buffer
        return bytearray(size)

    def give_buffer(self, buffer: bytearray) -> None:
        """Keep a buffer for the next `take_buffer`; call it after the bytes were released.

        A buffer that something still looks at is dropped instead. A connection that was closed in the middle of a
        request may go on sending what it holds (without a copy, from Python 3.12 on), and must never send the next
        part's bytes in its place.
        """
        if self._idle_bytes + self._in_use + len(buffer) > self._total or not buffer:
            return
        try:
            # A bytearray refuses to change its size while a memoryview of it exists; both steps stay inside its
            # allocation and cost nothing.
            buffer.append(buffer.pop())
        except BufferError:
            return
        self._idle.append(buffer)
        self._idle_bytes += len(buffer)

    def _take(self, amount: int) -> None:
        self._in_use += amount
        while self._idle and self._idle_bytes + self._in_use > self._total:
            self._idle_bytes -= len(self._idle.pop())

    def _grant(self) -> None:
        while self._waiters:
            amount, granted = self._waiters[0]
            if not granted.cancelled():
                if self._in_use + amount > self._total:
                    return
                self._take(amount)
                granted.set_result(None)
            self._waiters.popleft()

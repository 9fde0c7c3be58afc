"""How long a peer may take: it has to move a little in each stretch of time that it is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ("Pace",)

LEAST_BYTES = 1024
"""Bytes that must move while the peer has been waited for during one stall timeout. A peer that moves a byte now and
then would otherwise hold its session, its part of the memory budget and its place in S3 for ever."""


class Pace:
    """Bounds the waiting for a peer: `LEAST_BYTES` have to move in each ``seconds`` of it; other time is free."""

    def __init__(self, seconds: float, moved: Callable[[], int], stalled: Callable[[str], Exception]) -> None:
        """``moved`` tells the bytes that have moved so far; ``stalled`` makes the error of who has moved too few."""
        self._seconds = seconds
        self._moved = moved
        self._stalled = stalled
        self._left = seconds
        self._mark = 0
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._since = 0.0
        # A timer for each wait would cost more than the wait: one is enough for a whole window, and looks again when
        # less of the window was waited for.
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, waiter: asyncio.Future[None]) -> None:
        """Wait until ``waiter`` is done. Raises the error when the window is over and too few bytes have moved."""
        self._waiter = waiter
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._left, self._look)
        try:
            await waiter
        finally:
            self._waiter = None
            self._left -= self._loop.time() - self._since

    def stop(self) -> None:
        """Nobody will wait any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        left = self._left - (self._loop.time() - self._since)
        if left <= 0:
            now = self._moved()
            if now - self._mark < LEAST_BYTES:
                text = f"{now - self._mark} bytes moved in {self._seconds:g} seconds"
                self._waiter.set_exception(self._stalled(text))
                return
            self._mark = now
            self._left += self._seconds - left
            left = self._seconds
        self._timer = self._loop.call_later(left, self._look)

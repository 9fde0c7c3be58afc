"""Locks on paths: FIFO, shared or exclusive, hierarchical.

Exclusive on a path takes shared on all its ancestors. So two files of one directory do not wait for each other, while
renaming the directory waits for both and keeps both away.

What stays true:
- one acquisition takes all its locks in one global order, so that acquisitions cannot wait for each other in a circle
  (as long as nobody acquires inside of an acquisition);
- no overtaking: a lock is granted in the order of arrival, and shared ones only together when nobody is between them;
- being cancelled leaves nothing held, no matter if it strikes while waiting or just after the lock was granted;
- a path that nobody holds and nobody waits for takes no memory.

Turns are something else: whoever has the turn at a path keeps nobody from anything but a turn there, for a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ("PathLocks",)


@dataclass(slots=True)
class _Lock:
    sharers: int = 0
    exclusive: bool = False
    waiters: deque[tuple[asyncio.Future[None], bool]] = field(default_factory=deque)

    def free_for(self, exclusive: bool) -> bool:
        return not self.exclusive and not (exclusive and self.sharers)

    def take(self, exclusive: bool) -> None:
        if exclusive:
            self.exclusive = True
        else:
            self.sharers += 1

    @property
    def unused(self) -> bool:
        return not (self.sharers or self.exclusive or self.waiters)


class PathLocks:
    """The locks of one process; shared by all trees on the same store. Paths are absolute and normalised."""

    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}

    def __len__(self) -> int:
        """Paths that are held or waited for, ancestors included."""
        return len(self._locks)

    @asynccontextmanager
    async def exclusive(self, *paths: str) -> AsyncIterator[None]:
        """Hold all ``paths`` exclusively and all their ancestors shared. Not reentrant."""
        held: list[tuple[str, bool]] = []
        try:
            for path, exclusive in _in_order(paths):
                await self._acquire(path, exclusive)
                held.append((path, exclusive))
            yield
        finally:
            for path, exclusive in reversed(held):
                self._release(path, exclusive)

    async def take_turn(self, path: str, seconds: float) -> Callable[[], None]:
        """Wait until nobody else has the turn at ``path``, or until so many seconds are over; then go ahead without it.

        Returns what ends the turn; calling that again does nothing.
        """
        name = f"turn {path}"
        try:
            async with asyncio.timeout(seconds):
                await self._acquire(name, exclusive=True)
        except TimeoutError:
            return lambda: None
        held = [name]

        def end() -> None:
            if held:
                self._release(held.pop(), exclusive=True)

        return end

    async def _acquire(self, path: str, exclusive: bool) -> None:
        lock = self._locks.setdefault(path, _Lock())
        if not lock.waiters and lock.free_for(exclusive):
            lock.take(exclusive)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (granted, exclusive)
        lock.waiters.append(waiter)
        try:
            await granted
        except BaseException:
            if granted.done() and not granted.cancelled():
                self._release(path, exclusive)
            elif waiter in lock.waiters:
                lock.waiters.remove(waiter)
                self._wake(path, lock)
            raise

    def _release(self, path: str, exclusive: bool) -> None:
        lock = self._locks[path]
        if exclusive:
            lock.exclusive = False
        else:
            lock.sharers -= 1
        self._wake(path, lock)

    def _wake(self, path: str, lock: _Lock) -> None:
        while lock.waiters and lock.free_for(lock.waiters[0][1]):
            granted, exclusive = lock.waiters.popleft()
            if granted.cancelled():  # its task has yet to run, and will find itself gone from the queue
                continue
            lock.take(exclusive)
            granted.set_result(None)
        if lock.unused:
            del self._locks[path]


def _in_order(paths: tuple[str, ...]) -> list[tuple[str, bool]]:
    """Each lock of one acquisition once, ancestors before what is below them."""
    wanted: dict[str, bool] = {}
    for path in paths:
        cut = path.rfind("/")
        while cut > 0:
            wanted.setdefault(path[:cut], False)
            cut = path.rfind("/", 0, cut)
        wanted.setdefault("/", False)
        wanted[path] = True
    return sorted(wanted.items())

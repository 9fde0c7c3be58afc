"""Time that costs none: a loop whose clock jumps to the next timer when there is nothing else to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ("Deadlock", "run_in_virtual_time")

T = TypeVar("T")


class Deadlock(AssertionError):
    """Every task waits, and nothing will ever wake one."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: what would be waited for is added to the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Deadlock
            self.now += max(timeout, 0.0)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing outside of its loop. Raises Deadlock when it waits for ever."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)

"""What signals ask for: the first SIGTERM or SIGINT to end, a second one to end at once, SIGHUP what is chosen."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence

__all__ = ("Signals",)

ENDING = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class Signals:
    """Counts SIGTERM and SIGINT, and tells of SIGHUP."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events = (asyncio.Event(), asyncio.Event())

    @contextlib.contextmanager
    def installed(self) -> Iterator["Signals"]:
        """Catch those that end inside the block, and ignore them behind it: all is done then, but the process still
        ends."""
        with self._handled(ENDING, self._caught):
            yield self

    @contextlib.contextmanager
    def on_hangup(self, call: Callable[[], None] | None) -> Iterator[None]:
        """Have ``call`` called, from the loop, for each SIGHUP inside the block, and ignore it behind it.

        With None it is one of those that end, as is usual when a terminal is closed.
        """

        def hung_up(number: signal.Signals) -> None:
            if call is None:
                self._caught(number)
            else:
                log.info("%s received", number.name)
                call()

        with self._handled((signal.SIGHUP,), hung_up):
            yield

    @contextlib.contextmanager
    def _handled(self, numbers: Sequence[signal.Signals], call: Callable[[signal.Signals], None]) -> Iterator[None]:
        for number in numbers:
            self._loop.add_signal_handler(number, call, number)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
            for number in numbers:
                self._loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    async def wait(self, count: int) -> None:
        """Until this many of those that end have come; 1 or 2."""
        await self._events[count - 1].wait()

    def _caught(self, number: signal.Signals) -> None:
        first, second = self._events
        (second if first.is_set() else first).set()
        log.info("%s received", number.name)

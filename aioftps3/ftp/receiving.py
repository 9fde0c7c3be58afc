"""Where data connections receive into, and how much each may take at once.

What stays true: a turn of the loop receives so little that whoever waits for a reply waits milliseconds, however many
clients send at the same time; and a connection that waits for its client holds no memory here.
"""

import asyncio
import threading

__all__ = ("received",)

RECEIVE_BYTES = 1024 * 1024
"""Bytes taken from a socket at once (measured: half as much costs 7 % more CPU), which are decrypted and hashed in a
millisecond and a half; and the most that is held for somebody who does not want it yet."""

TURN_BYTES = 4 * 1024 * 1024
"""Bytes taken in one turn of the loop from all sockets together, as far as the least for each allows: with many at once
each gets less, and whoever waits for a reply waits milliseconds."""

LEAST_RECEIVE_BYTES = 128 * 1024
"""Taken from each of many; with less, the work for each piece costs more than its bytes."""


class ReceiveBuffer(threading.local):
    """A buffer for each thread: its loop hands every piece on before it reads the next."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(RECEIVE_BYTES))
        self.share = RECEIVE_BYTES
        """Bytes that a connection may take now, by the number of those that took some in the last turn of the loop."""
        self._connections = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def used(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear that a connection took some."""
        if not self._connections or loop is not self._loop:
            self._loop = loop
            self._connections = 0
            # Called before the next turn reads anything.
            loop.call_soon(self._end_turn)
        self._connections += 1

    def _end_turn(self) -> None:
        self.share = max(min(TURN_BYTES // self._connections, RECEIVE_BYTES), LEAST_RECEIVE_BYTES)
        self._connections = 0


received = ReceiveBuffer()

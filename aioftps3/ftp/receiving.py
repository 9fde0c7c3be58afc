"""Where data connections receive into, and how much each may take at once.

What stays true: a turn of the loop receives so little that whoever waits for a reply waits milliseconds, however many
clients send at the same time; so little is held for those whose upload waits; and a connection that waits for its
client holds no memory here.
"""

import threading

__all__ = ("received",)

RECEIVE_BYTES = 1024 * 1024
"""Bytes taken from a socket at once (measured: half as much costs 7 % more CPU), which are decrypted and hashed in a
millisecond and a half; and the most that is held for somebody who does not want it yet."""

TURN_BYTES = 4 * 1024 * 1024
"""Bytes taken in one turn of the loop from all sockets together, as far as the least for each allows."""

LEAST_RECEIVE_BYTES = 64 * 1024
"""Taken from each of many. With twice as much, fifty uploads need 2 % less CPU, and hold up the loop for half as long
again (measured)."""


class ReceiveBuffer(threading.local):
    """A buffer for each thread: its loop hands every piece on before it reads the next."""

    def __init__(self) -> None:
        self._view = memoryview(bytearray(RECEIVE_BYTES))
        self._connections = 0
        self._share = RECEIVE_BYTES

    @property
    def share(self) -> int:
        """Bytes that a connection may take at once."""
        return self._share

    def room(self, size: int) -> memoryview:
        """The first ``size`` bytes of the buffer: to receive into, and then what was received."""
        return self._view[:size]

    def enter(self) -> None:
        """One more connection receives."""
        self._divide(self._connections + 1)

    def leave(self) -> None:
        """One connection less receives."""
        self._divide(self._connections - 1)

    def _divide(self, connections: int) -> None:
        self._connections = connections
        self._share = max(min(TURN_BYTES // max(connections, 1), RECEIVE_BYTES), LEAST_RECEIVE_BYTES)


received = ReceiveBuffer()

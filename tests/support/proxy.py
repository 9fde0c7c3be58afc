"""A TCP proxy on loopback that hurts the bytes passing through: resets, half-closes, stalls and delays by a script.

Hops are struck by byte counts, not by time, so that the same script always hits the same place. A stall lasts until
`Proxy.release` or the end of the proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Self

__all__ = ("Act", "Direction", "Harm", "Proxy")

HOST = "127.0.0.1"
_READ_BYTES = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction(enum.Enum):
    """Which way the bytes go."""

    UP = "up"
    """From the one who connected."""
    DOWN = "down"


class Act(enum.Enum):
    """What is done at the place."""

    RESET = "reset"
    """RST to both sides."""
    HALF_CLOSE = "half-close"
    """FIN in this direction only; the other one goes on."""
    CLOSE = "close"
    """FIN to both sides."""
    STALL = "stall"
    """Nothing passes any more in this direction, and nothing more is read."""
    TRICKLE = "trickle"
    """From here on one byte at a time."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What happens when ``after`` bytes have passed in a direction of a connection; 0 is before the first byte."""

    act: Act
    direction: Direction = Direction.UP
    after: int = 0


Script = Callable[[int], Harm | None]


class Proxy:
    """``async with Proxy(port) as proxy``: connections to ``proxy.port`` reach the port on loopback.

    ``script`` tells the harm for the n-th connection, counted from 0.
    """

    def __init__(self, target: int, script: Script | None = None) -> None:
        self._target = target
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()
        self.script: Script = script or (lambda _: None)
        self.port = 0
        self.connections = 0
        """Connections that were accepted."""
        self.harmed = 0
        """Harms that came about."""
        self.passed = dict.fromkeys(Direction, 0)
        """Bytes that have passed in each direction."""

    def plan(self, *harms: Harm | None) -> None:
        """Harm the next connections so, one each; later ones pass."""
        first = self.connections
        planned = dict(enumerate(harms, start=first))
        self.script = planned.get

    def release(self) -> None:
        """End all stalls: what stalled is closed."""
        self._released.set()

    async def __aenter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.setblocking(False)
        self._listener.bind((HOST, 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept(self._listener))
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listener)
            harm = self.script(self.connections)
            self.connections += 1
            self._start(self._serve(client, harm))

    async def _serve(self, client: socket.socket, harm: Harm | None) -> None:
        loop = asyncio.get_running_loop()
        server = socket.socket()
        server.setblocking(False)
        with contextlib.closing(client), contextlib.closing(server):
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await loop.sock_connect(server, (HOST, self._target))
                async with asyncio.TaskGroup() as group:
                    for direction, source, sink in (
                        (Direction.UP, client, server),
                        (Direction.DOWN, server, client),
                    ):
                        mine = harm if harm is not None and harm.direction is direction else None
                        group.create_task(self._pump(source, sink, direction, mine))
            except* _Ended as ended:
                if any(each.reset for each in _leaves(ended)):
                    for sock in (client, server):
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            except* OSError:
                for sock in (client, server):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    async def _pump(self, source: socket.socket, sink: socket.socket, direction: Direction, harm: Harm | None) -> None:
        loop = asyncio.get_running_loop()
        passed = 0
        limit = _READ_BYTES
        while True:
            if harm is not None and passed == harm.after:
                self.harmed += 1
                await self._act(harm.act, sink)
                if harm.act is Act.HALF_CLOSE:
                    return
                harm, limit = None, 1
            room = limit if harm is None else min(limit, harm.after - passed)
            data = await loop.sock_recv(source, room)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, data)
            passed += len(data)
            self.passed[direction] += len(data)

    async def _act(self, act: Act, sink: socket.socket) -> None:
        match act:
            case Act.RESET:
                raise _Ended(reset=True)
            case Act.CLOSE:
                raise _Ended(reset=False)
            case Act.HALF_CLOSE:
                sink.shutdown(socket.SHUT_WR)
            case Act.STALL:
                await self._released.wait()
                raise _Ended(reset=False)
            case Act.TRICKLE:
                pass


class _Ended(Exception):
    """Both directions of a connection end now."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


def _leaves(group: BaseExceptionGroup[_Ended]) -> Iterable[_Ended]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each

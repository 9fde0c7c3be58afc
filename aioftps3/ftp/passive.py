"""Passive data ports: one listener for one connection (RFC 959 PASV, RFC 2428 EPSV).

A port listens from PASV until its one connection has been accepted or its time is over, is drawn at random, and takes a
connection only from the control connection's address, so that nobody else can read or write the client's files.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable

from aioftps3.ftp.data import DataConnection, DataLost

__all__ = ("NoFreePort", "PassiveListener", "PortPool", "plain_address", "same_host")

logger = logging.getLogger(__name__)

_BACKLOG = 4
"""Connections that may queue at a passive port: the right one, and a few strangers to be refused."""

_UNWANTED_HANDSHAKE_SECONDS = 3600.0
"""For the handshake of a connection that no command has asked for yet; the session's own timeouts end it earlier."""

_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Failures of accept that are ours and not the peer's."""

_PORT_WAIT_SECONDS = 3.0
"""How long PASV waits for a port to become free before it answers 425."""


class NoFreePort(Exception):
    """All passive ports are in use."""


def same_host(one: str, other: str) -> bool:
    """Whether two addresses are the same host's; an IPv4 address equals its IPv6-mapped form."""
    return plain_address(one) == plain_address(other)


def plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | str:
    """An address without its scope, an IPv4 one that came over an IPv6 socket in its own form; else the text itself."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class PortPool:
    """The configured data ports. Ports are drawn at random; an empty configuration lets the kernel choose."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self._any = not ports
        self._free = list(ports)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._called = 0  # waiters for whom a port became free, and who have not drawn it yet
        self._random = random.SystemRandom()

    @property
    def free(self) -> int:
        """Number of configured ports that nobody uses now."""
        return len(self._free)

    async def bind(self, host: str, family: socket.AddressFamily) -> socket.socket:
        """A listening, non-blocking socket on a random free port of ``host``.

        Waits a little when all are in use, first come first served. Raises NoFreePort after that and OSError for what
        is no matter of ports.
        """
        is_taken = not self._any and len(self._free) <= self._called
        sock = None if is_taken else self._draw(host, family)
        try:
            async with asyncio.timeout(_PORT_WAIT_SECONDS):
                while sock is None:
                    await self._released()
                    try:
                        sock = self._draw(host, family)
                    except OSError:
                        self._wake_next()
                        raise
        except TimeoutError as error:
            raise NoFreePort from error
        return sock

    async def _released(self) -> None:
        """Wait for a port that no earlier one waits for."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
            self._called -= 1
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled():
                self._called -= 1
                self._wake_next()  # the port is for another one now
            raise

    def _draw(self, host: str, family: socket.AddressFamily) -> socket.socket | None:
        if self._any:
            return _bound(host, 0, family)
        candidates = self._free.copy()
        self._random.shuffle(candidates)
        for port in candidates:
            try:
                sock = _bound(host, port, family)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self._free.remove(port)
            return sock
        return None

    def release(self, port: int) -> None:
        """Give a port back; its socket must be closed."""
        if self._any:
            return
        self._free.append(port)
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._called += 1
                break


def _bound(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


class PassiveListener:
    """One PASV: listens, accepts the client's one connection, does its TLS handshake, and gives the port back."""

    def __init__(
        self,
        sock: socket.socket,
        pool: PortPool,
        *,
        peer: str | None,
        context: ssl.SSLContext | None,
        connect_timeout: float,
        stall_timeout: float,
        handshake_timeout: float,
        on_foreign_peer: Callable[[str], None],
    ) -> None:
        self.port: int = sock.getsockname()[1]
        self._sock: socket.socket | None = sock
        self._pool = pool
        self._peer = peer
        self._context = context
        self._connect_timeout = connect_timeout
        self._stall_timeout = stall_timeout
        self._handshake_timeout = handshake_timeout
        self._on_foreign_peer = on_foreign_peer
        self._loop = asyncio.get_running_loop()
        self._connection: asyncio.Future[DataConnection] = self._loop.create_future()
        # Whether or not anybody waits for it, a failure is no news for asyncio's exception handler.
        self._connection.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._handshake: asyncio.Task[None] | None = None
        self._wanted = False
        self._loop.add_reader(sock, self._accept)
        self._expiry = self._loop.call_later(connect_timeout, self._expire)

    def _accept(self) -> None:
        if self._sock is None:
            return
        try:
            sock, address = self._sock.accept()
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:  # the connection stays in the queue and would wake us without an end
                self._stop_listening()
                self._fail(DataLost(f"cannot accept it: {error.strerror}"))
            return  # else the peer was gone before we came
        if self._peer is not None and not same_host(address[0], self._peer):
            sock.close()
            self._on_foreign_peer(address[0])
            return
        self._stop_listening()
        sock.setblocking(False)
        self._handshake = asyncio.create_task(self._open(sock), name=f"data connection on port {self.port}")
        if self._wanted:
            self._limit_handshake()

    async def _open(self, sock: socket.socket) -> None:
        try:
            connection = await DataConnection.open(
                sock,
                context=self._context,
                stall_timeout=self._stall_timeout,
                handshake_timeout=_UNWANTED_HANDSHAKE_SECONDS,
            )
        except Exception as error:  # noqa: BLE001  # whoever waits for the connection has to hear of it
            self._fail(error)
            return
        finally:
            self._expiry.cancel()
        if self._connection.done():
            connection.abort()
        else:
            self._connection.set_result(connection)

    def _expire(self) -> None:
        if self._sock is not None:
            self._stop_listening()
            self._fail(DataLost(f"no data connection within {self._connect_timeout:g} seconds"))

    def _limit_handshake(self) -> None:
        """From now on the client is expected to do its handshake; many begin it only after the 150."""
        self._expiry = self._loop.call_later(self._handshake_timeout, self._give_handshake_up)

    def _give_handshake_up(self) -> None:
        self._fail(DataLost(f"no TLS handshake on the data connection within {self._handshake_timeout:g} seconds"))
        if self._handshake is not None:
            self._handshake.cancel()

    def _fail(self, error: Exception) -> None:
        if not self._connection.done():
            self._connection.set_exception(error)

    def _stop_listening(self) -> None:
        self._expiry.cancel()
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None
            self._pool.release(self.port)

    async def connection(self) -> DataConnection:
        """The client's connection, its handshake done; the limits of both begin now.

        Raises DataLost when it does not come or its handshake fails.
        """
        self._wanted = True
        if self._sock is not None:
            self._expiry.cancel()
            self._expiry = self._loop.call_later(self._connect_timeout, self._expire)
        elif not self._connection.done():
            self._limit_handshake()
        return await asyncio.shield(self._connection)

    def close(self) -> None:
        """Stop listening and drop the connection. Safe to call at any time, and twice."""
        self._stop_listening()
        self._expiry.cancel()
        if self._handshake is not None:
            self._handshake.cancel()
        if not self._connection.done():
            self._connection.cancel()
        elif not self._connection.cancelled() and self._connection.exception() is None:
            self._connection.result().abort()

"""Active mode: the data connection that the server opens to the client (RFC 959 PORT, RFC 2428 EPRT).

What must stay true:

- It goes to the address of the control connection and nowhere else, to a port that no service of a machine has
  (`LEAST_PORT`): the server is not to be used to reach others (RFC 2577 section 3).
- It is made as one of a passive port is, TLS included, in which the server stays the server (RFC 4217 section 7):
  transfers cannot tell the two apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl

from aioftps3.ftp.data import DataConnection, DataLost

__all__ = ("LEAST_PORT", "ActiveConnector")

LEAST_PORT = 1024
"""Ports below it belong to services (RFC 6335 section 6), which a client is not."""


class ActiveConnector:
    """One PORT: connects to the client when a transfer asks for the connection, not before."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        source: str,
        context: ssl.SSLContext | None,
        connect_timeout: float,
        stall_timeout: float,
        handshake_timeout: float,
    ) -> None:
        """``source`` is our own address, the one that the client knows us by."""
        self._host = host
        self._port = port
        self._source = source
        self._context = context
        self._connect_timeout = connect_timeout
        self._stall_timeout = stall_timeout
        self._handshake_timeout = handshake_timeout
        self._connection: DataConnection | None = None

    async def connection(self) -> DataConnection:
        """Connect and do the TLS handshake. Raises DataLost when the client does not take part in either."""
        try:
            async with asyncio.timeout(self._connect_timeout):
                sock = await self._connected()
        except TimeoutError as error:
            raise DataLost(f"port {self._port} did not answer within {self._connect_timeout:g} seconds") from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno is not None else type(error).__name__
            raise DataLost(f"cannot connect to port {self._port}: {reason}") from error
        try:
            self._connection = await DataConnection.open(
                sock,
                context=self._context,
                stall_timeout=self._stall_timeout,
                handshake_timeout=self._handshake_timeout,
            )
        except DataLost as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            raise DataLost(f"no TLS handshake on it within {self._handshake_timeout:g} seconds") from error
        return self._connection

    async def _connected(self) -> socket.socket:
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET))
            sock.setblocking(False)
            sock.bind((self._source, 0))
            await asyncio.get_running_loop().sock_connect(sock, (self._host, self._port))
            undo.pop_all()
            return sock

    def close(self) -> None:
        """Drop the connection, if there is one. Safe to call at any time, and twice."""
        if self._connection is not None:
            self._connection.abort()

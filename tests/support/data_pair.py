"""Both ends of one data connection, without a server around it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

from aioftps3.ftp.data import DataConnection
from tests.support.ftp_session import HOST, Wire, client_context, open_sockets, server_context, settle

__all__ = ("a_pair",)


@contextlib.asynccontextmanager
async def a_pair(
    kind: ssl.TLSVersion | None = None,
    *,
    stall: float = 5,
    receive_buffer: int | None = None,
    send_buffer: int | None = None,
    client: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[DataConnection, Wire]]:
    """The server's end and the client's end of a connection.

    ``receive_buffer`` is the client's, ``send_buffer`` the server's; ``client`` is the client's context. Afterwards
    neither a socket nor a task may be left.
    """
    sockets, tasks = open_sockets(), asyncio.all_tasks()
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        listener.setblocking(False)
        wire = await Wire.connect(listener.getsockname()[1], receive_buffer=receive_buffer)
        sock, _ = await loop.sock_accept(listener)
    if send_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    opening = asyncio.create_task(
        DataConnection.open(
            sock,
            context=None if kind is None else server_context(),
            stall_timeout=stall,
            handshake_timeout=5,
        )
    )
    if kind is not None:
        await wire.start_tls(client or client_context(kind))
    connection = await opening
    try:
        yield connection, wire
    finally:
        wire.close()
        connection.abort()
        await connection.wait_closed(5)
    await settle()
    assert open_sockets() <= sockets
    assert asyncio.all_tasks() <= tasks

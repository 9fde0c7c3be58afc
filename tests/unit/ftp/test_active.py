"""Data connections that the server opens: to whom, and what happens when nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from aioftps3.ftp.active import ActiveConnector
from aioftps3.ftp.data import DataLost, StreamEnd
from tests.support.ftp_session import (
    HOST,
    ActivePort,
    Wire,
    client_context,
    open_sockets,
    read_some,
    server_context,
    settle,
)


@contextlib.asynccontextmanager
async def connecting(
    port: int, *, host: str = HOST, context: ssl.SSLContext | None = None, timeout: float = 5
) -> AsyncIterator[ActiveConnector]:
    """A connector; at the end nothing of it may be left."""
    sockets, tasks = open_sockets(), asyncio.all_tasks()
    connector = ActiveConnector(
        host,
        port,
        source=host,
        context=context,
        connect_timeout=timeout,
        stall_timeout=5,
        handshake_timeout=timeout,
    )
    try:
        yield connector
    finally:
        connector.close()
        connector.close()
    await settle()
    assert open_sockets() <= sockets
    assert asyncio.all_tasks() <= tasks


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("host", [HOST, "::1", "127.0.0.9"])
async def test_it_comes_from_our_own_address_and_moves_bytes(host: str) -> None:
    with contextlib.closing(ActivePort(host=host)) as port:
        async with connecting(port.number, host=host) as connector:
            opening = asyncio.create_task(connector.connection())
            wire, source = await port.accept()
            with contextlib.closing(wire):
                assert source == host
                connection = await opening
                await wire.send(b"data")
                wire.fin()
                assert await read_some(connection) == b"data"
                assert await read_some(connection) == b""
                assert connection.end is StreamEnd.FIN


async def test_nothing_is_connected_before_it_is_asked_for() -> None:
    with contextlib.closing(ActivePort()) as port:
        async with connecting(port.number):
            await settle()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await port.accept()


async def test_the_server_is_the_server_of_tls() -> None:
    """RFC 4217 section 7."""
    with contextlib.closing(ActivePort()) as port:
        async with connecting(port.number, context=server_context()) as connector:
            opening = asyncio.create_task(connector.connection())
            wire, _ = await port.accept()
            with contextlib.closing(wire):
                await wire.start_tls(client_context())
                connection = await opening
                await wire.send(b"data")
                await wire.close_notify()
                assert await read_some(connection) == b"data"
                assert await read_some(connection) == b""
                assert connection.end is StreamEnd.CLOSE_NOTIFY


async def test_a_client_that_refuses_is_a_lost_data_connection() -> None:
    port = closed_port()
    async with connecting(port) as connector:
        with pytest.raises(DataLost, match=f"cannot connect to port {port}: Connection refused"):
            await connector.connection()


async def test_a_client_that_does_not_answer_is_given_up() -> None:
    """A full backlog lets the kernel drop what comes."""
    with contextlib.closing(ActivePort(backlog=0)) as port, contextlib.closing(await Wire.connect(port.number)):
        async with connecting(port.number, timeout=0.05) as connector:
            with pytest.raises(DataLost, match=r"did not answer within 0\.05 seconds"):
                await connector.connection()


async def test_a_handshake_that_never_begins_is_given_up() -> None:
    with contextlib.closing(ActivePort()) as port:
        async with connecting(port.number, context=server_context(), timeout=0.05) as connector:
            opening = asyncio.create_task(connector.connection())
            wire, _ = await port.accept()
            with (
                contextlib.closing(wire),
                pytest.raises(DataLost, match=r"no TLS handshake on it within 0\.05 seconds"),
            ):
                await opening


async def test_a_handshake_that_fails_is_a_lost_data_connection() -> None:
    with contextlib.closing(ActivePort()) as port:
        async with connecting(port.number, context=server_context()) as connector:
            opening = asyncio.create_task(connector.connection())
            wire, _ = await port.accept()
            with contextlib.closing(wire):
                await wire.send(b"no TLS at all\r\n")
                with pytest.raises(DataLost, match=r"TLS handshake on the data connection failed: .+"):
                    await opening


async def test_a_cancelled_wait_leaves_no_socket() -> None:
    with contextlib.closing(ActivePort(backlog=0)) as port, contextlib.closing(await Wire.connect(port.number)):
        async with connecting(port.number) as connector:
            opening = asyncio.create_task(connector.connection())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening


async def test_close_drops_the_connection() -> None:
    with contextlib.closing(ActivePort()) as port:
        async with connecting(port.number) as connector:
            opening = asyncio.create_task(connector.connection())
            wire, _ = await port.accept()
            with contextlib.closing(wire):
                await opening
                connector.close()
                assert await wire.receive() == b""

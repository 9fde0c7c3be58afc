"""The control channel: the sockets' options, the end of connections, and the upgrade to TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from pathlib import Path
from unittest import mock

import pytest

from aioftps3.ftp.control import ControlChannel, ControlLost, tune_socket
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.tlsstream import TlsStream
from tests.support.ftp_session import client_context, encrypted, running_server, server_context, settle
from tests.support.tls_records import ClientRecords, log_secrets


def test_control_sockets_send_at_once_and_keep_urgent_bytes_in_line() -> None:
    """D24."""
    with socket.socket() as sock:
        tune_socket(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE)


@pytest.mark.parametrize("code", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNRESET])
async def test_a_client_that_is_not_reached_any_more_is_lost_whatever_the_kernel_calls_it(code: int) -> None:
    """When keepalive gives up, the error is what routers last said of the client, and no ConnectionError then."""
    reader, writer = asyncio.StreamReader(), mock.Mock(spec=asyncio.StreamWriter)
    error = OSError(code, os.strerror(code))
    reader.set_exception(error)
    writer.drain.side_effect = error
    channel = ControlChannel(reader, writer, write_timeout=1)
    with pytest.raises(ControlLost):
        await channel.read_command()
    assert channel.lost
    with pytest.raises(ControlLost):
        await channel.send(Reply(200, "Nobody hears it."))


async def test_a_client_that_reads_no_replies_is_lost_and_the_error_says_so() -> None:
    writer = mock.Mock(spec=asyncio.StreamWriter)
    writer.drain.side_effect = asyncio.Event().wait
    channel = ControlChannel(asyncio.StreamReader(), writer, write_timeout=0.01)
    with pytest.raises(ControlLost, match="the client does not read its replies"):
        await channel.send(Reply(200, "Nobody reads it."))


async def test_bytes_behind_auth_are_refused_as_injection() -> None:
    """D7: what came in clear text must not count as encrypted."""
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.send("AUTH TLS", "USER evil")
        assert (await client.reply()).code == 421
        assert await client.at_end()


async def test_a_part_of_a_line_behind_auth_is_refused_too() -> None:
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.wire.send(b"AUTH TLS\r\nUS")
        assert (await client.reply()).code == 421
        assert await client.at_end()


async def test_a_client_hello_in_one_segment_with_auth_is_refused() -> None:
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.wire.send(b"AUTH TLS\r\n\x16\x03\x01")
        assert (await client.reply()).code == 421
        assert await client.at_end()


async def test_commands_go_on_encrypted_after_auth() -> None:
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.start_tls()
        await client.send("NOOP", "FEAT", "PBSZ 0", "PROT P")
        assert await client.replies(4) == [200, 211, 200, 200]


async def test_a_control_connection_may_end_with_and_without_close_notify() -> None:
    async with running_server(encrypted()) as running:
        for ending in ("close_notify", "fin", "close", "reset"):
            client = await running.client()
            result = getattr(client.wire, ending)()
            if result is not None:
                await result
            if ending in ("close_notify", "fin"):
                assert await client.at_end()


async def test_a_client_that_reads_no_answers_to_its_key_updates_is_not_read_either(tmp_path: Path) -> None:
    """Each one is answered (RFC 8446 section 4.6.3), and the answers would all be held."""
    context = client_context()
    log_secrets(context, tmp_path / "secrets")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    may_write = asyncio.Event()
    may_write.set()
    reader, writer = asyncio.StreamReader(), mock.Mock(spec=asyncio.StreamWriter)
    writer.write.side_effect = incoming.write
    writer.drain.side_effect = may_write.wait
    stream = TlsStream(reader, writer, server_context())
    shaking = asyncio.create_task(stream.handshake())
    while not shaking.done():
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        reader.feed_data(outgoing.read())
        await settle()
    await shaking
    records = ClientRecords(client, tmp_path / "secrets")
    may_write.clear()
    writer.write.reset_mock()
    reading = asyncio.create_task(stream.read())
    for _ in range(10):
        reader.feed_data(records.key_updates(1))
        await settle()
    assert writer.write.call_count <= 1
    may_write.set()
    reader.feed_data(records.data(b"NOOP\r\n"))
    assert await reading == b"NOOP\r\n"

"""Clients that misuse TLS on a data connection: they make the server neither turn in circles nor hold memory."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from aioftps3.ftp import data as data_module
from aioftps3.ftp.data import DataConnection, DataLost, StreamEnd
from tests.support.data_pair import a_pair
from tests.support.ftp_session import client_context, serving, settle, until
from tests.support.tls_records import ClientRecords, log_secrets

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

RECORD = b"\x17\x03\x03\x40\x00" + bytes(16 * 1024)
"""A record that no key can open."""

BUFFER_BYTES = 4096
"""Of the system, for one direction: the smallest it knows."""


async def received_by(connection: DataConnection) -> bytes:
    """All bytes of the stream, taken as an upload does: what has come is asked for until it has ended."""
    came = bytearray()
    room = bytearray(1000)
    for _ in range(1000):
        if not await connection.ready():
            return bytes(came)
        came += room[: connection.read_into(memoryview(room))]
    raise AssertionError("the stream does not end")


@pytest.mark.parametrize("kind", [TLS12, TLS13], ids=["tls1.2", "tls1.3"])
@pytest.mark.parametrize("first", [b"", b"data"])
async def test_what_comes_behind_close_notify_is_not_looked_at(kind: ssl.TLSVersion, first: bytes) -> None:
    async with a_pair(kind) as (connection, wire):
        await wire.send(first)
        await wire.close_notify()
        await wire._send_raw(8 * RECORD)
        await settle()
        assert await received_by(connection) == first
        assert connection.end is StreamEnd.CLOSE_NOTIFY


@pytest.mark.parametrize("kind", ["tls1.2", "tls1.3"])
async def test_an_upload_with_more_behind_its_close_notify_is_stored_without_it(kind: str) -> None:
    async with serving(kind) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        await wire.close_notify()
        await wire._send_raw(8 * RECORD)
        assert (await client.reply()).code == 226
        assert running.store.contents["file"] == b"data"


async def test_a_client_that_sends_nothing_but_key_updates_is_lost(tmp_path: Path) -> None:
    context = client_context()
    log_secrets(context, tmp_path / "secrets")
    async with a_pair(TLS13, client=context) as (connection, wire):
        assert wire.tls is not None
        await wire._send_raw(ClientRecords(wire.tls, tmp_path / "secrets").key_updates(3000))
        with pytest.raises(DataLost, match="nothing but TLS's own messages"):
            await received_by(connection)
        assert connection.end is StreamEnd.LOST


async def test_a_few_key_updates_are_answered_and_change_nothing(tmp_path: Path) -> None:
    context = client_context()
    log_secrets(context, tmp_path / "secrets")
    async with a_pair(TLS13, client=context) as (connection, wire):
        assert wire.tls is not None
        records = ClientRecords(wire.tls, tmp_path / "secrets")
        await wire._send_raw(b"".join(records.key_updates(3) + records.data(b"data") for _ in range(10)))
        wire.fin()
        assert await received_by(connection) == 10 * b"data"
        assert connection.end is StreamEnd.FIN


async def test_a_client_that_reads_no_answers_to_its_key_updates_is_lost(tmp_path: Path) -> None:
    """They would all be held; the data between them keeps the connection from counting as stalled."""
    context = client_context()
    log_secrets(context, tmp_path / "secrets")
    async with a_pair(TLS13, client=context, receive_buffer=BUFFER_BYTES, send_buffer=BUFFER_BYTES) as (
        connection,
        wire,
    ):
        assert wire.tls is not None
        records = ClientRecords(wire.tls, tmp_path / "secrets")
        receiving = asyncio.create_task(received_by(connection))
        for _ in range(100):
            if receiving.done():
                break
            await wire._send_raw(records.key_updates(100) + records.data(bytes(1000)))
            await settle()
        with pytest.raises(DataLost, match="does not read what TLS answers"):
            await receiving
        await connection.wait_closed(5)


async def test_a_stream_that_ended_well_is_closed_although_its_client_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio would keep the socket for what it still has to send, as long as the client keeps its own."""
    monkeypatch.setattr(data_module, "_PEER_CLOSE_SECONDS", 0.1)
    context = client_context()
    log_secrets(context, tmp_path / "secrets")
    async with a_pair(TLS13, client=context, receive_buffer=BUFFER_BYTES, send_buffer=BUFFER_BYTES) as (
        connection,
        wire,
    ):
        assert wire.tls is not None
        records = ClientRecords(wire.tls, tmp_path / "secrets")
        receiving = asyncio.create_task(received_by(connection))
        while not connection._unsent():
            await wire._send_raw(records.key_updates(100) + records.data(b"x"))
            await settle()
        await wire._send_raw(records.close_notify())
        await receiving
        assert connection.end is StreamEnd.CLOSE_NOTIFY
        connection.close()
        await until(lambda: connection._closed.done())

"""Data connections: every byte, in order, bounded, and how the stream ended."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import socket
import ssl
from unittest import mock

import pytest

from aioftps3.ftp import data as data_module
from aioftps3.ftp.data import DataConnection, DataLost, DataStalled, StreamEnd
from aioftps3.ftp.receiving import RECEIVE_BYTES, TURN_BYTES, received
from tests.support.data_pair import a_pair
from tests.support.ftp_session import (
    HOST,
    Wire,
    moves,
    open_sockets,
    read_some,
    server_context,
    settle,
    sha256,
    until,
)

MIB = 1024 * 1024
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
KINDS = [None, TLS12, TLS13]
SIZES = [0, 1, 8 * MIB]

kinds = pytest.mark.parametrize("kind", KINDS, ids=["clear", "tls1.2", "tls1.3"])
tls_kinds = pytest.mark.parametrize("kind", KINDS[1:], ids=["tls1.2", "tls1.3"])


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def everything(connection: DataConnection) -> bytes:
    parts = []
    while chunk := await read_some(connection):
        parts.append(chunk)
    return b"".join(parts)


# -- receiving -----------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("size", SIZES)
async def test_everything_that_is_sent_is_received(kind: ssl.TLSVersion | None, size: int) -> None:
    content = noise(size)
    async with a_pair(kind) as (connection, wire):
        receiving = asyncio.create_task(everything(connection))
        await wire.send(content)
        await wire.end_in_order()
        assert sha256(await receiving) == sha256(content)
        assert connection.bytes_received == size
        assert connection.end is (StreamEnd.FIN if kind is None else StreamEnd.CLOSE_NOTIFY)


@kinds
async def test_a_slow_consumer_pauses_the_sender_and_loses_nothing(kind: ssl.TLSVersion | None) -> None:
    """D3: what has arrived when the peer closes while reading is paused is not dropped."""
    content = noise(8 * MIB)
    async with a_pair(kind) as (connection, wire):
        sent = 0

        async def send() -> None:
            nonlocal sent
            for start in range(0, len(content), 64 * 1024):
                await wire.send(content[start : start + 64 * 1024])
                sent = start + 64 * 1024
            await wire.end_in_order()

        sending = asyncio.create_task(send())
        while await moves(lambda: sent):
            assert not sending.done()
        assert connection._codec.pending <= RECEIVE_BYTES + data_module._LEAST_AHEAD_BYTES
        assert sent < len(content), "the sender was not slowed down"
        came = bytearray()
        while chunk := await read_some(connection):
            came += chunk
            for _ in range(3):
                await asyncio.sleep(0)
        await sending
        assert sha256(bytes(came)) == sha256(content)


@kinds
async def test_connections_share_what_a_turn_receives_while_they_receive(kind: ssl.TLSVersion | None) -> None:
    async with a_pair(kind):
        for _ in range(7):
            received.enter()
        try:
            assert received.share == TURN_BYTES // 8
            async with a_pair(kind) as (second, _), a_pair(kind) as (third, _):
                assert received.share == TURN_BYTES // 10
                second.abort()
                await second.wait_closed(5)
                third.begin_sending()
                assert received.share == TURN_BYTES // 8
        finally:
            for _ in range(7):
                received.leave()
    assert received.share == RECEIVE_BYTES


@kinds
async def test_an_end_that_arrives_while_reading_is_paused_is_seen_after_the_data(kind: ssl.TLSVersion | None) -> None:
    content = noise(2 * RECEIVE_BYTES + 100_000)
    async with a_pair(kind) as (connection, wire):
        await wire.send(content)
        await wire.end_in_order()
        await settle()
        assert sha256(await everything(connection)) == sha256(content)
        assert connection.end is (StreamEnd.FIN if kind is None else StreamEnd.CLOSE_NOTIFY)


@kinds
async def test_a_bare_fin_is_told_from_close_notify(kind: ssl.TLSVersion | None) -> None:
    """D8."""
    async with a_pair(kind) as (connection, wire):
        await wire.send(b"data")
        wire.fin()
        assert await everything(connection) == b"data"
        assert connection.end is StreamEnd.FIN


@kinds
async def test_a_reset_is_lost_data_and_no_end(kind: ssl.TLSVersion | None) -> None:
    """D4."""
    async with a_pair(kind) as (connection, wire):
        await wire.send(b"data")
        assert await read_some(connection) == b"data"
        wire.reset()
        with pytest.raises(DataLost):
            await read_some(connection)
        assert connection.end is StreamEnd.LOST


@kinds
async def test_a_sender_that_stops_is_stalled(kind: ssl.TLSVersion | None) -> None:
    async with a_pair(kind, stall=0.05) as (connection, wire):
        await wire.send(b"data")
        assert await read_some(connection) == b"data"
        with pytest.raises(DataStalled, match=r"0\.05 seconds"):
            await read_some(connection)


@kinds
async def test_a_sender_of_a_byte_now_and_then_is_stalled(kind: ssl.TLSVersion | None) -> None:
    """It would hold its part of the memory budget for ever."""
    async with a_pair(kind, stall=0.2) as (connection, wire):

        async def trickle() -> None:
            while True:
                await wire.send(b"x")
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        with pytest.raises(DataStalled, match=r"\d+ bytes moved in 0\.2 seconds"):
            await everything(connection)
        trickling.cancel()


@kinds
async def test_time_in_which_nobody_waits_for_the_sender_is_free(kind: ssl.TLSVersion | None) -> None:
    """S3 may be slower than the client, which is then held back and must not pay for it."""
    async with a_pair(kind, stall=0.2) as (connection, wire):
        for _ in range(4):
            await wire.send(b"x")
            assert await read_some(connection) == b"x"
            await asyncio.sleep(0.15)
        await wire.end_in_order()
        assert await everything(connection) == b""


@tls_kinds
async def test_after_close_notify_a_reset_does_not_spoil_the_end(kind: ssl.TLSVersion) -> None:
    """Clients close at once after their close_notify; our answer to it then meets a closed socket."""
    async with a_pair(kind) as (connection, wire):
        await wire.send(b"data")
        await wire.close_notify()
        wire.close()
        assert await everything(connection) == b"data"
        await connection.wait_closed(5)
        assert connection.end is StreamEnd.CLOSE_NOTIFY


@kinds
async def test_a_room_smaller_than_what_has_come_loses_nothing(kind: ssl.TLSVersion | None) -> None:
    """The last block of a part may have a single byte left."""
    content = noise(50_000)
    async with a_pair(kind) as (connection, wire):
        await wire.send(content)
        await wire.end_in_order()
        came = bytearray()
        for size in itertools.cycle((1, 1000, 7)):
            if not await connection.ready():
                break
            room = bytearray(size)
            came += room[: connection.read_into(memoryview(room))]
        assert bytes(came) == content
        assert connection.bytes_received == len(content)


@kinds
async def test_what_was_looked_at_is_kept_when_the_connection_goes_before_there_is_room(
    kind: ssl.TLSVersion | None,
) -> None:
    content = noise(20_000)
    async with a_pair(kind) as (connection, wire):
        called: list[None] = []
        await wire.send(content)
        assert await connection.ready()
        connection.on_lost(lambda: called.append(None))
        if kind is not None:
            await wire.close_notify()
        wire.fin()
        await until(lambda: connection._fin_received or not is_reading(connection))
        connection.abort()  # as a reset would do it
        await connection.wait_closed(5)
        assert not called, "it ended well"
        assert await everything(connection) == content
        assert connection.end is (StreamEnd.FIN if kind is None else StreamEnd.CLOSE_NOTIFY)


@tls_kinds
async def test_a_fin_inside_a_record_is_a_loss_and_between_records_an_end(kind: ssl.TLSVersion) -> None:
    for missing in (0, 1, 100, 1020):
        async with a_pair(kind) as (connection, wire):
            await wire.send(b"data")
            await wire.send_cut(bytes(1000), missing)
            wire.fin()
            if not missing:
                assert len(await everything(connection)) == 1004
                assert connection.end is StreamEnd.FIN
                continue
            with pytest.raises(DataLost, match="inside a TLS record"):
                await everything(connection)
            assert connection.end is StreamEnd.LOST


@tls_kinds
async def test_close_notify_is_answered_and_the_connection_closed_before_anybody_asks_for_it(
    kind: ssl.TLSVersion,
) -> None:
    """Some clients wait for that before they read the reply, which may take S3 long."""
    async with a_pair(kind) as (connection, wire):
        await wire.send(b"data")
        await wire.close_notify()
        assert await everything(connection) == b"data"
        assert await wire.receive() == b""
        assert wire.ended_by == "close_notify"
        assert await wire._receive_raw(1) == b""
        assert wire.ended_by == "fin"


@tls_kinds
async def test_a_client_that_ends_by_fin_alone_gets_a_close_notify(kind: ssl.TLSVersion) -> None:
    async with a_pair(kind) as (connection, wire):
        await wire.send(b"data")
        wire.fin()
        assert await everything(connection) == b"data"
        connection.close()
        assert await wire.receive() == b""
        assert wire.ended_by == "close_notify"


@tls_kinds
async def test_a_client_whose_record_was_changed_on_its_way_is_told_by_an_alert(kind: ssl.TLSVersion) -> None:
    async with a_pair(kind) as (connection, wire):
        await wire.send_spoilt(b"data")
        with pytest.raises(DataLost):
            await everything(connection)
        assert wire.tls is not None
        await wire._fill()
        with pytest.raises(ssl.SSLError, match=r"(?i)bad record mac"):
            wire.tls.read(1)


# -- a loss that nobody waits for -----------------------------------------------------------------------------------


def is_reading(connection: DataConnection) -> bool:
    return connection._transport is not None and connection._transport.is_reading()


async def lost(connection: DataConnection) -> None:
    """Until the connection tells that it is lost."""
    told = asyncio.Event()
    connection.on_lost(told.set)
    async with asyncio.timeout(5):
        await told.wait()
    with pytest.raises(DataLost):
        connection.check()


@kinds
async def test_a_reset_is_told_to_who_waits_for_something_else(kind: ssl.TLSVersion | None) -> None:
    async with a_pair(kind) as (connection, wire):
        wire.reset()
        await lost(connection)


@kinds
async def test_a_reset_is_told_while_the_socket_is_not_read(
    kind: ssl.TLSVersion | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that waits for S3 does not read; the loop then says nothing of a reset."""
    probed = mock.Mock(wraps=DataConnection._probe)
    monkeypatch.setattr(DataConnection, "_probe", lambda connection: probed(connection))
    monkeypatch.setattr(data_module, "_PROBE_SECONDS", 0.02)
    async with a_pair(kind) as (connection, wire):
        sending = asyncio.create_task(wire.send(noise(8 * MIB)))
        await until(lambda: not is_reading(connection))
        sending.cancel()
        await asyncio.wait([sending])
        await until(lambda: probed.call_count > 2)
        wire.reset()
        await lost(connection)


@kinds
async def test_a_reset_behind_a_whole_stream_that_is_not_read_yet_takes_nothing_away(
    kind: ssl.TLSVersion | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after a client has closed its system forgets the connection, and answers keepalive with a reset."""
    probed = mock.Mock(wraps=DataConnection._probe)
    monkeypatch.setattr(DataConnection, "_probe", lambda connection: probed(connection))
    monkeypatch.setattr(data_module, "_PROBE_SECONDS", 0.01)
    content = noise(30_000)
    async with a_pair(kind) as (connection, wire):
        await wire.send(content[:1])
        await until(lambda: not is_reading(connection))
        await wire.send(content[1:])  # fits into the system's buffer
        if kind is not None:
            await wire.close_notify()
        wire.fin()
        probed.reset_mock()
        await until(lambda: probed.called)
        wire.reset()
        await connection.wait_closed(0.1)
        assert await everything(connection) == content
        assert connection.end is (StreamEnd.FIN if kind is None else StreamEnd.CLOSE_NOTIFY)


@kinds
async def test_a_client_that_closes_while_nothing_is_sent_yet_is_told(kind: ssl.TLSVersion | None) -> None:
    """A download whose next bytes S3 still owes; in clear text a FIN alone may be one direction's end."""
    async with a_pair(kind) as (connection, wire):
        connection.begin_sending()
        if kind is None:
            wire.reset()
        else:
            wire.close()
        await lost(connection)


@tls_kinds
@pytest.mark.parametrize("how", ["close_notify", "fin", "noise"])
async def test_a_client_that_ends_tls_or_breaks_it_while_nothing_is_sent_yet_is_told(
    kind: ssl.TLSVersion, how: str
) -> None:
    async with a_pair(kind) as (connection, wire):
        connection.begin_sending()
        if how == "close_notify":
            await wire.close_notify()
        elif how == "fin":
            wire.fin()
        else:
            await wire.send_spoilt(b"data")
        await lost(connection)


async def test_a_clear_text_client_that_ends_its_direction_while_we_send_gets_everything() -> None:
    async with a_pair() as (connection, wire):
        connection.begin_sending()
        wire.fin()
        await settle()
        await send_all(connection, b"data")
        assert await wire.receive_all() == b"data"


@kinds
async def test_what_a_client_says_while_we_send_is_not_held(kind: ssl.TLSVersion | None) -> None:
    async with a_pair(kind) as (connection, wire):
        connection.begin_sending()
        for _ in range(8):
            await wire.send(bytes(256 * 1024))
            await settle()
            assert connection._codec.pending < 64 * 1024
        await send_all(connection, b"data")
        assert await wire.receive_all() == b"data"


@tls_kinds
async def test_a_stream_that_ended_in_order_before_the_reset_is_not_lost(kind: ssl.TLSVersion) -> None:
    async with a_pair(kind) as (connection, wire):
        assert wire.tls is not None
        wire.tls.write(b"data")
        await wire.close_notify()  # both in one segment
        await until(lambda: not is_reading(connection))
        wire.reset()
        await connection.wait_closed(0.1)
        assert await everything(connection) == b"data"
        assert connection.end is StreamEnd.CLOSE_NOTIFY


# -- sending -------------------------------------------------------------------------------------------------------


async def send_all(connection: DataConnection, content: bytes) -> None:
    for start in range(0, len(content), 256 * 1024):
        await connection.write(content[start : start + 256 * 1024])
    await connection.finish()


@kinds
@pytest.mark.parametrize("size", SIZES)
async def test_everything_that_is_written_arrives_and_ends_in_order(kind: ssl.TLSVersion | None, size: int) -> None:
    content = noise(size)
    async with a_pair(kind) as (connection, wire):
        sending = asyncio.create_task(send_all(connection, content))
        assert sha256(await wire.receive_all()) == sha256(content)
        await sending
        assert connection.bytes_sent == size
        assert wire.ended_by == ("fin" if kind is None else "close_notify")


@kinds
async def test_sending_is_finished_when_nothing_is_left_to_be_sent(kind: ssl.TLSVersion | None) -> None:
    """D14: what the process still holds is lost when it or the client ends, and 226 would be wrong."""
    async with a_pair(kind, receive_buffer=4096) as (connection, wire):
        transport = connection._transport
        assert transport is not None
        piece = noise(16 * 1024)
        count = 0
        while not transport.get_write_buffer_size():  # not enough of it to make `write` wait
            await connection.write(piece)
            count += 1
        finishing = asyncio.create_task(connection.finish())
        while await moves(transport.get_write_buffer_size):
            pass
        assert transport.get_write_buffer_size() > 0
        assert not finishing.done()
        received = bytearray()
        while len(received) < count * len(piece):
            received += await wire.receive()
        await finishing
        assert sha256(bytes(received)) == sha256(piece * count)


@kinds
async def test_a_client_that_reads_little_at_a_time_gets_everything(
    kind: ssl.TLSVersion | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D14: finish waits for a slow reader as long as it reads at all, also with the last bytes."""
    monkeypatch.setattr(data_module, "_PEER_CLOSE_SECONDS", 0.2)
    content = noise(4 * MIB)
    loop = asyncio.get_running_loop()
    async with a_pair(kind, stall=2, receive_buffer=4096) as (connection, wire):
        sending = asyncio.create_task(send_all(connection, content))
        while await moves(lambda: connection.bytes_sent):
            pass
        assert not sending.done(), "everything fits into the kernel: the test proves nothing"
        received = bytearray()
        begin = loop.time()
        while chunk := await wire.receive(256 * 1024):
            received += chunk
            if len(received) > len(content) * 3 // 4 and loop.time() - begin < 0.8:
                await asyncio.sleep(0.1)  # the client pauses longer than a TLS shutdown may take
        await sending
        assert sha256(bytes(received)) == sha256(content)


@kinds
async def test_finish_is_not_done_before_the_kernel_has_everything(
    kind: ssl.TLSVersion | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D14: whatever the amount, finish comes back only when closing can lose nothing."""
    monkeypatch.setattr(data_module, "_PEER_CLOSE_SECONDS", 0.05)
    for extra in (1, 1000, 20_000, 60_000, 100_000):
        async with a_pair(kind, receive_buffer=4096) as (connection, wire):
            size = await fill_kernel(connection)
            content = noise(extra)
            sending = asyncio.create_task(send_all(connection, content))
            await asyncio.sleep(0.1)  # longer than the TLS shutdown may take
            assert not sending.done()
            received = await wire.receive_all()
            await sending
            assert len(received) == size + extra
            assert received.endswith(content)


async def fill_kernel(connection: DataConnection) -> int:
    """Write until nothing more goes into the sockets' buffers; the number of bytes."""
    for count in itertools.count(1):
        await connection.write(bytes(16 * 1024))
        await settle()
        if connection._unsent():
            return count * 16 * 1024
    raise AssertionError


@kinds
async def test_the_end_reaches_the_client_at_once(kind: ssl.TLSVersion | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In clear text nothing else tells the client that it has the whole file."""
    monkeypatch.setattr(data_module, "_PEER_CLOSE_SECONDS", 60)
    async with a_pair(kind) as (connection, wire):
        await send_all(connection, b"data")
        assert await wire.receive_all() == b"data"
        assert await wire._receive_raw(1) == b""
        wire.close()
        await connection.wait_closed(5)
        assert connection._closed.done()


@kinds
async def test_a_client_that_keeps_its_end_open_after_the_last_byte_is_dropped(
    kind: ssl.TLSVersion | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "_PEER_CLOSE_SECONDS", 0.05)
    async with a_pair(kind) as (connection, _wire):
        await send_all(connection, b"data")
        await connection.wait_closed(5)
        assert connection._closed.done()


@kinds
async def test_a_reader_that_stops_is_stalled(kind: ssl.TLSVersion | None) -> None:
    async with a_pair(kind, stall=0.1, receive_buffer=4096) as (connection, _wire):
        with pytest.raises(DataStalled, match=r"0\.1 seconds"):
            await send_all(connection, noise(8 * MIB))


@kinds
async def test_a_slow_reader_is_not_stalled(kind: ssl.TLSVersion | None) -> None:
    content = noise(16 * MIB)
    loop = asyncio.get_running_loop()
    async with a_pair(kind, stall=0.2) as (connection, wire):
        begin = loop.time()
        writing = asyncio.create_task(connection.write(content))
        received = bytearray()
        for wanted in range(MIB, len(content) + 1, MIB):
            while len(received) < wanted:
                received += await wire.receive()
            await asyncio.sleep(0.03)
        await writing
        assert loop.time() - begin > 0.4, "all was read within the stall timeout: the test proves nothing"
        assert sha256(bytes(received)) == sha256(content)


@kinds
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_writing_to_a_peer_that_is_gone_fails_at_once(kind: ssl.TLSVersion | None, how: str) -> None:
    """D12: neither is the rest of the file read from S3, nor does the log fill up."""
    async with a_pair(kind) as (connection, wire):
        await connection.write(b"begin")
        assert await wire.receive() == b"begin"
        getattr(wire, how)()
        with pytest.raises(DataLost):
            await send_all(connection, bytes(64 * MIB))
        assert connection.bytes_sent < 16 * MIB


@kinds
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_has_everything_may_go_before_our_end(kind: ssl.TLSVersion | None, how: str) -> None:
    async with a_pair(kind) as (connection, wire):
        await connection.write(b"data")
        assert await wire.receive() == b"data"
        getattr(wire, how)()  # the loop has not heard of it yet, but the system knows
        await connection.finish()
        await connection.wait_closed(5)


@kinds
async def test_a_writer_that_waits_hears_of_a_reset(kind: ssl.TLSVersion | None) -> None:
    async with a_pair(kind, receive_buffer=4096) as (connection, wire):
        sending = asyncio.create_task(send_all(connection, noise(16 * MIB)))
        while await moves(lambda: connection.bytes_sent):
            pass
        wire.reset()
        with pytest.raises(DataLost):
            async with asyncio.timeout(2):
                await sending


async def test_a_clear_text_client_may_end_its_own_direction_first() -> None:
    async with a_pair() as (connection, wire):
        wire.fin()
        assert await read_some(connection) == b""
        await send_all(connection, b"data")
        assert await wire.receive_all() == b"data"


# -- TLS -----------------------------------------------------------------------------------------------------------


async def test_data_that_comes_right_behind_the_handshake_is_not_lost() -> None:
    async with a_pair(TLS13) as (connection, wire):
        await wire.send(b"early")
        await wire.end_in_order()
        assert await everything(connection) == b"early"


@kinds
async def test_abort_shows_the_peer_that_the_stream_is_not_whole(kind: ssl.TLSVersion | None) -> None:
    async with a_pair(kind) as (connection, wire):
        await connection.write(b"data")
        assert await wire.receive() == b"data"
        connection.abort()
        assert await wire.receive() == b""
        assert wire.ended_by == "reset", "in clear text a FIN would look like the end of the file"


async def test_a_socket_that_is_closed_before_the_handshake_is_lost_data() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        listener.setblocking(False)
        wire = await Wire.connect(listener.getsockname()[1])
        sock, _ = await loop.sock_accept(listener)
    wire.reset()
    with pytest.raises(DataLost):
        await DataConnection.open(sock, context=server_context(), stall_timeout=5, handshake_timeout=5)
    await settle()
    assert sock.fileno() == -1


async def test_a_client_that_ends_its_direction_in_the_handshake_is_lost_at_once() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        listener.setblocking(False)
        wire = await Wire.connect(listener.getsockname()[1])
        sock, _ = await loop.sock_accept(listener)
    opening = DataConnection.open(sock, context=server_context(), stall_timeout=5, handshake_timeout=60)
    wire.fin()
    with pytest.raises(DataLost, match="the client closed the connection"):
        async with asyncio.timeout(5):
            await opening
    wire.close()


@kinds
async def test_an_opening_that_is_cancelled_anywhere_leaves_nothing_and_says_nothing(
    kind: ssl.TLSVersion | None, caplog: pytest.LogCaptureFixture
) -> None:
    """D44: a client that asks for another port right behind its connection makes the server give up the first."""
    loop = asyncio.get_running_loop()
    context = None if kind is None else server_context()
    for turns in range(1, 8):
        before = open_sockets()
        with socket.create_server((HOST, 0)) as listener:
            listener.setblocking(False)
            wire = await Wire.connect(listener.getsockname()[1])
            sock, _ = await loop.sock_accept(listener)
        opening = asyncio.create_task(DataConnection.open(sock, context=context, stall_timeout=5, handshake_timeout=5))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        if not opening.cancelled():
            opening.result().abort()
        wire.close()
        del opening, sock
        await settle()
        gc.collect()
        assert open_sockets() <= before, turns
    assert not caplog.records

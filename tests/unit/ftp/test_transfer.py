"""Uploads and downloads from the first byte to the final reply: whole or nothing, and the session lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket

import pytest

from aioftps3.ftp import transfer as transfer_module
from aioftps3.ftp.config import UploadEnd
from aioftps3.ftp.control import ControlChannel
from aioftps3.ftp.session import MAX_WAITING_COMMANDS
from aioftps3.storage import errors
from aioftps3.tls import SESSION_SECONDS
from tests.support.ftp_session import (
    KINDS,
    FtpClient,
    FtpStore,
    Wire,
    clear_text,
    counting_tickets,
    encrypted,
    moves,
    running_server,
    serving,
    settle,
    sha256,
)

MIB = 1024 * 1024
OLD = b"the old file"

kinds = pytest.mark.parametrize("kind", KINDS)
kinds_of_tls = pytest.mark.parametrize("kind", KINDS[1:])


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def assert_alive(client: FtpClient) -> None:
    """The session goes on: commands, and a whole transfer."""
    assert await client.codes("NOOP", "PWD") == [200, 257]
    assert (await client.upload("afterwards", b"x")).code == 226


# -- uploads that are whole ----------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("size", [0, 1, 8 * MIB])
async def test_an_upload_and_its_download_are_the_same_bytes(kind: str, size: int) -> None:
    """D1, D3, P23: also when the client closes at once after its last byte."""
    content = noise(size)
    async with serving(kind) as running:
        client = await running.client()
        answer = await client.upload("file", content)
        assert answer.code == 226
        assert sha256(running.store.contents["file"]) == sha256(content)
        assert sha256(await client.download("RETR file")) == sha256(content)


async def test_resumption_can_be_required() -> None:
    """Who is not the client of the control connection cannot resume its session, whatever address it has."""
    async with running_server(encrypted(require_tls_resumption=True)) as running:
        client = await running.client()
        assert (await client.upload("a", b"resumed")).code == 226
        wire = await client.connect_data()
        await client.expect(150, "STOR a")
        await wire.start_tls(client.context)
        await wire.send(b"not resumed")
        assert (await client.reply()).code == 522
        assert running.store.contents == {"a": b"resumed"}
        assert await client.download("RETR a") == b"resumed"


@kinds_of_tls
async def test_what_another_session_could_resume_is_not_enough_where_it_is_required(kind: str) -> None:
    """Whoever is behind the same address can have a session of his own, logged in or not."""
    async with serving(kind, require_tls_resumption=True) as running:
        client = await running.client()
        stranger = await running.greeted()
        await stranger.start_tls()
        assert (await stranger.command("NOOP")).code == 200  # tickets come before the first reply
        assert stranger.wire.tls is not None
        wire = await client.connect_data()
        await client.expect(150, "STOR a")
        await wire.start_tls(client.context, session=stranger.wire.tls.session)
        assert (await client.reply()).code == 522
        assert running.store.contents == {}
        assert (await client.upload("a", b"resumed")).code == 226


async def test_a_client_whose_session_is_too_old_to_be_resumed_is_sent_to_connect_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_server(encrypted(require_tls_resumption=True)) as running:
        client = await running.client()
        assert client.wire.tls is not None
        assert client.wire.tls.session is not None
        assert client.wire.tls.session.timeout == SESSION_SECONDS
        monkeypatch.setattr("aioftps3.ftp.transfer.SESSION_SECONDS", 0)
        assert (await client.upload("a", b"resumed all the same")).code == 226
        wire = await client.connect_data()
        await client.expect(150, "STOR b")
        await wire.start_tls(client.context)
        assert (await client.reply()).code == 421
        assert await client.at_end()
        assert set(running.store.contents) == {"a"}


async def test_data_connections_of_a_session_resume_its_tls_session() -> None:
    """D1."""
    for kind in KINDS[1:]:
        async with serving(kind) as running:
            client = await running.client()
            for _ in range(3):
                wire = await client.open_data("STOR file")
                assert wire.tls is not None
                assert wire.tls.session_reused
                await wire.end_in_order()
                assert (await client.reply()).code == 226


async def test_a_client_that_uploads_is_sent_nothing_before_it_has_ended_the_stream() -> None:
    """D1: what it has not read when it closes would cost the end of the upload."""
    async with running_server(encrypted()) as running:
        client = await running.client()
        tickets = counting_tickets(client.context)
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        while "4 bytes" not in (await client.command("STAT")).text:
            pass
        with pytest.raises(BlockingIOError):
            wire.sock.recv(1, socket.MSG_PEEK)
        assert tickets == []
        await wire.close_notify()
        assert await wire.receive_all() == b""
        assert wire.ended_by == "close_notify"
        assert len(tickets) == 1
        assert (await client.reply()).code == 226


async def test_each_data_connection_gives_a_ticket_for_the_next_one() -> None:
    """Many clients use a ticket of TLS 1.3 once: without new ones only the first connection would resume."""
    async with running_server(encrypted(require_tls_resumption=True), store=FtpStore({"file": b"data"})) as running:
        client = await running.client()
        assert client.wire.tls is not None
        tickets = counting_tickets(client.context)
        session = client.wire.tls.session
        for number, line in enumerate(("RETR file", "LIST", "STOR empty", "RETR empty", "RETR file"), start=1):
            wire = await client.connect_data()
            await client.expect(150, line)
            await wire.start_tls(client.context, session=session)
            if line.startswith("STOR"):
                await wire.close_notify()
            await wire.receive_all()
            assert wire.tls is not None
            assert len(tickets) == number
            session = wire.tls.session
            await wire.end_in_order()
            assert (await client.reply()).code == 226


async def test_226_comes_only_after_the_store_has_confirmed_the_file() -> None:
    """D14, P3."""
    async with running_server() as running:
        client = await running.client()
        held = running.store.hold("PutObject")
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        await wire.end_in_order()
        await running.store.reached["PutObject"].wait()
        assert await client.codes("NOOP") == [200]  # nothing was answered before
        held.set()
        assert (await client.reply()).code == 226
        assert running.store.contents == {"file": b"data"}


async def test_an_upload_replaces_the_old_file() -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        assert (await client.upload("file", b"new")).code == 226
        assert running.store.contents == {"file": b"new"}


@kinds
async def test_a_small_new_file_is_one_request_and_so_is_a_download(kind: str) -> None:
    """D46."""
    async with serving(kind) as running:
        client = await running.client()
        await client.upload("file", b"data")
        assert running.store.operations() == ["PutObject"]
        await client.download("RETR file")
        assert running.store.operations() == ["GetObject"]


# -- uploads that end badly ----------------------------------------------------------------------------------------


@kinds
async def test_a_reset_data_connection_is_426_and_leaves_the_old_file(kind: str) -> None:
    """D4, D5."""
    async with serving(kind, store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(noise(100_000))
        wire.reset()
        assert (await client.reply()).code == 426
        assert running.store.contents == {"file": OLD}
        assert not running.store.open_writers
        await assert_alive(client)


@pytest.mark.parametrize("size", [1, 40_000], ids=["first record", "third record"])
@pytest.mark.parametrize("kind", KINDS[1:])
async def test_an_upload_that_is_no_valid_tls_any_more_is_426_and_leaves_the_old_file(kind: str, size: int) -> None:
    async with serving(kind, store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send_spoilt(bytes(size))
        assert (await client.reply()).code == 426
        assert running.store.contents == {"file": OLD}
        await assert_alive(client)


@kinds
async def test_a_stalled_upload_is_426_and_leaves_the_old_file(kind: str) -> None:
    async with serving(kind, store=FtpStore({"file": OLD}), stall_timeout=0.1) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"begin")
        assert (await client.reply()).code == 426
        assert await wire.receive() == b""
        assert running.store.contents == {"file": OLD}
        await assert_alive(client)


@kinds
async def test_abor_during_stor_is_426_and_226_and_leaves_the_old_file(kind: str) -> None:
    """D4."""
    async with serving(kind, store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(noise(100_000))
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        assert await wire.receive() == b""
        assert running.store.contents == {"file": OLD}
        await assert_alive(client)


async def test_abor_behind_telnet_signals_aborts_too() -> None:
    """D23, D24: ftplib and lftp send IAC IP IAC DM before it."""
    async with running_server() as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await client.wire.send(b"\xff\xf4\xff\xf2ABOR\r\n")
        assert await client.replies(2) == [426, 226]
        assert await wire.receive() == b""
        assert running.store.contents == {}


async def test_abor_sent_as_urgent_data_stays_in_line() -> None:
    """D24: without SO_OOBINLINE its last byte vanishes."""
    async with running_server() as running:
        client = await running.client()
        await client.open_data("STOR file")
        client.wire.sock.send(b"ABOR\r\n", socket.MSG_OOB)
        assert await client.replies(2) == [426, 226]
        assert await client.codes("PWD") == [257]


async def test_abor_before_the_data_connection_is_there_aborts() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.passive_port()
        assert await client.codes("STOR file") == [150]
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        assert running.store.contents == {}


async def test_abor_that_comes_when_the_file_is_whole_comes_too_late() -> None:
    async with running_server() as running:
        client = await running.client()
        held = running.store.hold("PutObject")
        wire = await client.open_data("STOR file")
        await wire.end_in_order()
        await running.store.reached["PutObject"].wait()
        await client.send("ABOR")
        asyncio.get_running_loop().call_later(0.05, held.set)
        assert await client.replies(2) == [226, 226]
        assert running.store.contents == {"file": b""}


@kinds
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_lost_control_connection_leaves_nothing_of_an_upload(kind: str, how: str) -> None:
    """D4: a client that is killed closes both connections at once."""
    async with serving(kind) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(noise(100_000))
        getattr(client.wire, how)()
        assert await wire.receive() == b""
        await running.server.drain(5)
        assert running.server.sessions == 0
        assert running.store.contents == {}


@kinds
async def test_a_client_that_is_killed_ends_both_connections_and_leaves_nothing(kind: str) -> None:
    """D8: the kernel sends FIN on both, and no close_notify."""
    async with serving(kind) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(noise(100_000))
        wire.close()
        client.wire.close()
        await running.server.drain(5)
        assert running.store.contents == {}


async def test_a_file_that_is_whole_is_kept_when_the_control_connection_goes_away() -> None:
    async with running_server() as running:
        client = await running.client()
        held = running.store.hold("PutObject")
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        await wire.end_in_order()
        await running.store.reached["PutObject"].wait()
        client.wire.reset()
        asyncio.get_running_loop().call_later(0.05, held.set)
        await running.server.drain(5)
        assert running.store.contents == {"file": b"data"}


@pytest.mark.parametrize(
    ("kind", "policy", "code"),
    [
        ("clear", UploadEnd.STRICT, 426),
        ("clear", UploadEnd.GUARDED, 226),
        ("clear", UploadEnd.TRUSTING, 226),
        ("tls1.2", UploadEnd.STRICT, 426),
        ("tls1.2", UploadEnd.GUARDED, 226),
        ("tls1.3", UploadEnd.STRICT, 426),
        ("tls1.3", UploadEnd.GUARDED, 226),
        ("tls1.3", UploadEnd.TRUSTING, 226),
    ],
)
async def test_a_fin_without_close_notify_is_judged_by_the_policy(kind: str, policy: UploadEnd, code: int) -> None:
    """D8, P1."""
    async with serving(kind, store=FtpStore({"file": OLD}), upload_end=policy) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        wire.fin()
        assert (await client.reply()).code == code
        assert running.store.contents["file"] == (b"data" if code == 226 else OLD)
        await assert_alive_without_transfer(client)


async def assert_alive_without_transfer(client: FtpClient) -> None:
    assert await client.codes("NOOP", "PWD") == [200, 257]


@pytest.mark.parametrize(("least", "round_trip"), [(5.0, 0.0), (0.0, 5.0)], ids=["least", "round-trips"])
async def test_a_control_connection_that_goes_within_the_grace_takes_the_upload_with_it(
    least: float, round_trip: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system of a killed client ends the two connections one after the other."""
    monkeypatch.setattr(transfer_module, "_GRACE_SECONDS", least)
    monkeypatch.setattr(ControlChannel, "round_trip_seconds", round_trip)
    async with running_server() as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        wire.close()
        assert not await moves(lambda: len(running.store.contents))
        client.wire.close()
        await running.server.drain(2)
        assert running.server.sessions == 0
        assert running.store.contents == {}


async def test_a_fin_is_no_good_end_while_the_control_connection_is_not_read() -> None:
    """Its end, which would tell that the client was killed, lies behind the commands that wait."""
    async with running_server() as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await client.send(*["PWD"] * (MAX_WAITING_COMMANDS + 1))
        await moves(lambda: 0)  # they are taken
        wire.fin()
        assert (await client.reply()).code == 426
        assert await client.replies(MAX_WAITING_COMMANDS + 1) == [257] * (MAX_WAITING_COMMANDS + 1)
        assert running.store.contents == {}


async def test_where_a_fin_is_trusted_nobody_waits_for_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "_GRACE_SECONDS", 60)
    async with running_server(clear_text(upload_end=UploadEnd.TRUSTING)) as running:
        client = await running.client()
        assert (await client.upload("file", b"data")).code == 226


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("policy", list(UploadEnd))
async def test_close_notify_is_a_good_end_under_every_policy(kind: str, policy: UploadEnd) -> None:
    async with serving(kind, upload_end=policy) as running:
        client = await running.client()
        assert (await client.upload("file", b"data")).code == 226


async def test_allo_announces_a_size_that_has_to_come() -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        assert await client.codes("TYPE I", "ALLO 5") == [200, 200]
        assert (await client.upload("file", b"four")).code == 426
        assert running.store.contents == {"file": OLD}
        assert (await client.upload("file", b"four")).code == 226, "an ALLO is for one transfer"
        assert await client.codes("ALLO 4 R 4") == [200]
        assert (await client.upload("file", b"4444")).code == 226
        assert await client.codes("ALLO 4") == [200]
        assert (await client.upload("file", b"longer")).code == 426
        assert running.store.contents == {"file": b"4444"}


@pytest.mark.parametrize("between", ["LIST", "NLST", "MLSD", "RETR there"])
async def test_allo_waits_for_the_next_upload(between: str) -> None:
    async with running_server(store=FtpStore({"there": b"1"})) as running:
        client = await running.client()
        assert await client.codes("TYPE I", "ALLO 5") == [200, 200]
        await client.download(between)
        assert (await client.upload("file", b"four")).code == 426
        assert (await client.upload("file", b"four")).code == 226


async def test_allo_means_nothing_in_type_a() -> None:
    """A client that converts line ends cannot know what it will send."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("TYPE A", "ALLO 5") == [200, 200]
        assert (await client.upload("file", b"four")).code == 226


# -- the store fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Unavailable("SlowDown", request_id="REQ1"), 451),
        (errors.Busy(), 451),
        (errors.Quota(), 552),
        (errors.StorageFull(), 452),
        (errors.Denied(), 550),
        (errors.Misconfigured(), 451),
    ],
)
@pytest.mark.parametrize("operation", ["write", "PutObject"])
async def test_a_store_that_fails_an_upload_is_answered_and_the_session_lives(
    error: errors.StorageError, code: int, operation: str
) -> None:
    """P2."""
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        running.store.fail(error, operation)
        wire = await client.open_data("STOR file")
        with contextlib.suppress(ConnectionError):
            await wire.send(b"data")
            await wire.end_in_order()
        answer = await client.reply()
        assert answer.code == code
        assert error.reason in answer.text
        assert ("REQ1" in answer.text) == (error.request_id == "REQ1")
        assert "SlowDown" not in answer.text
        running.store.fail(error, "no operation")
        assert running.store.contents == {"file": OLD}
        await assert_alive(client)


async def test_an_unforeseen_error_is_451_with_an_incident_that_the_log_explains(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server() as running:
        client = await running.client()
        running.store.fail(ZeroDivisionError("nobody thought of it"), "PutObject")
        answer = await client.upload("file", b"data")
        assert answer.code == 451
        incident = answer.text.split()[-1].rstrip(".")
        record = next(record for record in caplog.records if incident in record.getMessage())
        assert record.levelno == logging.ERROR
        assert record.exc_info is not None
        assert "nobody" not in answer.text
        running.store.fail(ZeroDivisionError(), "no operation")
        await assert_alive(client)


# -- downloads -----------------------------------------------------------------------------------------------------


async def test_150_tells_the_size_of_the_whole_file() -> None:
    async with running_server(store=FtpStore({"dir/file": b"12345"})) as running:
        client = await running.client()
        wire = await client.connect_data()
        await client.send("RETR dir/file")
        assert (await client.reply()).text == "150 Opening BINARY mode data connection for file (5 bytes)."
        assert await wire.receive_all() == b"12345"
        wire.close()
        assert (await client.reply()).code == 226


@pytest.mark.parametrize("line", ["RETR none", "LIST none", "NLST none", "MLSD none", "MLSD file"])
async def test_what_is_not_there_is_550_before_150(line: str) -> None:
    """D40, D41."""
    async with running_server(store=FtpStore({"file": b"12345"})) as running:
        client = await running.client()
        wire = await client.connect_data()
        assert await client.codes(line) == [550]
        assert await wire.receive() == b""
        await assert_alive(client)


@kinds
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_closes_early_gets_426_and_the_store_is_not_read_on(
    kind: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """D5, D12: `curl -r 0-99`, `rclone cat --count`, Ctrl-C."""
    async with serving(kind, store=FtpStore({"file": bytes(64 * MIB)})) as running:
        client = await running.client()
        wire = await client.open_data("RETR file")
        assert await wire.receive(100)
        getattr(wire, how)()
        assert (await client.reply()).code == 426
        assert running.store.chunks_read < 900, "all of it is 1024"
        assert running.store.open_bodies == 0
        await assert_alive(client)
    assert len([record for record in caplog.records if record.name == "asyncio"]) < 3


@kinds
async def test_a_client_that_goes_while_the_store_is_slow_gets_426_and_the_store_is_not_waited_for(kind: str) -> None:
    async with serving(kind, store=FtpStore({"file": b"content"})) as running:
        client = await running.client()
        running.store.hold("Body")
        wire = await client.open_data("RETR file")
        await running.store.reached["Body"].wait()
        wire.reset()
        assert (await client.reply()).code == 426
        assert running.store.open_bodies == 0
        running.store.held.clear()
        await assert_alive(client)


async def test_a_client_that_was_gone_before_its_download_gets_426_and_the_store_is_not_waited_for() -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        held = running.store.hold("Body")
        wire = await client.connect_data()
        await settle()
        wire.reset()
        await settle()
        assert await client.codes("RETR file") == [150]
        assert (await client.reply()).code == 426
        held.set()


@kinds
async def test_226_does_not_overtake_the_data_of_a_client_that_has_not_read_all(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some clients read no more of the file once they have the reply."""
    monkeypatch.setattr(transfer_module, "_LINGER_SECONDS", 60)
    async with serving(kind, store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        wire = await client.open_data("RETR file")
        answer = asyncio.create_task(client.reply())
        assert not await moves(answer.done)
        assert await wire.receive_all() == OLD
        await wire.end_in_order()
        assert (await answer).code == 226


@kinds
async def test_abor_during_retr_is_426_and_226(kind: str) -> None:
    async with serving(kind, store=FtpStore({"file": bytes(64 * MIB)})) as running:
        client = await running.client()
        wire = await client.open_data("RETR file", receive_buffer=4096)
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        await wire.receive_all()
        assert wire.ended_by != "close_notify"
        assert running.store.open_bodies == 0
        await assert_alive(client)


async def test_abor_during_list_is_426_and_226() -> None:
    store = FtpStore({f"{number:04d}": b"" for number in range(50)}, page_limit=10)
    async with running_server(store=store) as running:
        client = await running.client()
        held = running.store.hold("ListObjectsV2")
        wire = await client.connect_data()
        await client.send("LIST")
        await running.store.reached["ListObjectsV2"].wait()
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        held.set()
        assert await wire.receive() == b""
        await assert_alive(client)


async def test_a_download_stalls_when_nobody_reads() -> None:
    async with running_server(clear_text(stall_timeout=0.1), store=FtpStore({"file": bytes(64 * MIB)})) as running:
        client = await running.client()
        await client.open_data("RETR file", receive_buffer=4096)
        assert (await client.reply()).code == 426
        await assert_alive(client)


@pytest.mark.parametrize("error", [errors.Changed(), errors.Corrupt(), errors.Unavailable()])
async def test_a_file_that_breaks_off_in_the_store_is_never_226(error: errors.StorageError) -> None:
    async with running_server(store=FtpStore({"file": bytes(MIB)})) as running:
        client = await running.client()

        def point(operation: str, key: str, when: str) -> None:
            if operation == "read" and running.store.chunks_read == 3:
                raise error

        running.store.point = point
        wire = await client.open_data("RETR file")
        received = await wire.receive_all()
        assert len(received) < MIB
        assert (await client.reply()).code == 451
        running.store.chunks_read = 9
        await assert_alive(client)


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_broken_download_has_no_close_notify(kind: str) -> None:
    """FileZilla takes close_notify as the proof that all has come."""
    async with serving(kind, store=FtpStore({"file": bytes(MIB)})) as running:
        client = await running.client()

        def point(operation: str, key: str, when: str) -> None:
            if operation == "read" and running.store.chunks_read == 3:
                raise errors.Corrupt

        running.store.point = point
        wire = await client.open_data("RETR file")
        await wire.receive_all()
        assert wire.ended_by != "close_notify"
        assert (await client.reply()).code == 451


# -- REST ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "rest"), [(0, b"0123456789"), (4, b"456789"), (10, b"")])
async def test_rest_begins_a_download_at_its_position(offset: int, rest: bytes) -> None:
    async with running_server(store=FtpStore({"file": b"0123456789"})) as running:
        client = await running.client()
        assert await client.codes(f"REST {offset}") == [350]
        assert await client.download("RETR file") == rest


async def test_a_position_past_the_end_is_554() -> None:
    async with running_server(store=FtpStore({"file": b"0123456789"})) as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes("REST 11", "RETR file") == [350, 554]
        await assert_alive(client)


async def test_rest_outlives_everything_but_a_transfer() -> None:
    """D16."""
    async with running_server(store=FtpStore({"file": b"0123456789"})) as running:
        client = await running.client()
        assert await client.codes("REST 7", "TYPE I", "SIZE file", "MDTM file", "NOOP", "PASV", "PWD") == [
            350, 200, 213, 213, 200, 227, 257,
        ]  # fmt: skip
        assert await client.download("RETR file") == b"789"


async def test_rest_is_forgotten_after_a_transfer_also_a_failed_one() -> None:
    """D15."""
    async with running_server(store=FtpStore({"file": b"0123456789"})) as running:
        client = await running.client()
        assert await client.codes("REST 7") == [350]
        assert await client.download("RETR file") == b"789"
        assert await client.download("RETR file") == b"0123456789"
        await client.connect_data()
        assert await client.codes("REST 7", "RETR none") == [350, 550]
        assert await client.download("RETR file") == b"0123456789"


async def test_rest_0_takes_a_position_back() -> None:
    """FileZilla and WinSCP send it."""
    async with running_server(store=FtpStore({"file": b"0123456789"})) as running:
        client = await running.client()
        assert await client.codes("REST 7", "REST 0") == [350, 350]
        assert await client.download("RETR file") == b"0123456789"
        assert await client.codes("REST 7", "REST 0") == [350, 350]
        assert (await client.upload("file", b"new")).code == 226


# -- the data port -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["STOR file", "APPE file", "RETR file", "LIST", "NLST", "MLSD"])
async def test_a_transfer_without_a_data_port_is_425(line: str) -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        assert await client.codes(line) == [425]
        assert running.store.contents == {"file": OLD}
        await assert_alive(client)


async def test_a_data_port_is_for_one_transfer() -> None:
    """D15: no second transfer on an old port."""
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        await client.download("RETR file")
        assert await client.codes("RETR file") == [425]


async def test_the_data_connection_may_come_after_150() -> None:
    """D40: WinSCP connects after its command."""
    async with running_server() as running:
        client = await running.client()
        port = await client.passive_port()
        assert await client.codes("STOR file") == [150]
        wire = await client.connect_data(port)
        await wire.send(b"data")
        await wire.end_in_order()
        assert (await client.reply()).code == 226


async def test_a_client_that_never_connects_gets_425_and_stores_nothing() -> None:
    async with running_server(clear_text(data_connect_timeout=0.05), store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        await client.passive_port()
        await client.send("STOR file")
        assert await client.replies(2) == [150, 425]
        assert running.store.contents == {"file": OLD}


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_clear_text_on_an_encrypted_data_port_is_425_and_stores_nothing(kind: str) -> None:
    async with serving(kind, store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        wire = await client.connect_data()
        await client.send("STOR file")
        await wire.send(b"clear text")
        assert await client.replies(2) == [150, 425]
        assert running.store.contents == {"file": OLD}
        await assert_alive(client)


async def test_a_strangers_data_connection_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """D9: a stranger neither reads a file nor writes one."""
    async with running_server(store=FtpStore({"file": b"SECRET"})) as running:
        client = await running.client()
        port = await client.passive_port()
        stranger = await Wire.connect(port, source="127.0.0.2")
        await client.send("RETR file")
        assert await stranger.receive() == b""
        stranger.close()
        assert (await client.reply()).code == 150
        wire = await client.connect_data(port)
        assert await wire.receive_all() == b"SECRET"
        wire.close()
        assert (await client.reply()).code == 226
    assert any("127.0.0.2 refused" in record.getMessage() for record in caplog.records)


async def test_a_handshake_that_does_not_begin_behind_the_command_is_425_and_leaves_no_connection() -> None:
    async with running_server(encrypted(tls_handshake_timeout=0.2)) as running:
        client = await running.client()
        port = await client.passive_port()
        await client.expect(150, "STOR file")
        wire = await client.connect_data(port)
        assert (await client.reply()).code == 425
        assert await wire._receive_raw(1) == b""
        assert running.store.contents == {}


async def test_the_handshake_of_a_data_connection_has_its_time_from_the_command_on() -> None:
    """ftplib and others connect behind PASV and begin the handshake behind 150, which S3 can delay."""
    async with running_server(encrypted(tls_handshake_timeout=1)) as running:
        client = await running.client()
        wire = await client.connect_data()
        await asyncio.sleep(1.1)  # longer than the limit, which only a command starts
        await client.expect(150, "STOR file")
        await client.encrypt(wire)
        await wire.send(b"data")
        await wire.end_in_order()
        assert (await client.reply()).code == 226

"""What the operator finds in the log of a transfer: one line, however it ended."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from aioftps3.ftp.control import ControlChannel, ControlLost
from aioftps3.ftp.replies import Reply
from aioftps3.storage import errors
from tests.support.ftp_session import (
    LOGIN,
    FtpClient,
    FtpStore,
    Running,
    encrypted,
    running_server,
    serving,
    until,
)

BYTES = 100_000
SIZES = rf"{BYTES} bytes in \d+\.\d{{3}} s \(\d+\.\d MiB/s\)"
CLIENT = f"by {LOGIN} from 127.0.0.1"


@pytest.fixture(autouse=True)
def level_of_operators(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def line_of(caplog: pytest.LogCaptureFixture, pattern: str, *, level: int = logging.INFO) -> str:
    """The one line that there is besides those of logins; it must match."""
    records = [record for record in caplog.records if " logged in from " not in record.getMessage()]
    assert len(records) == 1, [record.getMessage() for record in records]
    assert re.fullmatch(pattern, records[0].getMessage()), records[0].getMessage()
    assert records[0].levelno == level
    assert re.fullmatch("[0-9a-f]{8}", str(records[0].__dict__["session"]))
    return records[0].getMessage()


async def half_an_upload(client: FtpClient) -> None:
    """STOR of a relative name whose first bytes have all come."""
    await client.expect(250, "CWD dir")
    wire = await client.open_data("STOR file")
    await wire.send(bytes(BYTES))
    while f": {BYTES} bytes" not in (await client.command("STAT")).text:
        pass


def with_directory() -> FtpStore:
    return FtpStore({"dir/": b""})


async def gone(running: Running) -> None:
    await until(lambda: running.server.sessions == 0)


# -- uploads that are cut ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["clear", "tls1.3"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_upload_whose_control_connection_is_lost_is_told(
    kind: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(kind, store=with_directory()) as running:
        client = await running.client()
        await half_an_upload(client)
        getattr(client.wire, how)()
        await gone(running)
    line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: control connection lost: .+")


@pytest.mark.parametrize("kind", ["clear", "tls1.3"])
async def test_an_upload_whose_client_is_killed_is_told_once(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(kind, store=with_directory()) as running:
        client = await running.client()
        await half_an_upload(client)
        for wire in running.wires:
            wire.close()
        await gone(running)
    line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: (control connection lost: .+|426 Upload cut.+)")


async def test_an_upload_that_the_end_of_the_daemon_cuts_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        await half_an_upload(client)
        await running.server.close()
    line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: the server was stopped", level=logging.WARNING)


async def test_an_upload_that_s3_still_completes_when_the_daemon_gives_up_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        running.store.hold("PutObject")
        await client.expect(250, "CWD dir")
        wire = await client.open_data("STOR file")
        await wire.end_in_order()
        await running.store.reached["PutObject"].wait()
        (session,) = [task for task in asyncio.all_tasks() if task.get_name() == "session of 127.0.0.1"]
        session.cancel()
        await asyncio.sleep(0)
        session.cancel()
        await gone(running)
    line_of(
        caplog,
        rf"STOR /dir/file {CLIENT}: 0 bytes .+, failed: the server was stopped while S3 completed the file, "
        "which may be stored",
        level=logging.WARNING,
    )


async def test_an_upload_that_its_client_aborts_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        await half_an_upload(client)
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
    line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: aborted by the client")


async def test_an_upload_whose_data_connection_is_reset_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(encrypted(), store=with_directory()) as running:
        client = await running.client()
        await half_an_upload(client)
        running.wires[-1].reset()  # type: ignore[union-attr]  # it is the data connection
        assert (await client.reply()).code == 426
    line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: 426 Upload cut, nothing stored: .+")


async def test_an_upload_whose_client_is_lost_when_it_should_begin_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = ControlChannel.send

    async def lost_at_150(channel: ControlChannel, reply: Reply) -> None:
        if reply.code == 150:
            raise ControlLost("the client does not read its replies")
        await send(channel, reply)

    async with running_server() as running:
        client = await running.client()
        monkeypatch.setattr(ControlChannel, "send", lost_at_150)
        await client.passive_port()
        await client.send("STOR file")
        assert await client.at_end()
    line_of(caplog, rf"STOR /file {CLIENT}: 0 bytes .+, failed: control connection lost: the client does not read .+")


# -- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reply", "level"),
    [
        (errors.Unavailable("SlowDown 503"), "451", logging.WARNING),
        (errors.Denied("AccessDenied 403"), "550", logging.INFO),
    ],
)
async def test_an_upload_that_the_store_fails_is_told_with_path_bytes_and_detail(
    error: errors.StorageError, reply: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        running.store.fail(error, "PutObject")
        await client.expect(250, "CWD dir")
        assert str((await client.upload("file", bytes(BYTES))).code) == reply
    line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: {reply} {error}", level=level)


async def test_a_failure_is_told_although_the_client_leaves_before_its_traces_are_gone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_abort = asyncio.Event()
    aborting = asyncio.Event()
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        await half_an_upload(client)
        (writer,) = running.store.open_writers
        abort = writer.abort

        async def slow_abort() -> None:
            aborting.set()
            await may_abort.wait()
            await abort()

        monkeypatch.setattr(writer, "abort", slow_abort)
        writer.break_down(errors.Unavailable("SlowDown 503"))
        await aborting.wait()
        (transfer,) = [task for task in asyncio.all_tasks() if task.get_name().startswith("STOR ")]
        client.wire.close()
        await until(lambda: transfer.cancelling() > 0)
        may_abort.set()
        await gone(running)
    line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: 451 .+ SlowDown 503", level=logging.WARNING)


async def test_an_unforeseen_failure_is_told_with_path_and_bytes(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        running.store.fail(KeyError("surprise"), "PutObject")
        await client.expect(250, "CWD dir")
        incident = (await client.upload("file", bytes(BYTES))).text.split()[-1].rstrip(".")
    line_of(
        caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, failed: incident {incident}: .*surprise.*", level=logging.ERROR
    )


@pytest.mark.parametrize(
    ("lines", "path", "reply"),
    [
        (("STOR file",), "/dir/file", "425"),
        (("PASV", "STOR a\x01b"), r"a\?b", "553"),
        (("PASV", "STOR x/"), "/dir/x", "553"),
        (("PASV", "REST 5", "STOU file"), "/dir/file", "554"),
        (("PASV", "RETR none"), "/dir/none", "550"),
        (("PASV", "LIST -la none"), "/dir/none", "550"),
    ],
)
async def test_a_transfer_that_is_refused_is_told_with_its_full_path(
    lines: tuple[str, ...], path: str, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        await client.expect(250, "CWD dir")
        assert str((await client.codes(*lines))[-1]) == reply
    line_of(caplog, rf"{lines[-1][:4]} {path} {CLIENT}: 0 bytes .+, failed: {reply} .+")


async def test_a_download_that_is_cut_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(store=FtpStore({"dir/file": bytes(64_000_000)})) as running:
        client = await running.client()
        await client.expect(250, "CWD dir")
        wire = await client.open_data("RETR file")
        await wire.receive()
        wire.reset()
        assert (await client.reply()).code == 426
    line_of(caplog, rf"RETR /dir/file {CLIENT}: [1-9]\d* bytes .+, failed: 426 .+")


async def test_what_fails_outside_of_transfers_is_told_with_the_directory_that_it_was_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        assert await client.codes("CWD dir", "DELE file") == [250, 550]
    line_of(caplog, r"DELE file \(in /dir\): 550 no such file or directory")


# -- success -------------------------------------------------------------------------------------------------------


async def test_transfers_that_succeed_are_told_in_the_same_form(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(store=with_directory()) as running:
        client = await running.client()
        await client.expect(250, "CWD dir")
        await client.upload("file", bytes(BYTES))
        line_of(caplog, rf"STOR /dir/file {CLIENT}: {SIZES}, stored")
        caplog.clear()
        await client.download("RETR file")
        line_of(caplog, rf"RETR /dir/file {CLIENT}: {SIZES}, sent")
        caplog.clear()
        await client.download("NLST -a .")
        line_of(caplog, rf"NLST /dir {CLIENT}: 6 bytes .+, 1 entries sent")


async def test_a_file_that_is_stored_after_its_client_has_gone_is_told_as_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server() as running:
        client = await running.client()
        held = running.store.hold("PutObject")
        wire = await client.open_data("STOR file")
        await wire.end_in_order()
        await running.store.reached["PutObject"].wait()
        client.wire.reset()
        asyncio.get_running_loop().call_later(0.05, held.set)
        await gone(running)
    line_of(caplog, rf"STOR /file {CLIENT}: 0 bytes .+, stored")

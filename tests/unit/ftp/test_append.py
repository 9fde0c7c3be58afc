"""REST and STOR, and APPE: files that are gone on with."""

from __future__ import annotations

import asyncio

import pytest

from aioftps3.ftp.config import UploadEnd
from aioftps3.storage import errors, tree
from tests.support.ftp_session import FtpClient, FtpStore, clear_text, running_server, serving, settle, until

OLD = b"0123456789"

KINDS = ["clear", "tls1.3"]


async def assert_alive(client: FtpClient) -> None:
    """The session is in step, and the next transfer begins at the beginning."""
    assert await client.codes("NOOP") == [200]
    assert (await client.upload("alive", b"whole")).code == 226
    assert client.running.store.contents["alive"] == b"whole"


# -- what is stored ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("new", [b"", b"X", b"X" * 600_000])
async def test_appe_puts_bytes_behind_those_that_are_there(kind: str, new: bytes) -> None:
    async with serving(kind, store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        answer = await client.upload("file", new, "APPE")
        assert answer.text == f"226 Stored {len(new)} bytes."
        assert running.store.contents == {"file": OLD + new}
        await assert_alive(client)


async def test_appe_makes_a_file_where_there_is_none() -> None:
    async with running_server() as running:
        client = await running.client()
        assert (await client.upload("new", b"X", "APPE")).code == 226
        assert (await client.upload("empty", b"", "APPE")).code == 226
        assert running.store.contents == {"new": b"X", "empty": b""}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("new", [b"", b"X", b"X" * 600_000])
@pytest.mark.parametrize("position", [0, 1, 9, 10])
async def test_an_upload_begins_at_the_position_of_rest(kind: str, position: int, new: bytes) -> None:
    async with serving(kind, store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        await client.expect(350, f"REST {position}")
        assert (await client.upload("file", new)).text == f"226 Stored {len(new)} bytes."
        assert running.store.contents == {"file": OLD[:position] + new}
        await assert_alive(client)


async def test_the_150_tells_how_much_is_kept() -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        for line, kept in (("APPE file", 10), ("STOR file", 4), ("STOR new", 0), ("APPE new", 0)):
            if kept == 4:
                await client.expect(350, "REST 4")
            wire = await client.connect_data()
            behind = f", behind {kept} bytes that are there" if kept else ""
            name = line.partition(" ")[2]
            assert (await client.command(line)).text == f"150 Ready to receive {name}{behind}."
            wire.close()
            assert (await client.reply()).code in (226, 425)


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "name", "code"),
    [("11", "file", 554), (str(2**63 - 1), "file", 554), ("1", "none", 550), ("1", "dir", 550)],
)
async def test_a_position_that_the_file_does_not_reach_is_refused_before_150(
    position: str, name: str, code: int
) -> None:
    async with running_server(store=FtpStore({"file": OLD, "dir/file": OLD})) as running:
        client = await running.client()
        wire = await client.connect_data()
        assert await client.codes(f"REST {position}", f"STOR {name}") == [350, code]
        assert await wire.receive() == b""
        assert running.store.contents == {"file": OLD, "dir/file": OLD}
        await assert_alive(client)


async def test_appe_behind_a_position_is_refused() -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes("REST 4", "APPE file") == [350, 554]
        assert running.store.contents == {"file": OLD}
        assert (await client.upload("file", b"X", "APPE")).code == 226, "REST is for one transfer"
        assert running.store.contents == {"file": OLD + b"X"}


async def test_where_files_are_not_replaced_they_are_not_gone_on_with_either() -> None:
    store = FtpStore({"file": OLD})
    store.no_overwrite = True
    async with running_server(store=store) as running:
        client = await running.client()
        for lines in (("APPE file",), ("REST 4", "STOR file")):
            await client.connect_data()
            assert (await client.codes(*lines))[-1] == 553
        assert (await client.upload("new", b"X", "APPE")).code == 226
        assert store.contents == {"file": OLD, "new": b"X"}


async def test_converted_text_can_be_appended_and_has_no_positions() -> None:
    async with running_server(clear_text(convert_text=True), store=FtpStore({"file": b"a\n"})) as running:
        client = await running.client()
        await client.expect(200, "TYPE A")
        assert (await client.upload("file", b"b\r\n", "APPE")).code == 226
        assert running.store.contents == {"file": b"a\nb\n"}
        await client.connect_data()
        assert await client.codes("REST 1", "STOR file") == [350, 554]
        assert running.store.contents == {"file": b"a\nb\n"}


# -- the end of the upload -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["APPE", "STOR"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_cut_upload_leaves_the_file_as_it_was(kind: str, verb: str) -> None:
    async with serving(kind, store=FtpStore({"file": OLD}), stall_timeout=0.2) as running:
        for how in ("reset", "abor", "stall", "close"):
            client = await running.client()
            if verb == "STOR":
                await client.expect(350, "REST 4")
            wire = await client.open_data(f"{verb} file")
            await wire.send(b"X" * 1000)
            match how:
                case "reset":
                    wire.reset()
                    assert await client.replies(1) == [426]
                case "abor":
                    await client.send("ABOR")
                    assert await client.replies(2) == [426, 226]
                case "stall":
                    assert await client.replies(1) == [426]
                case "close":
                    client.wire.close()
                    await until(lambda: not running.store.open_writers)
            wire.close()
            assert running.store.contents["file"] == OLD, how
            if how != "close":
                await assert_alive(client)


@pytest.mark.parametrize(
    ("policy", "code"), [(UploadEnd.STRICT, 426), (UploadEnd.GUARDED, 226), (UploadEnd.TRUSTING, 226)]
)
async def test_the_end_of_an_append_is_judged_by_the_policy(policy: UploadEnd, code: int) -> None:
    async with serving("tls1.3", store=FtpStore({"file": OLD}), upload_end=policy) as running:
        client = await running.client()
        wire = await client.open_data("APPE file")
        await wire.send(b"X")
        wire.fin()
        assert (await client.reply()).code == code
        wire.close()
        assert running.store.contents["file"] == OLD + b"X" * (code == 226)


@pytest.mark.parametrize(
    ("lines", "announced", "code"),
    [
        (("APPE",), 3, 226),
        (("APPE",), 13, 226),
        (("APPE",), 4, 426),
        (("APPE",), 10, 426),
        (("REST 4", "STOR"), 3, 226),
        (("REST 4", "STOR"), 7, 226),
        (("REST 4", "STOR"), 13, 426),
        (("REST 4", "STOR"), 4, 426),
    ],
)
async def test_allo_announces_what_is_sent_or_the_whole_file(lines: tuple[str, ...], announced: int, code: int) -> None:
    """Clients do either."""
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        await client.codes("TYPE I", f"ALLO {announced}", *lines[:-1])
        assert (await client.upload("file", b"new", lines[-1])).code == code
        kept = OLD if lines[-1] == "APPE" else OLD[:4]
        assert running.store.contents["file"] == (kept + b"new" if code == 226 else OLD)


# -- others at the same file ---------------------------------------------------------------------------------------


async def test_two_who_append_at_the_same_time_both_do() -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        first, second = await running.client(), await running.client()
        wire = await first.open_data("APPE file")
        await wire.send(b"first")
        waiting = asyncio.create_task(second.upload("file", b"second", "APPE"))
        await settle()
        await wire.end_in_order()
        assert (await first.reply()).code == 226
        assert (await waiting).code == 226
        assert running.store.contents == {"file": OLD + b"firstsecond"}


async def test_who_goes_ahead_of_a_dead_one_is_not_replaced_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "TURN_SECONDS", 0.01)
    async with running_server(store=FtpStore({"file": OLD})) as running:
        dead, alive = await running.client(), await running.client()
        wire = await dead.open_data("APPE file")
        await wire.send(b"dead")
        assert (await alive.upload("file", b"alive", "APPE")).code == 226
        await wire.end_in_order()
        answer = await dead.reply()
        assert (answer.code, answer.text) == (451, "451 file: file changed meanwhile.")
        assert running.store.contents == {"file": OLD + b"alive"}
        await assert_alive(dead)


async def test_abor_while_another_one_is_waited_for() -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        first, second = await running.client(), await running.client()
        wire = await first.open_data("APPE file")
        await second.connect_data()
        await second.send("APPE file")
        await settle()
        await second.send("ABOR")
        assert await second.replies(2) == [426, 226]
        await wire.end_in_order()
        assert (await first.reply()).code == 226
        await assert_alive(second)


@pytest.mark.parametrize(
    ("error", "code"),
    [(errors.Denied(), 550), (errors.Archived(), 550), (errors.Busy(), 451), (errors.Unavailable(), 451)],
)
async def test_a_store_that_fails_is_answered_before_150_and_the_session_lives(
    error: errors.StorageError, code: int
) -> None:
    async with running_server(store=FtpStore({"file": OLD})) as running:
        client = await running.client()
        running.store.fail(error, "HeadObject")
        await client.connect_data()
        assert await client.codes("APPE file") == [code]
        running.store.point = lambda operation, key, when: None
        await assert_alive(client)

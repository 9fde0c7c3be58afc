"""MDTM MFMT MFF and SITE UTIME, and the times that listings show."""

from __future__ import annotations

import pytest

from aioftps3.storage.errors import Changed, Denied, Unavailable
from tests.support.ftp_session import FtpStore, clear_text, running_server

OLD = "20200913122640"
OLD_SECONDS = 1_600_000_000.0
UPLOADED = "19700112134641"
"""When the first object of a store of the tests was stored."""

KEPT = clear_text(client_times=True)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (f"MFMT {OLD} two words", f"213 Modify={OLD}; two words"),
        (f"mfmt {OLD}.500 /two words", f"213 Modify={OLD}; /two words"),
        (f"MFF modify={OLD}; two words", f"213 Modify={OLD}; two words"),
        (f"MFF Modify={OLD}; ./two words", f"213 Modify={OLD}; ./two words"),
        (f"MDTM {OLD} two words", f"213 Modify={OLD}; two words"),
        (f"SITE UTIME {OLD} two words", "200 Time set."),
        (f"SITE UTIME two words {UPLOADED} {OLD} {UPLOADED} UTC", "200 Time set."),
    ],
)
async def test_every_way_to_set_a_time_sets_it_and_everything_shows_it(line: str, answer: str) -> None:
    """RFC 3659 section 2.3: in UTC. What follows a point is kept, but not shown."""
    async with running_server(KEPT, store=FtpStore({"two words": b"12345", "other": b""})) as running:
        client = await running.client()
        assert (await client.command("MDTM two words")).text == f"213 {UPLOADED}"
        assert (await client.command(line)).text == answer
        shown = running.store.info("two words").client_time
        assert shown == (OLD_SECONDS + 0.5 if ".500" in line else OLD_SECONDS)
        assert (await client.command("MDTM two words")).text == f"213 {OLD}"
        assert f"modify={OLD};" in (await client.command("MLST two words")).text
        mlsd = (await client.download("MLSD")).decode().splitlines()
        assert [row for row in mlsd if f"modify={OLD};" in row] == [row for row in mlsd if row.endswith(" two words")]
        for command in ("LIST", "LIST two*", "LIST two words", "LIST -d two words", "NLST -l", "LIST -R"):
            assert "Sep 13  2020 two words" in (await client.download(command)).decode(), command
        for command in ("STAT /", "STAT two words"):
            assert "Sep 13  2020 two words" in (await client.command(command)).text


async def test_setting_a_time_is_two_requests_and_one_more_by_mdtm() -> None:
    async with running_server(KEPT, store=FtpStore({"file": b"1"})) as running:
        client = await running.client()
        for line, looks in (
            (f"MFMT {OLD} file", 1),
            (f"MFF modify={OLD}; file", 1),
            (f"SITE UTIME {OLD} file", 1),
            (f"MDTM {OLD} file", 2),
        ):
            running.store.operations()
            assert (await client.command(line)).code < 300
            assert running.store.operations() == ["HeadObject"] * looks + ["CopyObject"]


async def test_only_what_shows_times_asks_for_them() -> None:
    store = FtpStore({"a": b"1", "b": b"2", "dir/c": b"3"})
    async with running_server(KEPT, store=store) as running:
        client = await running.client()
        for line, looks in (("NLST", 0), ("NLST -R", 0), ("LIST", 2), ("LIST a*", 1), ("MLSD", 2), ("LIST -R", 3)):
            running.store.operations()
            await client.download(line)
            assert running.store.operations().count("HeadObject") == looks, line
        await client.expect(200, "OPTS MLST type;size;")
        running.store.operations()
        await client.download("MLSD")
        assert running.store.operations() == ["ListObjectsV2"]


@pytest.mark.parametrize(
    "line", [f"MFMT {OLD} file", f"MFF modify={OLD}; file", f"SITE UTIME {OLD} file", f"MDTM {OLD} file"]
)
async def test_where_times_are_those_of_uploads_none_can_be_set(line: str) -> None:
    """MDTM with a time in front then asks for a file of that name."""
    async with running_server(store=FtpStore({"file": b"1", f"{OLD} there": b"2"})) as running:
        client = await running.client()
        assert await client.codes(line) == [{"MDTM": 550, "SITE": 504}.get(line.split(maxsplit=1)[0], 502)]
        assert running.store.info("file").client_time is None
        assert await client.codes(f"MDTM {OLD} there") == [213]
        features = (await client.command("FEAT")).text
        assert "MFMT" not in features
        assert "MFF" not in features


async def test_where_times_are_those_of_uploads_listings_ask_for_nothing() -> None:
    async with running_server(store=FtpStore({"a": b"1", "b": b"2"})) as running:
        client = await running.client()
        for line in ("LIST", "MLSD", "NLST -l", "LIST -R"):
            running.store.operations()
            await client.download(line)
            assert "HeadObject" not in running.store.operations()


async def test_a_file_whose_name_begins_like_a_time_is_asked_for_and_not_changed() -> None:
    store = FtpStore({"report": b"1", f"{OLD} report": b"2"})
    async with running_server(KEPT, store=store) as running:
        client = await running.client()
        assert (await client.command(f"MDTM {OLD} report")).text == "213 19700112134642"
        assert running.store.info("report").client_time is None
        await client.expect(213, f"MFMT {OLD} {OLD} report")
        assert (await client.command(f"MDTM {OLD} report")).text == f"213 {OLD}"
        assert await client.codes(f"MDTM {OLD} none", f"MDTM ./{OLD} report", f"MDTM {OLD}") == [550, 213, 550]


async def test_mdtm_sets_the_time_of_a_file_whose_path_is_as_long_as_one_can_be() -> None:
    """With the time in front of it, it could not be the name of a file."""
    name = "x" * 1024
    async with running_server(KEPT, store=FtpStore({name: b"1"})) as running:
        client = await running.client()
        assert await client.codes(f"MDTM {OLD} {name}", f"MDTM {OLD} {name}y") == [213, 550]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MFMT", 501),
        (f"MFMT {OLD}", 501),
        (f"MFMT {OLD} ", 501),
        ("MFMT 20201301000000 file", 501),
        ("MFMT 2020 file", 501),
        ("MFMT file", 501),
        (f"MFMT {OLD} none", 550),
        (f"MFMT {OLD} dir", 550),
        (f"MFMT {OLD} dir/", 550),
        (f"MFMT {OLD} /", 550),
        (f"MFMT {OLD} a\x01b", 550),
        ("MFF", 501),
        ("MFF file", 501),
        ("MFF modify=2020; file", 501),
        ("MFF UNIX.mode=0644; file", 504),
        (f"MFF modify={OLD};UNIX.mode=0644; file", 504),
        (f"MFF create={OLD}; file", 504),
        ("SITE UTIME", 501),
        ("SITE UTIME file", 501),
        ("SITE UTIME 20201301000000 file", 501),
        (f"SITE UTIME {OLD} none", 550),
        ("MDTM 20201301000000 file", 550),
        (f"MDTM {OLD} dir", 550),
    ],
)
async def test_what_cannot_be_set_is_refused_and_changes_nothing(line: str, code: int) -> None:
    async with running_server(KEPT, store=FtpStore({"file": b"1", "dir/x": b"2"})) as running:
        client = await running.client()
        assert await client.codes(line, "NOOP") == [code, 200]
        assert all(running.store.info(key).client_time is None for key in ("file", "dir/x"))


async def test_the_refusal_for_a_directory_says_why() -> None:
    async with running_server(KEPT, store=FtpStore({"dir/x": b"2"})) as running:
        client = await running.client()
        assert "times of directories are not kept" in (await client.command(f"MFMT {OLD} dir")).text


async def test_feat_offers_what_works() -> None:
    async with running_server(KEPT) as running:
        client = await running.client()
        lines = (await client.command("FEAT")).lines
        assert {" MFMT", " MFF modify;", " MDTM"} <= set(lines)


@pytest.mark.parametrize("stamp", ["19700101000000", "19691231235959", "00010101000000", "99991231235959"])
async def test_a_file_may_have_any_time(stamp: str) -> None:
    async with running_server(KEPT, store=FtpStore({"file": b"1"})) as running:
        client = await running.client()
        await client.expect(213, f"MFMT {stamp} file")
        assert (await client.command("MDTM file")).text == f"213 {stamp}"
        assert f"modify={stamp};" in (await client.download("MLSD")).decode()
        assert f" {int(stamp[:4]):4d} file" in (await client.download("LIST")).decode()


@pytest.mark.parametrize(("error", "code"), [(Changed(), 451), (Denied(), 550), (Unavailable(), 451)])
async def test_a_time_that_s3_does_not_take_is_answered(error: Exception, code: int) -> None:
    async with running_server(KEPT, store=FtpStore({"file": b"1"})) as running:
        client = await running.client()
        running.store.fail(error, "CopyObject")
        assert await client.codes(f"MFMT {OLD} file", "NOOP") == [code, 200]


async def test_a_listing_whose_times_cannot_be_told_is_451_and_the_session_lives() -> None:
    async with running_server(KEPT, store=FtpStore({"file": b"1"})) as running:
        client = await running.client()
        running.store.fail(Unavailable(), "HeadObject")
        for line in ("LIST", "MLSD"):
            wire = await client.connect_data()
            assert await client.codes(line) == [451]
            wire.close()
        assert await client.codes("NOOP") == [200]


async def test_a_client_that_leaves_ends_the_looks_of_its_listing() -> None:
    async with running_server(KEPT, store=FtpStore({f"{number}": b"1" for number in range(50)})) as running:
        client = await running.client()
        running.store.hold("HeadObject")
        await client.connect_data()
        await client.send("MLSD")
        await running.store.reached["HeadObject"].wait()
        client.wire.close()
    # running_server fails when a session or a task is left


async def test_abor_ends_the_looks_of_a_listing() -> None:
    async with running_server(KEPT, store=FtpStore({"file": b"1"})) as running:
        client = await running.client()
        running.store.hold("HeadObject")
        await client.connect_data()
        await client.send("MLSD")
        await running.store.reached["HeadObject"].wait()
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        assert await client.codes("NOOP") == [200]


async def test_an_upload_has_the_time_of_the_upload_and_a_rename_keeps_the_clients() -> None:
    async with running_server(KEPT, store=FtpStore()) as running:
        client = await running.client()
        assert (await client.upload("a", b"1")).code == 226
        uploaded = (await client.command("MDTM a")).text
        await client.expect(213, f"MFMT {OLD} a")
        assert await client.codes("RNFR a", "RNTO b") == [350, 250]
        assert (await client.command("MDTM b")).text == f"213 {OLD}"
        assert (await client.upload("b", b"1")).code == 226
        assert (await client.command("MDTM b")).text[:10] == uploaded[:10]

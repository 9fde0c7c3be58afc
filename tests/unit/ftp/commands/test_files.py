"""DELE RNFR RNTO SIZE MDTM MLST."""

from __future__ import annotations

import pytest

from tests.support.ftp_session import FtpStore, clear_text, running_server


async def test_dele_deletes_files_only() -> None:
    async with running_server(store=FtpStore({"file": b"x", "dir/file": b"y"})) as running:
        client = await running.client()
        assert await client.codes("DELE file", "DELE file", "DELE dir", "DELE dir/file", "DELE /") == [
            250, 550, 550, 250, 550,
        ]  # fmt: skip
        assert running.store.contents == {}
        assert await client.codes("CWD dir") == [250]


async def test_rename_replaces_a_file() -> None:
    """D35: upload under a temporary name, then rename over the old file."""
    async with running_server(store=FtpStore({"new": b"new", "old": b"old"})) as running:
        client = await running.client()
        assert await client.codes("RNFR new", "RNTO old") == [350, 250]
        assert running.store.contents == {"old": b"new"}


async def test_a_directory_can_be_renamed() -> None:
    async with running_server(store=FtpStore({"a/x": b"1", "a/b/y": b"2", "a/": b""})) as running:
        client = await running.client()
        assert await client.codes("RNFR a", "RNTO c") == [350, 250]
        assert running.store.contents == {"c/x": b"1", "c/b/y": b"2", "c/": b""}


async def test_rnto_needs_rnfr_directly_or_not_before_it_and_only_once() -> None:
    async with running_server(store=FtpStore({"a": b"1"})) as running:
        client = await running.client()
        assert await client.codes("RNTO b", "RNFR none", "RNTO b", "RNFR a", "RNTO b", "RNTO c") == [
            503, 550, 503, 350, 250, 503,
        ]  # fmt: skip
        assert running.store.contents == {"b": b"1"}


async def test_a_slash_names_the_directory_beside_a_file_of_its_name() -> None:
    """S3 can have both."""
    for verbs in (("RNFR", "RNTO"), ("SITE CPFR", "SITE CPTO")):
        async with running_server(store=FtpStore({"x": b"file", "x/inner": b"1"})) as running:
            client = await running.client()
            assert await client.codes(f"{verbs[0]} x/", f"{verbs[1]} y") == [350, 250]
            assert running.store.contents.keys() >= {"x", "y/inner"}
            assert "y" not in running.store.contents
            await client.upload("alone", b"new")
            assert await client.codes(f"{verbs[0]} alone/", f"{verbs[0]} alone") == [550, 350]


async def test_a_failed_rnfr_forgets_the_one_before() -> None:
    async with running_server(store=FtpStore({"a": b"1"})) as running:
        client = await running.client()
        assert await client.codes("RNFR a", "RNFR none", "RNTO b") == [350, 550, 503]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        *((f"{verb} a/", 550) for verb in ("DELE", "SIZE", "MDTM", "RNFR", "MLST", "HASH", "XSHA256", "SITE CPFR")),
        ("MFMT 20200102030405 a/", 550),
        ("SITE UTIME 20200102030405 a/", 550),
        ("STOR a/", 553),
        ("APPE a/", 553),
        ("RETR a/", 550),
        ("MLST dir/", 250),
        ("RNFR dir/", 350),
        ("SITE CPFR dir/", 350),
    ],
)
async def test_what_ends_in_a_slash_is_a_directory(line: str, code: int) -> None:
    store = FtpStore({"a": b"1", "dir/x": b"2"})
    before = store.contents
    async with running_server(clear_text(client_times=True, hashes=("SHA-256",)), store=store) as running:
        client = await running.client()
        assert await client.codes(line) == [code]
        assert store.contents == before


@pytest.mark.parametrize("verbs", [("RNFR", "RNTO"), ("SITE CPFR", "SITE CPTO")])
async def test_directories_get_names_with_a_slash_and_files_none(verbs: tuple[str, str]) -> None:
    async with running_server(store=FtpStore({"a": b"1", "dir/x": b"2"})) as running:
        client = await running.client()
        first, second = verbs
        assert await client.codes(f"{first} a", f"{second} b/") == [350, 553]
        assert await client.codes(f"{first} dir/", f"{second} new/") == [350, 250]
        assert "new/x" in running.store.contents


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        ("a", "a", 250),
        ("dir", "dir/below", 553),
        ("dir", "full", 550),
        ("dir", "a", 550),
        ("a", "/", 553),
        ("a", "b\x01", 553),
        ("a", "x" * 1100, 553),
    ],
)
async def test_renames_that_make_no_sense_change_nothing(source: str, target: str, code: int) -> None:
    store = FtpStore({"a": b"1", "dir/x": b"2", "full/y": b"3"})
    before = store.contents
    async with running_server(store=store) as running:
        client = await running.client()
        assert await client.codes(f"RNFR {source}", f"RNTO {target}") == [350, code]
        assert store.contents == before


async def test_rnfr_of_the_root_is_refused() -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("RNFR /", "RNTO x") == [550, 503]


@pytest.mark.parametrize("kind", ["A", "I"])
async def test_size_is_a_plain_number_in_every_type(kind: str) -> None:
    """.NET asks without TYPE I."""
    async with running_server(store=FtpStore({"file": b"12345", "empty": b"", "dir/x": b""})) as running:
        client = await running.client()
        await client.expect(200, f"TYPE {kind}")
        assert (await client.command("SIZE file")).text == "213 5"
        assert (await client.command("SIZE empty")).text == "213 0"
        assert await client.codes("SIZE dir", "SIZE none", "SIZE /") == [550, 550, 550]


async def test_mdtm_is_fourteen_digits_of_utc() -> None:
    async with running_server(store=FtpStore({"file": b"", "dir/x": b""})) as running:
        client = await running.client()
        assert (await client.command("MDTM file")).text == "213 19700112134641"
        assert await client.codes("MDTM none", "MDTM dir") == [550, 550]


async def test_mlst_shows_facts_and_the_whole_path() -> None:
    async with running_server(store=FtpStore({"dir/file": b"12345"})) as running:
        client = await running.client()
        assert (await client.command("MLST dir/file")).lines == (
            "250-Listing",
            " type=file;size=5;modify=19700112134641;perm=adfrw; /dir/file",
            "250 End",
        )
        assert (await client.command("MLST dir")).lines[1] == " type=dir;perm=cdeflmp; /dir"
        assert (await client.command("MLST")).lines[1] == " type=dir;perm=cdeflmp; /"
        assert await client.codes("MLST none") == [550]


async def test_requests_are_few() -> None:
    """D45, D46."""
    store = FtpStore({"a": b"1", "b": b"2", "dir/x": b"", "c": b"3"})
    async with running_server(store=store) as running:
        client = await running.client()
        for line, most in (("SIZE a", 1), ("MDTM a", 1), ("MLST a", 1), ("DELE a", 2), ("RMD dir", 2)):
            await client.command(line)
            assert len(store.operations()) <= most, line
        assert await client.codes("RNFR b", "RNTO c") == [350, 250]
        assert len(store.operations()) <= 4


@pytest.mark.parametrize("verb", ["DELE", "RNFR", "RNTO", "SIZE", "MDTM"])
async def test_an_argument_is_needed(verb: str) -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(verb) == [501]

"""PWD CWD CDUP MKD RMD."""

from __future__ import annotations

import pytest

from aioftps3.storage.errors import Unavailable
from tests.support.ftp_session import FtpStore, running_server


async def test_pwd_doubles_quotes_and_has_no_others() -> None:
    """D34."""
    async with running_server(store=FtpStore({'di"r/x': b""})) as running:
        client = await running.client()
        assert (await client.command("PWD")).text == '257 "/" is the current directory'
        assert await client.codes('CWD di"r') == [250]
        assert (await client.command("PWD")).text == '257 "/di""r" is the current directory'
        assert (await client.command("XPWD")).text == '257 "/di""r" is the current directory'


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        ("a", "/a"),
        ("/a", "/a"),
        ("a/", "/a"),
        ("a/b", "/a/b"),
        ("//a//b/", "/a/b"),
        ("./a/../a/b/.", "/a/b"),
        ("/", "/"),
    ],
)
async def test_cwd_takes_every_form_of_a_path(argument: str, path: str) -> None:
    async with running_server(store=FtpStore({"a/b/file": b""})) as running:
        client = await running.client()
        assert await client.codes(f"CWD {argument}") == [250]
        assert f'"{path}"' in (await client.command("PWD")).text


async def test_nothing_leads_above_the_root() -> None:
    async with running_server(store=FtpStore({"a/b/file": b""})) as running:
        client = await running.client()
        assert await client.codes("CDUP", "CWD ../../..", "CWD a/b", "XCUP", "CDUP", "XCUP", "XCWD a") == [250] * 7
        assert '"/a"' in (await client.command("PWD")).text


@pytest.mark.parametrize("argument", ["none", "file", "a/none", "x" * 1100])
async def test_cwd_to_what_is_no_directory_is_550_and_changes_nothing(argument: str) -> None:
    async with running_server(store=FtpStore({"file": b"", "a/b": b""})) as running:
        client = await running.client()
        assert await client.codes("CWD a", f"CWD /{argument}") == [250, 550]
        assert '"/a"' in (await client.command("PWD")).text


async def test_mkd_tells_the_whole_path_and_makes_a_marker() -> None:
    """D34."""
    async with running_server(store=FtpStore({"a/": b""})) as running:
        client = await running.client()
        assert await client.codes("CWD a") == [250]
        assert (await client.command('MKD b "c"')).text == '257 "/a/b ""c""" created'
        assert await client.codes("XMKD /d") == [257]
        assert set(running.store.contents) == {"a/", 'a/b "c"/', "d/"}


async def test_mkd_of_what_is_there_is_550() -> None:
    async with running_server(store=FtpStore({"dir/file": b"", "file": b""})) as running:
        client = await running.client()
        assert await client.codes("MKD dir", "MKD file", "MKD /", "MKD dir/file") == [550] * 4


async def test_mkd_costs_at_most_two_requests_and_cwd_one() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.codes("MKD dir")
        assert len(running.store.operations()) == 2
        await client.codes("CWD dir")
        assert len(running.store.operations()) == 1


async def test_rmd_removes_empty_directories_only() -> None:
    """D39, P4, and the early version's recursive RMD."""
    async with running_server(store=FtpStore({"full/file": b"", "empty/": b"", "file": b""})) as running:
        client = await running.client()
        assert await client.codes("RMD full", "RMD empty", "RMD empty", "RMD file", "RMD /") == [
            550,
            250,
            550,
            550,
            550,
        ]
        assert set(running.store.contents) == {"full/file", "file"}
        assert await client.codes("DELE full/file", "XRMD full", "RMD full") == [250, 250, 550]


@pytest.mark.parametrize("verb", ["CWD", "MKD", "RMD", "XCWD", "XMKD", "XRMD"])
async def test_an_argument_is_needed(verb: str) -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(verb) == [501]


async def test_avbl_of_a_directory_is_a_number_that_clients_can_read() -> None:
    async with running_server(store=FtpStore({"dir/": b"", "file": b""})) as running:
        client = await running.client()
        for argument in ("", " dir", " /"):
            assert (await client.command(f"AVBL{argument}")).text == f"213 {2**63 - 1}"
        assert running.store.operations() == ["ListObjectsV2"]
        assert await client.codes("AVBL none", "AVBL file") == [550, 550]


async def test_rmda_removes_a_directory_with_all_in_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store = FtpStore({**{f"a/{number:05}": b"" for number in range(21_500)}, "a/b/": b"", "a/b/c": b"", "ab/x": b""})
    async with running_server(store=store) as running:
        client = await running.client()
        answer = await client.command("RMDA a")
        assert answer.text == "250 Directory removed with all in it, 21502 objects."
        assert store.contents == {"ab/x": b""}
        assert sorted(store.operations()) == ["DeleteObjects"] * 22 + ["ListObjectsV2"] * 22
    told = [record.getMessage() for record in caplog.records if "RMDA" in record.getMessage()]
    assert told == [
        "RMDA /a: 10000 objects deleted so far",
        "RMDA /a: 20000 objects deleted so far",
        "RMDA /a: 21502 objects deleted",
    ]


async def test_rmda_of_what_is_no_directory_is_550() -> None:
    async with running_server(store=FtpStore({"file": b"", "dir/x": b""})) as running:
        client = await running.client()
        assert await client.codes("RMDA file", "RMDA none", "RMDA /", "RMDA", "RMDA dir/..") == [
            550,
            550,
            550,
            501,
            550,
        ]
        assert set(running.store.contents) == {"file", "dir/x"}


async def test_an_rmda_that_s3_fails_is_told_and_can_be_repeated() -> None:
    store = FtpStore({f"a/{number:05}": b"" for number in range(2500)})
    async with running_server(store=store) as running:
        client = await running.client()
        deletes = 0

        def point(operation: str, key: str, when: str) -> None:
            nonlocal deletes
            deletes += operation == "DeleteObjects" and when == "before"
            if deletes == 2:
                raise Unavailable

        store.point = point
        assert await client.codes("RMDA a") == [451]
        assert len(store.contents) == 1500
        store.point = lambda operation, key, when: None
        assert await client.codes("RMDA a", "CWD a") == [250, 550]

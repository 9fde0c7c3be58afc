"""SYST STAT HELP NOOP FEAT OPTS CLNT HOST LANG."""

from __future__ import annotations

import pytest

import aioftps3
from aioftps3.ftp.commands import command_table
from aioftps3.ftp.hashing import HASHES
from tests.support.ftp_session import FtpStore, clear_text, encrypted, running_server


async def test_feat_has_one_feature_a_line_behind_one_blank() -> None:
    async with running_server() as running:
        client = await running.client()
        lines = (await client.command("FEAT")).lines
        assert lines[0] == "211-Features:"
        assert lines[-1] == "211 End"
        assert " UTF8" in lines
        assert " MLST type*;size*;modify*;perm*;UNIX.mode;" in lines
        for line in lines[1:-1]:
            assert line.startswith(" ")
            assert line[1:] == line.strip()


async def test_feat_shows_the_facts_that_are_on() -> None:
    """P12: RFC 3659 section 7.8."""
    async with running_server() as running:
        client = await running.client()
        assert (await client.command("OPTS MLST size;unix.mode;x;")).text == "200 MLST OPTS type;size;UNIX.mode;"
        assert " MLST type*;size*;modify;perm;UNIX.mode*;" in (await client.command("FEAT")).lines


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("UTF8 ON", 200),
        ("utf8 on", 200),
        ("UTF8", 200),
        ("UTF-8 ON", 200),
        ("UTF8 OFF", 504),
        ("MLST type;size;modify;", 200),
        ("MLST", 200),
        ("NONSENSE", 501),
        ("", 501),
    ],
)
async def test_opts(argument: str, code: int) -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"OPTS {argument}") == [code]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SYST", 215),
        ("NOOP", 200),
        ("NOOP with words", 200),
        ("CLNT FileZilla", 200),
        ("CLNT", 200),
        ("HELP", 214),
        ("HELP stor", 214),
        ("HELP SITE", 214),
        ("HOST ftp.example.com", 503),
        ("LANG", 200),
        ("LANG EN", 200),
        ("LANG en-us", 200),
        ("LANG fr", 504),
        ("LANG no words", 501),
        ("SMNT /x", 502),
        ("HELP NONSENSE", 502),
        ("OPTS REST STOR", 200),
        ("opts rest stor", 200),
        ("OPTS REST", 501),
        ("OPTS REST RETR", 501),
        ("MFMT 20260101000000 file", 502),
    ],
)
async def test_small_commands(line: str, code: int) -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(line, "NOOP") == [code, 200]


async def test_syst_makes_clients_read_listings_as_those_of_ls() -> None:
    async with running_server() as running:
        client = await running.client()
        assert (await client.command("SYST")).text == "215 UNIX Type: L8"


async def test_help_lists_every_verb_and_explains_each() -> None:
    async with running_server(clear_text(active_mode=True, client_times=True, hashes=tuple(HASHES))) as running:
        client = await running.greeted()
        answer = await client.command("HELP")
        assert set(" ".join(answer.lines[1:-1]).split()) == set(command_table())
        assert (await client.command("HELP xcup")).text == ("214 CDUP: change to the parent directory (RFC 959 4.1.1)")


async def test_stat_tells_of_the_session() -> None:
    async with running_server(encrypted()) as running:
        client = await running.client()
        answer = await client.command("STAT")
        assert answer.lines[0] == f"211-aioftps3 {aioftps3.__version__}"
        assert "encrypted" in answer.text
        assert "PROT P" in answer.text


async def test_stat_of_a_directory_lists_it_on_the_control_connection() -> None:
    """D29, P14: Cyberduck and lftp list so."""
    async with running_server(store=FtpStore({"dir/a": b"12345", "dir/b/c": b""})) as running:
        client = await running.client()
        for line in ("STAT dir", "STAT -l dir", "STAT -la /dir/"):
            answer = await client.command(line)
            assert answer.code == 212
            assert [row.split()[-1] for row in answer.lines[1:-1]] == ["a", "b"]


async def test_stat_of_a_file_and_of_an_empty_directory_and_of_nothing() -> None:
    async with running_server(store=FtpStore({"dir/": b"", "file": b"12345"})) as running:
        client = await running.client()
        answer = await client.command("STAT file")
        assert answer.code == 213
        assert answer.lines[1].split()[4:] == ["5", "Jan", "12", "1970", "file"]
        assert (await client.command("STAT dir")).lines == ("212-Status of dir:", "212 End")
        assert await client.codes("STAT none") == [550]


async def test_stat_of_a_directory_with_one_file_is_no_file() -> None:
    async with running_server(store=FtpStore({"dir/file": b"12345"})) as running:
        client = await running.client()
        assert await client.codes("STAT dir", "STAT dir/file", "STAT -d dir", "STAT -R dir", "STAT dir/f*") == [
            *[212, 213, 212, 212, 212]
        ]


async def test_a_name_with_strange_line_ends_is_one_line_of_stat() -> None:
    """U+0085 and U+2028 are no control characters of ASCII, so that S3 may hold them."""
    async with running_server(store=FtpStore({"a\x85b\u2028c": b""})) as running:
        client = await running.client()
        answer = await client.command("STAT /")
        assert len(answer.lines) == 3
        assert answer.lines[1].endswith("a\x85b\u2028c")


@pytest.mark.parametrize(
    ("entries", "end"), [(1000, "212 End"), (1001, "212 Only the first 1000 lines; LIST gives all.")]
)
async def test_stat_shows_the_first_entries_of_a_large_directory_and_says_so(entries: int, end: str) -> None:
    """The control connection is no place for long listings."""
    store = FtpStore({f"{number:04d}": b"" for number in range(entries)}, page_limit=300)
    async with running_server(store=store) as running:
        client = await running.client()
        _, *rows, last = (await client.command("STAT /")).lines
        assert [row.split()[-1] for row in rows] == [f"{number:04d}" for number in range(1000)]
        assert last == end
        assert await client.codes("NOOP") == [200]


@pytest.mark.parametrize(
    ("argument", "code"),
    [("ftp.example.com", 220), ("192.0.2.1", 220), ("[2001:db8::1]", 220), ("", 501), ("two words", 501)],
)
async def test_host_comes_before_the_login(argument: str, code: int) -> None:
    """RFC 7151 section 3: 503 behind it."""
    async with running_server() as running:
        client = await running.greeted()
        assert await client.codes(f"HOST {argument}") == [code]
        await client.log_in()
        assert await client.codes(f"HOST {argument}") == [503 if argument else 501]

"""Every name that S3 can hold goes through every command as it is, and every other one is refused."""

from __future__ import annotations

import re

import pytest

from tests.support.ftp_session import FtpClient, FtpStore, running_server

NAMES = [
    "plain.txt",
    'quo"te',
    '"',
    '""',
    '"quoted"',
    " lead",
    "trail ",
    "  two  blanks  ",
    " ",
    "-dash",
    "-la",
    "-",
    "--",
    "-- x",
    "a -la",
    "😀 emoji 👩‍👩‍👧",
    "caf\u00e9",
    "cafe\u0301",
    "\u1e69",
    "日本語",
    "\u202eright to left",
    "next\u0085line\u2028and\u2029paragraph",
    "no\u00a0break",
    "\ufeffbom",
    "\\",
    "C:\\dir\\file",
    "100%",
    "%2F",
    "a+b=c&d?e#f",
    "semi;colon; type=dir;",
    "it's",
    "[brackets]",
    "*",
    "wild*card?",
    "$HOME ~ `x` $(y)",
    "|pipe",
    "...",
    ".hidden",
    "x" * 255,
    "\u00e9" * 500,
]
"""Among them: NFC and NFD of one letter, a blank alone, what looks like an option, a pattern or a fact of MLSD."""


def unquoted(reply: str) -> str:
    """The path in a 257 as clients read it: from the first quote to the last, doubled ones halved."""
    found = re.fullmatch(r'257 "(.*)" (?:created|is the current directory)', reply)
    assert found is not None, reply
    assert '"' not in found[1].replace('""', "")
    return found[1].replace('""', '"')


async def listed(client: FtpClient, line: str) -> list[str]:
    return (await client.download(line)).decode().split("\r\n")[:-1]


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_of_any_name_goes_through_every_command(name: str) -> None:
    async with running_server(store=FtpStore({"dir/": b""})) as running:
        client = await running.client()
        await client.expect(250, "CWD dir")
        assert (await client.upload(name, b"12345")).code == 226
        assert running.store.contents == {"dir/": b"", f"dir/{name}": b"12345"}
        assert await client.download(f"RETR {name}") == b"12345"
        assert await client.download(f"RETR /dir/{name}") == b"12345"
        assert (await client.command(f"SIZE {name}")).text == "213 5"
        assert (await client.command(f"MDTM {name}")).code == 213
        assert (await client.command(f"MLST {name}")).lines[1].endswith(f"; /dir/{name}")
        assert await listed(client, "NLST") == [name]
        assert [line.partition(" ")[2] for line in await listed(client, "MLSD")] == [name]
        assert (await listed(client, "LIST"))[0].endswith(f"1970 {name}")
        assert await listed(client, f"NLST -- {name}") == [name]
        assert await listed(client, f"NLST /dir/{name}") == [f"/dir/{name}"]
        answer = await client.command(f"STAT /dir/{name}")
        assert answer.lines[1].endswith(f"1970 {name}")
        assert len(answer.lines) == 3
        assert await client.codes(f"RNFR {name}", f"RNTO {name}.new", f"RNFR {name}.new", f"RNTO {name}") == [
            *[350, 250, 350, 250]
        ]
        assert await client.codes(f"DELE {name}", f"DELE {name}") == [250, 550]
        assert running.store.contents == {"dir/": b""}


@pytest.mark.parametrize("name", NAMES)
async def test_a_directory_of_any_name_goes_through_every_command(name: str) -> None:
    async with running_server() as running:
        client = await running.client()
        assert unquoted((await client.command(f"MKD {name}")).text) == f"/{name}"
        assert (await client.command(f"MKD {name}")).text.endswith("already exists.")
        assert running.store.contents == {f"{name}/": b""}
        await client.expect(250, f"CWD {name}")
        assert unquoted((await client.command("PWD")).text) == f"/{name}"
        assert unquoted((await client.command("MKD x")).text) == f"/{name}/x"
        assert await client.codes("CDUP", "CDUP", f"CWD /{name}/x", "CDUP", "XCUP") == [250] * 5
        assert await listed(client, f"NLST /{name}") == ["x"]
        assert await listed(client, f"NLST -- {name}") == ["x"]
        assert [line.partition(" ")[2] for line in await listed(client, f"MLSD {name}")] == ["x"]
        assert (await client.command(f"MLST {name}")).lines[1].endswith(f"; /{name}")
        assert await client.codes(f"RNFR {name}", "RNTO other", "RNFR other", f"RNTO {name}") == [350, 250, 350, 250]
        assert await client.codes(f"RMD {name}/x", f"RMD {name}") == [250, 250]
        assert running.store.contents == {}


async def test_composed_and_decomposed_letters_are_two_names() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.upload("caf\u00e9", b"composed")
        await client.upload("cafe\u0301", b"decomposed")
        assert await client.download("RETR caf\u00e9") == b"composed"
        assert await client.download("RETR cafe\u0301") == b"decomposed"
        assert await listed(client, "NLST") == ["cafe\u0301", "caf\u00e9"]


REFUSED = [
    *[f"a{chr(number)}b" for number in (*range(1, 10), *range(11, 32), 127)],
    "a\x00b",
    "\r",
    "tab\t",
    "caf\udce9",  # the byte E9: Latin-1
    "\udcc3(",  # a sequence that is cut
    "\udced\udca0\udc80",  # a surrogate in UTF-8's form
    "\udcff",
    "x" * 1025,
]


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
async def test_a_name_that_no_key_can_have_is_refused_by_every_command(name: str) -> None:
    """D23, D25, D28: 553 where it would be made, else 550, and the session goes on."""
    # What is sent for \xff has to be doubled: alone it is a command of telnet.
    name = name.replace("\udcff", "\udcff\udcff")
    async with running_server(store=FtpStore({"file": b"x", "dir/": b""})) as running:
        client = await running.client()
        making = (f"MKD {name}", f"XMKD {name}")
        using = tuple(f"{verb} {name}" for verb in ("CWD", "RMD", "DELE", "RNFR", "SIZE", "MDTM", "MLST", "RMDA"))
        assert [(line, *await client.codes(line)) for line in making] == [(line, 553) for line in making]
        assert [(line, *await client.codes(line)) for line in using] == [(line, 550) for line in using]
        assert await client.codes("RNFR file", f"RNTO {name}") == [350, 553]
        for verb, code in (("STOR", 553), ("STOU", 553), ("RETR", 550), ("LIST", 550), ("NLST", 550), ("MLSD", 550)):
            await client.connect_data()
            assert (verb, *await client.codes(f"{verb} {name}")) == (verb, code)
        assert await client.codes(f"STAT {name}", "NOOP") == [550, 200]
        assert running.store.contents == {"file": b"x", "dir/": b""}


async def test_a_line_feed_in_a_name_begins_the_next_command() -> None:
    """There is no way to send it: what is behind is a command of its own, and no name."""
    async with running_server() as running:
        client = await running.client()
        await client.wire.send(b"MKD a\nNOOP\r\nMKD b\r\n")
        assert await client.replies(3) == [257, 200, 257]
        assert set(running.store.contents) == {"a/", "b/"}


async def test_latin_1_is_answered_in_latin_1() -> None:
    """A client reads its own bytes back, and learns that they are no UTF-8."""
    async with running_server() as running:
        client = await running.client()
        await client.wire.send(b"MKD caf\xe9\r\n")
        answer = await client.reply()
        assert answer.text.encode("utf-8", "surrogateescape") == b"553 caf\xe9: file name is not UTF-8."


async def test_keys_that_no_path_leads_to_are_hidden_from_every_listing() -> None:
    keys = {"ok": b"", "a//b": b"", "../x": b"", "./y": b"", "new\nline": b"", "\x7f": b"", "c\r": b"", "d/\x00": b""}
    async with running_server(store=FtpStore(keys)) as running:
        client = await running.client()
        for line in ("NLST", "NLST *", "NLST -l"):
            names = [row.rpartition(" ")[2] for row in await listed(client, line)]
            assert names == ["a", "d", "ok"]
        assert await listed(client, "NLST d") == []
        assert [line.partition(" ")[2] for line in await listed(client, "MLSD")] == ["a", "d", "ok"]

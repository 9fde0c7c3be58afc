"""TYPE MODE STRU."""

from __future__ import annotations

import pytest

from tests.support.ftp_session import KINDS, FtpStore, clear_text, running_server, serving


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("A", 200),
        ("a", 200),
        ("A N", 200),
        ("I", 200),
        ("i", 200),
        ("L 8", 200),
        ("l 8", 200),
        ("L8", 200),
        ("a n", 200),
        ("E", 504),
        ("L 9", 504),
        ("L", 504),
        ("A T", 504),
        ("X", 504),
        ("", 501),
    ],
)
async def test_type(argument: str, code: int) -> None:
    """D32."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"TYPE {argument}") == [code]


async def test_type_a_converts_nothing() -> None:
    """D42."""
    async with running_server() as running:
        client = await running.client()
        content = b"unix\nwindows\r\nold\r\x00\xff"
        for kind, words in (("A", "files stay unchanged"), ("I", "")):
            assert words in (await client.expect(200, f"TYPE {kind}")).text
            await client.upload("file", content)
            assert running.store.contents["file"] == content
            assert await client.download("RETR file") == content


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MODE S", 200),
        ("mode s", 200),
        ("MODE B", 504),
        ("MODE C", 504),
        ("MODE Z", 504),
        ("MODE", 501),
        ("STRU F", 200),
        ("stru f", 200),
        ("STRU R", 504),
        ("STRU P", 504),
        ("STRU", 501),
    ],
)
async def test_mode_and_stru_know_one_value_each(line: str, code: int) -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(line, "NOOP") == [code, 200]


# -- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_type_a_converts_line_ends_where_the_operator_wants_it(kind: str) -> None:
    content = b"one\r\ntwo\nthree\rfour\r" + b"line\r\n" * 100_000 + b"\r"
    stored = content.replace(b"\r\n", b"\n")
    async with serving(kind, convert_text=True) as running:
        client = await running.client()
        assert (await client.command("TYPE A")).text == "200 TYPE is A; line ends are converted."
        assert (await client.upload("file", content)).code == 226
        assert running.store.contents["file"] == stored
        assert await client.download("RETR file") == stored.replace(b"\n", b"\r\n")
        await client.expect(200, "TYPE I")
        assert await client.download("RETR file") == stored
        await client.upload("file", content)
        assert running.store.contents["file"] == content
        assert (await client.upload("empty", b"")).code == 226


async def test_sizes_and_positions_of_converted_text_are_not_known() -> None:
    """RFC 3659 sections 4 and 5."""
    async with running_server(clear_text(convert_text=True), store=FtpStore({"file": b"a\nb\n"})) as running:
        client = await running.client()
        await client.expect(200, "TYPE A")
        assert await client.codes("SIZE file", "SIZE none") == [550, 550]
        for verb in ("RETR", "STOR"):
            await client.connect_data()
            assert await client.codes("REST 1", f"{verb} file") == [350, 554]
        wire = await client.connect_data()
        assert (await client.command("RETR file")).text == "150 Opening ASCII mode data connection for file."
        assert await wire.receive_all() == b"a\r\nb\r\n"
        wire.close()
        assert (await client.reply()).code == 226
        await client.expect(200, "TYPE I")
        assert await client.codes("SIZE file", "REST 1") == [213, 350]
        assert await client.download("RETR file") == b"\nb\n"


async def test_the_reply_says_that_nothing_is_converted() -> None:
    async with running_server() as running:
        client = await running.client()
        assert (await client.command("TYPE A")).text == "200 TYPE is A; files stay unchanged."


async def test_a_cut_text_is_not_stored() -> None:
    async with running_server(clear_text(convert_text=True)) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"line\r")
        wire.reset()
        assert (await client.reply()).code == 426
        assert running.store.contents == {}

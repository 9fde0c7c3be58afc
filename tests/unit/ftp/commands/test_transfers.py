"""REST ALLO ABOR STOU; RETR and STOR are in tests/unit/ftp/test_transfer.py, REST and STOR and APPE in test_append.py
there."""

from __future__ import annotations

import posixpath
import re

import pytest

from aioftps3.storage.errors import Quota
from tests.support.ftp_session import HOST, FtpClient, FtpStore, running_server, serving
from tests.support.memory_store import MemoryWriter


@pytest.mark.parametrize("argument", ["", "x", "-1", "1.5", str(2**64), "1 2"])
async def test_rest_of_what_is_no_position_is_501(argument: str) -> None:
    """P15."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"REST {argument}") == [501]


@pytest.mark.parametrize(("line", "code"), [("ABOR", 226), ("REST x", 501)])
async def test_a_position_ends_with_abor_and_with_a_rest_that_is_refused(line: str, code: int) -> None:
    async with running_server() as running:
        client = await running.client()
        assert (await client.upload("file", b"0123456789")).code == 226
        assert await client.codes("TYPE I", "REST 5", line) == [200, 350, code]
        assert (await client.upload("file", b"new")).code == 226
        assert running.store.contents == {"file": b"new"}


@pytest.mark.parametrize("argument", ["0", "5", "5 R 5", str(2**63 - 1)])
async def test_allo(argument: str) -> None:
    """Dahua's cameras quit on 202."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"ALLO {argument}") == [200]


@pytest.mark.parametrize("argument", ["", "x", "-5", "1.5", "R 5", "\u0665", str(2**63), "9" * 3000])
async def test_allo_of_what_is_no_size_is_501_and_leaves_an_earlier_one_as_it_was(argument: str) -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("TYPE I", "ALLO 5", f"ALLO {argument}") == [200, 200, 501]
        assert (await client.upload("file", b"four")).code == 426
        assert running.store.contents == {}


async def test_allo_of_0_takes_an_earlier_one_back() -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("TYPE I", "ALLO 5", "ALLO 0") == [200, 200, 200]
        assert (await client.upload("file", b"four")).code == 226


class SmallFiles(FtpStore):
    """A store of files of up to 5 bytes."""

    def open_write(self, key: str, *, expected_size: int | None = None) -> MemoryWriter:
        if expected_size is not None and expected_size > 5:
            raise Quota
        return super().open_write(key, expected_size=expected_size)


async def test_an_upload_that_is_announced_larger_than_any_can_be_is_552_before_a_byte_is_sent() -> None:
    async with running_server(store=SmallFiles()) as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes("TYPE I", "ALLO 6", "STOR file") == [200, 200, 552]
        assert running.store.requests == []
        assert (await client.upload("file", b"four")).code == 226


async def test_abor_with_nothing_to_abort_is_226() -> None:
    async with running_server() as running:
        client = await running.client()
        assert await client.codes("ABOR", "NOOP") == [226, 200]


async def test_abor_after_a_transfer_does_not_touch_it() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.upload("file", b"data")
        assert await client.codes("ABOR") == [226]
        assert running.store.contents == {"file": b"data"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("STOR", 501),
        ("RETR", 501),
        ("STOR /", 553),
        ("STOR a/", 553),
        ("APPE", 501),
        ("APPE /", 553),
        ("APPE a/", 553),
        ("RETR /", 550),
        ("STOU a\x01", 553),
    ],
)
async def test_transfers_need_a_files_name(line: str, code: int) -> None:
    async with running_server() as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes(line, "NOOP") == [code, 200]


@pytest.mark.parametrize("verb", ["STOR", "APPE"])
@pytest.mark.parametrize("name", ["a\x01", "x" * 1100])
async def test_a_name_that_s3_cannot_hold_is_553(name: str, verb: str) -> None:
    async with running_server() as running:
        client = await running.client()
        await client.connect_data(host=HOST)
        assert await client.codes(f"{verb} {name}", "NOOP") == [553, 200]
        assert running.store.requests == []


async def test_a_directory_cannot_be_downloaded() -> None:
    async with running_server(store=FtpStore({"dir/file": b""})) as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes("RETR dir") == [550]


async def stored_unique(client: FtpClient, line: str, data: bytes) -> str:
    """STOU; the name that both replies tell, as RFC 1123 has it, as IIS has it, and as Net::FTP wants it."""
    wire = await client.connect_data()
    await client.send(line)
    opening = re.fullmatch(r"150-FILE: (.+)\n150 Opening data connection for (.+)\.", (await client.reply()).text)
    await client.encrypt(wire)
    await wire.send(data)
    await wire.end_in_order()
    final = re.fullmatch(r"226 Stored \d+ bytes \(unique file name: (.+)\)\.", (await client.reply()).text)
    assert opening is not None
    assert final is not None
    assert opening[1] == final[1]
    assert opening[2] == posixpath.basename(opening[1])
    return opening[1]


@pytest.mark.parametrize("kind", ["clear", "tls1.3"])
async def test_stou_makes_a_new_name_each_time_and_replaces_nothing(kind: str) -> None:
    """RFC 1123 section 4.1.2.9: the name is behind FILE: in the 150; .NET reads it behind "for", Perl in the 226."""
    async with serving(kind, store=FtpStore({"dir/photo.jpg": b"old", "dir/": b""})) as running:
        client = await running.client()
        await client.expect(250, "CWD dir")
        names = [await stored_unique(client, "STOU photo.jpg", bytes([number])) for number in range(3)]
        assert len(set(names)) == 3
        for number, name in enumerate(names):
            assert re.fullmatch(r"photo-[0-9a-f]{16}\.jpg", name)
            assert running.store.contents[f"dir/{name}"] == bytes([number])
        assert running.store.contents["dir/photo.jpg"] == b"old"


@pytest.mark.parametrize(
    ("argument", "directory"), [("", ""), ("a b", ""), ("dir/", "dir"), ("/dir/x", "/dir"), (".x", ""), ("..", "")]
)
async def test_stou_takes_a_directory_and_needs_no_name(argument: str, directory: str) -> None:
    async with running_server() as running:
        client = await running.client()
        name = await stored_unique(client, f"STOU {argument}" if argument else "STOU", b"data")
        assert posixpath.dirname(name) == directory
        assert running.store.contents == {name.lstrip("/"): b"data"}
        assert running.store.operations() == ["PutObject"]


async def test_stou_behind_rest_is_refused() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.connect_data()
        assert await client.codes("REST 5", "STOU x", "NOOP") == [350, 554, 200]
        assert running.store.contents == {}

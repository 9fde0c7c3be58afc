"""HASH XCRC XMD5 XSHA256 and OPTS HASH."""

from __future__ import annotations

import hashlib
import zlib

import pytest

from aioftps3.storage.errors import Unavailable
from tests.support.ftp_session import FtpStore, clear_text, running_server

DATA = b"some content"
SHA256 = hashlib.sha256(DATA).hexdigest()
CRC32 = f"{zlib.crc32(DATA):08x}"

ALL = clear_text(hashes=("CRC32", "SHA-256", "MD5"))


async def test_hash_tells_the_chosen_hash_by_one_request() -> None:
    """draft-bryan-ftpext-hash: the hash, the range, the digest, the name."""
    async with running_server(ALL, store=FtpStore({"two words": DATA})) as running:
        client = await running.client()
        assert (await client.command("HASH two words")).text == f"213 CRC32 0-12 {CRC32} two words"
        assert running.store.operations() == ["HeadObject"]
        assert (await client.command("OPTS HASH SHA-256")).text == "200 SHA-256"
        assert (await client.command("HASH /two words")).text == f"213 SHA-256 0-12 {SHA256} /two words"


async def test_feat_has_a_star_behind_the_chosen_hash() -> None:
    async with running_server(ALL) as running:
        client = await running.client()
        assert " HASH CRC32*;SHA-256;MD5;" in (await client.command("FEAT")).lines
        await client.expect(200, "OPTS HASH sha-256")
        assert " HASH CRC32;SHA-256*;MD5;" in (await client.command("FEAT")).lines
        assert (await client.command("OPTS HASH")).text == "200 SHA-256"
        assert await client.codes("OPTS HASH SHA-1", "OPTS HASH crc32 x") == [501, 501]
        assert (await client.command("OPTS HASH")).text == "200 SHA-256"


async def test_a_new_user_begins_with_the_first_hash() -> None:
    async with running_server(ALL) as running:
        client = await running.client()
        await client.expect(200, "OPTS HASH MD5")
        await client.expect(220, "REIN")
        await client.log_in()
        assert (await client.command("OPTS HASH")).text == "200 CRC32"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("XCRC two words", f"250 {CRC32}"),
        ('XCRC "two words"', f"250 {CRC32}"),
        ('XCRC "two words" 0 12', f"250 {CRC32}"),
        ("XCRC two words 0 12", f"250 {CRC32}"),
        ("XCRC two words 0", f"250 {CRC32}"),
        ("xsha256 two words", f"250 {SHA256}"),
        ('XSHA256 "/two words"', f"250 {SHA256}"),
    ],
)
async def test_x_commands_tell_one_hash(line: str, answer: str) -> None:
    async with running_server(ALL, store=FtpStore({"two words": DATA})) as running:
        client = await running.client()
        assert (await client.command(line)).text == answer


async def test_a_file_of_exactly_that_name_comes_first() -> None:
    async with running_server(ALL, store=FtpStore({"a": b"", "a 5": DATA, '"a"': DATA})) as running:
        client = await running.client()
        for line in ("XCRC a 5", 'XCRC "a"'):
            assert (await client.command(line)).text == f"250 {CRC32}"
        assert running.store.operations() == ["HeadObject"] * 2


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("XCRC file 0 5", 504, "whole files only"),
        ("XCRC file 1 12", 504, "whole files only"),
        ('XCRC "file" 3', 504, "whole files only"),
        ("HASH file 0 12", 550, "no such file"),
        ("HASH none", 550, "no such file"),
        ("XCRC none", 550, "no such file"),
        ("XCRC none 0 5", 550, "no such file"),
        ("HASH dir", 550, "is a directory"),
        ("XCRC dir", 550, "is a directory"),
        ("HASH /", 550, "does not end in a slash"),
        ("HASH parts", 550, "stored in parts"),
        ("XSHA256 parts", 550, "stored in parts"),
        ("XMD5 file", 550, "No MD5 of this file is known"),
        ("HASH", 501, "argument"),
        ("XCRC", 501, "argument"),
        ("RANG 0 5", 502, "not implemented"),
        ("XSHA1 file", 502, "not implemented"),
    ],
)
async def test_what_is_not_known_is_refused_and_says_why(line: str, code: int, words: str) -> None:
    store = FtpStore({"file": DATA, "dir/x": DATA, "parts": DATA})
    store.in_parts.add("parts")
    async with running_server(ALL, store=store) as running:
        client = await running.client()
        answer = await client.command(line)
        assert answer.code == code
        assert words in answer.text
        assert "GetObject" not in running.store.operations()
        assert await client.codes("NOOP") == [200]


@pytest.mark.parametrize(
    ("hashes", "codes"),
    [
        ((), [502, 502, 502, 502, 501]),
        (("SHA-256",), [213, 502, 250, 502, 200]),
        (("CRC32",), [213, 250, 502, 502, 200]),
    ],
)
async def test_only_what_can_be_told_is_offered(hashes: tuple[str, ...], codes: list[int]) -> None:
    async with running_server(clear_text(hashes=hashes), store=FtpStore({"file": DATA})) as running:
        client = await running.client()
        assert await client.codes("HASH file", "XCRC file", "XSHA256 file", "XMD5 file", "OPTS HASH") == codes
        features = (await client.command("FEAT")).text
        assert ("HASH" in features) == bool(hashes)
        assert ("XCRC" in features) == ("CRC32" in hashes)


async def test_an_s3_that_does_not_answer_is_451() -> None:
    async with running_server(ALL, store=FtpStore({"file": DATA})) as running:
        client = await running.client()
        running.store.fail(Unavailable(), "HeadObject")
        assert await client.codes("HASH file", "XCRC file 0 5", "NOOP") == [451, 451, 200]

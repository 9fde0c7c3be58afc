"""TYPE MODE STRU."""

from __future__ import annotations

import pytest

from tests.support.ftp_session import running_server


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
        for kind in ("A", "I"):
            await client.expect(200, f"TYPE {kind}")
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

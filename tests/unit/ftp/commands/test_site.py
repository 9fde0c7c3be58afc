"""SITE and its own commands."""

from __future__ import annotations

import pytest

from aioftps3.ftp.commands.site import SUBCOMMANDS
from tests.support.ftp_session import running_server


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("CHMOD 644 ./x", 200),
        ("chmod 644 x", 200),
        ("  CHMOD 0755 two words ", 200),
        ("CHMOD", 501),
        ("CHMOD 644", 501),
        ("HELP", 214),
        ("help", 214),
        ("UMASK", 504),
        ("EXEC ls", 504),
        ("", 501),
        ("  ", 504),
    ],
)
async def test_site(argument: str, code: int) -> None:
    """lftp sends CHMOD for each file of a mirror, Explorer `site help`, ncftp `HELP SITE`."""
    async with running_server() as running:
        client = await running.client()
        assert await client.codes(f"SITE {argument}", "NOOP") == [code, 200]
        assert running.store.requests == []


@pytest.mark.parametrize("line", ["SITE HELP", "HELP SITE", "help site"])
async def test_help_on_site_lists_its_commands(line: str) -> None:
    async with running_server() as running:
        client = await running.client()
        lines = (await client.command(line)).lines[1:-1]
        assert [row.partition(":")[0].strip().partition(" <")[0] for row in lines] == [
            f"SITE {name}" for name in SUBCOMMANDS
        ]

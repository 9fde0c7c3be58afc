"""SITE and its own commands."""

from __future__ import annotations

import pytest

from aioftps3.ftp.commands.site import SUBCOMMANDS
from tests.support.ftp_session import FtpStore, clear_text, running_server


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
        ("UTIME 20260101000000 x", 504),
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
    for client_times in (True, False):
        async with running_server(clear_text(client_times=client_times)) as running:
            client = await running.client()
            lines = (await client.command(line)).lines[1:-1]
            assert [row.partition(":")[0].strip().partition(" <")[0] for row in lines] == [
                f"SITE {name}" for name in SUBCOMMANDS if client_times or name != "UTIME"
            ]


async def test_files_and_directories_are_copied_inside_the_bucket() -> None:
    """WinSCP duplicates files so, where FEAT has SITE COPY."""
    async with running_server(store=FtpStore({"a": b"1", "b": b"2", "dir/x": b"3"})) as running:
        client = await running.client()
        assert await client.codes(
            "SITE CPFR a", "SITE CPTO b", "site cpfr dir", "site cpto two words", "SITE CPFR a", "SITE CPTO dir",
        ) == [350, 250, 350, 250, 350, 550]  # fmt: skip
        assert running.store.contents == {"a": b"1", "b": b"1", "dir/x": b"3", "two words/x": b"3"}


@pytest.mark.parametrize("target", ["a\x01", "dir/below"])
async def test_site_cpto_refuses_names_as_rnto_does(target: str) -> None:
    async with running_server(store=FtpStore({"a": b"1", "dir/x": b"2"})) as running:
        client = await running.client()
        source = target.partition("/")[0].rstrip("\x01")
        assert await client.codes(f"RNFR {source}", f"RNTO {target}") == [350, 553]
        assert await client.codes(f"SITE CPFR {source}", f"SITE CPTO {target}") == [350, 553]


async def test_what_fails_is_told_by_its_path_alone() -> None:
    async with running_server() as running:
        client = await running.client()
        assert (await client.command("SITE CPFR none")).text == "550 none: no such file or directory."


async def test_site_cpto_needs_site_cpfr_and_only_once() -> None:
    async with running_server(store=FtpStore({"a": b"1"})) as running:
        client = await running.client()
        assert await client.codes(
            "SITE CPTO b", "SITE CPFR none", "SITE CPTO b", "SITE CPFR a", "SITE CPTO b", "SITE CPTO c",
            "SITE CPFR", "SITE CPTO", "SITE CPFR /", "SITE CPFR a", "RNTO c",
        ) == [503, 550, 503, 350, 250, 503, 501, 501, 550, 350, 503]  # fmt: skip
        assert running.store.contents == {"a": b"1", "b": b"1"}

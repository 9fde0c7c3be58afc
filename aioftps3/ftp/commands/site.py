"""SITE and its own commands (RFC 959 section 4.1.3): a row in `SUBCOMMANDS` is all that one needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aioftps3.ftp.commands.files import source_entry, target_path
from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.commands.times import SITE_UTIME
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session

__all__ = ("COMMANDS", "SUBCOMMANDS", "site_help")


async def site(_session: Session, _argument: str) -> Reply:
    """SITE with none of the commands below."""
    return Reply(504, "There is no such SITE command.")


async def site_help(session: Session, _argument: str) -> Reply:
    """SITE HELP, which HELP SITE is, too."""
    offered = (command for command in SUBCOMMANDS.values() if command.works(session.config))
    return Reply(214, "SITE commands:", tuple(f"{command.syntax}: {command.summary}" for command in offered))


async def chmod(_session: Session, argument: str) -> Reply:
    """SITE CHMOD: accepted, because clients send it after each upload; S3 has nothing to keep modes in."""
    mode, _, path = argument.lstrip(" ").partition(" ")
    if not (mode and path):
        return Reply(501, "SITE CHMOD takes a mode and a path.")
    return Reply(200, "Accepted; S3 keeps no modes.")


async def cpfr(session: Session, argument: str) -> Reply:
    """SITE CPFR: remember what SITE CPTO copies."""
    session.copy_source = None
    session.copy_source = await source_entry(session, argument)
    return Reply(350, "Ready for SITE CPTO.")


async def cpto(session: Session, argument: str) -> Reply:
    """SITE CPTO: a file or a directory is copied on S3's side; an existing file of that name is replaced."""
    source, session.copy_source = session.copy_source, None
    if source is None:
        return Reply(503, "Send SITE CPFR first.")
    await session.path_io.copy_entry(source, target_path(session, source, argument))
    return Reply(250, "Copied.")


SUBCOMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        command.verb.removeprefix("SITE "): command
        for command in (
            Command(
                verb="SITE CHMOD",
                handler=chmod,
                syntax="SITE CHMOD <mode> <path>",
                summary="accepted, and nothing else: S3 keeps no modes",
                reference="-",
                argument_required=True,
            ),
            SITE_UTIME,
            Command(
                verb="SITE CPFR",
                handler=cpfr,
                syntax="SITE CPFR <path>",
                summary="what to copy, inside the bucket",
                reference="-",
                argument_required=True,
                feature="SITE COPY",
            ),
            Command(
                verb="SITE CPTO",
                handler=cpto,
                syntax="SITE CPTO <path>",
                summary="the name of the copy; a file of that name is replaced",
                reference="-",
                argument_required=True,
                makes_name=True,
                feature="SITE COPY",
            ),
            Command(
                verb="SITE HELP",
                handler=site_help,
                syntax="SITE HELP",
                summary="list the SITE commands",
                reference="RFC 959 4.1.3",
            ),
        )
    }
)
"""Each command behind SITE."""

COMMANDS = (
    Command(
        verb="SITE",
        handler=site,
        syntax="SITE <command>",
        summary="one of the following commands",
        reference="RFC 959 4.1.3",
        argument_required=True,
        subcommands=SUBCOMMANDS,
    ),
)

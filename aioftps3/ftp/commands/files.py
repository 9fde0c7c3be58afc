"""Single files without a data connection: DELE RNFR RNTO (RFC 959), SIZE MLST (RFC 3659)."""

from __future__ import annotations

from pathlib import PurePosixPath

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.listing import facts_line
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session
from aioftps3.storage.paths import means_directory
from aioftps3.storage.tree import Entry

__all__ = ("COMMANDS", "source_entry", "target_path")


async def dele(session: Session, argument: str) -> Reply:
    """DELE: a file; directories are refused."""
    await session.path_io.unlink(session.resolve_file(argument))
    return Reply(250, "File deleted.")


async def rnfr(session: Session, argument: str) -> Reply:
    """RNFR: remember what RNTO gives another name."""
    session.rename_source = None
    session.rename_source = await source_entry(session, argument)
    return Reply(350, "Ready for RNTO.")


async def rnto(session: Session, argument: str) -> Reply:
    """RNTO: a file or a directory gets its new name; an existing file of that name is replaced."""
    source, session.rename_source = session.rename_source, None
    if source is None:
        return Reply(503, "Send RNFR first.")
    await session.path_io.rename_entry(source, target_path(session, source, argument))
    return Reply(250, "Renamed.")


async def source_entry(session: Session, argument: str) -> Entry:
    """What is to be renamed or copied. Raises PathIOError and NameInvalid."""
    return await session.path_io.rename_source(session.resolve(argument), directory=means_directory(argument))


def target_path(session: Session, source: Entry, argument: str) -> PurePosixPath:
    """The new path of what is renamed or copied. Raises NameInvalid."""
    return session.resolve(argument) if source.is_dir else session.resolve_file(argument)


async def size(session: Session, argument: str) -> Reply:
    """SIZE: the bytes that a transfer would move; of text that is converted they are not known (RFC 3659 section 4)."""
    if session.converts_text:
        return Reply(550, "Sizes of text whose line ends are converted are not known: send TYPE I.")
    entry = await session.path_io.file_entry(session.resolve_file(argument))
    return Reply(213, str(entry.size))


async def mlst(session: Session, argument: str) -> Reply:
    """MLST: the facts of one file or directory, on the control connection."""
    path = session.resolve(argument)
    entry = await session.path_io.entry(path, directory=means_directory(argument))
    return Reply(250, "Listing", (facts_line(entry, session.facts, str(path)),))


COMMANDS = (
    Command(
        verb="DELE",
        handler=dele,
        syntax="DELE <path>",
        summary="delete a file",
        reference="RFC 959 4.1.3",
        argument_required=True,
    ),
    Command(
        verb="RNFR",
        handler=rnfr,
        syntax="RNFR <path>",
        summary="what to rename",
        reference="RFC 959 4.1.3",
        argument_required=True,
    ),
    Command(
        verb="RNTO",
        handler=rnto,
        syntax="RNTO <path>",
        summary="its new name; a file of that name is replaced",
        reference="RFC 959 4.1.3",
        argument_required=True,
        makes_name=True,
    ),
    Command(
        verb="SIZE",
        handler=size,
        syntax="SIZE <path>",
        summary="size of a file in bytes",
        reference="RFC 3659 4",
        argument_required=True,
        feature="SIZE",
    ),
    Command(
        verb="MLST",
        handler=mlst,
        syntax="MLST [<path>]",
        summary="facts of one file or directory",
        reference="RFC 3659 7",
        feature="MLST",
    ),
)

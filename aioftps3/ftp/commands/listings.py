"""Directories over the data connection: LIST NLST (RFC 959) and MLSD (RFC 3659)."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import AsyncGenerator, Sequence

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.listing import list_lines, mlsd_lines, nlst_lines
from aioftps3.ftp.parsing import split_list_options
from aioftps3.ftp.pathio import virtual
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session
from aioftps3.ftp.transfer import send_pages
from aioftps3.storage.errors import NotADirectory
from aioftps3.storage.tree import Entry

__all__ = ("COMMANDS",)


async def list_(session: Session, argument: str) -> Reply:
    """LIST: a directory, or one file, in the form of `ls -l`. Options are taken and mean nothing."""
    _, name = split_list_options(argument)
    path = session.resolve(name)
    lines = functools.partial(list_lines, now=time.time())
    return await send_pages(session, session.path_io.pages(path), lines, verb="LIST", name=str(path))


async def nlst(session: Session, argument: str) -> Reply:
    """NLST: names alone."""
    _, name = split_list_options(argument)
    path = session.resolve(name)
    return await send_pages(session, session.path_io.pages(path), nlst_lines, verb="NLST", name=str(path))


async def mlsd(session: Session, argument: str) -> Reply:
    """MLSD: a directory with exact facts; of a file it is an error (RFC 3659 section 7.2)."""
    path = session.resolve(argument)

    async def directory_only() -> AsyncGenerator[Sequence[Entry], None]:
        async with contextlib.aclosing(session.path_io.pages(path)) as pages:
            async for page in pages:
                if len(page) == 1 and page[0].path == virtual(path):
                    raise NotADirectory
                yield page

    lines = functools.partial(mlsd_lines, facts=session.facts)
    return await send_pages(session, directory_only(), lines, verb="MLSD", name=str(path))


COMMANDS = (
    Command(
        verb="LIST",
        handler=list_,
        syntax="LIST [<options>] [<path>]",
        summary="list a directory as ls -l does",
        reference="RFC 959 4.1.3",
        transfer=True,
    ),
    Command(
        verb="NLST",
        handler=nlst,
        syntax="NLST [<options>] [<path>]",
        summary="list the names in a directory",
        reference="RFC 959 4.1.3",
        transfer=True,
    ),
    Command(
        verb="MLSD",
        handler=mlsd,
        syntax="MLSD [<path>]",
        summary="list a directory with exact facts",
        reference="RFC 3659 7",
        transfer=True,
    ),
)

"""Directories over the data connection: LIST NLST (RFC 959) and MLSD (RFC 3659)."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import cast

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.listing import Section, mlsd_lines, nlst_lines, section_lines
from aioftps3.ftp.ls import is_file, sections, timed
from aioftps3.ftp.lsarguments import list_requests
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session
from aioftps3.ftp.transfer import send_pages
from aioftps3.storage.errors import NotADirectory
from aioftps3.storage.tree import Entry

__all__ = ("COMMANDS",)


async def list_(session: Session, argument: str) -> Reply:
    """LIST: a directory, a file, or what a pattern matches, in the form of `ls -l`; with -R all below."""
    found = timed(session, sections(session, argument))
    return await send_pages(session, found, _LongForm(), verb="LIST", name=_shown(session, argument))


async def nlst(session: Session, argument: str) -> Reply:
    """NLST: names alone, as they can be given to RETR where the argument is a pattern or a file; with -l as LIST."""
    found = sections(session, argument)
    lines: Callable[[Sequence[Entry]], bytes] = _names
    if "l" in list_requests(argument)[0].options:
        found, lines = timed(session, found), _LongForm()
    return await send_pages(session, found, lines, verb="NLST", name=_shown(session, argument))


def _shown(session: Session, argument: str) -> str:
    """What the 150 and the log call a listing."""
    return str(session.resolve(list_requests(argument)[0].path))


class _LongForm:
    """Writes the sections of one listing as LIST shows them."""

    def __init__(self) -> None:
        self._now = time.time()
        self._first = True

    def __call__(self, page: Sequence[Entry]) -> bytes:
        first, self._first = self._first, False
        return section_lines(cast("Section", page), now=self._now, first=first)


def _names(page: Sequence[Entry]) -> bytes:
    return nlst_lines(page, prefix=cast("Section", page).prefix)


async def mlsd(session: Session, argument: str) -> Reply:
    """MLSD: a directory with exact facts; of a file it is an error (RFC 3659 section 7.2)."""
    path = session.resolve(argument)
    with_times = session.config.client_times and "modify" in session.facts

    async def directory_only() -> AsyncGenerator[Sequence[Entry], None]:
        async with contextlib.aclosing(session.path_io.pages(path)) as pages:
            async for page in pages:
                if is_file(path, page):
                    raise NotADirectory
                yield await session.path_io.timed(page) if with_times else page

    lines = functools.partial(mlsd_lines, facts=session.facts)
    return await send_pages(session, directory_only(), lines, verb="MLSD", name=str(path))


COMMANDS = (
    Command(
        verb="LIST",
        handler=list_,
        syntax="LIST [<options>] [<path>]",
        summary="list a directory, a file or what a pattern matches as ls -l does; -R with all below, -d as itself",
        reference="RFC 959 4.1.3",
        transfer=True,
    ),
    Command(
        verb="NLST",
        handler=nlst,
        syntax="NLST [<options>] [<path>]",
        summary="list names alone; -R with all below, -l as LIST",
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

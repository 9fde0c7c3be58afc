"""Finds what LIST, NLST and STAT show: a directory, a file, all below a directory, or what a pattern matches.

It comes page by page, as sections that a formatter of listing.py can write at once; memory does not grow with what is
listed, but for the directories that a recursive listing has still to visit, of which there are `MAX_PENDING` at most.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import PurePosixPath

import aioftp

from aioftps3.ftp.listing import Section
from aioftps3.ftp.lsarguments import ListRequest, is_pattern, list_requests, literal_prefix, name_filter
from aioftps3.ftp.pathio import virtual
from aioftps3.ftp.replies import ReplyError
from aioftps3.ftp.session import Session
from aioftps3.storage.errors import NotADirectory, NotFound
from aioftps3.storage.paths import means_directory
from aioftps3.storage.tree import Entry

__all__ = ("MAX_PENDING", "is_file", "sections", "timed")

MAX_PENDING = 10_000
"""Directories that one recursive listing may have found and not yet visited: about a megabyte, ten if their names are
the longest."""


class _NoMatch(NotFound):
    """No name in a directory matches: an empty listing, unless the argument means something else that is there."""


async def sections(session: Session, argument: str) -> AsyncGenerator[Section, None]:
    """What the argument means, options and wildcards included; at least one section comes.

    Raises PathIOError or NotFound, when nothing is there before the first section, and ReplyError.
    """
    requests = list_requests(argument)
    refusal: Exception = NotFound()
    is_unmatched = False
    for request in requests:
        found = _sections(session, request, must_match=len(requests) > 1)
        async with contextlib.aclosing(found):
            try:
                first = await anext(found)
            except (aioftp.PathIOError, NotFound) as error:
                if not (isinstance(error, NotFound) or isinstance(error.__cause__, NotFound)):
                    raise
                refusal = error
                is_unmatched = is_unmatched or isinstance(error, _NoMatch)
                continue
            yield first
            async for section in found:
                yield section
            return
    if not is_unmatched:
        raise refusal
    yield Section(())


def timed(session: Session, found: AsyncGenerator[Section, None]) -> AsyncGenerator[Section, None]:
    """Sections with the times that clients gave to the files, where such times are kept; each one that is not known
    costs a request, so that this is for what shows times only."""
    return _timed(session, found) if session.config.client_times else found


async def _timed(session: Session, found: AsyncGenerator[Section, None]) -> AsyncGenerator[Section, None]:
    async with contextlib.aclosing(found):
        async for section in found:
            if section.alone:  # its time came with it
                yield section
            else:
                entries = await session.path_io.timed(section)
                yield Section(entries, heading=section.heading, prefix=section.prefix)


async def _sections(
    session: Session, request: ListRequest, *, must_match: bool = False
) -> AsyncGenerator[Section, None]:
    path = session.resolve(request.path)
    if is_pattern(path.name) and not await session.path_io.is_dir(path):
        found = _matching(session, path, request.path, must_match=must_match)
    elif "d" in request.options:
        entry = await session.path_io.entry(path, directory=means_directory(request.path))
        yield Section((entry,), prefix=_leading(request.path), alone=True)
        return
    elif "R" in request.options:
        found = _recursive(session, path, request.path)
    else:
        found = _plain(session, path, request.path)
    async with contextlib.aclosing(found):
        async for section in found:
            yield section


def _leading(typed: str) -> str:
    """What stands in a path, as it was sent, before its last name."""
    bare = typed.rstrip("/")
    return bare[: bare.rfind("/") + 1]


async def _plain(session: Session, path: PurePosixPath, typed: str) -> AsyncGenerator[Section, None]:
    """A directory's entries, or the file, which keeps the directories that it was asked for with."""
    async with contextlib.aclosing(session.path_io.pages(path)) as pages:
        async for page in pages:
            yield _file_section(page, typed) if is_file(path, page) else Section(page)


def is_file(path: PurePosixPath, page: Sequence[Entry]) -> bool:
    """Whether the page is the file at ``path``, and not what is in a directory."""
    return len(page) == 1 and page[0].path == virtual(path)


def _file_section(page: Sequence[Entry], typed: str) -> Section:
    """A file, asked for by itself. Raises NotADirectory."""
    if means_directory(typed):
        raise NotADirectory
    return Section(page, prefix=_leading(typed), alone=True)


async def _matching(
    session: Session, path: PurePosixPath, typed: str, *, must_match: bool
) -> AsyncGenerator[Section, None]:
    """The entries of one directory whose names match, directories among them as themselves, and only they when the
    pattern ends in a slash. Raises _NoMatch when some ``must_match`` and none does."""
    matches, only_directories = name_filter(path.name), means_directory(typed)
    async with contextlib.aclosing(session.path_io.pages(path.parent, literal_prefix(path.name))) as pages:
        async for page in pages:
            if is_file(path.parent, page):
                raise NotFound(reason="not a directory")
            found = [entry for entry in page if matches(entry.name) and (entry.is_dir or not only_directories)]
            if found or not must_match:
                must_match = False
                yield Section(found, prefix=_leading(typed))
    if must_match:
        raise _NoMatch


async def _recursive(session: Session, top: PurePosixPath, typed: str) -> AsyncGenerator[Section, None]:
    """A directory and all below it as `ls -R` shows them: each directory whole, then those in it, in their order."""
    label = typed.rstrip("/") or ("/" if typed else ".")
    leading = typed and f"{typed.rstrip('/')}/"
    pending = [""]
    while pending:
        below = pending.pop()
        path, prefix = top / below, f"{leading}{below}/" if below else leading
        heading: str | None = f"{label.rstrip('/')}/{below}" if below else label
        directories: list[str] = []
        try:
            async with contextlib.aclosing(session.path_io.pages(path)) as pages:
                async for page in pages:
                    if is_file(path, page):
                        yield _file_section(page, typed)
                        return
                    yield Section(page, heading=heading, prefix=prefix)
                    heading = None
                    directories += [f"{below}/{entry.name}" if below else entry.name for entry in page if entry.is_dir]
                    if len(pending) + len(directories) > MAX_PENDING:
                        raise ReplyError(451, "Too many directories for one recursive listing.")
        except aioftp.PathIOError as error:
            if path == top or not isinstance(error.__cause__, NotFound):
                raise
            continue  # somebody has removed it meanwhile
        pending += reversed(directories)

"""The times of files: MDTM (RFC 3659), and to set them MFMT and MFF (draft-somers-ftp-mfxx), MDTM and SITE UTIME."""

from __future__ import annotations

import aioftp

from aioftps3.ftp.commands.table import Command, Switch
from aioftps3.ftp.listing import mdtm
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session
from aioftps3.ftp.timestamps import parse_facts, parse_time, parse_time_and_path, parse_utime
from aioftps3.storage.errors import NameInvalid, NotFound

__all__ = ("COMMANDS", "SITE_UTIME")

_CLIENT_TIMES = Switch("AIOFTPS3_TIMES=modified", lambda config: config.client_times)

_REFERENCE = "draft-somers-ftp-mfxx"


async def mfmt(session: Session, argument: str) -> Reply:
    """MFMT: the time of a file."""
    parsed = parse_time_and_path(argument)
    if parsed is None:
        return Reply(501, "MFMT takes a time, YYYYMMDDHHMMSS in UTC, and a path.")
    return await _set_time(session, *parsed)


async def mff(session: Session, argument: str) -> Reply:
    """MFF: facts of a file, of which there is one."""
    parsed = parse_facts(argument)
    if parsed is None:
        return Reply(501, "MFF takes modify=YYYYMMDDHHMMSS; and a path.")
    facts, path = parsed
    if set(facts) != {"modify"}:
        return Reply(504, "Of the facts of a file only modify can be set.")
    seconds = parse_time(facts["modify"])
    if seconds is None:
        return Reply(501, "The value of modify is no time: YYYYMMDDHHMMSS in UTC.")
    return await _set_time(session, seconds, path)


async def modification_time(session: Session, argument: str) -> Reply:
    """MDTM: a file's time, or with a time in front of the path sets it, unless the whole is the name of a file."""
    parsed = parse_time_and_path(argument) if session.config.client_times else None
    try:
        entry = await session.path_io.file_entry(session.resolve_file(argument))
    except aioftp.PathIOError as error:
        if parsed is None or not isinstance(error.__cause__, NotFound | NameInvalid):
            raise
        return await _set_time(session, *parsed)
    return Reply(213, mdtm(entry.modified))


async def site_utime(session: Session, argument: str) -> Reply:
    """SITE UTIME, in both of its forms; only the time of modification is kept."""
    parsed = parse_utime(argument)
    if parsed is None:
        return Reply(501, "SITE UTIME takes a time, YYYYMMDDHHMM[SS] in UTC, and a path.")
    seconds, path = parsed
    await session.path_io.set_time(session.resolve_file(path), seconds)
    return Reply(200, "Time set.")


async def _set_time(session: Session, seconds: float, argument: str) -> Reply:
    await session.path_io.set_time(session.resolve_file(argument), seconds)
    return Reply(213, f"Modify={mdtm(seconds)}; {argument}")


COMMANDS = (
    Command(
        verb="MDTM",
        handler=modification_time,
        syntax="MDTM <path>",
        summary="time of a file, UTC; with AIOFTPS3_TIMES=modified, a time in front of the path sets it",
        reference="RFC 3659 3",
        argument_required=True,
        feature="MDTM",
    ),
    Command(
        verb="MFMT",
        handler=mfmt,
        syntax="MFMT <time> <path>",
        summary="set the time of a file, UTC",
        reference=f"{_REFERENCE} 3.1",
        argument_required=True,
        feature="MFMT",
        switch=_CLIENT_TIMES,
    ),
    Command(
        verb="MFF",
        handler=mff,
        syntax="MFF modify=<time>; <path>",
        summary="set facts of a file, of which its time is the only one",
        reference=f"{_REFERENCE} 5.1",
        argument_required=True,
        feature="MFF modify;",
        switch=_CLIENT_TIMES,
    ),
)

SITE_UTIME = Command(
    verb="SITE UTIME",
    handler=site_utime,
    syntax="SITE UTIME <time> <path> | SITE UTIME <path> <accessed> <modified> <created> UTC",
    summary="set the time of a file, UTC",
    reference="-",
    argument_required=True,
    switch=_CLIENT_TIMES,
)

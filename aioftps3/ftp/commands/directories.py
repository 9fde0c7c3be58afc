"""Where the client is, and directories themselves: PWD CWD CDUP MKD RMD (RFC 959, X forms: RFC 775), RMDA, AVBL."""

from __future__ import annotations

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.pathio import virtual
from aioftps3.ftp.replies import Reply, quoted_path
from aioftps3.ftp.session import Session
from aioftps3.storage.errors import NotFound

__all__ = ("COMMANDS",)

_PROGRESS_OBJECTS = 10_000
"""Objects that RMDA deletes between two lines in the log."""

_NO_END = 2**63 - 1
"""Bytes, as a signed 64-bit number."""


async def pwd(session: Session, _argument: str) -> Reply:
    """PWD: the current directory in 257's quotes."""
    return Reply(257, f"{quoted_path(session.cwd)} is the current directory")


async def cwd(session: Session, argument: str) -> Reply:
    """CWD: only into a directory that is there."""
    path = session.resolve(argument)
    if not await session.path_io.is_dir(path):
        raise NotFound(reason="no such directory")
    session.cwd = virtual(path)
    return Reply(250, f"{quoted_path(session.cwd)} is the current directory")


async def cdup(session: Session, _argument: str) -> Reply:
    """CDUP: to the parent; the root is its own parent."""
    return await cwd(session, "..")


async def mkd(session: Session, argument: str) -> Reply:
    """MKD: the new directory's path in 257's quotes."""
    path = session.resolve(argument)
    await session.path_io.mkdir(path)
    return Reply(257, f"{quoted_path(str(path))} created")


async def rmd(session: Session, argument: str) -> Reply:
    """RMD: only an empty directory."""
    await session.path_io.rmdir(session.resolve(argument))
    return Reply(250, "Directory removed.")


async def rmda(session: Session, argument: str) -> Reply:
    """RMDA: a directory with all in it."""
    path = session.resolve(argument)
    logged = 0

    def removed(count: int) -> None:
        nonlocal logged
        if count - logged >= _PROGRESS_OBJECTS:
            logged = count
            session.log.info("RMDA %s: %d objects deleted so far", path, count)

    count = await session.path_io.remove_all(path, removed)
    session.log.info("RMDA %s: %d objects deleted", path, count)
    return Reply(250, f"Directory removed with all in it, {count} objects.")


async def avbl(session: Session, argument: str) -> Reply:
    """AVBL: the room in a directory; a bucket has no end, so that it is the largest number that clients can read."""
    if not await session.path_io.is_dir(session.resolve(argument)):
        raise NotFound(reason="no such directory")
    return Reply(213, str(_NO_END))


COMMANDS = (
    Command(
        verb="PWD",
        handler=pwd,
        syntax="PWD",
        summary="show the current directory",
        reference="RFC 959 4.1.3",
        aliases=("XPWD",),
    ),
    Command(
        verb="CWD",
        handler=cwd,
        syntax="CWD <path>",
        summary="change the current directory",
        reference="RFC 959 4.1.1",
        argument_required=True,
        feature="TVFS",
        aliases=("XCWD",),
    ),
    Command(
        verb="CDUP",
        handler=cdup,
        syntax="CDUP",
        summary="change to the parent directory",
        reference="RFC 959 4.1.1",
        aliases=("XCUP",),
    ),
    Command(
        verb="MKD",
        handler=mkd,
        syntax="MKD <path>",
        summary="make a directory",
        reference="RFC 959 4.1.3",
        argument_required=True,
        makes_name=True,
        aliases=("XMKD",),
    ),
    Command(
        verb="RMD",
        handler=rmd,
        syntax="RMD <path>",
        summary="remove an empty directory",
        reference="RFC 959 4.1.3",
        argument_required=True,
        aliases=("XRMD",),
    ),
    Command(
        verb="RMDA",
        handler=rmda,
        syntax="RMDA <path>",
        summary="remove a directory with all in it; what a failure leaves can be removed by the next one",
        reference="draft-peterson-streamlined-ftp-command-extensions",
        argument_required=True,
        feature="RMDA",
    ),
    Command(
        verb="AVBL",
        handler=avbl,
        syntax="AVBL [<path>]",
        summary="room in a directory, which in S3 has no limit: 2^63-1 bytes",
        reference="draft-peterson-streamlined-ftp-command-extensions",
        feature="AVBL",
    ),
)

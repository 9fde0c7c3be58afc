"""Files over data connections: REST RETR STOR APPE STOU ABOR ALLO (RFC 959, RFC 3659)."""

from __future__ import annotations

import secrets
from pathlib import PurePosixPath

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.parsing import parse_restart_offset
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session
from aioftps3.ftp.transfer import receive_file, send_file

__all__ = ("COMMANDS",)

_TOKEN_BYTES = 8
"""Of randomness in a name that STOU makes: that any two of a million are alike has a probability of one in 2**25."""


async def rest(session: Session, argument: str) -> Reply:
    """REST: where the next RETR or STOR begins; kept until a transfer has been tried, or ABOR or another REST comes."""
    # A client whose REST was refused does not expect an earlier one to hold.
    session.restart_offset = 0
    offset = parse_restart_offset(argument)
    if offset is None:
        return Reply(501, "REST needs a byte position.")
    session.restart_offset = offset
    return Reply(350, f"Restarting at {offset}.")


async def retr(session: Session, argument: str) -> Reply:
    """RETR: a file to the client."""
    return await send_file(session, session.resolve_file(argument), verb="RETR")


async def stor(session: Session, argument: str) -> Reply:
    """STOR: a file from the client, or behind a REST the rest of it."""
    path = session.resolve_file(argument)
    return await receive_file(session, path, verb="STOR", mode="r+b" if session.restart_offset else "wb")


async def appe(session: Session, argument: str) -> Reply:
    """APPE: what the client sends goes to the end of a file, which need not be there."""
    if session.restart_offset:
        return Reply(554, "APPE begins at the end of the file: send REST 0, or STOR.")
    return await receive_file(session, session.resolve_file(argument), verb="APPE", mode="ab")


async def stou(session: Session, argument: str) -> Reply:
    """STOU: a file from the client under a name that no other file has, which both replies tell (RFC 1123 4.1.2.9)."""
    if session.restart_offset:
        return Reply(554, "A new file begins at its beginning.")
    directory, slash, base = argument.rpartition("/")
    bare = _unique(base)
    name = f"{directory}{slash}{bare}"
    # .NET's FtpWebRequest takes what stands behind "for" for the name in its directory, as in the replies of IIS.
    opening = Reply(150, f"FILE: {name}", multiline=True, end=f"Opening data connection for {bare}.")
    reply = await receive_file(session, session.resolve(name), verb="STOU", opening=opening)
    # Perl's Net::FTP reads the name here.
    return Reply(reply.code, f"{reply.text.removesuffix('.')} (unique file name: {name}).")


def _unique(base: str) -> str:
    """A name like ``base`` that nobody else has: its token is random. Asking S3 would be a request and a race."""
    path = PurePosixPath(base)
    return f"{path.stem or 'stou'}-{secrets.token_hex(_TOKEN_BYTES)}{path.suffix}"


async def abor(session: Session, _argument: str) -> Reply:
    """ABOR while nothing runs: a transfer that was prepared by REST is given up. During one the session handles it."""
    session.restart_offset = 0
    return Reply(226, "Nothing to abort.")


async def allo(session: Session, argument: str) -> Reply:
    """ALLO: nothing is allocated, but the next upload in TYPE I has to be as long as announced; a size that the store
    cannot take is refused there, by 552, which is no reply of ALLO's (RFC 959 section 5.4)."""
    size = parse_restart_offset(next(iter(argument.split()), ""))
    if size is None:
        return Reply(501, "ALLO needs a number of bytes.")
    # Devices that do not know the size say 0.
    session.allocated = size or None
    return Reply(200, "Noted.")


COMMANDS = (
    Command(
        verb="REST",
        handler=rest,
        syntax="REST <position>",
        summary="where the next RETR or STOR begins",
        reference="RFC 3659 5",
        argument_required=True,
        feature="REST STREAM",
    ),
    Command(
        verb="RETR",
        handler=retr,
        syntax="RETR <path>",
        summary="download a file",
        reference="RFC 959 4.1.3",
        argument_required=True,
        transfer=True,
    ),
    Command(
        verb="STOR",
        handler=stor,
        syntax="STOR <path>",
        summary="upload a file; it becomes visible when it is whole",
        reference="RFC 959 4.1.3",
        argument_required=True,
        transfer=True,
        makes_name=True,
    ),
    Command(
        verb="APPE",
        handler=appe,
        syntax="APPE <path>",
        summary="upload to the end of a file, which is made if there is none",
        reference="RFC 959 4.1.3",
        argument_required=True,
        transfer=True,
        makes_name=True,
    ),
    Command(
        verb="STOU",
        handler=stou,
        syntax="STOU [<path>]",
        summary="upload a file under a new name, which the replies tell; it is like the one given",
        reference="RFC 959 4.1.3, RFC 1123 4.1.2.9",
        transfer=True,
        makes_name=True,
    ),
    Command(
        verb="ABOR",
        handler=abor,
        syntax="ABOR",
        summary="abort the running transfer",
        reference="RFC 959 4.1.3",
    ),
    Command(
        verb="ALLO",
        handler=allo,
        syntax="ALLO <bytes>",
        summary="announce the size of the next upload in TYPE I, which is then checked; 0 announces nothing",
        reference="RFC 959 4.1.3",
    ),
)

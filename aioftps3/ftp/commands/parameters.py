"""How files are transferred: TYPE MODE STRU (RFC 959 section 4.1.2)."""

from __future__ import annotations

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.parsing import parse_type
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session

__all__ = ("COMMANDS",)


async def type_(session: Session, argument: str) -> Reply:
    """TYPE: A and I. Nothing is converted unless the operator wants it, so that a wrong type damages no file."""
    wanted = parse_type(argument)
    if wanted is None:
        return Reply(504, "TYPE takes A, A N, I or L 8.")
    session.transfer_type = wanted
    if wanted == "I":
        return Reply(200, "TYPE is I.")
    return Reply(200, f"TYPE is A; {'line ends are converted' if session.converts_text else 'files stay unchanged'}.")


async def mode(_session: Session, argument: str) -> Reply:
    """MODE: only stream."""
    return Reply(200, "MODE is S.") if argument.strip(" ").upper() == "S" else Reply(504, "MODE takes S.")


async def stru(_session: Session, argument: str) -> Reply:
    """STRU: only file."""
    return Reply(200, "STRU is F.") if argument.strip(" ").upper() == "F" else Reply(504, "STRU takes F.")


COMMANDS = (
    Command(
        verb="TYPE",
        handler=type_,
        syntax="TYPE A [N] | TYPE I | TYPE L 8",
        summary="bytes, or text whose line ends are converted only with `AIOFTPS3_CONVERT_TEXT`",
        reference="RFC 959 4.1.2",
        argument_required=True,
    ),
    Command(
        verb="MODE",
        handler=mode,
        syntax="MODE S",
        summary="transfer mode, always stream",
        reference="RFC 959 4.1.2",
        argument_required=True,
    ),
    Command(
        verb="STRU",
        handler=stru,
        syntax="STRU F",
        summary="file structure, always file",
        reference="RFC 959 4.1.2",
        argument_required=True,
    ),
)

"""What server and session are: SYST STAT HELP NOOP TYPE MODE STRU SITE (RFC 959), FEAT OPTS (RFC 2389), CLNT."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import aioftps3
from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.listing import FACTS, list_lines, select_facts
from aioftps3.ftp.parsing import split_list_options
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session
from aioftps3.storage.tree import Entry

__all__ = ("COMMANDS",)

STAT_ENTRIES = 1000
"""Entries that STAT shows of a directory: the control connection is no place for long listings."""


async def syst(_session: Session, _argument: str) -> Reply:
    """SYST: the words from which clients conclude that listings look like `ls -l`."""
    return Reply(215, "UNIX Type: L8")


async def feat(session: Session, _argument: str) -> Reply:
    """FEAT: what works here and is no part of RFC 959 (RFC 2389 section 3)."""
    facts = _facts_offered(session.facts)
    body = tuple(f"MLST {facts}" if feature == "MLST" else feature for feature in session.parts.features)
    return Reply(211, "Features:", body)


def _facts_offered(enabled: Iterable[str]) -> str:
    """All facts, a star behind each one that is on (RFC 3659 section 7.8)."""
    chosen = set(enabled)
    return "".join(f"{fact}{'*' if fact in chosen else ''};" for fact in FACTS)


async def opts(session: Session, argument: str) -> Reply:
    """OPTS: UTF8 is always on, MLST chooses facts."""
    name, _, value = argument.strip(" ").partition(" ")
    match name.upper():
        case "UTF8" | "UTF-8":
            if value.strip(" ").upper() in ("", "ON"):
                return Reply(200, "UTF-8 is always on.")
            return Reply(504, "UTF-8 cannot be switched off.")
        case "MLST":
            session.facts = select_facts(value)
            return Reply(200, f"MLST OPTS {''.join(f'{fact};' for fact in session.facts)}")
        case _:
            return Reply(501, "There is no such option.")


async def noop(_session: Session, _argument: str) -> Reply:
    """NOOP: the client is still there, and so are we."""
    return Reply(200, "OK.")


async def help_(session: Session, argument: str) -> Reply:
    """HELP: all commands, or the syntax of one (RFC 959 section 4.1.3)."""
    verb = argument.strip(" ").upper()
    if verb:
        entry = session.parts.manual.get(verb)
        return Reply(502, "There is no such command.") if entry is None else Reply(214, entry)
    verbs = sorted(session.parts.manual)
    rows = tuple(" ".join(f"{verb:<5}" for verb in verbs[at : at + 8]).rstrip() for at in range(0, len(verbs), 8))
    return Reply(214, "Commands:", rows, end="HELP <command> tells more.")


async def stat(session: Session, argument: str) -> Reply:
    """STAT: the session and a running transfer, or with a path a listing on the control connection."""
    if argument.strip(" "):
        return await _stat_path(session, argument)
    body = [
        f"Connected from {session.peer}, control connection {'encrypted' if session.channel.encrypted else 'in clear'}",
        f"Current directory {session.cwd}",
        f"TYPE {session.transfer_type}, PROT {session.protection}",
    ]
    if session.transfer is not None:
        body.append(session.transfer.summary())
    return Reply(211, f"aioftps3 {aioftps3.__version__}", tuple(body))


async def _stat_path(session: Session, argument: str) -> Reply:
    _, name = split_list_options(argument)
    path = session.resolve(name)
    entries: list[Entry] = []
    async with contextlib.aclosing(session.path_io.pages(path)) as pages:
        async for page in pages:
            entries += page
            if len(entries) > STAT_ENTRIES:
                break
    lines = list_lines(entries[:STAT_ENTRIES], now=time.time()).decode("utf-8", "surrogateescape").split("\r\n")[:-1]
    code = 213 if len(entries) == 1 and entries[0].path == str(path) and not entries[0].is_dir else 212
    end = "End" if len(entries) <= STAT_ENTRIES else f"Only the first {STAT_ENTRIES} entries; LIST gives all."
    return Reply(code, f"Status of {path}:", tuple(lines), multiline=True, end=end)


async def type_(session: Session, argument: str) -> Reply:
    """TYPE: A and I are accepted; nothing is converted, so that a wrong mode damages no file."""
    words = argument.upper().split()
    if words in (["A"], ["A", "N"]):
        session.transfer_type = "A"
        return Reply(200, "TYPE is A; files are transferred unchanged.")
    if words in (["I"], ["L", "8"]):
        session.transfer_type = "I"
        return Reply(200, "TYPE is I.")
    return Reply(504, "TYPE takes A, A N, I or L 8.")


async def mode(_session: Session, argument: str) -> Reply:
    """MODE: only stream."""
    return Reply(200, "MODE is S.") if argument.strip(" ").upper() == "S" else Reply(504, "MODE takes S.")


async def stru(_session: Session, argument: str) -> Reply:
    """STRU: only file."""
    return Reply(200, "STRU is F.") if argument.strip(" ").upper() == "F" else Reply(504, "STRU takes F.")


async def clnt(session: Session, argument: str) -> Reply:
    """CLNT: the client tells its name, which is worth a line in the log."""
    session.log.debug("client is %r", argument[:100])
    return Reply(200, "Noted.")


async def site(_session: Session, argument: str) -> Reply:
    """SITE: HELP, and CHMOD, which S3 has nothing for and which clients send after each upload."""
    match argument.strip(" ").partition(" ")[0].upper():
        case "HELP":
            return Reply(214, "SITE commands:", ("CHMOD <mode> <path> (accepted, S3 keeps no modes)", "HELP"))
        case "CHMOD":
            return Reply(200, "Accepted; S3 keeps no modes.")
        case _:
            return Reply(504, "There is no such SITE command.")


COMMANDS = (
    Command(
        verb="SYST",
        handler=syst,
        syntax="SYST",
        summary="kind of system",
        reference="RFC 959 4.1.3",
        login=False,
    ),
    Command(
        verb="FEAT",
        handler=feat,
        syntax="FEAT",
        summary="list the features",
        reference="RFC 2389 3",
        login=False,
    ),
    Command(
        verb="OPTS",
        handler=opts,
        syntax="OPTS UTF8 ON | OPTS MLST <facts>",
        summary="choose options",
        reference="RFC 2389 4",
        login=False,
        argument_required=True,
        feature="UTF8",
    ),
    Command(
        verb="NOOP",
        handler=noop,
        syntax="NOOP",
        summary="do nothing",
        reference="RFC 959 4.1.3",
        login=False,
        during_transfer=True,
    ),
    Command(
        verb="HELP",
        handler=help_,
        syntax="HELP [<command>]",
        summary="list the commands, or explain one",
        reference="RFC 959 4.1.3",
        login=False,
    ),
    Command(
        verb="STAT",
        handler=stat,
        syntax="STAT [<path>]",
        summary="show the session and a running transfer, or list a path",
        reference="RFC 959 4.1.3",
        during_transfer=True,
    ),
    Command(
        verb="TYPE",
        handler=type_,
        syntax="TYPE A|I",
        summary="accept the representation type; nothing is converted",
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
    Command(
        verb="CLNT",
        handler=clnt,
        syntax="CLNT <name>",
        summary="tell the client's name",
        reference="draft-peterson-streamlined-ftp-command-extensions",
        login=False,
        feature="CLNT",
    ),
    Command(
        verb="SITE",
        handler=site,
        syntax="SITE HELP | SITE CHMOD <mode> <path>",
        summary="server-specific commands",
        reference="RFC 959 4.1.3",
        argument_required=True,
    ),
)

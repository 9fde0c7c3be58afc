"""What server and session are: SYST STAT HELP NOOP (RFC 959), FEAT OPTS (RFC 2389), LANG (RFC 2640), HOST CLNT."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable

import aioftps3
from aioftps3.ftp.commands.hashes import choose_hash, hash_feature
from aioftps3.ftp.commands.site import site_help
from aioftps3.ftp.commands.table import AT_ONCE, WITHOUT_ARGUMENT, Command
from aioftps3.ftp.listing import FACTS, section_lines, select_facts
from aioftps3.ftp.ls import sections, timed
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session

__all__ = ("COMMANDS",)

STAT_ROWS = 1000
"""Lines that STAT shows of a directory: the control connection is no place for long listings."""

_WORDS_IN_LOG = 100  # characters
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
"""A language tag: RFC 2640 section 4.1 takes those of RFC 1766."""


async def syst(_session: Session, _argument: str) -> Reply:
    """SYST: the words from which clients conclude that listings look like `ls -l`."""
    return Reply(215, "UNIX Type: L8")


async def feat(session: Session, _argument: str) -> Reply:
    """FEAT: what works here and is no part of RFC 959 (RFC 2389 section 3)."""
    own = {"MLST": f"MLST {_facts_offered(session.facts)}", "HASH": hash_feature(session)}
    return Reply(211, "Features:", tuple(own.get(feature, feature) for feature in session.parts.features))


def _facts_offered(enabled: Iterable[str]) -> str:
    """All facts, a star behind each one that is on (RFC 3659 section 7.8)."""
    chosen = set(enabled)
    return "".join(f"{fact}{'*' if fact in chosen else ''};" for fact in FACTS)


async def opts(session: Session, argument: str) -> Reply:
    """OPTS: UTF8 is always on, and so is REST before STOR; MLST chooses facts, HASH a hash."""
    name, _, value = argument.strip(" ").partition(" ")
    match name.upper():
        case "UTF8" | "UTF-8":
            if value.strip(" ").upper() in ("", "ON"):
                return Reply(200, "UTF-8 is always on.")
            return Reply(504, "UTF-8 cannot be switched off.")
        case "MLST":
            session.facts = select_facts(value)
            return Reply(200, f"MLST OPTS {''.join(f'{fact};' for fact in session.facts)}")
        case "REST" if value.strip(" ").upper() == "STOR":
            return Reply(200, "REST works before STOR, too.")
        case "HASH" if session.config.hashes:
            return choose_hash(session, value)
        case _:
            return Reply(501, "There is no such option.")


async def noop(_session: Session, _argument: str) -> Reply:
    """NOOP: the client is still there, and so are we."""
    return Reply(200, "OK.")


async def help_(session: Session, argument: str) -> Reply:
    """HELP: all commands, or the syntax of one (RFC 959 section 4.1.3)."""
    verb = argument.strip(" ").upper()
    if verb == "SITE":
        return await site_help(session, "")
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
    now = time.time()
    rows: list[str] = []
    code = 212
    async with contextlib.aclosing(timed(session, sections(session, argument))) as found:
        async for section in found:
            text = section_lines(section, now=now, first=not rows).decode("utf-8", "surrogateescape")
            rows += text.split("\r\n")[:-1]
            code = 213 if section.alone and not section[0].is_dir else 212
            if len(rows) > STAT_ROWS:
                break
    end = "End" if len(rows) <= STAT_ROWS else f"Only the first {STAT_ROWS} lines; LIST gives all."
    return Reply(code, f"Status of {argument}:", tuple(rows[:STAT_ROWS]), multiline=True, end=end)


async def clnt(session: Session, argument: str) -> Reply:
    """CLNT: the client tells its name, which is worth a line in the log."""
    session.log.debug("client is %r", argument[:_WORDS_IN_LOG])
    return Reply(200, "Noted.")


async def host(session: Session, argument: str) -> Reply:
    """HOST: which of the server's names the client came by; all of them are the same here (RFC 7151 section 3)."""
    if session.authenticated:
        return Reply(503, "HOST has to come before the login.")
    if not argument or " " in argument:
        return Reply(501, "HOST takes one name or address.")
    session.log.debug("client came for %r", argument[:_WORDS_IN_LOG])
    return Reply(220, "All names of this server are the same.")


async def lang(_session: Session, argument: str) -> Reply:
    """LANG: replies are in English (RFC 2640 section 4)."""
    tag = argument.strip(" ")
    if tag and _LANGUAGE.fullmatch(tag) is None:
        return Reply(501, "LANG takes a language tag, such as EN.")
    if tag.partition("-")[0].lower() in ("", "en"):
        return Reply(200, "Replies are in English.")
    return Reply(504, "Only English is spoken here.")


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
        syntax="OPTS UTF8 ON | OPTS MLST <facts> | OPTS HASH <hash>",
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
        during_transfer=AT_ONCE,
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
        during_transfer=WITHOUT_ARGUMENT,
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
        verb="HOST",
        handler=host,
        syntax="HOST <name>",
        summary="tell the name by which the server was found",
        reference="RFC 7151 3",
        login=False,
        argument_required=True,
        feature="HOST",
    ),
    Command(
        verb="LANG",
        handler=lang,
        syntax="LANG [<tag>]",
        summary="choose the language of replies, always English",
        reference="RFC 2640 4",
        login=False,
        feature="LANG EN*",
    ),
)

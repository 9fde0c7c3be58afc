"""Hashes of stored files, without reading them: HASH (draft-bryan-ftpext-hash), XCRC XMD5 XSHA256.

What is told is what S3 keeps, or what was noted when the file was stored, so that a file can have one hash and not
another. It is that of the whole file as it is stored, whatever TYPE says.
"""

from __future__ import annotations

from collections.abc import Callable

import aioftp

from aioftps3.ftp.commands.table import Command, Handler, Switch
from aioftps3.ftp.config import FtpConfig
from aioftps3.ftp.hashing import HASHES, HashRequest, hash_requests
from aioftps3.ftp.replies import Reply, ReplyError
from aioftps3.ftp.session import Session
from aioftps3.storage.errors import NotFound
from aioftps3.storage.store import Digests

__all__ = ("COMMANDS", "choose_hash", "hash_feature")

_REFERENCE = "draft-bryan-ftpext-hash"


def hash_feature(session: Session) -> str:
    """HASH's line in FEAT: all hashes, a star behind the chosen one."""
    return "HASH " + "".join(f"{name}{'*' if name == session.hash else ''};" for name in session.config.hashes)


def choose_hash(session: Session, value: str) -> Reply:
    """OPTS HASH: the hash that HASH tells from now on, or without a name which one that is."""
    wanted = value.strip(" ").upper() or session.hash
    if wanted not in session.config.hashes:
        return Reply(501, f"HASH takes {', '.join(session.config.hashes)}; it still is {session.hash}.")
    session.hash = wanted
    return Reply(200, wanted)


async def hash_(session: Session, argument: str) -> Reply:
    """HASH: the chosen hash of a whole file."""
    found = await session.path_io.digests(session.resolve_file(argument))
    digest = _digest(found, session.hash)
    return Reply(213, f"{session.hash} 0-{found.info.size} {digest} {argument}")


def _single(name: str) -> Handler:
    """A command that tells one hash of a file."""

    async def tell(session: Session, argument: str) -> Reply:
        """XCRC, XMD5, XSHA256: one hash of a file, if the range that may stand behind the path is all of it."""
        request, found = await _first_there(session, hash_requests(argument))
        if not request.is_whole(found.info.size):
            return Reply(504, "Hashes are known of whole files only.")
        return Reply(250, _digest(found, name))

    return tell


async def _first_there(session: Session, requests: tuple[HashRequest, ...]) -> tuple[HashRequest, Digests]:
    """The first request whose file exists. Raises PathIOError for the first one when there is none of them."""
    missing: aioftp.PathIOError | None = None
    for request in requests:
        try:
            return request, await session.path_io.digests(session.resolve_file(request.path))
        except aioftp.PathIOError as error:
            if not isinstance(error.__cause__, NotFound):
                raise
            missing = missing or error
    raise missing or NotFound


def _digest(found: Digests, name: str) -> str:
    """A digest in hex. Raises ReplyError when it is not known."""
    digest = found.known.get(HASHES[name])
    if digest is not None:
        return digest.hex()
    if found.in_parts:
        raise ReplyError(550, f"The file was stored in parts, of which S3 keeps no {name} of the whole.")
    raise ReplyError(550, f"No {name} of this file is known: it was stored by other means or with other settings.")


def _offered(which: Callable[[FtpConfig], bool]) -> Switch:
    return Switch("AIOFTPS3_CHECKSUM", which, words="whether it is there depends on")


def _single_offered(name: str) -> Switch:
    return _offered(lambda config: name in config.hashes)


COMMANDS = (
    Command(
        verb="HASH",
        handler=hash_,
        syntax="HASH <path>",
        summary="hash of a file, as S3 keeps it; OPTS HASH chooses which",
        reference=_REFERENCE,
        argument_required=True,
        feature="HASH",
        switch=_offered(lambda config: bool(config.hashes)),
    ),
    *(
        Command(
            verb=verb,
            handler=_single(name),
            syntax=f"{verb} <path>",
            summary=f"{name} of a file, where it is known",
            reference=_REFERENCE,
            argument_required=True,
            feature=verb,
            switch=_single_offered(name),
        )
        for verb, name in (("XCRC", "CRC32"), ("XMD5", "MD5"), ("XSHA256", "SHA-256"))
    ),
)

"""Replies: their format (RFC 959 section 4.2), the fixed ones, and the one table from errors to reply codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aioftps3.storage import errors

__all__ = ("Reply", "ReplyError", "printable", "quoted_path", "storage_reply")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its three-digit code and one or more lines of text."""

    code: int
    text: str
    body: tuple[str, ...] = ()
    """Lines between the first and the last one of a multi-line reply, each sent with one leading blank."""
    end: str = "End"
    """Text of the last line of a multi-line reply."""
    multiline: bool = False
    """True keeps the multi-line form even when the body is empty."""

    def encode(self) -> bytes:
        """The reply as sent: UTF-8, CRLF, no control characters, so that no name can forge a reply line."""
        if not self.body and not self.multiline:
            return f"{self.code} {printable(self.text)}\r\n".encode("utf-8", "surrogateescape")
        lines = [f"{self.code}-{printable(self.text)}\r\n"]
        lines += [f" {printable(line)}\r\n" for line in self.body]
        lines.append(f"{self.code} {printable(self.end)}\r\n")
        return "".join(lines).encode("utf-8", "surrogateescape")


class ReplyError(Exception):
    """Ends a command early with a reply that is already known."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.reply = Reply(code, text)


_CONTROL = dict.fromkeys((*range(0x20), 0x7F), "?")


def printable(text: str) -> str:
    """``text`` without the control characters that could end a line or ring a bell; all other ones stay as they are."""
    return text.translate(_CONTROL)


def quoted_path(path: str) -> str:
    """A path as 257 wants it: in double quotes, each inner one doubled (RFC 959 appendix II)."""
    return '"' + path.replace('"', '""') + '"'


_CODES: Mapping[type[errors.StorageError], tuple[int, int]] = {
    # error: (code when an existing name is used, code when a name is being made)
    errors.NotFound: (550, 550),
    errors.Exists: (550, 550),
    errors.OverwriteRefused: (553, 553),
    errors.NotADirectory: (550, 550),
    errors.IsADirectory: (550, 550),
    errors.NotEmpty: (550, 550),
    errors.Denied: (550, 550),
    errors.NameInvalid: (550, 553),
    errors.Archived: (550, 550),
    errors.MetadataFull: (550, 550),
    errors.Quota: (552, 552),
    errors.StorageFull: (452, 452),
    errors.RangeInvalid: (554, 554),
    errors.NotSupported: (504, 504),
    errors.Busy: (450, 450),
    errors.Changed: (451, 451),
    errors.Corrupt: (451, 451),
    errors.TooSlow: (451, 451),
    errors.Unavailable: (451, 451),
    errors.Misconfigured: (451, 451),
}
_UNLISTED_CODE = 451


def storage_reply(error: errors.StorageError, *, making: bool = False, streaming: bool = False) -> Reply:
    """The reply for a storage error.

    ``making`` is True for commands that give an object its name (STOR, MKD, RNTO), ``streaming`` after a 150: a reply
    that says "try again later" then has to be 451, as RFC 959 section 5.4 lists no 450 there.
    """
    for kind in type(error).__mro__:
        codes = _CODES.get(kind)
        if codes is not None:
            code = codes[1] if making else codes[0]
            break
    else:
        code = _UNLISTED_CODE
    if streaming and code == 450:
        code = 451
    return Reply(code, error.reason)

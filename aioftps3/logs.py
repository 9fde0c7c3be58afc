"""Logs on the standard library: lines of text or of JSON, each with the session that it is about.

What must stay true:

- One record is one line, a traceback in text format aside, whose further lines are indented: whatever a client sends,
  it can neither begin a line nor move the terminal's cursor.
- No secret is written: the FTP layer stars the argument of PASS where it logs commands, and the formatter blots out
  the secrets it was told about, wherever they come from.
"""

import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

__all__ = ("configure", "escape", "session", "session_logs")

STARS = "****"

MIN_BLOTTED_LENGTH = 12
"""Shorter secrets are not searched for: starring `password` in every line would tell what it is."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Controls of C0 and C1, separators, invisible marks and changes of direction, lone surrogates."""

session: ContextVar[str] = ContextVar("session", default="-")
"""The session that the running task serves; tasks that it starts inherit it."""


@contextlib.contextmanager
def session_logs(session_id: str) -> Iterator[None]:
    """Everything logged within, and by tasks started within, carries this session."""
    token = session.set(session_id)
    try:
        yield
    finally:
        session.reset(token)


def escape(text: str) -> str:
    """Text on one line and without effects on a terminal: unsafe characters as `\\xNN` or `\\uNNNN`."""
    return _UNSAFE.sub(lambda match: _escaped(ord(match[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class _Formatter(logging.Formatter):
    """What both formats share: the secrets to blot out."""

    def __init__(self, blotted: Iterable[str]) -> None:
        super().__init__()
        words = sorted((word for word in blotted if len(word) >= MIN_BLOTTED_LENGTH), key=len, reverse=True)
        self._blotted = re.compile("|".join(map(re.escape, words))) if words else None

    def _message(self, record: logging.LogRecord) -> str:
        return self._blot(record.getMessage())

    def _traceback(self, record: logging.LogRecord) -> str:
        return self._blot(self.formatException(record.exc_info)) if record.exc_info else ""

    def _session(self, record: logging.LogRecord) -> str:
        """The session that the record names itself (by a LoggerAdapter), else the task's."""
        return str(getattr(record, "session", None) or session.get())

    def _blot(self, text: str) -> str:
        return self._blotted.sub(STARS, text) if self._blotted else text


class TextFormatter(_Formatter):
    """`2026-11-22T18:37:54.123Z INFO [1a2b3c4d] aioftps3.app: message`, a traceback indented below."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter.format."""
        head = f"{_time(record)} {record.levelname} [{escape(self._session(record))}] {record.name}: "
        traceback = "".join(f"\n    {escape(line)}" for line in self._traceback(record).splitlines())
        return f"{head}{escape(self._message(record))}{traceback}"


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, session, logger, message, and where there are any peer and exception."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter.format."""
        fields = {
            "time": _time(record),
            "level": record.levelname,
            "session": self._session(record),
            "logger": record.name,
            "message": self._message(record),
        }
        if (peer := getattr(record, "peer", None)) is not None:
            fields["peer"] = str(peer)
        if traceback := self._traceback(record):
            fields["exception"] = traceback
        return json.dumps(fields)


def configure(level: str, *, json_lines: bool, blotted: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send the process's logs to the stream (standard error unless given), replacing what was configured before.

    `blotted` are secrets that must not appear, whoever logs them.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(blotted) if json_lines else TextFormatter(blotted))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"

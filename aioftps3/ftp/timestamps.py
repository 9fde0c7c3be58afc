"""What clients send with the times of files: MFMT, MFF, MDTM and SITE UTIME. Pure; all times are UTC.

A time is YYYYMMDDHHMMSS, which a fraction may follow (RFC 3659 section 2.3); SITE UTIME may leave out the seconds. The
times of files and their paths stand in one argument, parted by a blank, of which a path may have some, too: what can be
read as a time in its place is one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ("parse_facts", "parse_time", "parse_time_and_path", "parse_utime")

_TIME = r"[0-9]{14}(?:\.[0-9]{1,9})?"
_TIME_AND_PATH = re.compile(rf"({_TIME}) (.+)")
_SHORT_TIME_AND_PATH = re.compile(rf"({_TIME}|[0-9]{{12}}) (.+)")
_PATH_AND_TIMES = re.compile(rf"(.+) {_TIME} ({_TIME}) {_TIME} UTC", re.IGNORECASE)


def _seconds(text: str) -> float | None:
    """A time as seconds since the epoch; None when there is no such moment. A leap second is the begin of the next."""
    digits, _, fraction = text.partition(".")
    year, month, day, hour, minute, second = (int(digits[at : at + 2] or 0) for at in (2, 4, 6, 8, 10, 12))
    try:
        moment = datetime(int(digits[:2]) * 100 + year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    late = second - moment.second
    return None if late > 1 else moment.timestamp() + late + (float(f"0.{fraction}") if fraction else 0.0)


def parse_time(text: str) -> float | None:
    """A time alone, as seconds since the epoch."""
    return _seconds(text) if re.fullmatch(_TIME, text) else None


def parse_time_and_path(argument: str) -> tuple[float, str] | None:
    """``20200102030405 path``, as MFMT and the writing MDTM take it: seconds since the epoch, and the path."""
    return _parsed(_TIME_AND_PATH.fullmatch(argument))


def parse_utime(argument: str) -> tuple[float, str] | None:
    """SITE UTIME, which has two forms: ``202001020304[05] path``, and ``path`` with the times of access, modification
    and creation and the word ``UTC`` behind it."""
    match = _PATH_AND_TIMES.fullmatch(argument)
    if match is None:
        return _parsed(_SHORT_TIME_AND_PATH.fullmatch(argument))
    seconds = _seconds(match[2])
    return None if seconds is None else (seconds, match[1])


def parse_facts(argument: str) -> tuple[dict[str, str], str] | None:
    """``fact=value;fact=value; path``, as MFF takes it: the facts, names in lower case, and the path."""
    facts: dict[str, str] = {}
    words, blank, path = argument.partition("; ")
    if not (blank and path):
        return None
    for word in words.split(";"):
        name, equals, value = word.partition("=")
        if not (name and equals) or name.lower() in facts:
            return None
        facts[name.lower()] = value
    return facts, path


def _parsed(match: re.Match[str] | None) -> tuple[float, str] | None:
    seconds = None if match is None else _seconds(match[1])
    return None if match is None or seconds is None else (seconds, match[2])

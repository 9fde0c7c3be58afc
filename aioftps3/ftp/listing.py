"""Directory entries to the lines of LIST, NLST, MLSD and MLST. Pure; all times are UTC.

LIST has no standard; this is the `ls -l` form that every client parses: ten permission characters, a link count of at
least one, the C locale's months, and a year in place of the time for entries older than 180 days.
MLSx facts are RFC 3659 section 7.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import overload

from aioftps3.storage.tree import Entry

__all__ = (
    "DEFAULT_FACTS",
    "FACTS",
    "Section",
    "facts_line",
    "list_lines",
    "mdtm",
    "mlsd_lines",
    "nlst_lines",
    "section_lines",
    "select_facts",
)

FACTS = ("type", "size", "modify", "perm", "UNIX.mode")
"""Facts that can be asked for with OPTS MLST, in the order they are sent."""

DEFAULT_FACTS = ("type", "size", "modify", "perm")
"""Facts that are sent unless OPTS MLST chooses others: what clients use, and no more bytes per entry."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RECENT_SECONDS = 180 * 86400
_CLOCK_AHEAD_SECONDS = 86400  # a store's clock may be ahead; beyond a day the year is what matters

UNKNOWN_TIME = 315532800.0
"""1980-01-01, shown by LIST for directories that have no marker object and so no time; clients hide or drop 1970."""

_FILE_PERMISSIONS = "adfrw"
_DIRECTORY_PERMISSIONS = "cdeflmp"


class Section(Sequence[Entry]):
    """Some entries of one directory, true also without any when it has a heading.

    ``heading`` names the directory where a listing shows several, ``prefix`` goes in front of bare names, ``alone``
    marks what was asked for itself, and not what is in it.
    """

    def __init__(
        self, entries: Sequence[Entry], *, heading: str | None = None, prefix: str = "", alone: bool = False
    ) -> None:
        self.entries = entries
        self.heading = heading
        self.prefix = prefix
        self.alone = alone

    def __len__(self) -> int:
        return len(self.entries)

    def __bool__(self) -> bool:
        return bool(self.entries) or self.heading is not None

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        return self.entries[index]


def mdtm(modified: float) -> str:
    """A time as MDTM and MLSx give it: YYYYMMDDHHMMSS, UTC, no fraction (RFC 3659 section 2.3)."""
    parts = time.gmtime(modified)
    return f"{parts.tm_year:04d}{time.strftime('%m%d%H%M%S', parts)}"


def _has_time(entry: Entry) -> bool:
    """Whether its time is known; that of a file always is, and may be any."""
    return not entry.is_dir or entry.modified > 0


def _ls_time(modified: float, now: float) -> str:
    parts = time.gmtime(modified)
    head = f"{_MONTHS[parts.tm_mon - 1]} {parts.tm_mday:2d}"
    if now - _RECENT_SECONDS < modified < now + _CLOCK_AHEAD_SECONDS:
        return f"{head} {parts.tm_hour:02d}:{parts.tm_min:02d}"
    return f"{head}  {parts.tm_year:4d}"


def list_lines(entries: Iterable[Entry], *, now: float) -> bytes:
    """Entries as LIST lines."""
    lines = []
    for entry in entries:
        mode, links = ("drwxr-xr-x", 2) if entry.is_dir else ("-rw-r--r--", 1)
        stamp = _ls_time(entry.modified if _has_time(entry) else UNKNOWN_TIME, now)
        lines.append(f"{mode} {links:3d} ftp      ftp      {entry.size:12d} {stamp} {entry.name}\r\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def section_lines(section: Section, *, now: float, first: bool) -> bytes:
    """A section as LIST lines, below its heading; only before the ``first`` one there is no empty line."""
    lines = list_lines(section, now=now)
    if section.heading is None:
        return lines
    gap = "" if first else "\r\n"
    return f"{gap}{section.heading}:\r\n".encode("utf-8", "surrogateescape") + lines


def nlst_lines(entries: Iterable[Entry], *, prefix: str = "") -> bytes:
    """Entries as NLST lines: names alone, ``prefix`` in front of each."""
    return "".join([f"{prefix}{entry.name}\r\n" for entry in entries]).encode("utf-8", "surrogateescape")


def select_facts(argument: str) -> tuple[str, ...]:
    """The facts that ``OPTS MLST type;size;`` asks for, of those there are, in our order (RFC 3659 section 7.9).

    The type is always among them: clients take a line without it for garbage.
    """
    wanted = {"type", *(fact.strip().lower() for fact in argument.split(";"))}
    return tuple(fact for fact in FACTS if fact.lower() in wanted)


def facts_line(entry: Entry, facts: Sequence[str], name: str) -> str:
    """One MLSx line: facts, each ended by a semicolon, one blank, the name."""
    parts = []
    for fact in facts:
        if fact == "type":
            parts.append("type=dir;" if entry.is_dir else "type=file;")
        elif fact == "size" and not entry.is_dir:
            parts.append(f"size={entry.size};")
        elif fact == "modify" and _has_time(entry):
            parts.append(f"modify={mdtm(entry.modified)};")
        elif fact == "perm":
            parts.append(f"perm={_DIRECTORY_PERMISSIONS if entry.is_dir else _FILE_PERMISSIONS};")
        elif fact == "UNIX.mode":
            parts.append("UNIX.mode=0755;" if entry.is_dir else "UNIX.mode=0644;")
    return f"{''.join(parts)} {name}"


def mlsd_lines(entries: Iterable[Entry], *, facts: Sequence[str] = DEFAULT_FACTS) -> bytes:
    """Entries as MLSD lines."""
    return "".join([f"{facts_line(entry, facts, entry.name)}\r\n" for entry in entries]).encode(
        "utf-8", "surrogateescape"
    )

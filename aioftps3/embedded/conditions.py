"""Preconditions and ranges. Pure."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from aioftps3.embedded.errors import Refusal, no_such_key, not_implemented, precondition_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioftps3.embedded.state import StoredObject

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


def etag_matches(header: str, etag: str) -> bool:
    """Whether an If-Match style list (quoted or bare ETags, or ``*``) holds this unquoted ETag."""
    names = [name.strip().removeprefix("W/").strip('"') for name in header.split(",")]
    return "*" in names or etag in names


def check_write(
    header: Callable[[str], str | None], current: StoredObject | None, *, key: str, if_none_match: bool = True
) -> None:
    """The conditions of a write on the object that is there now.

    Raises:
        Refusal: PreconditionFailed; NoSuchKey for If-Match when nothing is there; NotImplemented for If-None-Match
            with anything but ``*``, as S3 has it.
    """
    if (wanted := header("if-match")) is not None:
        if current is None:
            raise no_such_key(key)
        if not etag_matches(wanted, current.etag):
            raise precondition_failed("If-Match")
    if if_none_match and (unwanted := header("if-none-match")) is not None:
        if unwanted.strip() != "*":
            raise not_implemented("If-None-Match")
        if current is not None:
            raise precondition_failed("If-None-Match")


def is_unmodified(header: Callable[[str], str | None], stored: StoredObject, *, prefix: str = "") -> bool:
    """The conditions of a read; True means that the reader's own copy is still good (304).

    ``prefix`` is ``x-amz-copy-source-`` for the source of a copy. RFC 9110, section 13.2.2.

    Raises:
        Refusal: PreconditionFailed
    """
    if (wanted := header(f"{prefix}if-match")) is not None:
        if not etag_matches(wanted, stored.etag):
            raise precondition_failed(f"{prefix}If-Match")
    elif (limit := _seconds(header(f"{prefix}if-unmodified-since"))) is not None and stored.modified > limit:
        raise precondition_failed(f"{prefix}If-Unmodified-Since")
    if (unwanted := header(f"{prefix}if-none-match")) is not None:
        return etag_matches(unwanted, stored.etag)
    since = _seconds(header(f"{prefix}if-modified-since"))
    return since is not None and stored.modified <= since


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First position and length of what a Range header selects of ``size`` bytes; None means everything.

    A header that cannot be understood, and one with several ranges, selects everything (RFC 9110, section 14.2).

    Raises:
        Refusal: InvalidRange
    """
    match = _RANGE.match(header.strip()) if header is not None else None
    if match is None or match.group(0) == "bytes=-":
        return None
    start, end = match.groups()
    if not start:
        first, last = max(size - int(end), 0), size - 1
    else:
        first, last = int(start), min(int(end), size - 1) if end else size - 1
        if end and int(end) < first:
            return None
    if first >= size or first > last:
        raise Refusal(
            "InvalidRange",
            416,
            "The requested range is not satisfiable",
            details={"RangeRequested": match.group(0), "ActualObjectSize": str(size)},
            headers={"Content-Range": f"bytes */{size}"},
        )
    return first, last - first + 1


def _seconds(http_date: str | None) -> float | None:
    if http_date is None:
        return None
    try:
        return parsedate_to_datetime(http_date).timestamp()
    except ValueError:
        return None

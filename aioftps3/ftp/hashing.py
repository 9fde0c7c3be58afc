"""What clients ask of HASH, XCRC, XMD5 and XSHA256. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ("HASHES", "HashRequest", "hash_requests")

HASHES: Mapping[str, str] = MappingProxyType({"CRC32": "crc32", "SHA-256": "sha256", "MD5": "md5"})
"""Names of the hashes in FTP (draft-bryan-ftpext-hash section 3.3) to those of storage."""

_QUOTED = re.compile(r'"(.+)"(?: ([0-9]{1,18}))?(?: ([0-9]{1,18}))?')
_WITH_RANGE = re.compile(r"(.+?) ([0-9]{1,18})(?: ([0-9]{1,18}))?")


@dataclass(frozen=True, slots=True)
class HashRequest:
    """One meaning of an argument: a path, and where the bytes begin and end; None is where the file does."""

    path: str
    start: int | None = None
    end: int | None = None

    def is_whole(self, size: int) -> bool:
        """Whether it means all of a file of so many bytes."""
        return not self.start and self.end in (None, size)


def hash_requests(argument: str) -> tuple[HashRequest, ...]:
    """The meanings that the argument of an X command can have, each to be tried when there is no file of those before
    it: a path, a path in quotes, a path with a range behind it."""
    requests = [HashRequest(argument)]
    for pattern in (_QUOTED, _WITH_RANGE):
        match = pattern.fullmatch(argument)
        if match is not None:
            start, end = (None if number is None else int(number) for number in match.group(2, 3))
            requests.append(HashRequest(match[1], start, end))
    return tuple(requests)

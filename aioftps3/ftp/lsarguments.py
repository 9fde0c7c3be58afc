"""What LIST, NLST and STAT are asked for: options of `ls` and wildcards in front of, behind and in a path. Pure.

No RFC knows either of them, and most clients send some. A name can look like an option or hold a wildcard, so that an
argument can have several meanings: `list_requests` gives them in the order in which they are to be tried.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ("ListRequest", "is_pattern", "list_requests", "literal_prefix", "name_filter")

MAX_PATTERN = 255
"""Characters of a wildcard name; matching costs as much as the product of its length and the name's."""

_WILDCARD = re.compile(r"[*?\[]")
_OPTIONS = re.compile(r"-[A-Za-z1]+", re.ASCII)
_USUAL_LETTERS = frozenset("1ACFLRSTadhlnrt")
"""Letters of the options that clients send."""
_USUAL_LENGTH = 4
"""Most letters that they put behind one dash."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One meaning of an argument: ``options`` are letters without their dashes, ``path`` is as sent, or empty."""

    options: str
    path: str


def _surely_options(word: str) -> bool:
    """Whether the word is taken for options without looking for a file of this name."""
    letters = word[1:]
    return (
        word.startswith("-")
        and 0 < len(letters) <= _USUAL_LENGTH
        and len(set(letters)) == len(letters)
        and _USUAL_LETTERS.issuperset(letters)
    )


def list_requests(argument: str) -> tuple[ListRequest, ...]:
    """The meanings that an argument can have, each to be tried when there is nothing at those before it.

    ``-al some dir`` is options and a path; ``--`` ends the options, and a name with a leading dash can also be written
    ``./-x``. ``-draft`` is a name if there is one, ``some dir -al`` a name or else a path and options.
    """
    options, rest = "", argument
    while rest.startswith("-"):
        word, _, following = rest.partition(" ")
        if word == "--":
            return (ListRequest(options, following),)
        if not _surely_options(word):
            break
        options += word[1:]
        rest = following.lstrip(" ")
    requests = [ListRequest(options, rest)]
    word, _, following = rest.partition(" ")
    if _OPTIONS.fullmatch(word) is not None:
        requests.append(ListRequest(options + word[1:], following.lstrip(" ")))
    path, _, word = rest.rpartition(" ")
    if path and _surely_options(word):
        requests.append(ListRequest(options + word[1:], path))
    if rest not in ("", argument):
        requests.append(ListRequest("", argument))
    return tuple(requests)


def is_pattern(name: str) -> bool:
    """Whether the last element of a path may be meant for several names."""
    return len(name) <= MAX_PATTERN and _WILDCARD.search(name) is not None


def literal_prefix(pattern: str) -> str:
    """What all names begin with that a pattern matches; never ``.`` or ``..``, for which MinIO lists nothing."""
    found = _WILDCARD.search(pattern)
    prefix = pattern if found is None else pattern[: found.start()]
    return "" if prefix in (".", "..") else prefix


def name_filter(pattern: str) -> Callable[[str], bool]:
    """Tells which names match a pattern of ``*``, ``?``, ``[...]`` and ``[!...]``; the pattern itself always does.

    Case counts, and ``*`` matches names that begin with a dot, too.
    """
    expression = re.compile(fnmatch.translate(pattern))
    return lambda name: name == pattern or expression.match(name) is not None

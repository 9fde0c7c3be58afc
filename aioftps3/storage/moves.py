"""What a process remembers of moves and copies, so that they can be repeated.

Two questions are answered from memory alone. Is what lies at the target of a directory's move left over from the same
move, begun before? And has a command that waited for its turn been overtaken by another one that did the very same?
Nothing is asked of or written to the store; after a restart, what the store shows has to be proof enough.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aioftps3.storage.recent import Watchers
from aioftps3.storage.store import ObjectInfo

__all__ = ("Attempt", "Moves")

_UNFINISHED = 100  # directory moves that are remembered; the one begun first is forgotten first

_COPIES = 20_000  # copies of one unfinished move whose etags prove nothing; some 2 MB


@dataclass(slots=True, eq=False)
class Attempt:
    """One command that moves something, from before it waits for its locks on."""

    overtaken: bool = False
    """Another command has done the very same since this one began."""


class Moves:
    """The moves of one process; shared by all trees on the same store. Sources and targets are keys or markers."""

    watchers: Watchers
    """Who hears of the files and directories that are made."""

    def __init__(self) -> None:
        self.watchers = Watchers()
        self._unfinished: OrderedDict[tuple[str, str], set[int]] = OrderedDict()
        self._attempts: dict[tuple[str, str], list[Attempt]] = {}

    def __len__(self) -> int:
        """Commands that are under way or waiting."""
        return sum(map(len, self._attempts.values()))

    @contextmanager
    def attempt(self, source: str, target: str) -> Iterator[Attempt]:
        """Around a command, its waiting for locks included. When it ends well, those that wait for the same hear of
        it."""
        attempt = Attempt()
        attempts = self._attempts.setdefault((source, target), [])
        attempts.append(attempt)
        try:
            yield attempt
            for other in attempts:
                other.overtaken = True
        finally:
            attempts.remove(attempt)
            if not attempts:
                del self._attempts[source, target]

    def begin(self, source: str, target: str) -> None:
        """Remember a directory's move that begins, or goes on."""
        self._unfinished.setdefault((source, target), set())
        self._unfinished.move_to_end((source, target))
        if len(self._unfinished) > _UNFINISHED:
            self._unfinished.popitem(last=False)

    def end(self, source: str, target: str) -> None:
        """Forget a move that has ended well."""
        self._unfinished.pop((source, target), None)

    def is_unfinished(self, source: str, target: str) -> bool:
        """Whether this move has begun and not ended well."""
        return (source, target) in self._unfinished

    def note(self, source: str, target: str, original: ObjectInfo, copy: str) -> None:
        """Remember that the unfinished move made an object of etag ``copy`` out of ``original``."""
        copies = self._unfinished.get((source, target))
        if copies is not None and len(copies) < _COPIES:
            copies.add(hash((original.key, original.etag, copy)))

    def knows(self, source: str, target: str, original: ObjectInfo, copy: str) -> bool:
        """Whether that was noted."""
        return hash((original.key, original.etag, copy)) in self._unfinished.get((source, target), ())

"""Directories that clients have seen and that have no key left in the store.

A directory without a marker exists as long as a key lies below it. A client that deletes the last file of such a
directory still stands in it, so the tree goes on treating it as an empty directory: here is what it remembers for that.
Nothing is asked of or written to the store; another process, and this one after a restart, does not know.
"""

from __future__ import annotations

from collections import OrderedDict

__all__ = ("EmptiedDirectories",)

_CAPACITY = 10_000  # directories; some 3 MB. The least recently emptied are forgotten first


class EmptiedDirectories:
    """A bounded set of marker keys (each ends in a slash). One instance may serve all trees of a process."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._markers: OrderedDict[str, None] = OrderedDict()
        self._children: dict[str, set[str]] = {}

    def __contains__(self, marker: str) -> bool:
        return marker in self._markers

    def __len__(self) -> int:
        return len(self._markers)

    def remember(self, marker: str) -> None:
        """Add a directory, or make it the last one to be forgotten."""
        if marker not in self._markers:
            parent, name = _split(marker)
            self._children.setdefault(parent, set()).add(name)
        self._markers[marker] = None
        self._markers.move_to_end(marker)
        if len(self._markers) > self._capacity:
            self.forget(next(iter(self._markers)))

    def forget(self, marker: str) -> None:
        """Remove a directory; one that is not there is no error."""
        if marker not in self._markers:
            return
        del self._markers[marker]
        parent, name = _split(marker)
        siblings = self._children[parent]
        siblings.discard(name)
        if not siblings:
            del self._children[parent]

    def children(self, marker: str) -> frozenset[str]:
        """The names of the remembered directories that lie directly in the directory ``marker``."""
        return frozenset(self._children.get(marker, ()))

    def below(self, marker: str) -> tuple[str, ...]:
        """All remembered directories somewhere under ``marker``; takes a look at each one that is remembered."""
        return tuple(other for other in self._markers if other != marker and other.startswith(marker))


def _split(marker: str) -> tuple[str, str]:
    cut = marker.rfind("/", 0, -1) + 1
    return marker[:cut], marker[cut:-1]

"""What a client's tree has just seen, so that its renames need not ask the store again.

A file that was stored a moment ago need not be looked up when it is renamed, and a directory whose few entries were
listed need not be asked whether the new name is a directory's. Both are good for a few seconds, and only for questions
whose wrong answer harms nothing: a copy is bound to the version that it is of, and directories that this process makes
meanwhile are heard of at once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from weakref import WeakSet

from aioftps3.storage.entries import Entry

__all__ = ("Recent", "Watchers")

_FILES = 16  # uploads of one client that are remembered

_SIZES = 16  # files whose sizes one client has asked for

_CROWDED = 100  # directories of which a client has learned that they have many entries

STORED_SECONDS = 60.0
"""How long a stored file need not be looked up, and how long it is worth something to know a size."""

SEEN_SECONDS = 10.0
"""How long it is known which directories are in a directory: the time between RNFR and RNTO."""


class Watchers:
    """Who hears of the files and directories that a process makes; one for all trees on the same store."""

    def __init__(self) -> None:
        self._all: WeakSet[Recent] = WeakSet()

    def add(self, recent: Recent) -> None:
        """Tell it of what is made from now on."""
        self._all.add(recent)

    def remove(self, recent: Recent) -> None:
        """Tell it no more."""
        self._all.discard(recent)

    def made(self, key: str) -> None:
        """There is a file of this key now, or a directory of this marker."""
        for recent in list(self._all):  # who hears of it may forget, and leave
            recent.heard(key)


class Recent:
    """What one tree has just seen."""

    def __init__(self, watchers: Watchers, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._watchers = watchers
        self._clock = clock
        self._files: OrderedDict[str, tuple[float, Entry]] = OrderedDict()
        self._sizes: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._crowded: set[str] = set()
        self._parent: str | None = None
        self._directories: set[str] = set()
        self._since = 0.0
        self._is_seen = False

    def stored(self, key: str, entry: Entry) -> None:
        """The tree has stored this file."""
        self._files[key] = (self._clock(), entry)
        self._files.move_to_end(key)
        if len(self._files) > _FILES:
            self._files.popitem(last=False)
        self.saw_size(key, entry.size)

    def saw_size(self, key: str, size: int) -> None:
        """The client has learned that this file has so many bytes."""
        self._sizes[key] = (self._clock(), size)
        self._sizes.move_to_end(key)
        if len(self._sizes) > _SIZES:
            self._sizes.popitem(last=False)

    def size(self, key: str) -> int | None:
        """How many bytes a file had a moment ago, if that is known. It may be wrong by now."""
        when, size = self._sizes.get(key, (0.0, None))
        return size if size is not None and self._clock() - when <= STORED_SECONDS else None

    def gone(self, key: str) -> None:
        """It may be another file by now, or none."""
        self._files.pop(key, None)

    def clear(self) -> None:
        """Many files may be others by now."""
        self._files.clear()

    def file(self, key: str) -> Entry | None:
        """The file of this key, if the tree has stored it a moment ago."""
        when, entry = self._files.get(key, (0.0, None))
        return entry if entry is not None and self._clock() - when <= STORED_SECONDS else None

    def looks_into(self, parent: str) -> None:
        """The store is being asked what is in the directory of this marker: from now on, directories that are made
        there are heard of."""
        self._parent = parent
        self._directories.clear()
        self._since, self._is_seen = self._clock(), False
        self._watchers.add(self)

    def saw(self, directories: Iterable[str], *, whole: bool) -> None:
        """There are these directories, by their markers, in the one that was looked into; ``whole``: and no others."""
        if whole:
            self._directories.update(directories)
            self._since, self._is_seen = self._clock(), True
        elif self._parent is not None:
            if len(self._crowded) >= _CROWDED:
                self._crowded.clear()
            self._crowded.add(self._parent)

    def forget(self) -> None:
        """What was seen of directories is not good any more."""
        self._parent = None
        self._directories.clear()
        self._watchers.remove(self)

    def heard(self, key: str) -> None:
        """Something has been made."""
        if self._is_old:
            self.forget()
        elif self._parent is not None and key.startswith(self._parent) and "/" in key[len(self._parent) :]:
            self._directories.add(self._within(key))

    def is_no_directory(self, marker: str) -> bool:
        """Whether it is known that there is no directory of this marker."""
        if self._parent is None or not self._is_seen or self._is_old:
            return False
        is_below = marker.startswith(self._parent) and marker != self._parent
        return is_below and self._within(marker) not in self._directories

    def is_crowded(self, parent: str) -> bool:
        """Whether a look at this directory has shown only a part of it."""
        return parent in self._crowded

    @property
    def _is_old(self) -> bool:
        """Whether what was seen is of no use any more, or what was asked has not been answered."""
        return self._clock() - self._since > SEEN_SECONDS

    def _within(self, key: str) -> str:
        """The marker of the directory right in the seen one that a key is below, or is the marker of."""
        cut = 0 if self._parent is None else len(self._parent)
        return key[: key.index("/", cut) + 1]

"""What a path shows: entries, and the pages of a store's listing made into entries. Pure.

What stays true of the entries of one directory, all its pages together: no name comes twice; a name that is both a file
and a directory is the directory; nothing is kept from page to page but files whose directory may still come, which are
fewer than a key has bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aioftps3.storage.paths import VirtualPath, join, name_of, valid_name
from aioftps3.storage.store import ListPage, ObjectInfo

__all__ = ("Entry", "PageMerger", "directory_entry", "file_entry", "is_shown")

_FOLDER_SUFFIX = "_$folder$"  # marker objects of Hadoop and of old S3 tools, beside the directory that they stand for


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file or a directory."""

    name: str
    path: VirtualPath
    is_dir: bool
    size: int = 0
    """Bytes; 0 for directories."""
    modified: float = 0.0
    """Seconds since the epoch; 0.0 where it is not known, as for most directories. In a listing it is when a file was
    stored, also where clients' times are kept: see `Tree.timed`."""
    etag: str | None = None
    """Names this version of a file; None for directories."""
    storage_class: str | None = None
    """See `ObjectInfo.storage_class`."""


def file_entry(path: VirtualPath, info: ObjectInfo) -> Entry:
    """The entry of the file that ``info`` is."""
    return Entry(
        name=name_of(path),
        path=path,
        is_dir=False,
        size=info.size,
        modified=info.modified if info.client_time is None else info.client_time,
        etag=info.etag,
        storage_class=info.storage_class,
    )


def directory_entry(path: VirtualPath, marker: ObjectInfo | None = None) -> Entry:
    """The entry of a directory, which has a time when it has a marker."""
    return Entry(name=name_of(path), path=path, is_dir=True, modified=0.0 if marker is None else marker.modified)


def is_shown(name: str) -> bool:
    """Whether a listing shows what has this name in its directory, as a file or by what is below it."""
    return valid_name(name.partition("/")[0]) and not name.endswith(_FOLDER_SUFFIX)


class PageMerger:
    """The entries of one directory, page by page.

    ``base`` is the key that all listed keys begin with, ``remembered`` the names of directories that are to be shown
    even though the store has no key of theirs. ``hidden`` counts the keys and prefixes that no path leads to.
    """

    def __init__(self, directory: VirtualPath, base: str, remembered: Iterable[str] = ()) -> None:
        self.hidden = 0
        self._directory = directory
        self._base = base
        self._remembered = sorted(remembered, key=lambda name: name + "/", reverse=True)
        self._held: dict[str, Entry] = {}
        self._position = ""

    def entries(self, page: ListPage) -> list[Entry]:
        """The entries to show for the next page, sorted by name."""
        files, self._held = self._held, {}
        directories: dict[str, Entry] = {}
        skip = len(self._base)
        for prefix in page.prefixes:
            name = prefix[skip:-1]
            self._position = max(self._position, prefix[skip:])
            if valid_name(name):
                directories[name] = directory_entry(join(self._directory, name))
            else:
                self.hidden += 1
        for info in page.objects:
            name = info.key[skip:]
            self._position = max(self._position, name)
            if not name or name.endswith(_FOLDER_SUFFIX):
                continue
            if valid_name(name):
                files[name] = file_entry(join(self._directory, name), info)
            else:
                self.hidden += 1
        last = page.next_token is None
        while self._remembered and (last or self._remembered[-1] + "/" <= self._position):
            name = self._remembered.pop()
            directories.setdefault(name, directory_entry(join(self._directory, name)))
        for name, entry in files.items():
            if last or name + "/" <= self._position:
                directories.setdefault(name, entry)
            elif name not in directories:
                self._held[name] = entry
        return [directories[name] for name in sorted(directories)]

"""Files and directories over the keys of an object store.

A directory is a marker object (``dir/``, empty) or any key that begins with ``dir/``. A name can be a file and a
directory at once, which S3 allows and file systems do not: then listings show the directory, and reading the exact name
still gives the file. The root always is a directory.

What stays true:
- reads take no lock; whatever changes a path holds it exclusively, and its ancestors shared, while it acts;
- a parent need not exist for anything to be made in it: that would cost a request more;
- nothing is reported as done before the store has confirmed it;
- the number of requests is the one that each method promises; tests count them.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace

from aioftps3.storage.emptied import EmptiedDirectories
from aioftps3.storage.entries import Entry, PageMerger, directory_entry, file_entry, is_shown
from aioftps3.storage.errors import (
    Changed,
    Denied,
    Exists,
    IsADirectory,
    NameInvalid,
    NotADirectory,
    NotEmpty,
    NotFound,
)
from aioftps3.storage.files import ReadFile, WriteFile
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.moves import Moves
from aioftps3.storage.paths import (
    ROOT,
    VirtualPath,
    ancestors,
    is_below,
    key_of,
    marker_of,
    parent_of,
    valid_prefix,
)
from aioftps3.storage.probes import first_below, first_page, is_empty, occupants, pages_from
from aioftps3.storage.recent import Recent
from aioftps3.storage.removal import remove_below
from aioftps3.storage.rename import DirectoryMove, Progress, reported
from aioftps3.storage.store import DELETE_LIMIT, Digests, ObjectInfo, ObjectStore

__all__ = ("EmptiedDirectories", "Entry", "Tree")

log = logging.getLogger(__name__)

_TOLD = 100  # directories with hidden names that one session's log tells of

_UNSEEN = "directory not empty: objects are in it whose names cannot be shown"

TURN_SECONDS = 10.0
"""How long a client waits for another one that appends to the same file: enough for those who add a line. Then it goes
ahead, as the other one may be dead, or itself before its connection was lost."""

_LOOK_LIMIT = 100
"""Names on the page that tells what is to be renamed, and of a directory of no more names everything: few enough to be
as quick as a question for one name."""


class Tree:
    """The files and directories under one root.

    ``prefix`` is the key prefix of the root: empty, or ending in a slash. ``locks`` has to be the same for all trees on
    one bucket; ``emptied`` and ``moves``, what the process remembers, should be. Every method raises NameInvalid for
    paths that no key can have, and the store's own failures (Denied, Busy, Unavailable, Misconfigured, NotSupported) as
    they come.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        locks: PathLocks,
        prefix: str = "",
        emptied: EmptiedDirectories | None = None,
        moves: Moves | None = None,
    ) -> None:
        if not valid_prefix(prefix):
            raise ValueError(f"not a key prefix of a directory: {prefix!r}")
        self._store = store
        self._locks = locks
        self._prefix = prefix
        self._emptied = EmptiedDirectories() if emptied is None else emptied
        self._moves = Moves() if moves is None else moves
        self._recent = Recent(self._moves.watchers)
        self.hidden = 0
        """Keys and common prefixes that listings have left out because no path leads to them."""
        self._told: set[str] = set()

    async def stat(self, path: VirtualPath, *, directory: bool = False) -> Entry:
        """The file or directory, or only a ``directory``: one or two requests. Raises NotFound."""
        if path == ROOT:
            return directory_entry(ROOT)
        info = None if directory else await self._store.head(self._key(path))
        return await self._stat_directory(path) if info is None else file_entry(path, info)

    async def stat_file(self, path: VirtualPath) -> Entry:
        """The file: exactly one request. Raises NotFound, also where there is a directory."""
        if path == ROOT:
            raise NotFound
        key = self._key(path)
        info = await self._store.head(key)
        if info is None:
            raise NotFound
        self._recent.saw_size(key, info.size)
        return file_entry(path, info)

    async def is_dir(self, path: VirtualPath) -> bool:
        """Is it a directory? One request, none for the root."""
        try:
            await self._stat_directory(path)
        except NotFound:
            return False
        return True

    async def list(self, path: VirtualPath, beginning: str = "") -> AsyncGenerator[Sequence[Entry], None]:
        """What is in a directory, page by page; one request a page of 1000, the next one on its way already.

        With a ``beginning`` only what has a name that begins so, and the store lists no more; one request more when
        there is nothing. A file is then not found.

        At least one page comes, and any page may be empty. Pages are sorted by name; from page to page the order is
        about that of the names, too. A file yields itself. Raises NotFound before the first page. Close the iterator
        (`contextlib.aclosing`) when not reading it to its end.
        """
        marker = self._marker(path)
        prefix = marker + beginning
        page = await self._store.list(prefix, delimiter="/")
        remembered = [name for name in self._emptied.children(marker) if name.startswith(beginning)]
        if is_empty(page) and not (path == ROOT or remembered or marker in self._emptied):
            if not beginning:
                yield (await self.stat_file(path),)
                return
            await self._stat_directory(path)
        merger = PageMerger(path, marker, remembered)
        try:
            async with aclosing(pages_from(self._store, prefix, page, delimiter="/")) as pages:
                async for each in pages:
                    yield merger.entries(each)
        finally:
            self._tell_of_hidden(marker, merger.hidden)

    def _tell_of_hidden(self, marker: str, count: int) -> None:
        """Count the names that a listing has left out, and say it in the log, of each directory once."""
        self.hidden += count
        if count and marker not in self._told and len(self._told) < _TOLD:
            self._told.add(marker)
            log.info("%d names in %s are not shown, because no path leads to them", count, marker or "the root")

    async def mkdir(self, path: VirtualPath) -> None:
        """Make a directory by its marker: two requests, rarely three. Raises Exists for a directory and for a file."""
        if path == ROOT:
            raise Exists
        key, marker = self._key(path), self._marker(path)
        async with self._locked(path):
            if marker in self._emptied or any(await occupants(self._store, key)):
                raise Exists
            await self._store.put_marker(marker)
            self._filled(path, is_dir=True)

    async def rmdir(self, path: VirtualPath) -> None:
        """Remove an empty directory: two requests at most. Raises NotEmpty, NotFound, NotADirectory; Denied for the
        root. Keys that listings hide count as content, as nobody should delete what he has not seen."""
        if path == ROOT:
            raise Denied
        marker = self._marker(path)
        async with self._locked(path):
            found = await first_below(self._store, marker, 2)
            content = [info.key[len(marker) :] for info in found if info.key != marker]
            if content and not any(is_shown(name) for name in content):
                raise NotEmpty(reason=_UNSEEN)
            if content or self._emptied.children(marker):
                raise NotEmpty
            if found:
                self._leaving(path)
                await self._store.delete((marker,))
            elif marker not in self._emptied:
                await self.stat_file(path)
                raise NotADirectory
            self._emptied.forget(marker)

    async def remove_all(self, path: VirtualPath, removed: Callable[[int], None] = lambda _: None) -> int:
        """Remove a directory and all in it, hidden keys too; the number of objects that were deleted.

        Two requests for each 1000 objects; ``removed`` is told how many they are so far. When it fails or is cut short,
        some of it is gone and the rest is still there. Raises NotFound, NotADirectory; Denied for the root.
        """
        if path == ROOT:
            raise Denied
        marker = self._marker(path)
        async with self._locked(path):
            page = await self._store.list(marker, limit=DELETE_LIMIT)
            if is_empty(page) and marker not in self._emptied and not self._emptied.children(marker):
                await self.stat_file(path)
                raise NotADirectory
            self._leaving(path)
            self._recent.clear()
            count = await remove_below(self._store, marker, page, removed)
            for directory in (*self._emptied.below(marker), marker):
                self._emptied.forget(directory)
            return count

    async def unlink(self, path: VirtualPath) -> None:
        """Delete a file: two requests. Raises NotFound, IsADirectory."""
        if path == ROOT:
            raise IsADirectory
        key = self._key(path)
        async with self._locked(path):
            if await self._store.head(key) is None:
                await self._stat_directory(path)
                raise IsADirectory
            self._leaving(path)
            self._recent.gone(key)
            await self._store.delete((key,))

    async def rename_source(self, path: VirtualPath, *, directory: bool = False) -> Entry:
        """The entry to give to `rename` or `copy`: a file or a directory, or only a ``directory``. Raises NotFound;
        Denied for the root.

        One request, none for a file that this tree stored a moment ago, two or three in a directory of many entries.
        """
        if path == ROOT:
            raise Denied
        key, parent = self._key(path), self._marker(parent_of(path))
        marker = key + "/"
        self._recent.forget()
        stored = None if directory else self._recent.file(key)
        if stored is not None:
            return stored
        if self._recent.is_crowded(parent):
            return await self.stat(path, directory=directory)
        # Not HeadObject, because this tells besides which names of the same directory are directories.
        self._recent.looks_into(parent)
        page = await first_page(self._store, parent, delimiter="/", limit=_LOOK_LIMIT)
        self._recent.saw(page.prefixes, whole=page.next_token is None)
        info = None if directory else next((info for info in page.objects if info.key == key), None)
        if info is not None:
            return file_entry(path, info)
        if marker in page.prefixes:
            return directory_entry(path)
        if page.next_token is not None:
            return await self.stat(path)
        if marker not in self._emptied:
            raise NotFound
        return directory_entry(path)

    async def rename(self, source: Entry, target: VirtualPath) -> None:
        """Give a file or a directory another path; a path's own name is no error.

        A file: a look for a directory of the new name, unless `rename_source` has seen that there is none, a copy and a
        delete; it replaces a file of that name. Raises IsADirectory, because the file could not be seen behind a
        directory; NotFound or Changed when the source is not the one that `rename_source` saw.

        A directory: every key below it is copied, several at a time, those that no path leads to included; then all
        are deleted whose copies are there. Raises Exists when the target is a file, or a directory with something in
        it; NotFound; Changed. After a failure, or when it was cut short, every file is whole under its old name or its
        new one, and the same rename goes on where it stopped: see `DirectoryMove`.
        """
        if source.path != target:
            await self._move(source, target, deleting=True)

    async def copy(self, source: Entry, target: VirtualPath) -> None:
        """Copy a file or a directory inside the store, with the requests, the rules and the errors of `rename`, but
        that nothing is deleted. Raises Exists for a copy onto itself."""
        if source.path == target:
            raise Exists
        await self._move(source, target, deleting=False)

    def open_read(self, path: VirtualPath, offset: int = 0) -> ReadFile:
        """A file to read from ``offset`` on; nothing happens before it is entered, which is exactly one request.

        Entering raises NotFound (also where there is a directory), RangeInvalid, Archived.
        """
        if path == ROOT:
            raise IsADirectory
        key = self._key(path)
        return ReadFile(path, lambda: self._store.open_read(key, offset=offset))

    def open_write(self, path: VirtualPath, *, expected_size: int | None = None) -> WriteFile:
        """A file to write, which replaces one of the same name when it is committed; one request for a small file.

        ``expected_size`` in bytes, where the client has told it, lets the store prepare for a very large file; other
        sizes may come all the same. Raises Quota when the store can take no file of that size.
        """
        if path == ROOT:
            raise IsADirectory
        return WriteFile(
            path,
            self._store.open_write(self._key(path), expected_size=expected_size),
            lock=lambda: self._locked(path),
            committed=lambda info: self._stored(path, info),
        )

    async def open_append(
        self, path: VirtualPath, offset: int | None = None, *, expected_size: int | None = None
    ) -> WriteFile:
        """A file to write behind the first ``offset`` bytes of the one of that name, which stays until the commit; with
        no offset behind all of it, if there is one. It has to be ended.

        One request; two to four in all for a small file; five or six, and one for each 128 MiB, for others. Those who
        append to one file wait for each other for a while; the commit raises Changed when it was written or deleted
        since. Raises NotFound and RangeInvalid for an offset, Archived, Quota.
        """
        if path == ROOT:
            raise IsADirectory
        key = self._key(path)
        end_turn = await self._locks.take_turn(f"/{key}", TURN_SECONDS)
        try:
            writer = await self._store.open_append(
                key, offset=offset, likely_size=self._recent.size(key), expected_size=expected_size
            )
        except BaseException:
            end_turn()
            raise
        return WriteFile(
            path,
            writer,
            lock=lambda: self._locked(path),
            committed=lambda info: self._stored(path, info, changed=writer.changed),
            ended=end_turn,
        )

    async def timed(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Entries of a listing with the times that clients gave to the files, where such times are kept: then a request
        for each file of which nothing is remembered, several at a time."""
        files = [entry for entry in entries if not entry.is_dir]
        times = await self._store.times([self._object(entry) for entry in files])
        found = iter(times)
        return [entry if entry.is_dir else replace(entry, modified=next(found)) for entry in entries]

    async def set_time(self, path: VirtualPath, seconds: float) -> Entry:
        """Give a file the client's time, in seconds since the epoch: two requests, more for a file of over 5 GB.

        Raises NotFound, IsADirectory; Changed when the file was replaced meanwhile.
        """
        if path == ROOT:
            raise IsADirectory
        key = self._key(path)
        async with self._locked(path):
            info = await self._store.set_time(key, seconds)
            if info is None:
                await self._stat_directory(path)
                raise IsADirectory(reason="times of directories are not kept")
            entry = file_entry(path, info)
            if self._recent.file(key) is not None:
                self._recent.stored(key, entry)
            return entry

    async def digests(self, path: VirtualPath) -> Digests:
        """What is known of a file's content without reading it: one request. Raises NotFound, IsADirectory."""
        if path == ROOT:
            raise IsADirectory
        found = await self._store.digests(self._key(path))
        if found is None:
            await self._stat_directory(path)
            raise IsADirectory
        return found

    async def _move(self, source: Entry, target: VirtualPath, *, deleting: bool) -> None:
        if source.path == ROOT:
            raise Denied
        if target == ROOT or (source.is_dir and is_below(source.path, target)):
            raise Exists
        if is_below(target, source.path):
            raise NameInvalid("a path cannot be moved to below itself")
        work = self._move_directory if source.is_dir else self._move_file
        with self._moves.attempt(self._key(source.path), self._key(target)) as attempt:
            async with self._locked(source.path, target):
                # A client that lost patience and sent the same again waits here for its first command.
                if not (deleting and attempt.overtaken):
                    await work(source, target, deleting=deleting)

    async def _move_file(self, source: Entry, target: VirtualPath, *, deleting: bool) -> None:
        key, marker = self._key(source.path), self._key(target) + "/"
        unseen = not self._recent.is_no_directory(marker)
        self._recent.forget()
        if marker in self._emptied or (unseen and await first_below(self._store, marker, 1)):
            raise IsADirectory
        await self._copy_file(source, target, deleting=deleting)
        if deleting:
            self._leaving(source.path)
        self._filled(target)
        if deleting:
            await self._store.delete((key,))

    async def _copy_file(self, source: Entry, target: VirtualPath, *, deleting: bool) -> None:
        key = self._key(source.path)
        stored = self._recent.file(key) is source
        self._recent.gone(key)
        try:
            await self._copy_version(source, target, deleting=deleting)
        except (Changed, NotFound):
            if not stored:
                raise
            # Nobody has looked at the file since it was stored: it is the one that is there now.
            await self._copy_version(await self.stat_file(source.path), target, deleting=deleting)

    async def _copy_version(self, source: Entry, target: VirtualPath, *, deleting: bool) -> None:
        key, new_key = self._key(source.path), self._key(target)
        progress = _progress(key, new_key, deleting=deleting)
        async with reported(progress, briefly=True):
            await self._store.copy(self._object(source), new_key, copied=progress.add_bytes)
            progress.copied = 1

    async def _move_directory(self, source: Entry, target: VirtualPath, *, deleting: bool) -> None:
        old, new = self._marker(source.path), self._marker(target)
        self._recent.forget()
        is_file, is_directory = await occupants(self._store, self._key(target))
        if is_file or self._emptied.children(new):
            raise Exists
        progress = _progress(old, new, deleting=deleting)
        move = DirectoryMove(
            self._store,
            old,
            new,
            moves=self._moves,
            progress=progress,
            leaving=lambda: self._leaving(source.path),
        )
        try:
            async with reported(progress):
                if is_directory:
                    await move.compare(deleting=deleting)
                count = await (move.move() if deleting else move.copy())
        finally:
            self._recent.clear()
            if progress.copied or progress.found:
                self._filled(target, is_dir=True)
        if not count:
            if old not in self._emptied:
                raise NotFound
            if deleting:
                self._leaving(source.path)
            if not is_directory:
                await self._store.put_marker(new)
            self._filled(target, is_dir=True)
        for marker in self._emptied.below(old):
            self._emptied.remember(new + marker[len(old) :])
            if deleting:
                self._emptied.forget(marker)
        if deleting:
            self._emptied.forget(old)

    async def _stat_directory(self, path: VirtualPath) -> Entry:
        if path == ROOT:
            return directory_entry(ROOT)
        marker = self._marker(path)
        found = await first_below(self._store, marker, 1)
        if not found and marker not in self._emptied:
            raise NotFound
        return directory_entry(path, found[0] if found and found[0].key == marker else None)

    def _object(self, entry: Entry) -> ObjectInfo:
        """The object that a file's entry was made of."""
        return ObjectInfo(
            key=self._key(entry.path),
            size=entry.size,
            etag=entry.etag or "",
            modified=entry.modified,
            storage_class=entry.storage_class,
        )

    def _key(self, path: VirtualPath) -> str:
        return key_of(path, self._prefix)

    def _marker(self, path: VirtualPath) -> str:
        return marker_of(path, self._prefix)

    def _locked(self, *paths: VirtualPath) -> AbstractAsyncContextManager[None]:
        """Exclusive locks; on keys and not on paths, as the roots of different users may overlap."""
        return self._locks.exclusive(*("/" + self._key(path) for path in paths))

    def _leaving(self, path: VirtualPath) -> None:
        """Something that exists is about to go from ``path``: the directories above it exist, and go on doing so."""
        for directory in ancestors(path)[1:]:
            self._emptied.remember(self._marker(directory))

    def _filled(self, path: VirtualPath, *, is_dir: bool = False) -> None:
        """Something exists at ``path`` now: the directories above it do so by themselves."""
        for directory in ancestors(path):
            self._emptied.forget(self._marker(directory))
        self._emptied.forget(self._key(path) + "/")
        self._recent.gone(self._key(path))
        self._moves.watchers.made(self._marker(path) if is_dir else self._key(path))

    def _stored(self, path: VirtualPath, info: ObjectInfo, *, changed: bool = True) -> None:
        """A file has been written, or, unless ``changed``, left as it was: then it may be gone by now."""
        if changed:
            self._filled(path)
        self._recent.stored(self._key(path), file_entry(path, info))


def _progress(source: str, target: str, *, deleting: bool) -> Progress:
    return Progress(what="rename" if deleting else "copy", source=source, target=target)

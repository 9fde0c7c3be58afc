"""The tree against a model: a dict of files and a set of directories, with POSIX's rules where S3 can keep them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aioftps3.storage.errors import (
    Denied,
    Exists,
    IsADirectory,
    NameInvalid,
    NotADirectory,
    NotEmpty,
    NotFound,
    RangeInvalid,
    StorageError,
    Unavailable,
)
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import ROOT, VirtualPath, ancestors, is_below, parent_of
from aioftps3.storage.tree import EmptiedDirectories, Tree
from tests.support.memory_store import MemoryStore

T = TypeVar("T")

# "a!" sorts between "a" and "a/", so that a page can end between a file and a directory of one name
NAMES = st.sampled_from(["a", "b", "a!", "ab"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: VirtualPath("/" + "/".join(names)))
ANY_PATH = PATHS | st.just(ROOT)
DATA = st.binary(max_size=9)


class Model:
    """What a client believes to be there."""

    def __init__(self) -> None:
        self.files: dict[VirtualPath, bytes] = {}
        self.directories: set[VirtualPath] = {ROOT}

    def add_parents(self, path: VirtualPath) -> None:
        self.directories.update(ancestors(path))

    def is_used(self, directory: VirtualPath) -> bool:
        return any(is_below(path, directory) for path in (*self.files, *self.directories))

    def children(self, directory: VirtualPath) -> dict[VirtualPath, bool]:
        below = {path: False for path in self.files if parent_of(path) == directory}
        below.update({path: True for path in self.directories if path != ROOT and parent_of(path) == directory})
        return below


def _moved(path: VirtualPath, source: VirtualPath, target: VirtualPath) -> VirtualPath:
    """Where a path is after a rename."""
    inside = path == source or is_below(path, source)
    return VirtualPath(target + path[len(source) :]) if inside else path


class TreeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.store = MemoryStore()
        self.locks = PathLocks()
        self.emptied = EmptiedDirectories()
        self.prefix = ""
        self.tree = Tree(self.store, locks=self.locks, emptied=self.emptied)

    def teardown(self) -> None:
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def expect(self, error: type[StorageError] | None, work: Coroutine[Any, Any, object]) -> None:
        if error is None:
            self.run(work)
        else:
            with pytest.raises(error) as caught:
                self.run(work)
            assert type(caught.value) is error

    @initialize(
        files=st.lists(st.tuples(PATHS, DATA), max_size=4),
        markers=st.lists(PATHS, max_size=2),
        page_limit=st.sampled_from([1, 2, 3, 1000]),
        prefix=st.sampled_from(["", "home/", "a/a/"]),
    )
    def seed(
        self, files: list[tuple[VirtualPath, bytes]], markers: list[VirtualPath], page_limit: int, prefix: str
    ) -> None:
        self.store.page_limit = page_limit
        self.prefix = prefix
        self.tree = Tree(self.store, locks=self.locks, prefix=prefix, emptied=self.emptied)
        self.store.seed("elsewhere/a", b"not below the root")
        for path, data in files:
            self.store.seed(prefix + path[1:], data, token=path)
            self.model.files[path] = data
            self.model.add_parents(path)
        for path in markers:
            self.store.seed(prefix + path[1:] + "/", token=path)
            self.model.directories.add(path)
            self.model.add_parents(path)
        if not prefix:
            self.model.files[VirtualPath("/elsewhere/a")] = b"not below the root"
            self.model.directories.add(VirtualPath("/elsewhere"))

    @rule(path=PATHS, data=DATA)
    def write(self, path: VirtualPath, data: bytes) -> None:
        if path in self.model.directories and not (path in self.model.files and self.model.is_used(path)):
            return  # S3 allows it; what an emptied directory does then is for the unit tests

        async def work() -> None:
            async with self.tree.open_write(path) as file:
                await file.write(data)

        self.run(work())
        self.model.files[path] = data
        self.model.add_parents(path)

    @rule(path=PATHS, data=DATA, offset=st.none() | st.integers(1, 12))
    def append(self, path: VirtualPath, data: bytes, offset: int | None) -> None:
        if path in self.model.directories and not (path in self.model.files and self.model.is_used(path)):
            return  # as for `write`

        async def work() -> None:
            async with await self.tree.open_append(path, offset) as file:
                await file.write(data)

        old = self.model.files.get(path)
        if offset is not None and (old is None or offset > len(old)):
            self.expect(NotFound if old is None else RangeInvalid, work())
            return
        self.run(work())
        self.model.files[path] = (old or b"")[:offset] + data
        self.model.add_parents(path)

    @rule(path=PATHS)
    def abandoned_write_changes_nothing(self, path: VirtualPath) -> None:
        async def work() -> None:
            async with self.tree.open_write(path) as file:
                await file.write(b"lost")
                raise KeyError

        with pytest.raises(KeyError):
            self.run(work())

    @rule(path=PATHS, offset=st.integers(0, 9))
    def read(self, path: VirtualPath, offset: int) -> None:
        async def work() -> bytes:
            async with self.tree.open_read(path, offset) as file:
                assert file.entry.size == len(self.model.files[path])
                return b"".join([chunk async for chunk in file.chunks()])

        if path not in self.model.files:
            self.expect(NotFound, work())
        elif offset <= len(self.model.files[path]):
            assert self.run(work()) == self.model.files[path][offset:]

    @rule(path=ANY_PATH)
    def mkdir(self, path: VirtualPath) -> None:
        taken = path in self.model.files or path in self.model.directories
        self.expect(Exists if taken else None, self.tree.mkdir(path))
        if not taken:
            self.model.directories.add(path)
            self.model.add_parents(path)

    @rule(path=ANY_PATH)
    def rmdir(self, path: VirtualPath) -> None:
        error: type[StorageError] | None = None
        if path == ROOT:
            error = Denied
        elif path not in self.model.directories:
            error = NotADirectory if path in self.model.files else NotFound
        elif self.model.is_used(path):
            error = NotEmpty
        self.expect(error, self.tree.rmdir(path))
        if error is None:
            self.model.directories.remove(path)

    @rule(path=ANY_PATH)
    def remove_all(self, path: VirtualPath) -> None:
        model = self.model
        error: type[StorageError] | None = None
        if path == ROOT:
            error = Denied
        elif path not in model.directories:
            error = NotADirectory if path in model.files else NotFound
        self.expect(error, self.tree.remove_all(path))
        if error is None:
            model.files = {file: data for file, data in model.files.items() if not is_below(file, path)}
            model.directories = {each for each in model.directories if each != path and not is_below(each, path)}

    @rule(path=ANY_PATH)
    def unlink(self, path: VirtualPath) -> None:
        error: type[StorageError] | None = None
        if path not in self.model.files:
            error = IsADirectory if path in self.model.directories else NotFound
        self.expect(error, self.tree.unlink(path))
        if error is None:
            del self.model.files[path]

    @rule(source=PATHS, goal=PATHS)
    def rename(self, source: VirtualPath, goal: VirtualPath) -> None:
        problem = self._problem(source, goal, deleting=True)
        self.expect(problem, self._rename(source, goal))
        if problem is None and source != goal:
            self._move(source, goal)

    @rule(source=PATHS, goal=PATHS)
    def copy(self, source: VirtualPath, goal: VirtualPath) -> None:
        problem = self._problem(source, goal, deleting=False)
        self.expect(problem, self._copy(source, goal))
        if problem is None:
            self._move(source, goal, keeping=True)

    @rule(
        source=PATHS,
        goal=PATHS,
        at=st.integers(1, 20),
        when=st.sampled_from(["before", "after"]),
        restarted=st.booleans(),
        plain_etags=st.booleans(),
    )
    def rename_with_a_fault_and_again(
        self, source: VirtualPath, goal: VirtualPath, at: int, when: str, restarted: bool, plain_etags: bool
    ) -> None:
        """At every moment every file is whole under one of its names, and repeating ends what was begun."""
        if source in self.model.files and source in self.model.directories:
            return  # after the file, the same rename would mean the directory
        problem = self._problem(source, goal, deleting=True)
        files = dict(self.model.files)
        if source in files and source != goal:
            files.pop(goal, None)  # it is replaced
        requests = 0
        failed: type[StorageError] | None = None

        def nothing_is_lost(*_: str) -> None:
            for path, data in files.items():
                assert data in (self._content(path), self._content(_moved(path, source, goal)))

        def fail(operation: str, key: str, happening: str) -> None:
            nonlocal requests
            nothing_is_lost()
            requests += happening == when
            if requests == at and happening == when:
                raise Unavailable

        self.store.plain_etags = plain_etags
        self.store.point = fail
        try:
            self.run(self._rename(source, goal))
        except StorageError as error:
            failed = type(error)
        self.store.plain_etags = True
        self.store.point = nothing_is_lost
        if restarted and plain_etags:
            self.tree = Tree(self.store, locks=self.locks, prefix=self.prefix, emptied=self.emptied)
        if failed is not None and problem is None and source != goal:
            try:
                self.run(self._rename(source, goal))
            except NotFound:
                assert not [path for path in files if self._content(path) and _moved(path, source, goal) != path]
        elif failed is not None:
            assert failed in (problem, Unavailable)
        self.store.point = lambda *_: None
        if problem is None and source != goal:
            self._move(source, goal)
            self._forget_what_nothing_shows()

    def _forget_what_nothing_shows(self) -> None:
        """A request that acted although it failed may have taken the last key of a directory, which is not remembered
        then."""
        for directory in sorted(self.model.directories, reverse=True):
            if not self.run(self.tree.is_dir(directory)):
                assert not self.model.is_used(directory)
                self.model.directories.remove(directory)

    def _problem(self, source: VirtualPath, goal: VirtualPath, *, deleting: bool) -> type[StorageError] | None:
        """What a rename or a copy has to be refused with."""
        model = self.model
        if source not in model.files and source not in model.directories:
            return NotFound
        if source == goal:
            return None if deleting else Exists
        if source not in model.files and is_below(source, goal):
            return Exists
        if is_below(goal, source):
            return NameInvalid
        if source in model.files:
            return IsADirectory if goal in model.directories else None
        if goal in model.files or (
            goal in model.directories and model.is_used(goal) and not self._is_left_over(source, goal, deleting)
        ):
            return Exists
        return None

    def _is_left_over(self, source: VirtualPath, goal: VirtualPath, deleting: bool) -> bool:
        """Whether what is at the goal could have been left there by the same rename."""
        ours, theirs = self._below(source), self._below(goal)
        if any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys()):
            return False
        if self.emptied.children(self.prefix + goal[1:] + "/"):
            return False
        return theirs.keys() <= ours.keys() or (deleting and bool(ours) and ours.keys() <= theirs.keys())

    def _below(self, directory: VirtualPath) -> dict[str, bytes]:
        marker = self.prefix + directory[1:] + "/"
        contents = self.store.contents.items()
        return {key[len(marker) :]: data for key, data in contents if key.startswith(marker) and key != marker}

    def _content(self, path: VirtualPath) -> bytes | None:
        return self.store.contents.get(self.prefix + path[1:])

    def _move(self, source: VirtualPath, target: VirtualPath, *, keeping: bool = False) -> None:
        model = self.model
        if source in model.files:
            model.files[target] = model.files[source] if keeping else model.files.pop(source)
            model.add_parents(target)
            return
        files = {_moved(path, source, target): data for path, data in model.files.items() if is_below(path, source)}
        kept = {path: data for path, data in model.files.items() if keeping or not is_below(path, source)}
        model.files = {**kept, **files}
        directories = {_moved(path, source, target) for path in model.directories}
        model.directories = directories | (model.directories if keeping else set())
        model.add_parents(target)

    async def _rename(self, source: VirtualPath, target: VirtualPath) -> None:
        await self.tree.rename(await self.tree.rename_source(source), target)

    async def _copy(self, source: VirtualPath, target: VirtualPath) -> None:
        await self.tree.copy(await self.tree.rename_source(source), target)

    @rule(path=ANY_PATH)
    def list_and_stat(self, path: VirtualPath) -> None:
        async def work() -> dict[VirtualPath, bool]:
            found: dict[VirtualPath, bool] = {}
            async with aclosing(self.tree.list(path)) as pages:
                async for page in pages:
                    assert [entry.name for entry in page] == sorted(entry.name for entry in page)
                    for entry in page:
                        assert entry.path not in found, "a name comes twice"
                        found[entry.path] = entry.is_dir
                        assert entry.is_dir or entry.size == len(self.model.files[entry.path])
            return found

        model = self.model
        assert self.run(self.tree.is_dir(path)) == (path in model.directories)
        if path in model.directories:
            assert self.run(work()) == model.children(path)
        elif path in model.files:
            assert self.run(work()) == {path: False}
        else:
            self.expect(NotFound, work())
        if path in model.files:
            assert self.run(self.tree.stat(path)).size == len(model.files[path])
            assert self.run(self.tree.stat_file(path)) == self.run(self.tree.stat(path))
        else:
            self.expect(NotFound, self.tree.stat_file(path))
            if path in model.directories:
                assert self.run(self.tree.stat(path)).is_dir
            else:
                self.expect(NotFound, self.tree.stat(path))

    @invariant()
    def nothing_is_held_or_left_open(self) -> None:
        assert len(self.locks) == 0
        assert not self.store.open_writers
        assert self.model.directories == {ROOT} or self.store.contents["elsewhere/a"] == b"not below the root"


TestTree = TreeMachine.TestCase

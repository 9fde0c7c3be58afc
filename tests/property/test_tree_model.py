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
    StorageError,
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


class TreeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.store = MemoryStore()
        self.locks = PathLocks()
        self.tree = Tree(self.store, locks=self.locks)

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
        self.tree = Tree(self.store, locks=self.locks, prefix=prefix, emptied=EmptiedDirectories())
        self.store.seed("elsewhere/a", b"not below the root")
        for path, data in files:
            self.store.seed(prefix + path[1:], data)
            self.model.files[path] = data
            self.model.add_parents(path)
        for path in markers:
            self.store.seed(prefix + path[1:] + "/")
            self.model.directories.add(path)
            self.model.add_parents(path)
        if not prefix:
            self.model.files[VirtualPath("/elsewhere/a")] = b"not below the root"
            self.model.directories.add(VirtualPath("/elsewhere"))

    @rule(path=PATHS, data=DATA)
    def write(self, path: VirtualPath, data: bytes) -> None:
        if path in self.model.directories and path not in self.model.files:
            return  # S3 allows it; what an emptied directory does then is for the unit tests

        async def work() -> None:
            async with self.tree.open_write(path) as file:
                await file.write(data)

        self.run(work())
        self.model.files[path] = data
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
        model = self.model
        if source in model.files:
            if goal in model.directories:
                return  # not looked for, as it would cost a request
            error = NameInvalid if is_below(goal, source) else None
            self.expect(error, self._rename(source, goal))
            if error is None:
                model.files[goal] = model.files.pop(source)
                model.add_parents(goal)
            return
        problem: type[StorageError] | None = None
        if source not in model.directories:
            problem = NotFound
        elif source == goal:
            problem = None
        elif is_below(goal, source):
            problem = NameInvalid
        elif goal in model.files or (goal in model.directories and model.is_used(goal)):
            problem = Exists
        self.expect(problem, self._rename(source, goal))
        if problem is None and source != goal:
            self._move(source, goal)

    def _move(self, source: VirtualPath, target: VirtualPath) -> None:
        def moved(path: VirtualPath) -> VirtualPath:
            inside = path == source or is_below(path, source)
            return VirtualPath(target + path[len(source) :]) if inside else path

        files, self.model.files = self.model.files, {}
        self.model.files = {moved(path) if is_below(path, source) else path: data for path, data in files.items()}
        self.model.directories = {moved(path) for path in self.model.directories}
        self.model.add_parents(target)

    async def _rename(self, source: VirtualPath, target: VirtualPath) -> None:
        await self.tree.rename(await self.tree.rename_source(source), target)

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

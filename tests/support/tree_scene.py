"""A tree on a memory store, with everything around it in reach."""

from __future__ import annotations

from contextlib import aclosing

from aioftps3.storage.emptied import EmptiedDirectories
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.moves import Moves
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.tree import Tree
from tests.support.memory_store import MemoryStore


def path(text: str) -> VirtualPath:
    return VirtualPath(text)


class Scene:
    def __init__(self, *keys: str, prefix: str = "", page_limit: int = 1000) -> None:
        """Each object holds its key. Lone surrogates stand for bytes that are no UTF-8."""
        contents = {key: key.encode("utf-8", "surrogateescape") for key in keys}
        self.store = MemoryStore(contents, page_limit=page_limit)
        self.locks = PathLocks()
        self.emptied = EmptiedDirectories()
        self.moves = Moves()
        self.tree = self.other_tree(prefix)

    def other_tree(self, prefix: str = "") -> Tree:
        """A tree as another session of the same process has it."""
        return Tree(self.store, locks=self.locks, prefix=prefix, emptied=self.emptied, moves=self.moves)

    def restarted_tree(self, prefix: str = "") -> Tree:
        """A tree of a process that remembers nothing."""
        return Tree(self.store, locks=PathLocks(), prefix=prefix)

    @property
    def keys(self) -> list[str]:
        return list(self.store.contents)

    async def pages(self, text: str) -> list[list[str]]:
        async with aclosing(self.tree.list(path(text))) as pages:
            return [[entry.name + "/" * entry.is_dir for entry in page] async for page in pages]

    async def names(self, text: str) -> list[str]:
        return [name for page in await self.pages(text) for name in page]

    async def write(self, text: str, data: bytes = b"") -> None:
        async with self.tree.open_write(path(text)) as file:
            await file.write(data)

    async def rename(self, source: str, target: str, tree: Tree | None = None) -> None:
        tree = tree or self.tree
        await tree.rename(await tree.rename_source(path(source)), path(target))

    async def copy(self, source: str, target: str) -> None:
        await self.tree.copy(await self.tree.rename_source(path(source)), path(target))

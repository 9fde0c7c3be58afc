"""A tree on a memory store, with everything around it in reach."""

from __future__ import annotations

from contextlib import aclosing

from aioftps3.storage.emptied import EmptiedDirectories
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.tree import Tree
from tests.support.memory_store import MemoryStore


def path(text: str) -> VirtualPath:
    return VirtualPath(text)


class Scene:
    def __init__(self, *keys: str, prefix: str = "", page_limit: int = 1000) -> None:
        self.store = MemoryStore({key: key.encode() for key in keys}, page_limit=page_limit)
        self.locks = PathLocks()
        self.emptied = EmptiedDirectories()
        self.tree = self.other_tree(prefix)

    def other_tree(self, prefix: str = "") -> Tree:
        return Tree(self.store, locks=self.locks, prefix=prefix, emptied=self.emptied)

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

    async def rename(self, source: str, target: str) -> None:
        await self.tree.rename(await self.tree.rename_source(path(source)), path(target))

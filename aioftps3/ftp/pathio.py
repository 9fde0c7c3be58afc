"""`S3PathIO`: the tree of one user as aioftp's path-io backend.

What must stay true:

- `open` for writing is a commit-or-abort context: leaving it without an exception makes the file visible, any exception
  (cancellation too) leaves the old file or none. aioftp's own context calls one ``close`` for both, which would publish
  half a file.
- Errors leave as aioftp's PathIOError with the storage error as its cause, which is what aioftp's dispatcher expects.
- The interface of `aioftp.AbstractPathIO` is complete, so that a stock `aioftp.Server` can serve an S3PathIO; methods
  beyond it (`pages`, `stat_file`, `rename_source`) save S3 requests where FTP allows it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import aioftp
from aioftp.pathio import AbstractPathIO

from aioftps3.storage.errors import NotFound, NotSupported, StorageError
from aioftps3.storage.files import ReadFile, WriteFile
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.store import Digests
from aioftps3.storage.tree import Entry, Tree

__all__ = ("S3File", "S3PathIO", "virtual")

P = ParamSpec("P")
R = TypeVar("R")


def _stat_result(entry: Entry) -> os.stat_result:
    """An entry as aioftp wants it. S3 keeps one time, so that creation and access are modification."""
    mode = stat.S_IFDIR | 0o755 if entry.is_dir else stat.S_IFREG | 0o644
    when = int(entry.modified)
    return os.stat_result((mode, 0, 0, 1, 0, 0, entry.size, when, when, when))


class _ListedPath(PurePosixPath):
    """A path that carries its entry, so that aioftp's stat of each listed path costs no request."""

    __slots__ = ("entry",)
    entry: Entry


def virtual(path: PurePosixPath) -> VirtualPath:
    """The tree's path of one that aioftp made from the root down."""
    return VirtualPath(str(path))


def _path_io(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    @functools.wraps(method)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except StorageError as error:
            raise aioftp.PathIOError(reason=sys.exc_info()) from error

    return wrapper


class S3File:
    """An open file, the result of `S3PathIO.open`; ``async with`` commits or aborts what was written."""

    def __init__(
        self, tree: Tree, path: PurePosixPath, mode: str, offset: int | None, expected_size: int | None
    ) -> None:
        self._tree = tree
        self._path = virtual(path)
        self._mode = mode
        self._offset = offset
        self._expected_size = expected_size
        self._reading: ReadFile | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._rest = b""
        self._writing: WriteFile | None = None

    @_path_io
    async def __aenter__(self) -> Self:
        match self._mode:
            case "wb" | "ab":
                await self._open_write()
            case "rb":
                if self._offset is not None:
                    await self._open_read(self._offset)
            case "r+b":
                if self._offset is not None:
                    await self._open_write()
            case _:
                raise NotSupported(f"mode {self._mode}")
        return self

    @_path_io
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reading is not None:
            await self._reading.__aexit__(kind, error, trace)
        if self._writing is not None:
            await self._writing.__aexit__(kind, error, trace)

    async def _open_write(self) -> WriteFile:
        if self._mode == "ab" or self._offset:
            self._writing = await self._tree.open_append(self._path, self._offset, expected_size=self._expected_size)
        else:
            self._writing = self._tree.open_write(self._path, expected_size=self._expected_size)
        return await self._writing.__aenter__()

    async def _open_read(self, offset: int) -> ReadFile:
        reading = self._tree.open_read(self._path, offset=offset)
        await reading.__aenter__()
        self._reading = reading
        self._chunks = aiter(reading.chunks())
        return reading

    @property
    def entry(self) -> Entry:
        """The file that is read; its size is that of the whole object."""
        if self._reading is None:
            raise ValueError("the file is not open for reading")
        return self._reading.entry

    @_path_io
    async def seek(self, offset: int, whence: int = 0) -> int:
        """Set where reading or writing begins; possible once, before it does."""
        is_open = self._reading is not None or self._writing is not None
        if whence != 0 or is_open or self._mode not in ("rb", "r+b"):
            raise NotSupported("seek after the start")
        self._offset = offset
        return offset

    @_path_io
    async def next_chunk(self) -> bytes:
        """The next bytes as S3 sent them, b"" at the end."""
        if self._chunks is None:
            await self._open_read(self._offset or 0)
        return await anext(cast("AsyncIterator[bytes]", self._chunks), b"")

    async def read(self, count: int = -1) -> bytes:
        """At most ``count`` bytes, b"" at the end; all that is left for a negative count."""
        if count < 0:
            parts = [self._rest]
            self._rest = b""
            while chunk := await self.next_chunk():
                parts.append(chunk)
            return b"".join(parts)
        if not self._rest:
            self._rest = await self.next_chunk()
        block, self._rest = self._rest[:count], self._rest[count:]
        return block

    @_path_io
    async def room(self) -> memoryview:
        """A writable view, not empty, for the next bytes of the upload: see `WriteFile.room`."""
        return await self._written().room()

    def filled(self, count: int) -> None:
        """Take the first ``count`` bytes of the view that `room` gave."""
        self._written().filled(count)

    def on_broken(self, callback: Callable[[], None] | None) -> None:
        """Have this called when the upload fails while its client is waited for: see `WriteFile.on_broken`."""
        self._written().on_broken(callback)

    @_path_io
    async def write(self, data: bytes | memoryview) -> int:
        """Add bytes to the upload by copying them; waiting is the backpressure."""
        if self._writing is None and self._mode == "r+b":
            await self._open_write()
        await self._written().write(data)
        return len(data)

    @property
    def kept(self) -> int:
        """Bytes of the old file that the written one begins with."""
        return self._written().kept

    def _written(self) -> WriteFile:
        if self._writing is None:
            raise NotSupported("write to a file opened for reading")
        return self._writing

    async def iter_by_block(self, count: int) -> AsyncGenerator[bytes, None]:
        """Blocks of at most ``count`` bytes until the end."""
        while block := await self.read(count):
            yield block


class _Lister:
    """What aioftp's ``list`` returns: an asynchronous iterator that can also be awaited for the whole list."""

    def __init__(self, entries: AsyncGenerator[PurePosixPath, None]) -> None:
        self._entries = entries

    def __aiter__(self) -> AsyncIterator[PurePosixPath]:
        return self._entries

    def __await__(self) -> Any:
        return self._all().__await__()

    async def _all(self) -> list[PurePosixPath]:
        return [path async for path in self._entries]


class S3PathIO(AbstractPathIO[PurePosixPath]):
    """The files of the user who is logged in on ``connection``; before the login there is no tree to ask."""

    @property
    def tree(self) -> Tree:
        """The tree of the connection's user."""
        if self.connection is None:
            raise ValueError("S3PathIO serves the tree of a connection's user")
        return cast("Tree", self.connection.user.tree)

    @_path_io
    async def exists(self, path: PurePosixPath) -> bool:
        return await self._entry(path) is not None

    @_path_io
    async def is_dir(self, path: PurePosixPath) -> bool:
        if isinstance(path, _ListedPath):
            return path.entry.is_dir
        return await self.tree.is_dir(virtual(path))

    @_path_io
    async def is_file(self, path: PurePosixPath) -> bool:
        entry = await self._entry(path)
        return entry is not None and not entry.is_dir

    async def _entry(self, path: PurePosixPath) -> Entry | None:
        if isinstance(path, _ListedPath):
            return path.entry
        try:
            return await self.tree.stat(virtual(path))
        except NotFound:
            return None

    @_path_io
    async def mkdir(
        self,
        path: PurePosixPath,
        *,
        parents: bool = False,  # noqa: ARG002  # aioftp's interface has it
        exist_ok: bool = False,
    ) -> None:
        """Make a directory. Parents need not exist in S3, so that ``parents`` is always granted."""
        if exist_ok and await self.tree.is_dir(virtual(path)):
            return
        await self.tree.mkdir(virtual(path))

    @_path_io
    async def rmdir(self, path: PurePosixPath) -> None:
        await self.tree.rmdir(virtual(path))

    @_path_io
    async def remove_all(self, path: PurePosixPath, removed: Callable[[int], None]) -> int:
        """Remove a directory and all in it; see `Tree.remove_all`."""
        return await self.tree.remove_all(virtual(path), removed)

    @_path_io
    async def unlink(self, path: PurePosixPath) -> None:
        await self.tree.unlink(virtual(path))

    def list(self, path: PurePosixPath) -> Any:
        """Each entry's path, which carries its stat."""
        return _Lister(self._listed(path))

    async def _listed(self, path: PurePosixPath) -> AsyncGenerator[PurePosixPath, None]:
        async with contextlib.aclosing(self.pages(path)) as pages:
            async for page in pages:
                for entry in page:
                    listed = _ListedPath(entry.path)
                    listed.entry = entry
                    yield listed

    async def pages(self, path: PurePosixPath, beginning: str = "") -> AsyncGenerator[Sequence[Entry], None]:
        """A directory's entries, one S3 page at a time; a file yields itself. Raises PathIOError.

        Only names with this ``beginning`` are listed; with one, a file is not found.
        """
        try:
            async with contextlib.aclosing(self.tree.list(virtual(path), beginning)) as pages:
                async for page in pages:
                    yield page
        except StorageError as error:
            raise aioftp.PathIOError(reason=sys.exc_info()) from error

    @_path_io
    async def stat(self, path: PurePosixPath) -> os.stat_result:
        if isinstance(path, _ListedPath):
            return _stat_result(path.entry)
        return _stat_result(await self.tree.stat(virtual(path)))

    @_path_io
    async def entry(self, path: PurePosixPath, *, directory: bool = False) -> Entry:
        """A file or a directory, or only a ``directory``."""
        return await self.tree.stat(virtual(path), directory=directory)

    @_path_io
    async def timed(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Entries of a listing with the times that clients gave to the files."""
        return await self.tree.timed(entries)

    @_path_io
    async def set_time(self, path: PurePosixPath, seconds: float) -> None:
        """Give a file the client's time, in seconds since the epoch."""
        await self.tree.set_time(virtual(path), seconds)

    @_path_io
    async def digests(self, path: PurePosixPath) -> Digests:
        """What is known of a file's content without reading it."""
        return await self.tree.digests(virtual(path))

    @_path_io
    async def file_entry(self, path: PurePosixPath) -> Entry:
        """A file, by exactly one request; a directory is not found."""
        return await self.tree.stat_file(virtual(path))

    def open(  # type: ignore[override]  # aioftp hands its arguments to its own context, which this replaces
        self,
        path: PurePosixPath,
        mode: str = "rb",
        offset: int | None = None,
        expected_size: int | None = None,
    ) -> Any:
        """A commit-or-abort context over one file: see `S3File`.

        Modes are ``rb``; ``wb``; ``ab``, which writes behind what there is; and ``r+b``, which writes behind its first
        ``offset`` bytes, and nothing stays behind that. With an ``offset`` a file is opened on entry, so that its
        absence is known then; without one, as aioftp calls it, when it is first read, or with ``r+b`` written, so that
        seek costs no second request. ``expected_size`` in bytes, where it is known of a file to be written, makes room
        for a very large one.
        """
        return S3File(self.tree, path, mode, offset, expected_size)

    @_path_io
    async def rename_source(self, path: PurePosixPath, *, directory: bool = False) -> Entry:
        """What RNFR or SITE CPFR names, or only a ``directory``; hand it to `rename_entry` or `copy_entry`."""
        return await self.tree.rename_source(virtual(path), directory=directory)

    @_path_io
    async def rename_entry(self, source: Entry, target: PurePosixPath) -> None:
        """Give the file or directory another name; a file there is replaced."""
        await self.tree.rename(source, virtual(target))

    @_path_io
    async def copy_entry(self, source: Entry, target: PurePosixPath) -> None:
        """Copy the file or directory inside the store; a file there is replaced."""
        await self.tree.copy(source, virtual(target))

    @_path_io
    async def rename(self, source: PurePosixPath, destination: PurePosixPath) -> PurePosixPath:
        await self.tree.rename(await self.tree.rename_source(virtual(source)), virtual(destination))
        return destination

    # S3File is its own file object: aioftp reaches these only through AsyncPathIOContext, which `open` replaces.

    async def _open(self, path: PurePosixPath, mode: str) -> Any:
        return await self.open(path, mode).__aenter__()

    async def seek(self, file: Any, offset: int, whence: int = 0) -> int:
        return cast("int", await file.seek(offset, whence))

    async def write(self, file: Any, data: bytes) -> int:
        return cast("int", await file.write(data))

    async def read(self, file: Any, block_size: int = -1) -> bytes:
        return cast("bytes", await file.read(block_size))

    async def close(self, file: Any) -> None:
        await file.__aexit__(None, None, None)

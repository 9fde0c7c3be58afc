"""Files being read and files being written.

A WriteFile ends by commit or by abort. Until the commit nobody sees the new file, and after an abort nobody ever will;
leaving ``async with`` normally commits, leaving it by an exception (cancellation too) aborts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from aioftps3.storage.entries import Entry, file_entry
from aioftps3.storage.errors import StorageError
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.store import ObjectBody, ObjectInfo, ObjectWriter

__all__ = ("ABORT_SECONDS", "ReadFile", "WriteFile")

ABORT_SECONDS = 20.0
"""Time that an abort may take, retries included; a session that ends waits for it."""

_log = logging.getLogger(__name__)


class ReadFile:
    """One file being read, from an offset to its end, without a lock: it goes on with the file that it began with.

    Entering it sends the request and raises what `Tree.open_read` says; afterwards ``entry`` is known.
    """

    def __init__(self, path: VirtualPath, opener: Callable[[], Awaitable[ObjectBody]]) -> None:
        self.path = path
        self._opener = opener
        self._body: ObjectBody | None = None

    async def open(self) -> Entry:
        """Send the request, once. Whoever calls this instead of ``async with`` has to call `close`."""
        if self._body is None:
            self._body = await self._opener()
        return self.entry

    @property
    def entry(self) -> Entry:
        """The file; its size is that of the whole file, whatever the offset."""
        return file_entry(self.path, self._opened().info)

    def chunks(self) -> AsyncIterator[bytes]:
        """All bytes from the offset on. Ends only after the last byte of the file: else it raises Changed, Corrupt or
        Unavailable."""
        return self._opened().chunks()

    async def close(self) -> None:
        """Stop reading. Idempotent."""
        if self._body is not None:
            await self._body.close()

    def _opened(self) -> ObjectBody:
        if self._body is None:
            raise ValueError("the file is not open")
        return self._body

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class WriteFile:
    """One file being written.

    ``lock`` makes the lock that a commit takes, ``committed`` hears of the new object while it is held; ``ended`` hears
    of the end, whichever it is.
    """

    def __init__(
        self,
        path: VirtualPath,
        writer: ObjectWriter,
        *,
        lock: Callable[[], AbstractAsyncContextManager[None]],
        committed: Callable[[ObjectInfo], None],
        ended: Callable[[], None] = lambda: None,
        abort_seconds: float = ABORT_SECONDS,
    ) -> None:
        self.path = path
        self._writer = writer
        self._lock = lock
        self._committed = committed
        self._ended = ended
        self._abort_seconds = abort_seconds
        self._entry: Entry | None = None
        self._aborting: asyncio.Task[None] | None = None

    @property
    def kept(self) -> int:
        """Bytes of the old file that it begins with."""
        return self._writer.kept

    async def room(self) -> memoryview:
        """A writable view, not empty, into the memory of the file, for the next bytes; `filled` says when they are
        there. Ask only when there is a byte to put, and do not keep the view while a client is silent: room costs
        memory, and sometimes a request. Waiting is the backpressure. The view is good until `filled` or the end of the
        file.

        Raises ValueError after the end of the file, Quota, StorageFull, Denied, Unavailable, TooSlow and others when
        the store refuses; the file can then only be aborted.
        """
        self._refuse_ended()
        return await self._writer.room()

    def filled(self, count: int) -> None:
        """Take the first ``count`` bytes of the view that `room` gave; after an abort or a failure they are dropped."""
        self._writer.filled(count)

    def on_broken(self, callback: Callable[[], None] | None) -> None:
        """Have this called from the loop, once, when the file can no longer be stored although nobody has asked for
        anything; the next `room`, `write` or `commit` raises why. For whoever waits for a client that may be silent."""
        self._writer.on_broken(callback)

    async def write(self, data: bytes | memoryview) -> None:
        """Add bytes by copying them. Waits and raises as `room` does."""
        self._refuse_ended()
        view = memoryview(data).cast("B")
        while view:
            room = await self.room()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            self.filled(count)
            view = view[count:]

    async def commit(self) -> Entry:
        """Make the file visible, replacing one of the same name. Returns when the store has confirmed it.

        Any failure, cancellation too, aborts the file. Committing again does nothing; committing after an abort raises
        ValueError.
        """
        if self._entry is not None:
            return self._entry
        self._refuse_ended()
        try:
            self._writer.seal()
            async with self._lock():
                info = await self._writer.complete()
                self._entry = file_entry(self.path, info)
                self._committed(info)
        except BaseException:
            await self.abort()
            raise
        self._ended()
        return self._entry

    async def abort(self) -> None:
        """Drop the file; the old one of that name, if any, stays. Idempotent; after a commit it does nothing.

        Never raises a StorageError. Being cancelled does not stop it: it ends first, which `ABORT_SECONDS` limits, and
        the cancellation goes on afterwards.
        """
        if self._entry is not None:
            return
        if self._aborting is None:
            self._aborting = asyncio.create_task(self._abort_in_time())
        cancelled: asyncio.CancelledError | None = None
        while not self._aborting.done():
            try:
                await asyncio.shield(self._aborting)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _abort_in_time(self) -> None:
        try:
            async with asyncio.timeout(self._abort_seconds):
                await self._writer.abort()
        except TimeoutError:
            _log.warning(
                "gave up aborting an upload after %g seconds; parts may be left in the bucket", self._abort_seconds
            )
        except StorageError as error:
            _log.warning("aborting an upload failed, parts may be left in the bucket: %s", error)
        finally:
            self._ended()

    def _refuse_ended(self) -> None:
        if self._entry is not None or self._aborting is not None:
            raise ValueError("the file has ended")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await self.abort()
        elif self._aborting is None:
            await self.commit()

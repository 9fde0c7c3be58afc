"""Moving and copying all keys of a directory, as S3 knows no directories.

A move has two halves. First every key is copied, several at once. Then, page by page, each source is deleted whose copy
was confirmed and has been found under its new key.

What stays true:
- at any moment every file is whole under its old name, or under its new one, or under both;
- nothing is deleted before everything has been copied, and nothing that is not what was copied;
- a move that failed, or was cut off, leaves its copies, and the same move goes on from them: keys whose copies are
  there are not copied again;
- what was at the target before is neither replaced nor mixed with: see `DirectoryMove.compare`;
- a directory of any size takes a page of its listing, what is on its way, and 8 bytes a key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

from aioftps3.storage.errors import Changed, Exists, NameInvalid, NotFound, NotSupported, StorageError
from aioftps3.storage.moves import Moves
from aioftps3.storage.paths import KEY_BYTES
from aioftps3.storage.probes import pages_from
from aioftps3.storage.store import DELETE_LIMIT, ObjectInfo, ObjectStore

__all__ = ("COPIES_IN_FLIGHT", "DirectoryMove", "Progress", "delete_all", "keys_below", "pages_below", "reported")

COPIES_IN_FLIGHT = 16
"""Copies of one directory that run at the same time: enough to hide the latency of the store, few enough to leave
connections to the other sessions."""

PROGRESS_SECONDS = 10.0
"""Time between two lines of the log about the same move."""

ROUNDS = 3
"""Times that files are taken along which somebody else brings into a directory, past our locks, while it moves."""

_STRANGERS = 1000  # such files in one round; more are no accident

_ANY_BYTES = ("utf-8", "surrogateescape")
"""How keys are encoded: some stores have keys that are no UTF-8."""

_FINGERPRINT_MASK = 2**64 - 1

_NUMBERS_AT_A_TIME = 65_536
"""Fingerprints that are compared before others may work: a millisecond."""

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a move or a copy has come."""

    what: str
    """"rename" or "copy"."""
    source: str
    target: str
    began: float = field(default_factory=time.monotonic)
    copied: int = 0
    """Keys."""
    size: int = 0
    """Bytes that were copied."""
    found: int = 0
    """Keys whose copies were there already."""
    deleted: int = 0
    """Keys of the source."""

    def add_bytes(self, count: int) -> None:
        """Hear of bytes that were copied."""
        self.size += count

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def __str__(self) -> str:
        found = f" and {self.found} found there" if self.found else ""
        return (
            f"{self.what} of {self.source} to {self.target}: copied {self.copied} ({self.size / 2**20:.1f} MiB)"
            f"{found}, deleted {self.deleted}, {self.seconds:.1f} s"
        )


@asynccontextmanager
async def reported(progress: Progress, *, briefly: bool = False) -> AsyncIterator[None]:
    """Say in the log every `PROGRESS_SECONDS` how far it is, and in the end how it ended; ``briefly``: the end only if
    it took so long. The reason of a failure in the middle says that the work can go on."""
    telling = asyncio.create_task(_tell(progress))
    try:
        yield
    except BaseException as error:
        if progress.copied or progress.size or progress.deleted:
            log.warning("%s; stopped by %s", progress, type(error).__name__)
        if isinstance(error, StorageError) and (progress.copied or progress.deleted):
            error.reason += "; not finished, the same command goes on from here"
        raise
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
    if not briefly or progress.seconds > PROGRESS_SECONDS:
        log.info("%s; done", progress)


async def _tell(progress: Progress) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        log.info("%s so far", progress)


async def pages_below(store: ObjectStore, prefix: str) -> AsyncGenerator[Sequence[ObjectInfo], None]:
    """All objects whose keys begin with ``prefix``, those that no path leads to included, page by page; the next page
    is on its way already. Close the iterator (`contextlib.aclosing`)."""
    async with aclosing(pages_from(store, prefix, await store.list(prefix))) as pages:
        async for page in pages:
            yield page.objects


async def keys_below(store: ObjectStore, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
    """The objects of `pages_below`, one by one. Close the iterator (`contextlib.aclosing`)."""
    async with aclosing(pages_below(store, prefix)) as pages:
        async for page in pages:
            for info in page:
                yield info


async def delete_all(store: ObjectStore, keys: Sequence[str]) -> None:
    """Delete any number of keys, `DELETE_LIMIT` in a request."""
    for start in range(0, len(keys), DELETE_LIMIT):
        await store.delete(keys[start : start + DELETE_LIMIT])


class DirectoryMove:
    """One move, or copy, of all keys that begin with the marker ``source`` to the marker ``target``.

    `compare`, if there is something at the target; then `move` or `copy`. ``moves`` is what the process remembers;
    ``leaving`` is called before sources are deleted.
    """

    def __init__(
        self,
        store: ObjectStore,
        source: str,
        target: str,
        *,
        moves: Moves,
        progress: Progress,
        leaving: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._source = source
        self._target = target
        self._moves = moves
        self._progress = progress
        self._leaving = leaving
        self._resumed = False
        self._vanished = 0
        self._failures: list[StorageError] = []
        self._proven = array("Q")
        """Fingerprints of the pairs that `compare` had to ask the store about, in the order of their listing."""
        self._copied = array("Q")
        """Fingerprints of the sources that have been copied, in the order of their listing."""

    async def compare(self, *, deleting: bool) -> None:
        """See that what is at the target is left over from the same move, and make this one go on from there.

        It is, when keys that both sides have are proven to hold the same bytes, and one side has no key that the other
        one lacks: either not everything had been copied, or, if the move was ``deleting``, not everything deleted.
        Where this process remembers the move, both may have some. A target of nothing but a marker is an empty
        directory, and may be there.

        Raises Exists for everything else, and has changed nothing. NotSupported: the store lists keys in no order.
        """
        remembered = self._moves.is_unfinished(self._source, self._target)
        common = only_source = only_target = 0
        doubtful: list[tuple[ObjectInfo, ObjectInfo]] = []
        async with aclosing(self._joined()) as pairs:
            async for original, copy in pairs:
                if original is None:
                    only_target += copy is not None and copy.key != self._target
                elif copy is None:
                    only_source += original.key != self._source
                elif original.key != self._source:
                    common += 1
                    if not _is_alike(original, copy):
                        doubtful.append((original, copy))
                        self._proven.append(_fingerprint(original, copy.etag))
                if only_source and only_target and not remembered:
                    raise Exists
                if len(doubtful) == COPIES_IN_FLIGHT:
                    await self._prove(doubtful)
                    doubtful.clear()
        await self._prove(doubtful)
        half_deleted = deleting and common and not only_source
        if only_target and not half_deleted and not (remembered and (common or not only_source)):
            raise Exists
        self._resumed = True

    async def move(self) -> int:
        """Copy, confirm and delete everything; returns how many keys that were.

        Raises Changed when a copy is missing, or others keep bringing files; NotFound when all sources were deleted by
        others; whatever the store raises.
        """
        self._moves.begin(self._source, self._target)
        for _ in range(ROUNDS):
            await self._copy_all()
            if not await self._confirm(delete=True):
                self._moves.end(self._source, self._target)
                return self._progress.copied + self._progress.found
            self._resumed = False  # what is left is to be copied, whatever is at the target by now
        raise Changed("others keep bringing files")

    async def copy(self) -> int:
        """Copy and confirm everything; returns how many keys that were. Raises as `move`; Changed also when a source
        has come or changed meanwhile."""
        self._moves.begin(self._source, self._target)
        await self._copy_all()
        if await self._confirm(delete=False):
            raise Changed("files came or changed while they were copied")
        self._moves.end(self._source, self._target)
        return self._progress.copied + self._progress.found

    async def _copy_all(self) -> None:
        """Copy what has no copy yet. After a failure no copy is begun, but those on their way are waited for: their
        answers are worth remembering."""
        self._copied = array("Q")
        slots = asyncio.Semaphore(COPIES_IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as group, aclosing(self._uncopied()) as objects:
                try:
                    async for info in objects:
                        await slots.acquire()
                        if self._failures:
                            break
                        group.create_task(self._copy_one(info, slots))
                except StorageError as error:
                    self._failures.append(error)
        except BaseExceptionGroup as faults:
            raise faults.exceptions[0] from None
        if self._failures:
            raise self._failures[0]
        if self._vanished and not (self._progress.copied or self._progress.found):
            raise NotFound

    async def _copy_one(self, info: ObjectInfo, slots: asyncio.Semaphore) -> None:
        try:
            etag = await self._store.copy(info, self._new_key(info), copied=self._progress.add_bytes)
        except NotFound:
            self._vanished += 1  # somebody else has deleted it, perhaps as the end of the same move
        except Changed:
            pass  # it has another etag now, and so is left over for the next round
        except StorageError as error:
            self._failures.append(error)
        else:
            self._progress.copied += 1
            if info.size and etag != info.etag:
                self._moves.note(self._source, self._target, info, etag)
        finally:
            slots.release()

    async def _uncopied(self) -> AsyncGenerator[ObjectInfo, None]:
        """The sources that have no copy yet; each one's fingerprint is taken, also of the others."""
        if not self._resumed:
            async with aclosing(pages_below(self._store, self._source)) as pages:
                async for page in pages:
                    self._check_names(page)
                    for info in page:
                        self._copied.append(_fingerprint(info))
                        yield info
            return
        position = 0
        async with aclosing(self._joined()) as pairs:
            async for original, copy in pairs:
                if original is None:
                    continue
                self._copied.append(_fingerprint(original))
                if copy is None:
                    yield original
                    continue
                if original.key != self._source and not _is_alike(original, copy):
                    found = await _index(self._proven, _fingerprint(original, copy.etag), position)
                    if found is None:
                        raise Exists("something came to the target")
                    position = found + 1
                self._progress.found += 1

    def _check_names(self, objects: Iterable[ObjectInfo]) -> None:
        """Raise NameInvalid when a new key would be too long; most directories are a page, and then nothing is copied
        in vain."""
        longer = len(self._target.encode()) - len(self._source.encode())
        if longer > 0 and any(len(info.key.encode(*_ANY_BYTES)) + longer > KEY_BYTES for info in objects):
            raise NameInvalid(reason="a file name in it would be too long")

    async def _confirm(self, *, delete: bool) -> int:
        """Find the copies, and page by page delete their sources; returns how many sources are left because they came
        or changed after they were listed for copying. Raises Changed when a copy is missing."""
        position = left = 0
        async with (
            aclosing(pages_below(self._store, self._source)) as pages,
            aclosing(keys_below(self._store, self._target)) as copies,
        ):
            async for page in pages:
                keys: list[str] = []
                for info in page:
                    found = await _index(self._copied, _fingerprint(info), position)
                    if found is None:
                        left += 1
                        if left > _STRANGERS:
                            raise Changed("others bring many files")
                        continue
                    position = found + 1
                    await _find(copies, self._new_key(info), info.size)
                    keys.append(info.key)
                if delete and keys:
                    self._leaving()
                    await delete_all(self._store, keys)
                    self._progress.deleted += len(keys)
        return left

    async def _prove(self, pairs: Iterable[tuple[ObjectInfo, ObjectInfo]]) -> None:
        """Raise Exists unless each second one holds the bytes of the first, whatever their etags say."""

        async def is_copy(original: ObjectInfo, copy: ObjectInfo) -> bool:
            if original.size != copy.size:
                return False
            if self._moves.knows(self._source, self._target, original, copy.etag):
                return True
            return await self._store.is_copy(original, copy)

        answers = await asyncio.gather(*(is_copy(original, copy) for original, copy in pairs), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        if not all(answers):
            raise Exists

    async def _joined(self) -> AsyncGenerator[tuple[ObjectInfo | None, ObjectInfo | None], None]:
        """Sources and targets side by side in the order of their keys, None where there is no counterpart."""
        async with (
            aclosing(_ordered(self._store, self._source)) as sources,
            aclosing(_ordered(self._store, self._target)) as targets,
        ):
            source, target = await anext(sources, None), await anext(targets, None)
            while source is not None or target is not None:
                if source is not None and (target is None or source[0] < target[0]):
                    yield source[1], None
                    source = await anext(sources, None)
                elif target is not None and (source is None or target[0] < source[0]):
                    yield None, target[1]
                    target = await anext(targets, None)
                elif source is not None and target is not None:
                    yield source[1], target[1]
                    source, target = await anext(sources, None), await anext(targets, None)

    def _new_key(self, info: ObjectInfo) -> str:
        return self._target + info.key[len(self._source) :]


def _is_alike(original: ObjectInfo, copy: ObjectInfo) -> bool:
    """Whether a listing shows that the second can be a copy of the first: the same bytes, and not older."""
    is_same = original.size == copy.size and (original.size == 0 or original.etag == copy.etag)
    return is_same and original.modified <= copy.modified


def _fingerprint(info: ObjectInfo, copy: str = "") -> int:
    """Of one version of an object, or of that and the etag of its copy."""
    return hash((info.key, info.etag, copy)) & _FINGERPRINT_MASK


async def _index(numbers: array[int], number: int, start: int) -> int | None:
    """Where a number is from ``start`` on. All have the order of a listing, so that this looks at a single one as a
    rule; while it looks at many it lets others work."""
    while start < len(numbers):
        end = start + _NUMBERS_AT_A_TIME
        with suppress(ValueError):
            return numbers.index(number, start, end)
        start = end
        await asyncio.sleep(0)
    return None


async def _find(objects: AsyncIterator[ObjectInfo], key: str, size: int) -> None:
    """Go on until an object has this key. Raises Changed when there is none, or it has another size."""
    async for info in objects:
        if info.key == key:
            if info.size != size:
                raise Changed(f"the copy {key!r} has another size")
            return
    raise Changed(f"the copy {key!r} is missing")


async def _ordered(store: ObjectStore, prefix: str) -> AsyncGenerator[tuple[bytes, ObjectInfo], None]:
    """The objects behind a marker, and the bytes of their keys without it. Raises NotSupported when they come in
    another order than that of the bytes."""
    last: bytes | None = None
    async with aclosing(keys_below(store, prefix)) as objects:
        async for info in objects:
            name = info.key[len(prefix) :].encode(*_ANY_BYTES)
            if last is not None and name <= last:
                raise NotSupported("keys are listed in no order")
            last = name
            yield name, info

"""An object store in memory: S3's rules as far as the tree relies on them, with hooks for faults and cancellation."""

from __future__ import annotations

import asyncio
import bisect
import dataclasses
import functools
import hashlib
import secrets
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from aioftps3.storage.errors import Changed, NotFound, OverwriteRefused, RangeInvalid, StorageError
from aioftps3.storage.store import DELETE_LIMIT, PAGE_LIMIT, Digests, ListPage, ObjectInfo

_CHUNK_BYTES = 4
_ROOM_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Stored:
    data: bytes
    etag: str
    modified: float
    token: str | None
    """By which `is_copy` knows two objects of one upload; copies keep it."""
    client_time: float | None


class MemoryStore:
    """An ObjectStore whose pages hold at most ``page_limit`` names.

    An object's etag is made of its content, or, when ``plain_etags`` is off, of nothing but itself, as those of copies
    of multipart uploads are. What was written, and not seeded, has a token. ``point`` is called before and after each
    request acts, with the operation, the key and "before" or "after": it may raise, or wait.
    """

    def __init__(self, objects: Mapping[str, bytes] | None = None, *, page_limit: int = PAGE_LIMIT) -> None:
        self.page_limit = page_limit
        self.plain_etags = True
        self.no_overwrite = False
        self.in_parts: set[str] = set()
        """Keys of objects of which no digests are known."""
        self.requests: list[tuple[str, str]] = []
        self.open_writers: set[MemoryWriter] = set()
        self.in_flight: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.point: Callable[[str, str, str], None] = lambda operation, key, when: None
        self._objects: dict[str, _Stored] = {}
        self._writes = 0
        for key, data in (objects or {}).items():
            self.seed(key, data)

    def seed(
        self, key: str, data: bytes = b"", *, token: str | None = None, client_time: float | None = None
    ) -> ObjectInfo:
        """Put an object there without a request."""
        self._writes += 1
        name = hashlib.md5(data, usedforsecurity=False).hexdigest() if self.plain_etags else f"{self._writes}-2"
        self._objects[key] = _Stored(data, f'"{name}"', 1_000_000.0 + self._writes, token, client_time)
        return self.info(key)

    def drop(self, key: str) -> None:
        """Take an object away without a request."""
        del self._objects[key]

    def info(self, key: str) -> ObjectInfo:
        """What the store knows of an object, without a request."""
        stored = self._objects[key]
        return ObjectInfo(
            key=key,
            size=len(stored.data),
            etag=stored.etag,
            modified=stored.modified,
            client_time=stored.client_time,
        )

    @property
    def contents(self) -> dict[str, bytes]:
        """All objects."""
        return {key: stored.data for key, stored in sorted(self._objects.items())}

    def operations(self) -> list[str]:
        """The operations since the last call."""
        operations = [operation for operation, _ in self.requests]
        self.requests.clear()
        return operations

    async def request(self, operation: str, key: str, act: Callable[[], None] = lambda: None) -> None:
        self.requests.append((operation, key))
        self.in_flight[operation] += 1
        self.peak[operation] = max(self.peak[operation], self.in_flight[operation])
        try:
            self.point(operation, key, "before")
            await asyncio.sleep(0)
            act()
            self.point(operation, key, "after")
            await asyncio.sleep(0)
        finally:
            self.in_flight[operation] -= 1

    async def head(self, key: str) -> ObjectInfo | None:
        await self.request("HeadObject", key)
        return self.info(key) if key in self._objects else None

    async def open_read(self, key: str, *, offset: int = 0) -> MemoryBody:
        await self.request("GetObject", key)
        if key not in self._objects:
            raise NotFound
        data = self._objects[key].data
        if offset > len(data):
            raise RangeInvalid
        return MemoryBody(self.info(key), data[offset:])

    def open_write(self, key: str, *, expected_size: int | None = None) -> MemoryWriter:
        return MemoryWriter(self, key)

    async def open_append(
        self,
        key: str,
        *,
        offset: int | None = None,
        likely_size: int | None = None,
        expected_size: int | None = None,
    ) -> MemoryWriter:
        await self.request("HeadObject", key)
        stored = self._objects.get(key)
        if stored is None:
            if offset is not None:
                raise NotFound
            return MemoryWriter(self, key, guarded=True)
        if self.no_overwrite:
            raise OverwriteRefused
        if offset is not None and offset > len(stored.data):
            raise RangeInvalid
        return MemoryWriter(self, key, base=self.info(key), kept=stored.data[:offset], guarded=True)

    async def list(
        self, prefix: str, *, delimiter: str | None = None, limit: int = PAGE_LIMIT, token: str | None = None
    ) -> ListPage:
        assert 0 < limit <= PAGE_LIMIT
        await self.request("ListObjectsV2", prefix)
        objects: list[ObjectInfo] = []
        prefixes: list[str] = []
        keys = sorted(self._objects)
        start = bisect.bisect_left(keys, prefix)
        for key in keys[start:]:
            if not key.startswith(prefix):
                break
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            common = key[: cut + 1] if cut >= 0 else None
            name = common or key
            if (token is not None and name <= token) or (common and prefixes and prefixes[-1] == common):
                continue
            if len(objects) + len(prefixes) == min(limit, self.page_limit):
                last = max([*prefixes[-1:], *(info.key for info in objects[-1:])])
                return ListPage(objects=tuple(objects), prefixes=tuple(prefixes), next_token=last)
            if common:
                prefixes.append(common)
            else:
                objects.append(dataclasses.replace(self.info(key), client_time=None))
        return ListPage(objects=tuple(objects), prefixes=tuple(prefixes))

    async def copy(self, source: ObjectInfo, target: str, *, copied: Callable[[int], None] | None = None) -> str:
        etag = ""

        def act() -> None:
            nonlocal etag
            original = self._objects.get(source.key)
            if original is None:
                raise NotFound
            if original.etag != source.etag:
                raise Changed
            if self.no_overwrite and target in self._objects:
                raise OverwriteRefused
            etag = self.seed(target, original.data, token=original.token, client_time=original.client_time).etag

        await self.request("CopyObject", target, act)
        if copied is not None:
            copied(source.size)
        return etag

    async def is_copy(self, source: ObjectInfo, target: ObjectInfo) -> bool:
        await self.request("HeadObject", source.key)
        await self.request("HeadObject", target.key)
        original, other = self._objects.get(source.key), self._objects.get(target.key)
        if original is None or other is None or (original.etag, other.etag) != (source.etag, target.etag):
            return False
        if original.client_time != other.client_time:
            return False
        return original.etag == other.etag or (original.token is not None and original.token == other.token)

    async def put_marker(self, key: str) -> None:
        await self.request("PutObject", key, functools.partial(self._seed_marker, key))

    def _seed_marker(self, key: str) -> None:
        self.seed(key)

    async def delete(self, keys: Sequence[str]) -> None:
        assert 0 < len(keys) <= DELETE_LIMIT

        def act() -> None:
            for key in keys:
                self._objects.pop(key, None)

        await self.request("DeleteObject" if len(keys) == 1 else "DeleteObjects", keys[0], act)

    async def times(self, objects: Sequence[ObjectInfo]) -> Sequence[float]:
        found = [await self.head(listed.key) or listed for listed in objects]
        return [info.modified if info.client_time is None else info.client_time for info in found]

    async def set_time(self, key: str, seconds: float) -> ObjectInfo | None:
        if await self.head(key) is None:
            return None

        def act() -> None:
            self._objects[key] = dataclasses.replace(self._objects[key], client_time=seconds)

        await self.request("CopyObject", key, act)
        return self.info(key)

    async def digests(self, key: str) -> Digests | None:
        if await self.head(key) is None:
            return None
        stored, in_parts = self._objects[key], key in self.in_parts
        crc32 = zlib.crc32(stored.data).to_bytes(4, "big")
        known = {} if in_parts else {"crc32": crc32, "sha256": hashlib.sha256(stored.data).digest()}
        return Digests(info=self.info(key), known=known, in_parts=in_parts)


class MemoryBody:
    def __init__(self, info: ObjectInfo, data: bytes) -> None:
        self.info = info
        self.closed = False
        self._data = data

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), _CHUNK_BYTES):
            await asyncio.sleep(0)
            yield self._data[start : start + _CHUNK_BYTES]

    async def close(self) -> None:
        self.closed = True


class MemoryWriter:
    def __init__(
        self,
        store: MemoryStore,
        key: str,
        *,
        base: ObjectInfo | None = None,
        kept: bytes = b"",
        guarded: bool = False,
    ) -> None:
        """With ``guarded`` it replaces ``base``, and nothing else."""
        self._store = store
        self._key = key
        self._base = base
        self._guarded = guarded
        self.kept = len(kept)
        self.changed = False
        self._data = bytearray(kept)
        self._room = memoryview(b"")
        self._failure: StorageError | None = None
        self._on_broken: Callable[[], None] | None = None
        self.is_sealed = False
        self.aborts = 0
        store.open_writers.add(self)

    def break_down(self, error: StorageError) -> None:
        """Fail while nobody asks for anything."""
        self._failure = error
        if self._on_broken is not None:
            asyncio.get_running_loop().call_soon(self._on_broken)

    def on_broken(self, callback: Callable[[], None] | None) -> None:
        self._on_broken = callback

    def seal(self) -> None:
        self.is_sealed = True

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def room(self) -> memoryview:
        self._raise_failure()
        self._store.point("write", self._key, "before")
        await asyncio.sleep(0)
        self._room = memoryview(bytearray(_ROOM_BYTES))
        return self._room

    def filled(self, count: int) -> None:
        assert 0 <= count <= len(self._room)
        self._data += self._room[:count]
        self._room.release()

    async def complete(self) -> ObjectInfo:
        self._raise_failure()

        base = self._base
        if base is not None and len(self._data) == self.kept == base.size:
            self._store.open_writers.discard(self)
            return base

        def act() -> None:
            there = self._store.info(self._key) if self._key in self._store.contents else None
            if self._guarded and (base and base.etag) != (there and there.etag):
                raise Changed
            self._store.seed(self._key, bytes(self._data), token=secrets.token_hex(4))
            self._store.open_writers.discard(self)
            self.changed = True

        await self._store.request("PutObject", self._key, act)
        return self._store.info(self._key)

    async def abort(self) -> None:
        self.aborts += 1
        self._store.point("abort", self._key, "before")
        await asyncio.sleep(0)
        self._store.open_writers.discard(self)

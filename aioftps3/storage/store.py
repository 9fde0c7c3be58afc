"""What the tree needs of an object store: the seam between this package and whatever keeps the objects.

Keys are whole keys (prefix included), sorted and compared by code point. Every method raises the errors of
`aioftps3.storage.errors` and nothing else, is safe to cancel, and has acted when it returns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = (
    "DELETE_LIMIT",
    "PAGE_LIMIT",
    "Digests",
    "ListPage",
    "ObjectBody",
    "ObjectInfo",
    "ObjectStore",
    "ObjectWriter",
)

PAGE_LIMIT = 1000
"""Most keys and prefixes on one page of a listing (API_ListObjectsV2, max-keys)."""

DELETE_LIMIT = 1000
"""Most keys in one `ObjectStore.delete` (API_DeleteObjects)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One object."""

    key: str
    size: int
    """Bytes of the whole object."""
    etag: str
    """Names this version of the object; opaque."""
    modified: float
    """When it was stored, in seconds since the epoch."""
    client_time: float | None = None
    """The time that a client gave it, where such times are kept; listings do not tell it, see `ObjectStore.times`."""
    storage_class: str | None = None
    """What the store calls the kind of storage, if that is not its default; a copy may keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of a listing."""

    objects: tuple[ObjectInfo, ...] = ()
    prefixes: tuple[str, ...] = ()
    """What keys with the delimiter after the listed prefix have in common, the delimiter included."""
    next_token: str | None = None
    """Gets the next page; None on the last one. A page may be short, even empty, and not be the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What is known of an object's content without reading it."""

    info: ObjectInfo
    known: Mapping[str, bytes]
    """Digests of the whole content by their names in lower case: crc32, md5, sha1, sha256."""
    in_parts: bool
    """Whether it was stored in parts, of which stores keep digests, and not of the whole."""


class ObjectBody(Protocol):
    """The bytes of one object, from an offset to the end."""

    @property
    def info(self) -> ObjectInfo:
        """The object, which stays the same one until the end."""

    def chunks(self) -> AsyncIterator[bytes]:
        """All bytes in order. Raises Changed when the object became another one, Corrupt or Unavailable when it ended
        early: an end without an error is the whole object."""

    async def close(self) -> None:
        """Stop reading. Idempotent."""


class ObjectWriter(Protocol):
    """One object on its way: exactly one of `complete` and `abort` ends it, and until `complete` nobody sees it."""

    @property
    def kept(self) -> int:
        """Bytes of the object before it that it begins with."""

    @property
    def changed(self) -> bool:
        """Whether `complete` has written: it has not where nothing was added to all of the object before it."""

    async def room(self) -> memoryview:
        """A writable view, not empty, for the next bytes; asked for only when there is a byte to put there. Waiting is
        the backpressure. It is good until `filled`, `seal`, `complete` or `abort`; on an error `abort` is due."""

    def filled(self, count: int) -> None:
        """Take the first ``count`` bytes of the view that `room` gave; after a failure they are dropped."""

    def seal(self) -> None:
        """Hear that no more bytes come, so that what need not wait for `complete` is done now."""

    def on_broken(self, callback: Callable[[], None] | None) -> None:
        """Have this called from the loop, once, when the write has failed while nobody asked for anything; the next
        `room` or `complete` raises why."""

    async def complete(self) -> ObjectInfo:
        """Make the object visible. Returns when the store has confirmed it; on an error `abort` is still due."""

    async def abort(self) -> None:
        """Drop all that was written and leave nothing behind. Idempotent."""


class ObjectStore(Protocol):
    """Objects by key. Each method is one request unless it says otherwise."""

    async def head(self, key: str) -> ObjectInfo | None:
        """The object, or None if there is none."""

    async def open_read(self, key: str, *, offset: int = 0) -> ObjectBody:
        """Start reading. Raises NotFound; RangeInvalid when ``offset`` is past the end (at the end there is an empty
        body, which may cost one request more)."""

    def open_write(self, key: str, *, expected_size: int | None = None) -> ObjectWriter:
        """Start an object; no request yet. A small object is one request in all. ``expected_size`` in bytes is a hint
        that a very large one needs, and never a limit. Raises Quota when no object can have so many bytes."""

    async def open_append(
        self,
        key: str,
        *,
        offset: int | None = None,
        likely_size: int | None = None,
        expected_size: int | None = None,
    ) -> ObjectWriter:
        """Start an object that begins with what there is: with its first ``offset`` bytes, or for None with all of it,
        and then there need not be any. One request; more when there is something to write.

        That object stays until `complete`, which raises Changed when it is not there any more: whoever is later does
        not replace what he has not seen. Where nothing is to be changed, nothing is written.

        ``likely_size`` is how large it was a moment ago, where that is known, ``expected_size`` how many bytes are
        expected behind it. Raises NotFound and RangeInvalid for an ``offset``, Archived, Quota.
        """

    async def list(
        self, prefix: str, *, delimiter: str | None = None, limit: int = PAGE_LIMIT, token: str | None = None
    ) -> ListPage:
        """The first page of keys that begin with ``prefix``, or the one after ``token``."""

    async def copy(self, source: ObjectInfo, target: str, *, copied: Callable[[int], None] | None = None) -> str:
        """Copy inside the store with all that is kept with the object, replacing ``target``; returns the copy's etag.

        Raises NotFound, or Changed when the object at ``source.key`` is not ``source`` any more. Objects too large for
        one request take several. ``copied`` is told of the bytes as they are copied.
        """

    async def is_copy(self, source: ObjectInfo, target: ObjectInfo) -> bool:
        """Whether what is kept with two objects of different etags proves that they hold the same bytes; at most two
        requests. A listing that shows the same etag and size proves it without asking."""

    async def put_marker(self, key: str) -> None:
        """Make an empty directory marker, which may replace one."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete up to `DELETE_LIMIT` keys; those that do not exist count as deleted."""

    async def times(self, objects: Sequence[ObjectInfo]) -> Sequence[float]:
        """The time to show for each object of a listing: the client's, or else when it was stored. A request for each
        one of which nothing is remembered, several at a time; none where clients' times are not kept."""

    async def set_time(self, key: str, seconds: float) -> ObjectInfo | None:
        """Give an object the client's time, and leave all else; None if there is no object. Two requests, more for an
        object that is too large to be copied in one. Raises Changed when it was written meanwhile."""

    async def digests(self, key: str) -> Digests | None:
        """The digests of an object that are known, or None if there is none."""

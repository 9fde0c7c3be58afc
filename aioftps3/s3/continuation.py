"""Objects that go on from what there is under their key: its first bytes, and behind them what is written.

What must stay true:

- the object that is there stays as it is until the new one takes its place, in one step;
- the new one takes the place of the version that it goes on from, and of no other, so that nobody's write is lost;
- bytes that S3 can copy are not moved through here. It makes no parts of less than 5 MiB: fewer bytes are read, as if
  they were the first ones to be written; so are all of them where the store cannot copy parts;
- nothing is read or copied before there is something to write.
"""

import enum
import logging
from asyncio import Semaphore
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aioftps3.s3 import digests, requests
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import COPY_PART_BYTES, PartCopies, kept_storage_class
from aioftps3.s3.download import Download
from aioftps3.s3.errors import InvalidRange, NotSupported, UploadEnded
from aioftps3.s3.getobject import GetObject
from aioftps3.s3.guard import Guard
from aioftps3.s3.models import SOURCE_METADATA, WRITE_ID_METADATA, ObjectInfo, UploadResult
from aioftps3.s3.mtime import MTIME_METADATA, S3CMD_METADATA
from aioftps3.s3.parts import LARGEST_PART_BYTES, LEAST_PART_BYTES
from aioftps3.s3.upload import Upload
from aioftps3.s3.version import Version

log = logging.getLogger(__name__)

COPIES = 1000
"""Parts that a base is copied in, at most, if they need not be larger than S3 allows: most of the 10,000 are left to
what is written. Up to 125 GiB parts are those of other copies."""

RCLONE_MD5_METADATA = "md5chksum"
"""User metadata in which rclone keeps the MD5 of what it has stored in parts."""

OUTDATED_METADATA = frozenset(
    {WRITE_ID_METADATA, SOURCE_METADATA, *digests.NOTED.values(), MTIME_METADATA, S3CMD_METADATA, RCLONE_MD5_METADATA}
)
"""User metadata that tells something of the old content: its hash, its time, who wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What an object goes on from."""

    info: ObjectInfo
    length: int
    """So many bytes of it, from the beginning."""
    stream: GetObject | None = None
    """Them, if they are being read already."""

    async def close(self) -> None:
        """Stop reading. Idempotent."""
        if self.stream is not None:
            await self.stream.close()


def copied_ranges(
    length: int,
    *,
    least_bytes: int = LEAST_PART_BYTES,
    part_bytes: int = COPY_PART_BYTES,
    equal_bytes: int | None = None,
) -> list[tuple[int, int]]:
    """Divide the first `length` bytes of an object into ranges of first and last byte, both included, that can be parts
    in front of others. What is behind the last one has to be read.

    There is no part of less than `least_bytes`; all have `equal_bytes` where the store insists on that.
    """
    if equal_bytes is not None:
        return [(first, first + equal_bytes - 1) for first in range(0, length - equal_bytes + 1, equal_bytes)]
    if length < least_bytes:
        return []
    wanted = min(max(part_bytes, -(-length // COPIES)), LARGEST_PART_BYTES)
    count = min(-(-length // wanted), length // least_bytes)
    return [(length * number // count, length * (number + 1) // count - 1) for number in range(count)]


def inherited(info: ObjectInfo, tags: Mapping[str, str]) -> tuple[Mapping[str, str], requests.Pairs]:
    """What an object that goes on from another one keeps of it, besides its content type: user metadata, but for what
    tells of the old content, and the headers for the rest; see `requests.likeness`."""
    metadata = {
        name: requests.sendable(value) for name, value in info.metadata.items() if name not in OUTDATED_METADATA
    }
    like = requests.likeness(info.content_headers, tags, kept_storage_class(info.storage_class))
    return metadata, like


class MakeUpload(Protocol):
    """Makes the upload of a continuation, which has the options that `Upload` has, too."""

    def __call__(
        self,
        *,
        content_type: str | None,
        metadata: Mapping[str, str],
        headers: requests.Pairs,
        guard: Guard,
        begins_with: PartCopies | None,
        expected_size: int | None,
    ) -> Upload:
        """An upload with these options."""


class Continuations:
    """Lets objects of one bucket be gone on from, and remembers what its store can do."""

    def __init__(
        self,
        client: S3Client,
        *,
        slots: Semaphore,
        least_bytes: int = LEAST_PART_BYTES,
        part_bytes: int = COPY_PART_BYTES,
    ) -> None:
        """`slots` are those of copy requests; for the sizes see `copied_ranges`."""
        self.copies_parts = True
        """Whether the store can copy parts, as far as is known."""
        self._client = client
        self._slots = slots
        self._least_bytes = least_bytes
        self._part_bytes = part_bytes

    async def find(self, key: str, length: int | None, *, likely_size: int | None = None) -> Base:
        """Look what there is, to go on from its first `length` bytes, or from all of it. One request: a GET of what is
        to be read and no more, a HEAD of what can be copied. `likely_size` is how large the object was a moment ago.

        Raises:
            NoSuchKey: there is nothing.
            InvalidRange: there are fewer bytes.
            ArchivedObject: it must be restored first; a HEAD does not tell that.
        """
        size = likely_size if length is None else length
        stream: GetObject | None = None
        if (size is not None and size < self._least_bytes) or not self.copies_parts:
            stream = await self._client.get_object(key, length=length)
        info = await self._client.head_object(key) if stream is None else stream.info
        base = Base(info=info, length=info.size if length is None else length, stream=stream)
        if base.length > info.size:
            await base.close()
            raise InvalidRange("InvalidRange", 416, operation="HeadObject" if stream is None else "GetObject")
        return base

    async def begin(
        self, base: Base, make: MakeUpload, *, equal_bytes: int | None = None, expected_size: int | None = None
    ) -> "Continuation":
        """Go on from a base; a request when it has tags. All parts have `equal_bytes`, where the store insists on that;
        `expected_size` is a hint for what will be written.

        Raises:
            S3Error: the tags could not be asked for.
        """
        info = base.info
        tags = await self._client.get_object_tagging(info.key) if info.tag_count else {}
        metadata, headers = inherited(info, tags)
        guard = Guard(self._client, info.key, info.etag)
        ranges = copied_ranges(
            base.length, least_bytes=self._least_bytes, part_bytes=self._part_bytes, equal_bytes=equal_bytes
        )
        copies = PartCopies(source=info, ranges=ranges, slots=self._slots)

        def made(begins_with: PartCopies | None) -> Upload:
            read = base.length - (0 if begins_with is None else begins_with.length)
            return make(
                content_type=info.content_type,
                metadata=metadata,
                headers=headers,
                guard=guard,
                begins_with=begins_with,
                expected_size=read + (expected_size or 0) or None,
            )

        return Continuation(self, self._client, base, made, copies if ranges and self.copies_parts else None)


class _State(enum.Enum):
    FRESH = enum.auto()
    BEGINNING = enum.auto()
    BEGUN = enum.auto()


class Continuation:
    """Writes an object that goes on from a base. It is used as an `Upload` is; `Continuations` makes it."""

    def __init__(
        self,
        store: Continuations,
        client: S3Client,
        base: Base,
        make: Callable[[PartCopies | None], Upload],
        copies: PartCopies | None,
    ) -> None:
        self._store = store
        self._client = client
        self._base = base
        self._make = make
        self._position = 0 if copies is None else copies.length
        """Where in the base that begins which is read."""
        self._state = _State.FRESH
        self._on_broken: Callable[[], None] | None = None
        self._upload = make(copies)

    def on_broken(self, callback: Callable[[], None] | None) -> None:
        """See `Upload.on_broken`."""
        self._on_broken = callback
        self._upload.on_broken(callback)

    async def room(self) -> memoryview:
        """Give a view for the next bytes, see `Upload.room`; the first time the base is read, or begun to be copied.

        Raises:
            ObjectChanged: it is not there any more.
            S3Error: any other failure.
        """
        if self._state is not _State.BEGUN:
            await self._begin()
        return await self._upload.room()

    def filled(self, count: int) -> None:
        """See `Upload.filled`."""
        self._upload.filled(count)

    def seal(self) -> None:
        """See `Upload.seal`."""
        if self._state is _State.BEGUN:
            self._upload.seal()

    async def complete(self) -> UploadResult | None:
        """Put the new object in the place of the old one, see `Upload.complete`. None: it would be the same, because
        all of the old one was kept and nothing was written; then no request is sent.
        """
        if self._state is _State.FRESH and self._base.length == self._base.info.size:
            await self.abort()
            return None
        if self._state is not _State.BEGUN:
            await self._begin()
            self._upload.seal()
        return await self._upload.complete()

    async def abort(self) -> None:
        """See `Upload.abort`."""
        if self._state is _State.FRESH:
            self._state = _State.BEGINNING
        await self._base.close()
        await self._upload.abort()

    async def _begin(self) -> None:
        if self._state is _State.BEGINNING:
            # That has failed, or was cancelled. The upload may know why.
            await self._upload.room()
            raise UploadEnded("the upload has ended")
        self._state = _State.BEGINNING
        await self._copy()
        await self._read()
        self._state = _State.BEGUN

    async def _copy(self) -> None:
        """Let S3 copy what it can."""
        try:
            await self._upload.begin()
        except NotSupported as error:
            log.warning("this store copies no parts; what is appended to will be read: %s", error)
            self._store.copies_parts = False
            await self._upload.abort()
            self._position = 0
            self._upload = self._make(None)
            self._upload.on_broken(self._on_broken)

    async def _read(self) -> None:
        """Write the rest of the base."""
        base, stream = self._base, self._base.stream
        if self._position == base.length:
            await base.close()
            return
        if stream is None or self._position:
            await base.close()
            left = None if base.length == base.info.size else base.length - self._position
            stream = await Version(self._client, base.info).open(self._position, left)
        reading = Download(self._client, stream, end=base.length)
        try:
            async for chunk in reading.chunks():
                await self._upload.write(chunk)
        finally:
            await reading.close()

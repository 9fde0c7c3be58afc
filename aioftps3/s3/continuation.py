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


@dataclass(slots=True)
class Abilities:
    """What has been found out about a store; one for all uploads to it."""

    copies_parts: bool = True
    """Whether it has UploadPartCopy; as far as it is known."""


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


async def find_base(client: S3Client, key: str, length: int | None, *, reading: bool) -> Base:
    """Look what there is, to go on from its first `length` bytes, or from all of it; one request either way, a GET with
    `reading`, else a HEAD.

    Raises:
        NoSuchKey: there is nothing.
        InvalidRange: there are fewer bytes.
        ArchivedObject: it is being read, and must be restored first.
    """
    stream = await client.get_object(key, length=length) if reading else None
    info = await client.head_object(key) if stream is None else stream.info
    base = Base(info=info, length=info.size if length is None else length, stream=stream)
    if base.length > info.size:
        await base.close()
        raise InvalidRange("InvalidRange", 416, operation="GetObject" if reading else "HeadObject")
    return base


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
    count = -(-length // min(max(part_bytes, -(-length // COPIES)), LARGEST_PART_BYTES))
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
    """Makes the upload of a continuation."""

    def __call__(self, *, begins_with: PartCopies | None, expected_size: int | None) -> Upload:
        """An upload that S3's copies come first in, and to which so many bytes are expected to be written."""


class _State(enum.Enum):
    FRESH = enum.auto()
    BEGINNING = enum.auto()
    BEGUN = enum.auto()


class Continuation:
    """Writes an object that goes on from `base`. It is used as an `Upload` is."""

    def __init__(
        self,
        client: S3Client,
        base: Base,
        make: MakeUpload,
        *,
        abilities: Abilities,
        slots: Semaphore,
        least_bytes: int = LEAST_PART_BYTES,
        part_bytes: int = COPY_PART_BYTES,
        equal_bytes: int | None = None,
        expected_size: int | None = None,
    ) -> None:
        """`slots` are those of copy requests, `expected_size` is a hint for what will be written; for the other sizes
        see `copied_ranges`."""
        self._client = client
        self._base = base
        self._make = make
        self._abilities = abilities
        self._expected_size = expected_size
        self._state = _State.FRESH
        self._on_broken: Callable[[], None] | None = None
        ranges = copied_ranges(base.length, least_bytes=least_bytes, part_bytes=part_bytes, equal_bytes=equal_bytes)
        if not abilities.copies_parts:
            ranges = []
        self._position = ranges[-1][1] + 1 if ranges else 0
        copies = PartCopies(source=base.info, ranges=ranges, slots=slots) if ranges else None
        self._upload = self._made(copies)

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
            self._abilities.copies_parts = False
            await self._upload.abort()
            self._position = 0
            self._upload = self._made(None)
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

    def _made(self, copies: PartCopies | None) -> Upload:
        expected = self._base.length - self._position + (self._expected_size or 0)
        return self._make(begins_with=copies, expected_size=expected or None)

"""Copies inside a bucket, of any size, without moving the bytes through this process."""

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aioftps3.s3 import completion, requests
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.models import SOURCE_METADATA, WRITE_ID_METADATA, CompletedPart, ObjectInfo
from aioftps3.s3.parts import LARGEST_PART_BYTES, MIB, PARTS

SINGLE_COPY_BYTES = 5_000_000_000
"""CopyObject takes sources of at most 5 GB."""

COPY_PART_BYTES = 128 * MIB
"""S3 copies a part in a second or two, and several at once; larger parts leave some of them idle at the end, and lose
more when one has to be repeated. From 1.25 TiB on parts are larger, because there are 10,000 at most."""

COPIES_IN_FLIGHT = 16
"""Copy requests at the same time: enough to hide the latency of the store, few enough to leave connections to
others."""

KEPT_STORAGE_CLASSES = frozenset(
    {"REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
)
"""Classes that a copy keeps. Not the archives: their objects can be copied while they are restored, and the copy should
stay as readable as its source is then. Other stores' own names are left to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCopies:
    """Ranges of a version of an object, from its beginning, that are to become the first parts of an upload."""

    source: ObjectInfo
    ranges: Sequence[tuple[int, int]]
    """First and last byte of each, both included."""
    slots: asyncio.Semaphore
    """Each copy request takes one; several uploads may share them."""

    @property
    def length(self) -> int:
        """Bytes of all of them, which follow on each other from the first byte on."""
        return self.ranges[-1][1] + 1 if self.ranges else 0


def kept_storage_class(name: str | None) -> str | None:
    """The class for a copy of an object of this one; None is S3's default."""
    return name if name in KEPT_STORAGE_CLASSES else None


def copy_ranges(size: int, part_bytes: int = COPY_PART_BYTES) -> list[tuple[int, int]]:
    """Divide an object into at most 10,000 ranges of first and last byte, both included, all but the last of one
    length."""
    step = min(max(part_bytes, -(-size // PARTS)), LARGEST_PART_BYTES)
    return [(first, min(first + step, size) - 1) for first in range(0, size, step)]


def is_copy(source: ObjectInfo, target: ObjectInfo) -> bool:
    """Say whether `target` is known to be a copy of `source`, both as HeadObject described them.

    What `source` keeps besides its content is there, as far as HeadObject tells. So are the bytes: they have the same
    ETag; or the same write token, because copies keep metadata; or the target is a copy in parts, which names its
    source. False where nothing proves it: copies of multipart uploads have ETags of their own.
    """
    is_alike = (
        source.size == target.size
        and source.content_type in (None, target.content_type)
        and source.content_headers.items() <= target.content_headers.items()
        and kept_storage_class(source.storage_class) in (None, target.storage_class)
        and source.tag_count == target.tag_count
    )
    if not is_alike or _metadata(source) != _metadata(target):
        return False
    token = source.metadata.get(WRITE_ID_METADATA)
    return (
        source.etag == target.etag
        or (token is not None and token == target.metadata.get(WRITE_ID_METADATA))
        or target.metadata.get(SOURCE_METADATA) == _bare(source.etag)
    )


def _metadata(info: ObjectInfo) -> dict[str, str]:
    """Metadata but for what names a write, as it is sent."""
    own = (WRITE_ID_METADATA, SOURCE_METADATA)
    return {name: requests.sendable(value) for name, value in info.metadata.items() if name not in own}


def _bare(etag: str) -> str:
    return etag.strip('"')


async def copy_any_size(
    client: S3Client,
    source: ObjectInfo,
    key: str,
    *,
    if_none_match: str | None = None,
    if_match: str | None = None,
    metadata: Mapping[str, str] | None = None,
    single_copy_bytes: int = SINGLE_COPY_BYTES,
    part_bytes: int = COPY_PART_BYTES,
    slots: asyncio.Semaphore | None = None,
    copied: Callable[[int], None] | None = None,
) -> str:
    """Copy `source`, as HeadObject described it, to `key`, with its content type, content headers, metadata, tags and
    storage class (see `KEPT_STORAGE_CLASSES`), or with this `metadata` in place of its own; give the new ETag.

    Up to `single_copy_bytes` it is one request; above, parts are copied in parallel, and the target appears when all
    are there. When it fails, nothing is left behind. `if_none_match="*"`: only if there is no `key` yet, `if_match`:
    only if its ETag still is this one; a single copy that raises PreconditionFailed may then have been made by an
    attempt of its own whose answer was lost.

    Each copy request takes one of the `slots`, which several copies may share. `copied` is told of the bytes as they
    are copied.

    Raises:
        PreconditionFailed: the source has changed since it was described, or a condition on the target does not hold.
        NotSupported: this store cannot copy parts, or knows no condition on the target.
        S3Error: any other failure.
    """
    slots = asyncio.Semaphore(COPIES_IN_FLIGHT) if slots is None else slots
    if source.size <= single_copy_bytes:
        async with slots:
            etag = await client.copy_object(
                source.key,
                key,
                source_if_match=source.etag,
                if_none_match=if_none_match,
                if_match=if_match,
                replaced=None if metadata is None else requests.description_of(source, metadata),
                storage_class=kept_storage_class(source.storage_class),
                provable=True,
            )
        if copied is not None:
            copied(source.size)
        return etag
    if metadata is not None:
        source = dataclasses.replace(source, metadata=metadata)
    tags = await client.get_object_tagging(source.key) if source.tag_count else {}
    token = completion.new_token()
    # Tasks of their own, as in `Upload`: without the id there is nothing to abort, and an abort must not be cut short.
    creating = asyncio.create_task(_create(client, source, key, tags, token))
    try:
        upload_id = await asyncio.shield(creating)
        copies = PartCopies(source=source, ranges=copy_ranges(source.size, part_bytes), slots=slots)
        parts = await copy_parts(client, copies, key, upload_id, copied=copied)
        made = await completion.complete(
            client, key, upload_id, parts, token=token, if_none_match=if_none_match, if_match=if_match
        )
        return made.etag
    except BaseException:
        await asyncio.shield(completion.drop(client, key, creating))
        raise


async def _create(client: S3Client, source: ObjectInfo, key: str, tags: Mapping[str, str], token: str) -> str:
    """Begin the upload of a copy in parts."""
    metadata = {name: requests.sendable(value) for name, value in source.metadata.items()}
    metadata[SOURCE_METADATA] = _bare(source.etag)
    return await client.create_multipart_upload(
        key,
        content_type=source.content_type,
        metadata=completion.with_token(metadata, token),
        headers=requests.likeness(source.content_headers, tags, kept_storage_class(source.storage_class)),
    )


async def copy_parts(
    client: S3Client,
    copies: PartCopies,
    key: str,
    upload_id: str,
    *,
    checksum: Algorithm | None = None,
    copied: Callable[[int], None] | None = None,
) -> list[CompletedPart]:
    """Make the first parts of an upload that was begun with this checksum; `COPIES_IN_FLIGHT` at a time. `copied` is
    told of the bytes as they are copied.

    When one fails, the others are cancelled and waited for, and its error is raised; S3 may go on with some.

    Raises:
        PreconditionFailed: the source has changed.
        NotSupported: this store cannot copy parts.
        S3Error: any other failure.
    """
    left = deque(enumerate(copies.ranges, start=1))
    done: list[CompletedPart] = []

    async def work() -> None:
        while left:
            async with copies.slots:
                if not left:
                    return
                number, (first, last) = left.popleft()
                part = await client.upload_part_copy(
                    key,
                    upload_id,
                    number,
                    source_key=copies.source.key,
                    first=first,
                    last=last,
                    source_if_match=copies.source.etag,
                    checksum=checksum,
                )
            done.append(part)
            if copied is not None:
                copied(part.size)

    tasks = [asyncio.create_task(work()) for _ in range(min(COPIES_IN_FLIGHT, len(left)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done

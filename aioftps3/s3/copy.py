"""Copies inside a bucket, of any size, without moving the bytes through this process."""

import asyncio
from collections import deque

from aioftps3.s3 import completion
from aioftps3.s3.client import S3Client
from aioftps3.s3.models import CompletedPart, ObjectInfo
from aioftps3.s3.parts import LARGEST_PART_BYTES, MIB, PARTS

SINGLE_COPY_BYTES = 5_000_000_000
"""CopyObject takes sources of at most 5 GB."""

COPY_PART_BYTES = 512 * MIB

COPIES_IN_FLIGHT = 8


def copy_ranges(size: int, part_bytes: int = COPY_PART_BYTES) -> list[tuple[int, int]]:
    """Divide an object into at most 10,000 ranges of first and last byte, both included."""
    step = min(max(part_bytes, -(-size // PARTS)), LARGEST_PART_BYTES)
    return [(first, min(first + step, size) - 1) for first in range(0, size, step)]


async def copy_any_size(
    client: S3Client,
    source: ObjectInfo,
    key: str,
    *,
    if_none_match: str | None = None,
    single_copy_bytes: int = SINGLE_COPY_BYTES,
    part_bytes: int = COPY_PART_BYTES,
) -> str:
    """Copy `source`, as HeadObject described it, to `key`, with its content type and metadata; give the new ETag.

    Up to `single_copy_bytes` it is one request; above, parts are copied in parallel, and the target appears when all
    are there. When it fails, nothing is left behind. `if_none_match="*"`: only if there is no `key` yet.

    Raises:
        PreconditionFailed: the source has changed since it was described, or the target exists and must not.
        NotSupported: this store cannot copy parts.
        S3Error: any other failure.
    """
    if source.size <= single_copy_bytes:
        return await client.copy_object(source.key, key, source_if_match=source.etag, if_none_match=if_none_match)
    token = completion.new_token()
    # Tasks of their own, as in `Upload`: without the id there is nothing to abort, and an abort must not be cut short.
    creating = asyncio.create_task(
        client.create_multipart_upload(
            key, content_type=source.content_type, metadata=completion.with_token(source.metadata, token)
        )
    )
    try:
        upload_id = await asyncio.shield(creating)
        parts = await _copy_parts(client, source, key, upload_id, part_bytes)
        made = await completion.complete(client, key, upload_id, parts, token=token, if_none_match=if_none_match)
        return made.etag
    except BaseException:
        await asyncio.shield(asyncio.create_task(completion.drop(client, key, creating)))
        raise


async def _copy_parts(
    client: S3Client, source: ObjectInfo, key: str, upload_id: str, part_bytes: int
) -> list[CompletedPart]:
    """Copy all parts; when one fails, the others are cancelled and waited for, and its error is raised."""
    left = deque(enumerate(copy_ranges(source.size, part_bytes), start=1))
    done: list[CompletedPart] = []

    async def work() -> None:
        while left:
            number, (first, last) = left.popleft()
            done.append(
                await client.upload_part_copy(
                    key,
                    upload_id,
                    number,
                    source_key=source.key,
                    first=first,
                    last=last,
                    source_if_match=source.etag,
                )
            )

    tasks = [asyncio.create_task(work()) for _ in range(min(COPIES_IN_FLIGHT, len(left)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done

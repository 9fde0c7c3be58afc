"""Times that clients gave to objects: kept as user metadata `mtime`, in rclone's form, and set by a copy onto itself.

rclone, s3fs and others write seconds since the epoch with an optional decimal fraction; s3cmd has a field of its own.
https://rclone.org/s3/#modification-times-and-hashes
"""

import re
from asyncio import Semaphore
from collections.abc import Mapping
from dataclasses import replace

from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import SINGLE_COPY_BYTES, copy_any_size
from aioftps3.s3.errors import NotSupported, PreconditionFailed
from aioftps3.s3.models import ObjectInfo

MTIME_METADATA = "mtime"
"""User metadata (`x-amz-meta-mtime`) with the time that a client gave the object."""

S3CMD_METADATA = "s3cmd-attrs"
"""User metadata of s3cmd: `atime:1/ctime:2/md5:3/mtime:4`."""

FIRST_SECOND = -62_135_596_800
LAST_SECOND = 253_402_300_799
"""0001-01-01 00:00:00 and 9999-12-31 23:59:59: what has a year of four digits, or can be written with one."""

_SECONDS = re.compile(r"(-?[0-9]{1,12})(\.[0-9]{1,30})?")
_MILLISECOND_DIGITS = 3


def kept_time(metadata: Mapping[str, str]) -> float | None:
    """Read the time that a client gave an object: seconds since the epoch, or None when there is none."""
    text = metadata.get(MTIME_METADATA)
    if text is None:
        fields = (field.partition(":") for field in metadata.get(S3CMD_METADATA, "").split("/"))
        text = next((value for name, _, value in fields if name == "mtime"), "")
    match = _SECONDS.fullmatch(text.strip())
    if match is None or not FIRST_SECOND <= int(match[1]) <= LAST_SECOND:
        return None
    return float(match[0])


def with_time(metadata: Mapping[str, str], seconds: float) -> dict[str, str]:
    """Put a time into user metadata, to the millisecond, in place of an older one."""
    whole, _, fraction = f"{seconds:.{_MILLISECOND_DIGITS}f}".partition(".")
    fraction = fraction.rstrip("0")
    return {**metadata, MTIME_METADATA: f"{whole}.{fraction}" if fraction else whole}


async def set_time(
    client: S3Client,
    source: ObjectInfo,
    seconds: float,
    *,
    single_copy_bytes: int = SINGLE_COPY_BYTES,
    slots: Semaphore | None = None,
) -> ObjectInfo:
    """Give an object, as HeadObject described it, a time in seconds since the epoch; all else that is kept with it
    stays. One copy onto itself, in parts above `single_copy_bytes`; nothing is sent when it has that time.

    What is given back is the object as it is then, but for `last_modified`, which S3 does not tell. Its ETag changes
    when it was made of parts.

    Raises:
        NoSuchKey, PreconditionFailed: it is not there any more.
        NotSupported: this store cannot copy parts.
        S3Error: any other failure.
    """
    metadata = with_time(source.metadata, seconds)
    if kept_time(source.metadata) == kept_time(metadata):
        return source

    async def copy(*, if_match: str | None) -> str:
        return await copy_any_size(
            client,
            source,
            source.key,
            metadata=metadata,
            if_match=if_match,
            single_copy_bytes=single_copy_bytes,
            slots=slots,
        )

    try:
        etag = await copy(if_match=source.etag)
    except NotSupported:  # of conditions on the target; what is copied is this version all the same
        etag = await copy(if_match=None)
    except PreconditionFailed:
        there = await client.head_object(source.key)
        if (there.size, there.metadata) != (source.size, metadata):
            raise
        etag = there.etag  # made by an attempt whose answer was lost
    return replace(source, etag=etag, metadata=metadata)

"""How a multipart upload ends: completed for certain, or aborted for certain.

The answer to Complete can be lost, and a repeated Complete then says NoSuchUpload on some stores, or fails a condition
that its own first attempt made false. Whether the object is ours is proven by a random token in its metadata together
with its size; that it exists, or its ETag, would prove nothing.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence

from aioftps3.s3.checksums import Checksum
from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import (
    Conflict,
    NoSuchUpload,
    PreconditionFailed,
    S3Error,
    S3ProtocolError,
    S3TransportError,
    ServerFault,
)
from aioftps3.s3.models import WRITE_ID_METADATA, CompletedPart, UploadResult

log = logging.getLogger(__name__)

ABORT_TRIES = 5
"""Aborts sent while parts that were on their way keep appearing."""

ABORT_PAUSE_SECONDS = 0.2
"""First wait between two aborts; it doubles."""

TOKEN_BYTES = 16

MAYBE_WRITTEN = (NoSuchUpload, PreconditionFailed, Conflict, S3TransportError, ServerFault, S3ProtocolError)
"""Errors after which the object may nevertheless have been written."""


def new_token() -> str:
    """Make a write token."""
    return secrets.token_hex(TOKEN_BYTES)


def with_token(metadata: Mapping[str, str] | None, token: str) -> dict[str, str]:
    """Add a write token to user metadata, in place of an older one."""
    return {**(metadata or {}), WRITE_ID_METADATA: token}


async def find_written(client: S3Client, key: str, *, token: str, size: int) -> UploadResult | None:
    """Look whether the object of this token and size is there; None when it is not, or S3 does not say."""
    try:
        info = await client.head_object(key)
    except S3Error:
        return None
    if info.metadata.get(WRITE_ID_METADATA) != token or info.size != size:
        return None
    return UploadResult(etag=info.etag, size=size)


async def complete(
    client: S3Client,
    key: str,
    upload_id: str,
    parts: Sequence[CompletedPart],
    *,
    token: str,
    checksum: Checksum | None = None,
    if_none_match: str | None = None,
    if_match: str | None = None,
) -> UploadResult:
    """Complete an upload that was created with `token` in its metadata; a lost answer is looked up.

    Raises:
        S3Error: the object was not written, or that could not be found out.
    """
    size = sum(part.size for part in parts)
    ordered = sorted(parts, key=lambda part: part.number)
    try:
        etag = await client.complete_multipart_upload(
            key, upload_id, ordered, checksum=checksum, if_none_match=if_none_match, if_match=if_match
        )
    except MAYBE_WRITTEN:
        written = await find_written(client, key, token=token, size=size)
        if written is None:
            raise
        return written
    return UploadResult(etag=etag, size=size)


async def abort(client: S3Client, key: str, upload_id: str, *, parts_were_cut: bool) -> None:
    """Abort an upload; when parts were cut off on their way, see that none of them came to life afterwards.

    Raises:
        S3Error: S3 could not be told.
    """
    pause = ABORT_PAUSE_SECONDS
    for left in reversed(range(ABORT_TRIES)):
        await client.abort_multipart_upload(key, upload_id)
        if not parts_were_cut:
            return
        try:
            page = await client.list_parts(key, upload_id)
        except NoSuchUpload:
            return
        if not page.parts or not left:
            return
        await asyncio.sleep(pause)
        pause *= 2


async def drop(client: S3Client, key: str, creating: asyncio.Task[str]) -> None:
    """Abort an upload that failed, also one whose creation is still under way; a failure to do so is only logged,
    because the first error is the one to tell.
    """
    await asyncio.wait({creating})
    if creating.cancelled() or creating.exception() is not None:
        return
    try:
        await abort(client, key, creating.result(), parts_were_cut=True)
    except S3Error as error:
        log.warning("a multipart upload was left behind: %s", error)

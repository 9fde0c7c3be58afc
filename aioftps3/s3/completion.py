"""How a write ends: made for certain, or not made for certain, or at least not silently unknown.

The answer to PutObject or Complete can be lost, and when the request is repeated, some stores say NoSuchUpload, or a
condition fails that the first attempt made false. Whether the object is ours is proven by a random token in its
metadata together with its size; that it exists, or its ETag, would prove nothing.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from aioftps3.s3 import digests
from aioftps3.s3.checksums import Checksum
from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import Conflict, NoSuchKey, NoSuchUpload, PreconditionFailed, S3Error, S3TransportError
from aioftps3.s3.models import WRITE_ID_METADATA, Body, CompletedPart, UploadResult
from aioftps3.s3.requests import Pairs
from aioftps3.s3.retry import is_retriable

log = logging.getLogger(__name__)

ABORT_TRIES = 5
"""Aborts sent while parts that were on their way keep appearing."""

ABORT_PAUSE_SECONDS = 0.2
"""First wait between two aborts; it doubles."""

TOKEN_BYTES = 16

RESOLVE_SECONDS = 5.0
"""How long S3 is asked again what has become of a write, which then counts as unknown: a client is waiting. Each of
these questions has the retries of any request."""

RESOLVE_PAUSE_SECONDS = 0.25
"""First wait between two such questions; it doubles."""

SETTLE_SECONDS = 0.5
"""What a PutObject whose connection broke may still take until it is visible."""

_dropping: set[asyncio.Task[None]] = set()
"""Uploads that are dropped, perhaps after nobody waits for it any more; the loop itself holds tasks only weakly."""


def new_token() -> str:
    """Make a write token."""
    return secrets.token_hex(TOKEN_BYTES)


def with_token(metadata: Mapping[str, str] | None, token: str) -> dict[str, str]:
    """Add a write token to user metadata, in place of an older one."""
    return {**(metadata or {}), WRITE_ID_METADATA: token}


def may_be_written(error: S3Error) -> bool:
    """Say whether the object may be there although writing it failed with this error."""
    return error.may_have_acted or isinstance(error, NoSuchUpload | PreconditionFailed | Conflict)


async def find_written(client: S3Client, key: str, *, token: str, size: int) -> UploadResult | None:
    """Look whether the object of this token and size is there. While S3 does not say, it is asked again, for
    `RESOLVE_SECONDS`.

    Raises:
        S3Error: S3 does not say.
    """
    began, pause = time.monotonic(), RESOLVE_PAUSE_SECONDS
    while True:
        try:
            info = await client.head_object(key)
        except NoSuchKey:
            return None
        except S3Error as error:
            if not is_retriable(error, idempotent=True) or time.monotonic() - began + pause > RESOLVE_SECONDS:
                raise
        else:
            is_ours = info.metadata.get(WRITE_ID_METADATA) == token and info.size == size
            return UploadResult(etag=info.etag, size=size) if is_ours else None
        await asyncio.sleep(pause)
        pause *= 2


async def put(
    client: S3Client,
    key: str,
    body: Body,
    *,
    token: str,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    headers: Pairs = (),
    if_none_match: str | None = None,
    if_match: str | None = None,
) -> UploadResult:
    """Write an object in one request, with `token` and `digests.notes` in its metadata; a lost answer is looked up.

    Raises:
        S3Error: the object was not written, or that could not be found out.
    """
    try:
        return await client.put_object(
            key,
            body,
            content_type=content_type,
            metadata=with_token({**(metadata or {}), **digests.notes(client, body)}, token),
            headers=headers,
            if_none_match=if_none_match,
            if_match=if_match,
        )
    except S3Error as error:
        if not may_be_written(error):
            raise
        # Without an answer S3 may still be at it, and there is nothing that could be aborted.
        pause = SETTLE_SECONDS if isinstance(error, S3TransportError) else 0.0
        written = await _resolved(client, key, error, lambda: asyncio.sleep(pause), token=token, size=body.length)
        if written is None:
            raise
        return written


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
            key,
            upload_id,
            ordered,
            checksum=checksum,
            if_none_match=if_none_match,
            if_match=if_match,
            provable=True,
        )
    except S3Error as error:
        if not may_be_written(error):
            raise

        async def settle() -> None:
            # S3 may still be at it. After an abort it has either been completed or never will be.
            with suppress(S3Error):
                await client.abort_multipart_upload(key, upload_id)

        written = await _resolved(client, key, error, settle, token=token, size=size)
        if written is None:
            raise
        return written
    return UploadResult(etag=etag, size=size)


async def _resolved(
    client: S3Client, key: str, error: S3Error, settle: Callable[[], Awaitable[None]], *, token: str, size: int
) -> UploadResult | None:
    """What has become of a write that failed: look, and when it is not there but may be on its way, look again after
    `settle`. None when it was not written, or nobody knows.
    """
    try:
        written = await find_written(client, key, token=token, size=size)
        if written is None and error.may_have_acted:
            await settle()
            written = await find_written(client, key, token=token, size=size)
    except S3Error as silence:
        log.warning("it is not known whether %s was stored: %s; then: %s", key, error, silence)
        return None
    if written is not None:
        log.warning("%s was stored although the answer was lost: %s", key, error)
    return written


async def abort(client: S3Client, key: str, upload_id: str, *, late_parts: bool) -> None:
    """Abort an upload; with `late_parts`, when some were cut off on their way or their answers were lost, see that none
    of them came to life afterwards.

    Raises:
        S3Error: S3 could not be told.
    """
    pause = ABORT_PAUSE_SECONDS
    for left in reversed(range(ABORT_TRIES)):
        await client.abort_multipart_upload(key, upload_id)
        if not late_parts:
            return
        try:
            page = await client.list_parts(key, upload_id)
        except NoSuchUpload:
            return
        if not page.parts or not left:
            return
        await asyncio.sleep(pause)
        pause *= 2


def drop(client: S3Client, key: str, creating: asyncio.Task[str]) -> asyncio.Task[None]:
    """Abort an upload that failed, also one whose creation is still under way, in a task that nobody has to wait for. A
    failure to do so is only logged, because the first error is the one to tell.
    """
    dropping = asyncio.create_task(_drop(client, key, creating))
    _dropping.add(dropping)
    dropping.add_done_callback(_dropping.discard)
    return dropping


async def _drop(client: S3Client, key: str, creating: asyncio.Task[str]) -> None:
    await asyncio.wait({creating})
    if creating.cancelled() or creating.exception() is not None:
        return
    try:
        await abort(client, key, creating.result(), late_parts=True)
    except S3Error as error:
        log.warning("a multipart upload was left behind: %s", error)

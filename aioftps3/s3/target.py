"""The S3 side of an upload: an object that is made by one request, or of the parts of a multipart upload.

The multipart upload is created by a task of its own, which nothing cancels: its answer is the only way to learn the id,
without which it could not be aborted.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from aioftps3.s3 import completion, requests
from aioftps3.s3.blocks import PartBody
from aioftps3.s3.checksums import Checksum
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import PartCopies, copy_parts
from aioftps3.s3.errors import NoSuchKey, ObjectChanged, PreconditionFailed
from aioftps3.s3.guard import Guard, Write
from aioftps3.s3.models import Body, CompletedPart, UploadResult


class Target:
    """The object that an upload makes. It ends by `put`, by `complete`, or by `abort`."""

    def __init__(
        self,
        client: S3Client,
        key: str,
        *,
        content_type: str | None,
        metadata: Mapping[str, str] | None,
        headers: requests.Pairs,
        if_none_match: str | None,
        guard: Guard | None,
        copies: PartCopies | None,
    ) -> None:
        """`copies` are its first parts, which S3 makes."""
        self._client = client
        self._key = key
        self._content_type = content_type
        self._metadata = metadata
        self._headers = headers
        self._if_none_match = if_none_match
        self._guard = guard
        self._copies = copies
        # AWS computes the checksums of what it copies; MinIO refuses to copy to where checksums are wanted.
        self._checksum = client.checksum if copies is None or client.endpoint.on_aws else None
        self._token = completion.new_token()
        self._creating: asyncio.Task[str] | None = None

    @property
    def is_multipart(self) -> bool:
        """Whether a multipart upload has been begun."""
        return self._creating is not None

    @property
    def may_have_parts(self) -> bool:
        """Whether parts can have been on their way: not before the multipart upload was created."""
        return self._creating is not None and self._creating.done()

    def begin(self) -> None:
        """Begin the multipart upload, unless that was done."""
        self._creating = self._creating or asyncio.create_task(self._create())

    async def send(self, part: PartBody) -> CompletedPart:
        """Send a part; raises S3Error."""
        upload_id = await self._upload_id()
        return await self._client.upload_part(self._key, upload_id, part.number, part)

    async def copy(self, copied: Callable[[int], None]) -> list[CompletedPart]:
        """Have S3 make the first parts; tells and raises as `copy_parts` does, but ObjectChanged when their source has
        changed or is gone."""
        if self._copies is None:
            return []
        upload_id = await self._upload_id()
        try:
            return await copy_parts(
                self._client, self._copies, self._key, upload_id, checksum=self._checksum, copied=copied
            )
        except (NoSuchKey, PreconditionFailed) as error:
            raise ObjectChanged(f"{type(error).__name__}: {error}") from error

    async def put(self, body: Body) -> UploadResult:
        """Make the object by one request; raises S3Error."""
        return await self._write(
            partial(
                completion.put,
                self._client,
                self._key,
                body,
                token=self._token,
                content_type=self._content_type,
                metadata=self._metadata,
                headers=self._headers,
            )
        )

    async def complete(self, parts: Sequence[CompletedPart], checksum: Checksum | None) -> UploadResult:
        """Make the object of its parts, and hold it against the checksum of the whole; raises S3Error."""
        upload_id = await self._upload_id()
        if self._checksum is None:
            parts, checksum = [replace(part, checksum=None) for part in parts], None
        return await self._write(
            partial(
                completion.complete, self._client, self._key, upload_id, parts, token=self._token, checksum=checksum
            )
        )

    async def abort(self, *, late_parts: bool) -> None:
        """Make S3 forget the multipart upload, if there is one; see `completion.abort`. When it is cancelled, a task of
        its own goes on.

        Raises:
            S3Error: S3 could not be told.
        """
        if self._creating is None:
            return
        try:
            await asyncio.wait({self._creating})
            if not self._creating.cancelled() and self._creating.exception() is None:
                await completion.abort(self._client, self._key, self._creating.result(), late_parts=late_parts)
        except asyncio.CancelledError:
            self.drop()
            raise

    def drop(self) -> None:
        """Make S3 forget the multipart upload, if there is one, in a task of its own; see `completion.drop`."""
        if self._creating is not None:
            _ = completion.drop(self._client, self._key, self._creating)

    async def _upload_id(self) -> str:
        creating = self._creating = self._creating or asyncio.create_task(self._create())
        return await asyncio.shield(creating)

    async def _create(self) -> str:
        if self._if_none_match is not None:
            await self._refuse_existing()
        return await self._client.create_multipart_upload(
            self._key,
            content_type=self._content_type,
            metadata=completion.with_token(self._metadata, self._token),
            headers=self._headers,
            checksum=self._checksum,
        )

    async def _refuse_existing(self) -> None:
        """S3 checks the condition when all has been sent; there is no need to send all if it does not hold now."""
        try:
            await self._client.head_object(self._key)
        except NoSuchKey:
            return
        raise PreconditionFailed("PreconditionFailed", 412, operation="HeadObject")

    async def _write(self, write: Write) -> UploadResult:
        if self._guard is not None:
            return await self._guard.write(write)
        return await write(if_none_match=self._if_none_match)

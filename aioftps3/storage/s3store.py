"""The object store that is an S3 bucket: the one module of the project that knows both storage and S3.

`storage_error` is the one table from S3's errors to storage's. What clients get to read are the storage errors' own
words; S3's code and request id go to the log.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from aioftps3.s3 import digests, models, mtime
from aioftps3.s3 import errors as s3errors
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.client import S3Client
from aioftps3.s3.continuation import Base, Continuation, Continuations
from aioftps3.s3.copy import COPIES_IN_FLIGHT, COPY_PART_BYTES, SINGLE_COPY_BYTES, copy_any_size, is_copy
from aioftps3.s3.download import Download
from aioftps3.s3.guard import Guard
from aioftps3.s3.parts import LEAST_PART_BYTES, PART_BYTES, PartPlan, plan_parts
from aioftps3.s3.ranges import Parallel
from aioftps3.s3.upload import PARTS_IN_FLIGHT, Upload
from aioftps3.storage import errors
from aioftps3.storage.store import PAGE_LIMIT, Digests, ListPage, ObjectBody, ObjectInfo, ObjectWriter
from aioftps3.storage.times import KnownTimes, times_of

__all__ = ("LOOKS_IN_FLIGHT", "MARKER_CONTENT_TYPE", "S3Store", "storage_error")

LOOKS_IN_FLIGHT = 64
"""Objects that all listings together look up at a time."""

MARKER_CONTENT_TYPE = "application/x-directory"
"""Content type of directory markers, the one that other S3 gateways write and look for."""

_DEFAULT_CLASS = "STANDARD"

_NO_CHUNKS: tuple[bytes, ...] = ()

_KINDS: Mapping[type[s3errors.S3Error], type[errors.StorageError]] = {
    s3errors.S3Error: errors.StorageError,
    s3errors.NoCredentials: errors.Misconfigured,
    s3errors.UploadEvicted: errors.TooSlow,
    s3errors.S3ProtocolError: errors.Corrupt,
    s3errors.ChecksumMismatch: errors.Corrupt,
    s3errors.ObjectChanged: errors.Changed,
    s3errors.S3TransportError: errors.Unavailable,
    s3errors.NoSuchKey: errors.NotFound,
    s3errors.NoSuchBucket: errors.Misconfigured,
    s3errors.NoSuchUpload: errors.Unavailable,
    s3errors.AccessDenied: errors.Denied,
    s3errors.CredentialsRejected: errors.Misconfigured,
    s3errors.ClockSkew: errors.Misconfigured,
    s3errors.WrongRegion: errors.Misconfigured,
    s3errors.PreconditionFailed: errors.Changed,
    s3errors.Conflict: errors.Busy,
    s3errors.InvalidRange: errors.RangeInvalid,
    s3errors.Throttled: errors.Unavailable,
    s3errors.ServerFault: errors.Unavailable,
    s3errors.DigestMismatch: errors.Corrupt,
    s3errors.TooLarge: errors.Quota,
    s3errors.MetadataTooLarge: errors.MetadataFull,
    s3errors.QuotaExceeded: errors.Quota,
    s3errors.StorageFull: errors.StorageFull,
    s3errors.KeyInvalid: errors.NameInvalid,
    s3errors.ArchivedObject: errors.Archived,
    s3errors.NotSupported: errors.NotSupported,
}

# Codes that DeleteObjects gives for single keys; the keys of a request share one fate here.
_DELETE_KINDS: Mapping[str, type[errors.StorageError]] = {
    "AccessDenied": errors.Denied,
    "InternalError": errors.Unavailable,
    "ServiceUnavailable": errors.Unavailable,
    "SlowDown": errors.Unavailable,
}


def storage_error(error: s3errors.S3Error) -> errors.StorageError:
    """What an error of S3 means for files and directories."""
    kind: type[errors.StorageError] = errors.StorageError
    request_id = None
    if isinstance(error, s3errors.S3ResponseError):
        request_id = error.request_id or None
    if isinstance(error, s3errors.DeleteFailed):
        kind = _DELETE_KINDS.get(error.failures[0].code, kind) if error.failures else kind
    else:
        kind = next((_KINDS[base] for base in type(error).__mro__ if base in _KINDS), kind)
    return kind(f"{type(error).__name__}: {error}", request_id=request_id)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except s3errors.S3Error as error:
        raise storage_error(error) from error


class S3Store:
    """An `ObjectStore` (see `aioftps3.storage.store`) on one bucket.

    ``budget`` limits the bytes that all uploads of the process hold. A file of up to ``part_size`` bytes is uploaded in
    one request, of a longer one ``parts_in_flight`` parts are sent at once, which grow unless ``equal_parts``. Of what
    is appended to, fewer than ``least_part_bytes`` are read, and others copied by S3. A file of up to
    ``single_copy_bytes`` is copied in one request, a longer one in parts of ``copy_part_bytes``; ``copies_in_flight``
    copy requests are under way at once, whoever wants them. With ``no_overwrite`` neither a file nor a copy replaces an
    object: OverwriteRefused. ``parallel`` lets large objects be read by several GETs at a time. ``times`` is where
    clients' times are remembered; None: no object has one. ``clock`` gives seconds since the epoch.
    """

    def __init__(
        self,
        client: S3Client,
        budget: ByteBudget,
        *,
        part_size: int = PART_BYTES,
        parts_in_flight: int = PARTS_IN_FLIGHT,
        equal_parts: bool = False,
        least_part_bytes: int = LEAST_PART_BYTES,
        no_overwrite: bool = False,
        single_copy_bytes: int = SINGLE_COPY_BYTES,
        copy_part_bytes: int = COPY_PART_BYTES,
        copies_in_flight: int = COPIES_IN_FLIGHT,
        parallel: Parallel | None = None,
        times: KnownTimes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._budget = budget
        self._part_size = part_size
        self._parts_in_flight = parts_in_flight
        self._equal_parts = equal_parts
        self._if_none_match = "*" if no_overwrite else None
        self._single_copy_bytes = single_copy_bytes
        self._copy_part_bytes = copy_part_bytes
        self._copy_slots = asyncio.Semaphore(copies_in_flight)
        self._continuations = Continuations(
            client, slots=self._copy_slots, least_bytes=least_part_bytes, part_bytes=copy_part_bytes
        )
        self._parallel = parallel
        self._times = times
        self._look_slots = asyncio.Semaphore(LOOKS_IN_FLIGHT)
        self._clock = clock

    async def head(self, key: str) -> ObjectInfo | None:
        """HeadObject."""
        with _storage_errors():
            try:
                return self._seen(await self._client.head_object(key))
            except s3errors.NoSuchKey:
                return None

    async def open_read(self, key: str, *, offset: int = 0) -> ObjectBody:
        """GetObject; also HeadObject when S3 refuses the range, as it does for one that begins at the very end."""
        with _storage_errors():
            try:
                stream = await self._client.get_object(key, offset=offset)
            except s3errors.InvalidRange:
                info = await self._client.head_object(key)
                if info.size != offset:
                    raise
                return _Nothing(self._seen(info))
            download = Download(self._client, stream, parallel=self._parallel)
            return _Reader(download, self._seen(download.info))

    def open_write(self, key: str, *, expected_size: int | None = None) -> ObjectWriter:
        """PutObject when all fits into one part, else a multipart upload."""
        self._check_announced(expected_size)
        with _storage_errors():
            upload = self._upload(key, expected_size=expected_size, if_none_match=self._if_none_match)
        return self._writer(key, upload)

    def _writer(self, key: str, upload: Upload) -> ObjectWriter:
        async def complete() -> tuple[ObjectInfo, bool]:
            return self._uploaded(key, await upload.complete()), True

        return _Writer(upload, complete, no_overwrite=self._if_none_match is not None)

    def _check_announced(self, size: int | None) -> None:
        if size is not None and size > (capacity := self._plan(size).capacity):
            raise errors.Quota(f"{size} bytes were announced, {capacity} are possible")

    def _plan(self, expected_size: int | None) -> PartPlan:
        total = self._budget.total
        return plan_parts(self._part_size, total, expected_size=expected_size, equal_parts=self._equal_parts)

    def _upload(self, key: str, *, part_size: int | None = None, **options: Any) -> Upload:
        return Upload(
            self._client,
            key,
            budget=self._budget,
            part_size=part_size or self._part_size,
            parts_in_flight=self._parts_in_flight,
            equal_parts=self._equal_parts,
            **options,
        )

    async def open_append(
        self,
        key: str,
        *,
        offset: int | None = None,
        likely_size: int | None = None,
        expected_size: int | None = None,
    ) -> ObjectWriter:
        """GetObject for what is small, else HeadObject; GetObjectTagging where there are tags. If anything is written:
        GetObject unless it was sent, or UploadPartCopy for each 128 MiB; HeadObject, on AWS not, see `Guard`; and the
        requests of an upload."""
        self._check_announced(expected_size)
        with _storage_errors():
            try:
                base = await self._continuations.find(key, offset, likely_size=likely_size)
            except s3errors.NoSuchKey:
                if offset is not None:
                    raise
                if self._if_none_match is not None:
                    return self.open_write(key, expected_size=expected_size)
                guard = Guard(self._client, key, None)
                return self._writer(key, self._upload(key, expected_size=expected_size, guard=guard))
            try:
                return await self._appender(base, expected_size)
            except BaseException:
                await base.close()
                raise

    async def _appender(self, base: Base, expected_size: int | None) -> ObjectWriter:
        if self._if_none_match is not None:
            raise errors.OverwriteRefused
        equal_bytes = self._plan(base.length + (expected_size or 0)).first if self._equal_parts else None
        make = partial(self._upload, base.info.key, part_size=equal_bytes)
        continuation = await self._continuations.begin(base, make, equal_bytes=equal_bytes, expected_size=expected_size)
        old = self._seen(base.info)

        async def complete() -> tuple[ObjectInfo, bool]:
            result = await continuation.complete()
            return (old, False) if result is None else (self._uploaded(old.key, result), True)

        return _Writer(continuation, complete, kept=base.length)

    async def list(
        self, prefix: str, *, delimiter: str | None = None, limit: int = PAGE_LIMIT, token: str | None = None
    ) -> ListPage:
        """ListObjectsV2."""
        with _storage_errors():
            page = await self._client.list_objects(prefix=prefix, delimiter=delimiter, max_keys=limit, token=token)
        if token is not None and page.next_token == token:
            raise errors.Corrupt("a listing goes on where it was")
        objects = tuple(
            [
                ObjectInfo(
                    key=listed.key,
                    size=listed.size,
                    etag=listed.etag,
                    modified=listed.last_modified,
                    storage_class=_class(listed.storage_class),
                )
                for listed in page.objects
            ]
        )
        return ListPage(objects=objects, prefixes=page.prefixes, next_token=page.next_token)

    async def copy(self, source: ObjectInfo, target: str, *, copied: Callable[[int], None] | None = None) -> str:
        """CopyObject; HeadObject and UploadPartCopy for an object that is too large for it. If-Match the source's
        ETag. With ``no_overwrite`` also HeadObject of the target, because stores that do not know conditions on copies
        either refuse or ignore them; a target that is a copy already, as after a rename that could not delete, is left
        as it is."""
        if self._if_none_match is not None and (there := await self.head(target)) is not None:
            if await self.is_copy(source, there):
                return there.etag
            raise errors.OverwriteRefused
        known = models.ObjectInfo(
            key=source.key,
            size=source.size,
            etag=source.etag,
            last_modified=source.modified,
            storage_class=source.storage_class,
        )
        with _storage_errors():
            if source.size > self._single_copy_bytes:
                known = await self._client.head_object(source.key, if_match=source.etag)
            try:
                return await self._copy(known, target, self._if_none_match, copied)
            except s3errors.NotSupported:
                if self._if_none_match is None:
                    raise
                return await self._copy(known, target, None, copied)
            except s3errors.PreconditionFailed as error:
                # One of two conditions, and S3 does not say which.
                there = None if self._if_none_match is None else await self.head(target)
                if there is None:
                    raise
                if await self.is_copy(source, there):  # by an attempt whose answer was lost
                    return there.etag
                raise errors.OverwriteRefused(str(error), request_id=error.request_id or None) from error

    async def _copy(
        self,
        source: models.ObjectInfo,
        target: str,
        if_none_match: str | None,
        copied: Callable[[int], None] | None,
    ) -> str:
        etag = await copy_any_size(
            self._client,
            source,
            target,
            if_none_match=if_none_match,
            single_copy_bytes=self._single_copy_bytes,
            part_bytes=self._copy_part_bytes,
            slots=self._copy_slots,
            copied=copied,
        )
        if self._times is not None:
            copy = ObjectInfo(key=target, size=source.size, etag=etag, modified=self._clock())
            self._times.copied(self._info(source), copy)
        return etag

    async def is_copy(self, source: ObjectInfo, target: ObjectInfo) -> bool:
        """HeadObject of both: see `aioftps3.s3.copy.is_copy`."""
        with _storage_errors():
            try:
                original = await self._client.head_object(source.key, if_match=source.etag)
                return is_copy(original, await self._client.head_object(target.key, if_match=target.etag))
            except (s3errors.NoSuchKey, s3errors.PreconditionFailed):
                return False

    async def put_marker(self, key: str) -> None:
        """PutObject without a condition: a marker that somebody else has just made is the same, and a request without a
        condition can be repeated when its answer got lost."""
        with _storage_errors():
            await self._client.put_object(key, models.BytesBody(b""), content_type=MARKER_CONTENT_TYPE)

    async def delete(self, keys: Sequence[str]) -> None:
        """DeleteObject for one key, DeleteObjects for more."""
        with _storage_errors():
            if len(keys) == 1:
                await self._client.delete_object(keys[0])
            else:
                await self._client.delete_objects(keys)

    async def times(self, objects: Sequence[ObjectInfo]) -> Sequence[float]:
        """HeadObject for each one of which nothing is remembered. What may not be asked for is as if it had none."""
        if self._times is None:
            return [info.modified for info in objects]
        return await times_of(objects, self._times, self._look)

    async def _look(self, listed: ObjectInfo) -> float:
        with _storage_errors():
            try:
                async with self._look_slots:
                    info = self._seen(await self._client.head_object(listed.key))
            except (s3errors.NoSuchKey, s3errors.AccessDenied):
                return listed.modified
        return listed.modified if info.client_time is None else info.client_time

    async def set_time(self, key: str, seconds: float) -> ObjectInfo | None:
        """HeadObject and CopyObject onto itself; see `aioftps3.s3.mtime.set_time`."""
        with _storage_errors():
            try:
                source = await self._client.head_object(key)
                changed = await mtime.set_time(
                    self._client, source, seconds, single_copy_bytes=self._single_copy_bytes, slots=self._copy_slots
                )
            except s3errors.NoSuchKey:
                return None
        return self._seen(source) if changed is source else self._wrote(self._info(changed))

    async def digests(self, key: str) -> Digests | None:
        """HeadObject; see `aioftps3.s3.digests.known`."""
        with _storage_errors():
            try:
                info = await self._client.head_object(key, checksum=True)
            except s3errors.NoSuchKey:
                return None
        known = digests.known(info, etag_is_md5=digests.etag_is_md5(self._client))
        return Digests(info=self._seen(info), known=known, in_parts="-" in info.etag)

    def _info(self, info: models.ObjectInfo) -> ObjectInfo:
        """What HeadObject and GetObject tell."""
        return ObjectInfo(
            key=info.key,
            size=info.size,
            etag=info.etag,
            modified=info.last_modified,
            client_time=None if self._times is None else mtime.kept_time(info.metadata),
            storage_class=_class(info.storage_class),
        )

    def _seen(self, info: models.ObjectInfo) -> ObjectInfo:
        found = self._info(info)
        if self._times is not None:
            self._times.saw(found, settled=info.settled)
        return found

    def _uploaded(self, key: str, result: models.UploadResult) -> ObjectInfo:
        return self._wrote(ObjectInfo(key=key, size=result.size, etag=result.etag, modified=0.0))

    def _wrote(self, info: ObjectInfo) -> ObjectInfo:
        """What has just been written."""
        written = dataclasses.replace(info, modified=self._clock())
        if self._times is not None:
            self._times.wrote(written)
        return written


class _Reader:
    """A download, with storage's errors."""

    def __init__(self, download: Download, info: ObjectInfo) -> None:
        self.info = info
        self._download = download

    async def chunks(self) -> AsyncIterator[bytes]:
        with _storage_errors():
            async for chunk in self._download.chunks():
                yield chunk

    async def close(self) -> None:
        await self._download.close()


class _Nothing:
    """What is left of an object from its end on."""

    def __init__(self, info: ObjectInfo) -> None:
        self.info = info

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in _NO_CHUNKS:
            yield chunk

    async def close(self) -> None:
        """There is nothing to close."""


class _Writer:
    """An upload, with storage's errors."""

    def __init__(
        self,
        upload: Upload | Continuation,
        complete: Callable[[], Awaitable[tuple[ObjectInfo, bool]]],
        *,
        kept: int = 0,
        no_overwrite: bool = False,
    ) -> None:
        """``complete`` completes the upload, describes the object, and says whether it was written."""
        self.kept = kept
        self.changed = False
        self._upload = upload
        self._complete = complete
        self._no_overwrite = no_overwrite

    async def room(self) -> memoryview:
        try:
            return await self._upload.room()
        except s3errors.S3Error:
            # Asked for each piece, so that only an error costs anything.
            with self._errors():
                raise

    def filled(self, count: int) -> None:
        self._upload.filled(count)

    def seal(self) -> None:
        self._upload.seal()

    def on_broken(self, callback: Callable[[], None] | None) -> None:
        self._upload.on_broken(callback)

    async def complete(self) -> ObjectInfo:
        with self._errors():
            info, self.changed = await self._complete()
        return info

    async def abort(self) -> None:
        with _storage_errors():
            await self._upload.abort()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with _storage_errors():
            try:
                yield
            except s3errors.PreconditionFailed as error:
                if not self._no_overwrite:
                    raise
                raise errors.OverwriteRefused(str(error), request_id=error.request_id or None) from error


def _class(name: str | None) -> str | None:
    """Listings name the default, and the headers of an object leave it out."""
    return None if name == _DEFAULT_CLASS else name

"""EmbeddedS3: an S3 server in the process, for `aioftps3 demo` and for tests.

A development aid. It keeps S3's rules so that what works against it works against S3, but it is no place for data that
matters: one bucket, one access key, no replication, nothing forced to the disk.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Self, TypeAlias

from aiohttp import ClientError, hdrs, web

from aioftps3.embedded import handlers_listing, handlers_multipart, handlers_objects
from aioftps3.embedded.answers import Answer, error_answer
from aioftps3.embedded.directory import DirectoryStore
from aioftps3.embedded.errors import ConnectionCut, Refusal, no_such_bucket
from aioftps3.embedded.memory import MemoryStore
from aioftps3.embedded.service import DEFAULT_CONTENT_TYPE, Limits, Service
from aioftps3.embedded.state import STREAM_CHUNK, Bucket, StoredObject
from aioftps3.embedded.verifier import Account, WireRequest, verify
from aioftps3.embedded.wire import UNKNOWN_OPERATION, Call, Target, check_supported, parse_target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from aioftps3.embedded.state import Store

SERVER_NAME = "aioftps3-embedded (development aid, not for production)"
"""The Server header of every answer."""

REMEMBERED_REQUESTS = 100_000
"""Requests that ``EmbeddedS3.requests`` holds; older ones are forgotten."""

STOP_SECONDS = 1.0
"""How long stopping waits for requests in progress before it cancels them."""

LINGER_SECONDS = 2.0
"""How long the rest of a body that was refused is still read, so that its sender gets to the answer. A connection that
is lost in that time holds its handler until then."""

NOT_ANSWERED = 0
"""Status of a recorded request whose connection ended before an answer."""

_REQUEST_ID_BYTES = 8
_MAX_HEADER_BYTES = 16 * 1024

logger = logging.getLogger(__name__)

Handler: TypeAlias = "Callable[[Service, Call], Awaitable[Answer]]"
Proceed: TypeAlias = "Callable[[], Awaitable[Answer]]"
Intercept: TypeAlias = "Callable[[Call, Proceed], Awaitable[Answer]]"
"""Stands between the verified request and its handler.

It may wait, answer without calling ``proceed``, change the answer of ``proceed`` (status, headers, body), raise a
Refusal, or raise ConnectionCut, before or after the handler has acted or from inside a streamed body.
"""

HANDLERS: Mapping[str, Handler] = {
    "HeadBucket": handlers_objects.head_bucket,
    "GetBucketLocation": handlers_objects.get_bucket_location,
    "ListObjectsV2": handlers_listing.list_objects_v2,
    "ListMultipartUploads": handlers_listing.list_multipart_uploads,
    "DeleteObjects": handlers_objects.delete_objects,
    "HeadObject": handlers_objects.head_object,
    "GetObject": handlers_objects.get_object,
    "GetObjectTagging": handlers_objects.get_object_tagging,
    "PutObject": handlers_objects.put_object,
    "CopyObject": handlers_objects.copy_object,
    "DeleteObject": handlers_objects.delete_object,
    "CreateMultipartUpload": handlers_multipart.create_multipart_upload,
    "UploadPart": handlers_multipart.upload_part,
    "UploadPartCopy": handlers_multipart.upload_part_copy,
    "ListParts": handlers_multipart.list_parts,
    "CompleteMultipartUpload": handlers_multipart.complete_multipart_upload,
    "AbortMultipartUpload": handlers_multipart.abort_multipart_upload,
}


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request that was answered (or whose connection was lost: status 0)."""

    operation: str
    """As the S3 API calls it; ``Unknown`` for a request that is none of the supported operations."""
    key: str
    status: int


class EmbeddedS3:
    """An S3 server with one bucket and one access key; ``async with EmbeddedS3(...) as s3: s3.url``.

    Objects are kept in memory, or in ``directory`` so that they are there after a restart. Any host name is served;
    a Host header of ``<bucket>.anything`` addresses the bucket, otherwise the path does.

    ``region``, ``session_token``: what requests must be signed with. ``ssl_context``: serve https. ``port`` 0 lets the
    kernel choose. ``limits``: sizes that tests make smaller. ``clock``: the server's time, seconds since the epoch.
    """

    latency: float
    """Seconds that are added to every request; may be changed at any time."""
    intercept: Intercept | None
    """See Intercept; may be changed at any time."""
    requests: deque[RecordedRequest]
    """What was answered, oldest first; recorded just before the answer is sent."""

    def __init__(
        self,
        *,
        bucket: str,
        access_key: str,
        secret_key: str,
        region: str = "us-east-1",
        directory: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        session_token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._account = Account(access_key=access_key, secret_key=secret_key, session_token=session_token)
        self._store: Store = MemoryStore() if directory is None else DirectoryStore(directory)
        self._service = Service(
            bucket=bucket,
            region=region,
            contents=Bucket(self._store),
            limits=limits or Limits(),
            clock=clock,
        )
        self._host, self._port = host, port
        self._ssl_context = ssl_context
        self._runner: web.ServerRunner | None = None
        self.latency = 0.0
        self.intercept = None
        self.requests = deque(maxlen=REMEMBERED_REQUESTS)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load what the directory holds and listen.

        Raises:
            DirectoryInUse, DirectoryDamaged, OSError
        """
        await asyncio.to_thread(self._service.contents.open)
        server = web.Server(
            self._answer,
            access_log=None,
            auto_decompress=False,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            read_bufsize=STREAM_CHUNK,
            lingering_time=LINGER_SECONDS,
        )
        runner = web.ServerRunner(server, shutdown_timeout=STOP_SECONDS)
        try:
            await runner.setup()
            await web.TCPSite(runner, self._host, self._port, ssl_context=self._ssl_context).start()
        except BaseException:
            await runner.cleanup()
            self._store.close()
            raise
        self._runner = runner
        # A restart comes back on the same port, so that clients find it again.
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and close every connection. Idempotent; ``start`` works again, with everything still there."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            self._store.close()

    @property
    def port(self) -> int:
        """The port; the one that the kernel chose once the server has started."""
        return self._port

    @property
    def url(self) -> str:
        """Scheme, host and port, without the bucket."""
        scheme = "http" if self._ssl_context is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}"

    @property
    def bucket(self) -> str:
        return self._service.bucket

    @property
    def uploads_in_progress(self) -> list[tuple[str, str]]:
        """Key and upload id of every multipart upload that is neither completed nor aborted."""
        return [(upload.key, upload.upload_id) for upload in self._service.contents.uploads.values()]

    def count(self, operation: str | None = None) -> int:
        """How many requests of this operation, or at all, are recorded."""
        return sum(1 for request in self.requests if operation in (None, request.operation))

    def clear(self) -> None:
        """Forget the recorded requests."""
        self.requests.clear()

    def objects(self) -> dict[str, int]:
        """Keys, sorted, and sizes of the objects."""
        contents = self._service.contents
        return {key: contents.objects[key].size for key in contents.keys}

    def read(self, key: str) -> bytes:
        """An object's content, past the protocol. Raises KeyError."""
        return self._store.read(self._service.contents.objects[key].blob)

    def put(
        self, key: str, data: bytes, *, headers: Mapping[str, str] | None = None, modified: float | None = None
    ) -> None:
        """Store an object, past the protocol; ``headers`` in lower case, as PutObject keeps them.

        ``modified`` is its Last-Modified, in whole seconds since the epoch; now unless given.
        """
        writer = self._store.writer()
        writer.write(data)
        stored = StoredObject(
            key=key,
            blob=writer.finish(),
            etag=handlers_objects.hex_md5(data),
            modified=self._service.now() if modified is None else modified,
            headers={"content-type": DEFAULT_CONTENT_TYPE, **(headers or {})},
        )
        self._service.contents.put(stored)

    def delete(self, key: str) -> None:
        """Remove an object if there is one, past the protocol."""
        self._service.contents.delete(key)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The one aiohttp handler: from request to answer, then on to the wire."""
        # Every body that a handler made is closed here, also one that an intercept has put aside.
        async with AsyncExitStack() as bodies:
            return await self._answer_closing(request, bodies)

    async def _answer_closing(self, request: web.BaseRequest, bodies: AsyncExitStack) -> web.StreamResponse:
        body = _RequestBody(request)
        call = _begin(request, body)
        try:
            call = replace(call, target=parse_target(call.wire, self._service.bucket))
            if self.latency > 0:
                await asyncio.sleep(self.latency)
            answer = await self._handle(call, bodies)
        except Refusal as refusal:
            answer = error_answer(refusal, resource=call.wire.path, request_id=call.request_id)
        except (ConnectionCut, ConnectionError, ClientError, web.RequestPayloadError):
            self._record(call, NOT_ANSWERED)
            return _cut(request)
        except Exception:
            logger.exception("%s of the embedded S3 server failed", call.operation)
            fault = Refusal("InternalError", 500, "We encountered an internal error. Please try again.")
            answer = error_answer(fault, resource=call.wire.path, request_id=call.request_id)
        _close_later(answer, bodies)
        self._record(call, answer.status)
        answer.headers.setdefault("Date", formatdate(self._service.clock(), usegmt=True))
        try:
            return await _send(request, call, answer, keep_alive=not body.uninvited)
        except (ConnectionCut, ConnectionError):
            return _cut(request)

    async def _handle(self, call: Call, bodies: AsyncExitStack) -> Answer:
        now = datetime.fromtimestamp(self._service.clock(), UTC)
        call = replace(call, payload=verify(call.wire, self._account, region=self._service.region, now=now))
        check_supported(call)
        if call.target.bucket != self._service.bucket:
            raise no_such_bucket(call.target.bucket)

        async def proceed() -> Answer:
            answer = await HANDLERS[call.operation](self._service, call)
            _close_later(answer, bodies)
            return answer

        return await (proceed() if self.intercept is None else self.intercept(call, proceed))

    def _record(self, call: Call, status: int) -> None:
        self.requests.append(RecordedRequest(call.operation, call.key, status))


class _RequestBody:
    """A request's body as the handlers read it."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.uninvited = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
        """The client waits for an invitation that it has not got: it will not send the body."""

    @property
    def length(self) -> int | None:
        return self._request.content_length

    async def read(self) -> bytes:
        if self.uninvited:
            self.uninvited = False
            transport = self._request.transport
            if transport is not None:
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._request.content.readany()


def _close_later(answer: Answer, bodies: AsyncExitStack) -> None:
    if not isinstance(answer.body, bytes):
        bodies.push_async_callback(answer.body.aclose)


def _begin(request: web.BaseRequest, body: _RequestBody) -> Call:
    headers = [
        (name.decode("utf-8", "surrogateescape").lower(), value.decode("utf-8", "surrogateescape"))
        for name, value in request.raw_headers
    ]
    wire = WireRequest(method=request.method, target=request.raw_path, headers=headers)
    target = Target(operation=UNKNOWN_OPERATION, bucket="", key="", query={})
    return Call(target=target, wire=wire, body=body, request_id=secrets.token_hex(_REQUEST_ID_BYTES).upper())


async def _send(request: web.BaseRequest, call: Call, answer: Answer, *, keep_alive: bool) -> web.StreamResponse:
    headers = {
        "Server": SERVER_NAME,
        "x-amz-request-id": call.request_id,
        "x-amz-id-2": call.request_id,
        **answer.headers,
    }
    response = web.StreamResponse(status=answer.status, headers=headers)
    length = len(answer.body) if answer.length is None and isinstance(answer.body, bytes) else answer.length
    bodiless = call.wire.method == "HEAD" or answer.status in (204, 304)
    if length is not None and answer.status not in (204, 304):
        response.content_length = length
    if not keep_alive:
        response.force_close()
    await response.prepare(request)
    sent = 0
    if not bodiless:
        if isinstance(answer.body, bytes):
            await response.write(answer.body)
            sent = len(answer.body)
        else:
            async for chunk in answer.body:
                await response.write(chunk)
                sent += len(chunk)
    await response.write_eof()
    # An intercept may end a body early; only the end of the connection tells the client.
    truncated = not bodiless and length is not None and sent < length
    if truncated or not keep_alive:
        request.protocol.force_close()
    return response


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    """Drop the connection; nothing that is returned reaches the client."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)

"""An S3 that keeps nothing: `python -m bench.sink PORT`.

It reads and forgets what is uploaded, remembers the sizes, sends zeros for downloads, and makes listings up: the
directory `list/N/` has N files, whatever N. It verifies nothing, so that beside it the gateway is the bottleneck: all
connections receive into one buffer, and downloads are sent by the kernel out of a memory file.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import sys
from collections.abc import Coroutine
from typing import Any, BinaryIO

from bench.wire import HEAD_END, Control, Request, parse_head, response

__all__ = ("Sink", "listing_page")

RECEIVE_BYTES = 1024 * 1024
"""One buffer for all connections: each is emptied before the next one is read."""

ZEROS_BYTES = 16 * 1024 * 1024

LARGEST_PAGE = 1000

SHOWN_COUNTS = (100, 1_000)
"""Made-up directories that a listing of `list/` shows: rclone finds no others."""

MADE_UP_SIZE = 1234
"""Bytes of each file in a directory that is made up."""

ETAG = '"discarded-1"'
"""Nothing that could be taken for an MD5, which clients would compare."""

LAST_MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"

_MADE_UP_FILE = re.compile(r"list/(\d{1,9})/file-(\d{9})\.bin")

_MADE_UP_DIRECTORY = re.compile(r"list/(\d{1,9})/")


@functools.lru_cache(maxsize=256)
def listing_page(count: int, first: int, most: int) -> bytes:
    """A page of the made-up directory of `count` files, from number `first` on."""
    last = min(count, first + most)
    items = "".join(
        f"<Contents><Key>list/{count}/file-{number:09}.bin</Key><LastModified>1994-11-06T08:49:37.000Z</LastModified>"
        f"<ETag>&quot;discarded-1&quot;</ETag><Size>{MADE_UP_SIZE}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(first, last)
    )
    return _list_document(items, last - first, str(last) if last < count else None)


def _list_document(items: str, count: int, token: str | None) -> bytes:
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<KeyCount>{count}</KeyCount>{more or '<IsTruncated>false</IsTruncated>'}{items}</ListBucketResult>"
    ).encode()


class Sink:
    """What all connections share."""

    def __init__(self) -> None:
        self.control = Control()
        self._sizes: dict[str, int] = {}
        self._parts: dict[str, dict[str, int]] = {}
        self._uploads = 0
        self._zeros: BinaryIO = os.fdopen(os.memfd_create("zeros"), "r+b")
        self._zeros.truncate(ZEROS_BYTES)
        self.tasks: set[asyncio.Task[None]] = set()

    def size_of(self, key: str) -> int | None:
        """Bytes of an object; None when there is none."""
        if (made_up := _MADE_UP_FILE.fullmatch(key)) is not None:
            return MADE_UP_SIZE if int(made_up[2]) < int(made_up[1]) else None
        return self._sizes.get(key)

    def answer(self, request: Request) -> bytes:
        """The answer to a request whose body, if any, has been read; for GetObject its head."""
        key, operation = request.key, request.operation
        if operation == "PutObject":
            self._sizes[key] = request.object_length
        elif operation == "UploadPart":
            sizes = self._parts.get(request.query["uploadId"])
            if sizes is None:
                return self._error("404 Not Found", "NoSuchUpload")
            sizes[request.query["partNumber"]] = request.object_length
        elif operation == "CreateMultipartUpload":
            return self._create()
        elif operation == "CompleteMultipartUpload":
            return self._complete(request)
        elif operation in ("HeadObject", "GetObject"):
            return self._describe(request)
        elif operation in ("ListObjectsV2", "ListObjects"):
            return response("200 OK", {"Content-Type": "application/xml"}, self._list(request.query))
        elif operation == "DeleteObject":
            self._sizes.pop(key, None)
            return response("204 No Content")
        elif operation == "AbortMultipartUpload":
            self._parts.pop(request.query["uploadId"], None)
            return response("204 No Content")
        elif operation == "DeleteObjects":
            return response("200 OK", body=b"<DeleteResult/>")
        elif operation != "HeadBucket":
            return self._error("501 Not Implemented", "NotImplemented")
        return response("200 OK", {"ETag": ETAG})

    def _create(self) -> bytes:
        self._uploads += 1
        upload_id = f"upload-{self._uploads}"
        self._parts[upload_id] = {}
        document = f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        return response("200 OK", body=document.encode())

    def _complete(self, request: Request) -> bytes:
        sizes = self._parts.pop(request.query["uploadId"], None)
        if sizes is None:
            return self._error("404 Not Found", "NoSuchUpload")
        self._sizes[request.key] = sum(sizes.values())
        document = "<CompleteMultipartUploadResult><ETag>&quot;discarded-1&quot;</ETag></CompleteMultipartUploadResult>"
        return response("200 OK", body=document.encode())

    def _describe(self, request: Request) -> bytes:
        size = self.size_of(request.key)
        if size is None:
            if request.method == "HEAD":
                return response("404 Not Found")
            return self._error("404 Not Found", "NoSuchKey")
        headers = {"ETag": ETAG, "Last-Modified": LAST_MODIFIED, "Accept-Ranges": "bytes"}
        first, last = _range(request, size)
        if (first, last) == (0, size):
            return response("200 OK", headers, length=size)
        headers["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
        return response("206 Partial Content", headers, length=last - first)

    def body_length(self, request: Request) -> int:
        """Bytes of zeros that follow the head of a GetObject."""
        size = self.size_of(request.key)
        if request.operation != "GetObject" or size is None:
            return 0
        first, last = _range(request, size)
        return last - first

    def _list(self, query: dict[str, str]) -> bytes:
        prefix = query.get("prefix", "")
        most = min(int(query.get("max-keys", LARGEST_PAGE)), LARGEST_PAGE)
        if (made_up := _MADE_UP_DIRECTORY.fullmatch(prefix)) is not None:
            return listing_page(int(made_up[1]), int(query.get("continuation-token", "0")), most)
        names = {"": {"list/"}, "list/": {f"list/{count}/" for count in SHOWN_COUNTS}}.get(prefix, set())
        for key in self._sizes:
            if key.startswith(prefix):
                name, slash, _ = key.removeprefix(prefix).partition("/")
                names.add(prefix + name + slash)
        start = query.get("continuation-token", "")
        page = [name for name in sorted(names) if name > start]
        items = "".join(self._item(name) for name in page[:most])
        return _list_document(items, min(len(page), most), page[most - 1] if len(page) > most else None)

    def _item(self, name: str) -> str:
        if name.endswith("/") and name not in self._sizes:
            return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        return (
            f"<Contents><Key>{name}</Key><LastModified>1994-11-06T08:49:37.000Z</LastModified>"
            f"<ETag>&quot;discarded-1&quot;</ETag><Size>{self._sizes[name]}</Size></Contents>"
        )

    def _error(self, status: str, code: str) -> bytes:
        return response(status, body=f"<Error><Code>{code}</Code></Error>".encode())

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it beside; it is forgotten at its end."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def send_zeros(self, transport: asyncio.Transport, count: int) -> None:
        """Send a body; a client that goes ends it."""
        loop = asyncio.get_running_loop()
        try:
            while count:
                sent = await loop.sendfile(transport, self._zeros, 0, min(count, ZEROS_BYTES))
                count -= sent
        except (OSError, RuntimeError):
            transport.abort()


def _range(request: Request, size: int) -> tuple[int, int]:
    """The first byte, and the one after the last."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if match is None:
        return 0, size
    return min(int(match[1]), size), min(int(match[2]) + 1, size) if match[2] else size


class _Connection(asyncio.BufferedProtocol):
    """One client; its requests come one after another."""

    _buffer = memoryview(bytearray(RECEIVE_BYTES))

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._head = bytearray()
        self._left = 0
        self._request: Request | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        taken = min(nbytes, self._left)
        self._left -= taken
        if taken < nbytes:
            self._head += self._buffer[taken:nbytes]
        if self._request is None:
            self._begin()
        if self._request is not None and not self._left:
            request, self._request = self._request, None
            self._finish(request)

    def _begin(self) -> None:
        head, end, rest = self._head.partition(HEAD_END)
        if not end or self._transport is None:
            return
        try:
            request = parse_head(bytes(head))
            length = request.length
        except ValueError:
            self._transport.abort()
            return
        if "transfer-encoding" in request.headers:
            self._transport.write(response("411 Length Required"))
            self._transport.close()
            return
        if request.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue" + HEAD_END)
        taken = min(len(rest), length)
        self._head = bytearray(rest[taken:])
        self._left = length - taken
        self._request = request

    def _finish(self, request: Request) -> None:
        control = self._sink.control
        if request.is_control:
            self._write(control.answer(request))
            return
        control.counts[request.operation] += 1
        if control.delay_seconds:
            asyncio.get_running_loop().call_later(control.delay_seconds, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        self._write(self._sink.answer(request))
        count = self._sink.body_length(request)
        if count and self._transport is not None:
            self._sink.spawn(self._sink.send_zeros(self._transport, count))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def _serve(port: int) -> None:
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(sink), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

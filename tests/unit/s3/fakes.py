"""A small S3 behind the Transport seam: it keeps objects and uploads, and fails where it is told to."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.errors import ConnectionBroken, S3ProtocolError
from aioftps3.s3.models import Body, Endpoint, Observer
from aioftps3.s3.retry import NO_RETRIES, RetryPolicy
from aioftps3.s3.transport import Request, Response

MODIFIED = "Wed, 12 Oct 2022 17:50:00 GMT"

ENDPOINT = Endpoint.for_bucket("bucket", "eu-west-1", "s3.test")

PATIENT = RetryPolicy(attempts=3, base_seconds=0.0, throttling_base_seconds=0.0)


@dataclass(frozen=True)
class Answered:
    """Fault: answer this, and do nothing."""

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def content(self) -> bytes:
        return self.body or (f"<Error><Code>{self.code}</Code></Error>".encode() if self.code else b"")


@dataclass(frozen=True)
class LostBefore:
    """Fault: the connection breaks before S3 has acted."""


@dataclass(frozen=True)
class LostAfter:
    """Fault: S3 acts, and the answer is lost."""


@dataclass(frozen=True)
class LostOnTheWay:
    """Fault: the connection breaks when all was sent, and S3 has not acted."""


Fault = Answered | LostBefore | LostAfter | LostOnTheWay


class FakeResponse:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool = False) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self._body = body
        self._cut = cut
        self.breaks_after: int | None = None
        """Bytes of the body that come before the connection breaks; a multiple of 7."""
        self.closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 7):
            await asyncio.sleep(0)
            if start == self.breaks_after:
                raise ConnectionBroken("lost", may_have_acted=True)
            yield self._body[start : start + 7]

    async def read(self, limit: int) -> bytes:
        await asyncio.sleep(0)
        if len(self._body) > limit:
            raise S3ProtocolError("too long")
        return self._body

    async def close(self) -> None:
        self.closed = True


@dataclass
class StoredUpload:
    key: str
    metadata: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class FakeS3:
    """A `Transport`. Its faults are keyed by (operation, how many of it came before)."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self.uploads: dict[str, StoredUpload] = {}
        self.requests: list[str] = []
        self.sent: list[Request] = []
        self.responses: list[FakeResponse] = []
        self.faults: dict[tuple[str, int], Fault] = {}
        self.always: dict[str, Fault] = {}
        self.parts_gate: asyncio.Event | None = None
        self.parts_in_flight = 0
        self.most_parts_in_flight = 0
        self.forgets_completed_uploads = True
        self.copied_parts_have: Callable[[bytes], str] = lambda _: ""
        """What the answer says of a part that was copied, besides its ETag."""
        self.ignores_conditions = False
        self.never_matches = False
        """No If-Match is ever found true."""
        self.late_parts = 0
        self.date: str | None = None
        self.created = 0
        self.closed = False

    def count(self, operation: str) -> int:
        return self.requests.count(operation)

    async def close(self) -> None:
        self.closed = True

    async def send(self, request: Request, body: Body | None) -> Response:
        operation, key, query = describe(request)
        fault = self.faults.get((operation, self.count(operation)), self.always.get(operation))
        self.requests.append(operation)
        self.sent.append(request)
        await asyncio.sleep(0)
        if isinstance(fault, LostBefore):
            raise ConnectionBroken("lost", may_have_acted=False)
        if isinstance(fault, LostOnTheWay):
            raise ConnectionBroken("lost", may_have_acted=True)
        if isinstance(fault, Answered):
            return self._respond(fault.status, dict(fault.headers), fault.content())
        data = await self._receive(operation, body)
        response = self._act(operation, key, query, request, data)
        if isinstance(fault, LostAfter):
            raise ConnectionBroken("lost", may_have_acted=True)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await response.close()
            raise
        return response

    async def _receive(self, operation: str, body: Body | None) -> bytes:
        if operation != "UploadPart":
            return b"" if body is None else b"".join(body.chunks())
        self.parts_in_flight += 1
        self.most_parts_in_flight = max(self.most_parts_in_flight, self.parts_in_flight)
        try:
            if self.parts_gate is not None:
                await self.parts_gate.wait()
            data = bytearray()
            assert body is not None
            for piece in body.chunks():
                data += piece
                await asyncio.sleep(0)
            return bytes(data)
        finally:
            self.parts_in_flight -= 1

    def _respond(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> FakeResponse:
        extra = {} if self.date is None else {"Date": self.date}
        response = FakeResponse(status, {**extra, "x-amz-request-id": "R1", **(headers or {})}, body)
        self.responses.append(response)
        return response

    def _error(self, status: int, code: str) -> FakeResponse:
        return self._respond(status, {}, f"<Error><Code>{code}</Code></Error>".encode())

    def _act(self, operation: str, key: str, query: dict[str, str], request: Request, data: bytes) -> FakeResponse:
        handlers: dict[str, Callable[[], FakeResponse]] = {
            "PutObject": lambda: self._put(key, request, data),
            "HeadObject": lambda: self._head(key),
            "GetObject": lambda: self._get(key, request),
            "CreateMultipartUpload": lambda: self._create(key, request),
            "UploadPart": lambda: self._part(query, data),
            "CompleteMultipartUpload": lambda: self._complete(query, data, request),
            "AbortMultipartUpload": lambda: self._abort(query),
            "ListParts": lambda: self._list_parts(query),
            "ListObjectsV2": self._list_nothing,
            "UploadPartCopy": lambda: self._part_copy(query, request),
            "CopyObject": lambda: self._copy(key, request),
        }
        handler = handlers.get(operation)
        return self._respond(204) if handler is None else handler()

    def _put(self, key: str, request: Request, data: bytes) -> FakeResponse:
        if refusal := self._refusal(key, request):
            return refusal
        signed = header(request, "x-amz-content-sha256")
        if signed != "UNSIGNED-PAYLOAD" and signed != hashlib.sha256(data).hexdigest():
            return self._error(400, "XAmzContentSHA256Mismatch")
        self.objects[key] = data
        self.metadata[key] = user_metadata(request)
        return self._respond(200, {"ETag": etag(data)})

    def _refusal(self, key: str, request: Request) -> FakeResponse | None:
        """What a write is answered whose condition does not hold."""
        if self.ignores_conditions:
            return None
        wanted = header(request, "if-match")
        if wanted is not None and key not in self.objects:
            return self._error(404, "NoSuchKey")
        is_other = wanted is not None and (self.never_matches or wanted != etag(self.objects[key]))
        if is_other or (header(request, "if-none-match") == "*" and key in self.objects):
            return self._error(412, "PreconditionFailed")
        return None

    def _head(self, key: str) -> FakeResponse:
        if key not in self.objects:
            return self._respond(404)
        return self._respond(200, self._description(key))

    def _description(self, key: str) -> dict[str, str]:
        data = self.objects[key]
        headers = {f"x-amz-meta-{name}": value for name, value in self.metadata[key].items()}
        return {"ETag": etag(data), "Content-Length": str(len(data)), "Last-Modified": MODIFIED, **headers}

    def _get(self, key: str, request: Request) -> FakeResponse:
        if key not in self.objects:
            return self._error(404, "NoSuchKey")
        data, description = self.objects[key], self._description(key)
        if header(request, "if-match") not in (None, description["ETag"]):
            return self._error(412, "PreconditionFailed")
        wanted = header(request, "range")
        if wanted is None:
            return self._respond(200, description, data)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        piece = data[int(first) : int(last) + 1 if last else None]
        if not piece:
            return self._error(416, "InvalidRange")
        place = f"bytes {first}-{int(first) + len(piece) - 1}/{len(data)}"
        return self._respond(206, {**description, "Content-Range": place, "Content-Length": str(len(piece))}, piece)

    def _create(self, key: str, request: Request) -> FakeResponse:
        self.created += 1
        upload_id = f"upload-{self.created}"
        self.uploads[upload_id] = StoredUpload(key, user_metadata(request))
        document = f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        return self._respond(200, {}, document.encode())

    def _part(self, query: dict[str, str], data: bytes) -> FakeResponse:
        upload = self.uploads.get(query["uploadId"])
        if upload is None:
            return self._error(404, "NoSuchUpload")
        upload.parts[int(query["partNumber"])] = data
        return self._respond(200, {"ETag": etag(data)})

    def _part_copy(self, query: dict[str, str], request: Request) -> FakeResponse:
        upload = self.uploads.get(query["uploadId"])
        source = unquote(header(request, "x-amz-copy-source") or "").split("/", 1)[1]
        if upload is None or source not in self.objects:
            return self._error(404, "NoSuchUpload" if upload is None else "NoSuchKey")
        if header(request, "x-amz-copy-source-if-match") not in (None, etag(self.objects[source])):
            return self._error(412, "PreconditionFailed")
        first, last = (header(request, "x-amz-copy-source-range") or "").removeprefix("bytes=").split("-")
        data = self.objects[source][int(first) : int(last) + 1]
        upload.parts[int(query["partNumber"])] = data
        described = f"<ETag>{etag(data)}</ETag>{self.copied_parts_have(data)}"
        return self._respond(200, {}, f"<CopyPartResult>{described}</CopyPartResult>".encode())

    def _copy(self, key: str, request: Request) -> FakeResponse:
        source = unquote(header(request, "x-amz-copy-source") or "").split("/", 1)[1]
        if source not in self.objects:
            return self._error(404, "NoSuchKey")
        if header(request, "if-match") not in (None, etag(self.objects.get(key, b""))):
            return self._error(412, "PreconditionFailed")
        self.objects[key] = self.objects[source]
        replaces = header(request, "x-amz-metadata-directive") == "REPLACE"
        self.metadata[key] = user_metadata(request) if replaces else dict(self.metadata[source])
        document = f"<CopyObjectResult><ETag>{etag(self.objects[key])}</ETag></CopyObjectResult>"
        return self._respond(200, {}, b'  \n<?xml version="1.0"?>' + document.encode())

    def _complete(self, query: dict[str, str], data: bytes, request: Request) -> FakeResponse:
        upload = self.uploads.get(query["uploadId"])
        if upload is None:
            return self._error(404, "NoSuchUpload")
        if refusal := self._refusal(upload.key, request):
            return refusal
        numbers = [int(piece.split(b"<")[0]) for piece in data.split(b"<PartNumber>")[1:]]
        assert numbers == sorted(numbers)
        assert numbers == sorted(upload.parts)
        content = b"".join(upload.parts[number] for number in numbers)
        self.objects[upload.key] = content
        self.metadata[upload.key] = upload.metadata
        if self.forgets_completed_uploads:
            del self.uploads[query["uploadId"]]
        document = f"<CompleteMultipartUploadResult><ETag>{etag(content)}</ETag></CompleteMultipartUploadResult>"
        return self._respond(200, {}, document.encode())

    def _abort(self, query: dict[str, str]) -> FakeResponse:
        if self.late_parts:
            self.late_parts -= 1
            return self._respond(204)
        if self.uploads.pop(query["uploadId"], None) is None:
            return self._error(404, "NoSuchUpload")
        return self._respond(204)

    def _list_nothing(self) -> FakeResponse:
        return self._respond(200, {}, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

    def _list_parts(self, query: dict[str, str]) -> FakeResponse:
        if query["uploadId"] not in self.uploads:
            return self._error(404, "NoSuchUpload")
        part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>1</Size></Part>"
        document = f"<ListPartsResult><IsTruncated>false</IsTruncated>{part}</ListPartsResult>"
        return self._respond(200, {}, document.encode())


def describe(request: Request) -> tuple[str, str, dict[str, str]]:
    """Give the operation, the key and the query of a request."""
    parts = urlsplit(request.url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    _, _, raw_key = parts.path[1:].partition("/")
    copies = header(request, "x-amz-copy-source") is not None
    match request.method, bool(raw_key):
        case "PUT", True:
            if "partNumber" in query:
                operation = "UploadPartCopy" if copies else "UploadPart"
            else:
                operation = "CopyObject" if copies else "PutObject"
        case "POST", True:
            operation = "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"
        case "POST", False:
            operation = "DeleteObjects"
        case "DELETE", True:
            operation = "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
        case "HEAD", is_object:
            operation = "HeadObject" if is_object else "HeadBucket"
        case "GET", True:
            operation = "ListParts" if "uploadId" in query else "GetObject"
            operation = "GetObjectTagging" if "tagging" in query else operation
        case _:
            operation = "ListMultipartUploads" if "uploads" in query else "ListObjectsV2"
    return operation, unquote(raw_key), query


def header(request: Request, name: str) -> str | None:
    """Give a header of a request."""
    return next((value for header_name, value in request.headers if header_name.lower() == name), None)


def user_metadata(request: Request) -> dict[str, str]:
    prefix = "x-amz-meta-"
    return {name.removeprefix(prefix): value for name, value in request.headers if name.startswith(prefix)}


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def client_of(
    fake: FakeS3,
    *,
    retry: RetryPolicy = NO_RETRIES,
    observer: Observer | None = None,
    sign_payload: bool | None = None,
    checksum: Algorithm | None = None,
    clock: Callable[[], float] = lambda: 1_700_000_000.0,
) -> S3Client:
    """Make a client of a fake."""
    return S3Client(
        fake,
        ENDPOINT,
        StaticCredentials("AK", "SK"),
        retry=retry,
        observer=observer,
        sign_payload=sign_payload,
        checksum=checksum,
        clock=clock,
    )


def client_on_aws(fake: FakeS3, *, checksum: Algorithm | None = None) -> S3Client:
    """Make a client of a fake that it takes for AWS."""
    # A bucket whose name is in the path, where the fake looks for keys.
    endpoint = Endpoint.for_bucket("b.c", "eu-west-1")
    return S3Client(fake, endpoint, StaticCredentials("AK", "SK"), retry=NO_RETRIES, checksum=checksum)


async def settle(turns: int = 20) -> None:
    """Let every task that can go on do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


def is_whole(budget: ByteBudget) -> bool:
    """Say whether everything that was taken from a budget was given back."""
    return budget.in_use == 0 and budget.waiting == 0

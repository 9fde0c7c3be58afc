"""The little HTTP that the sink and the relay share: heads of requests, names of S3's operations, their control.

Both answer two paths themselves, which no bucket can have: `/-/counts`, the S3 requests since the last reset as JSON,
and `/-/reset?delay_ms=N`, which begins to count anew and sets the time added to each request from now on.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ("CONTROL_PREFIX", "HEAD_END", "Control", "Request", "parse_head", "response")

CONTROL_PREFIX = "/-/"

HEAD_END = b"\r\n\r\n"

MILLISECONDS_PER_SECOND = 1000

_MULTIPART = {
    "POST": "CompleteMultipartUpload",
    "DELETE": "AbortMultipartUpload",
    "GET": "ListParts",
}

_PLAIN = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of a request; the names of headers are in lower case."""

    method: str
    bucket: str
    key: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def length(self) -> int:
        """Bytes of body that follow."""
        return int(self.headers.get("content-length", "0"))

    @property
    def object_length(self) -> int:
        """Bytes of content in the body: fewer than `length` when it comes in signed or checksummed chunks."""
        return int(self.headers.get("x-amz-decoded-content-length", self.length))

    @property
    def is_control(self) -> bool:
        return self.path.startswith(CONTROL_PREFIX)

    @property
    def operation(self) -> str:
        """S3's name for it; `METHOD ?query` for those that no gateway here is expected to send."""
        if "uploads" in self.query:
            return "CreateMultipartUpload" if self.method == "POST" else "ListMultipartUploads"
        if "partNumber" in self.query:
            return "UploadPartCopy" if "x-amz-copy-source" in self.headers else "UploadPart"
        if "uploadId" in self.query:
            return _MULTIPART.get(self.method, f"{self.method} ?uploadId")
        if self.key:
            if self.method == "PUT" and "x-amz-copy-source" in self.headers:
                return "CopyObject"
            return _PLAIN.get(self.method, self.method)
        return self._bucket_operation()

    def _bucket_operation(self) -> str:
        if self.method == "POST" and "delete" in self.query:
            return "DeleteObjects"
        if self.method == "GET" and self.query.get("list-type") == "2":
            return "ListObjectsV2"
        if self.method == "GET" and ("prefix" in self.query or not self.query):
            return "ListObjects" if self.bucket else "ListBuckets"
        if self.method == "HEAD":
            return "HeadBucket"
        return f"{self.method} ?{','.join(sorted(self.query))}"


def parse_head(head: bytes) -> Request:
    """Read a head without the empty line at its end. Raises ValueError when it is none."""
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    parts = urlsplit(target)
    bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
    headers = {}
    for text in lines:
        name, _, value = text.partition(":")
        headers[name.strip().lower()] = value.strip()
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Request(method=method, bucket=bucket, key=key, path=parts.path, query=query, headers=headers)


def response(
    status: str, headers: dict[str, str] | None = None, body: bytes = b"", *, length: int | None = None
) -> bytes:
    """Build an answer; `length` when the body is sent apart, or is that of a HEAD."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END + body


@dataclass(slots=True)
class Control:
    """What is counted, and what is added to each request."""

    counts: Counter[str] = field(default_factory=Counter)
    delay_seconds: float = 0.0

    def answer(self, request: Request) -> bytes:
        """Do what a control request says."""
        if request.path == f"{CONTROL_PREFIX}reset":
            self.counts.clear()
            self.delay_seconds = float(request.query.get("delay_ms", "0")) / MILLISECONDS_PER_SECOND
            return response("200 OK")
        if request.path == f"{CONTROL_PREFIX}counts":
            return response("200 OK", {"Content-Type": "application/json"}, json.dumps(self.counts).encode())
        return response("404 Not Found")

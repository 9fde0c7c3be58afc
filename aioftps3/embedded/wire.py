"""From a request line and headers to an S3 operation. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from aioftps3.embedded.errors import Refusal, not_implemented

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioftps3.embedded.verifier import WireRequest

MAX_KEY_BYTES = 1024
"""Longest key in UTF-8 bytes (S3's limit)."""

UNKNOWN_OPERATION = "Unknown"
"""Operation name of a request that is none of the supported ones."""

_HOST_PORT = re.compile(r":\d+\Z")
_ANYWHERE = frozenset({"x-id"})

_HANDLED_HEADERS = frozenset(
    {
        "x-amz-checksum-algorithm",
        "x-amz-checksum-crc32",
        "x-amz-checksum-mode",
        "x-amz-checksum-sha1",
        "x-amz-checksum-sha256",
        "x-amz-checksum-type",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-unmodified-since",
        "x-amz-copy-source-range",
        "x-amz-date",
        "x-amz-metadata-directive",
        "x-amz-mp-object-size",
        "x-amz-security-token",
        "x-amz-storage-class",
        "x-amz-tagging",
    }
)
_HARMLESS_HEADERS = frozenset({"x-amz-acl", "x-amz-expected-bucket-owner", "x-amz-sdk-checksum-algorithm"})
"""Taken and not acted on: there is one owner, and there are no access lists here."""


class BodySource(Protocol):
    """The body of a request as it arrives."""

    @property
    def length(self) -> int | None:
        """Content-Length, or None when the client sent none."""

    async def read(self) -> bytes:
        """The next bytes, as many as are there; empty at the end. The first call invites a client that waits with
        ``Expect: 100-continue``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request is about."""

    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request on its way through the server."""

    target: Target
    wire: WireRequest
    body: BodySource
    request_id: str
    payload: str = ""
    """The verified ``x-amz-content-sha256``; empty until the signature is verified."""

    @property
    def operation(self) -> str:
        return self.target.operation

    @property
    def key(self) -> str:
        return self.target.key

    @property
    def query(self) -> Mapping[str, str]:
        return self.target.query

    def header(self, name: str) -> str | None:
        return self.wire.header(name)


@dataclass(frozen=True, slots=True)
class _Route:
    operation: str
    method: str
    on_key: bool
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    copies: bool = False

    def fits(self, method: str, on_key: bool, names: frozenset[str], copies: bool) -> bool:
        return (
            self.method == method
            and self.on_key == on_key
            and self.copies == copies
            and self.required <= names
            and names - _ANYWHERE <= self.required | self.optional
        )


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ROUTES = (
    _Route("HeadBucket", "HEAD", False),
    _Route("GetBucketLocation", "GET", False, _names("location")),
    _Route(
        "ListObjectsV2",
        "GET",
        False,
        _names("list-type"),
        _names("prefix delimiter max-keys continuation-token start-after encoding-type fetch-owner"),
    ),
    _Route(
        "ListMultipartUploads",
        "GET",
        False,
        _names("uploads"),
        _names("prefix key-marker upload-id-marker max-uploads encoding-type"),
    ),
    _Route("DeleteObjects", "POST", False, _names("delete")),
    _Route("HeadObject", "HEAD", True),
    _Route("GetObject", "GET", True),
    _Route("GetObjectTagging", "GET", True, _names("tagging")),
    _Route("PutObject", "PUT", True),
    _Route("CopyObject", "PUT", True, copies=True),
    _Route("DeleteObject", "DELETE", True),
    _Route("CreateMultipartUpload", "POST", True, _names("uploads")),
    _Route("UploadPart", "PUT", True, _names("partNumber uploadId")),
    _Route("UploadPartCopy", "PUT", True, _names("partNumber uploadId"), copies=True),
    _Route("ListParts", "GET", True, _names("uploadId"), _names("part-number-marker max-parts encoding-type")),
    _Route("CompleteMultipartUpload", "POST", True, _names("uploadId")),
    _Route("AbortMultipartUpload", "DELETE", True, _names("uploadId")),
)


def parse_target(wire: WireRequest, bucket: str) -> Target:
    """Find out what the request is about; ``bucket`` is the name that a virtual host may begin with.

    Raises:
        Refusal: InvalidURI when the path or the query is not percent-encoded UTF-8.
    """
    path = decoded(wire.path)
    query: dict[str, str] = {}
    for item in wire.query.split("&"):
        name, _, value = item.partition("=")
        if name:
            query.setdefault(decoded(name), decoded(value))
    if is_virtual_host(wire.header("host") or "", bucket):
        named, key = bucket, path.removeprefix("/")
    else:
        named, _, key = path.removeprefix("/").partition("/")
    names = frozenset(query)
    copies = wire.header("x-amz-copy-source") is not None
    operation = UNKNOWN_OPERATION
    if named:
        fitting = (route for route in _ROUTES if route.fits(wire.method, bool(key), names, copies))
        operation = next((route.operation for route in fitting), UNKNOWN_OPERATION)
    return Target(operation=operation, bucket=named, key=key, query=query)


def check_supported(call: Call) -> None:
    """Refuse what the server would otherwise silently do wrong.

    Raises:
        Refusal: NotImplemented for an unknown operation or ``x-amz-`` header, KeyTooLongError.
    """
    if call.operation == UNKNOWN_OPERATION:
        raise not_implemented(f"{call.wire.method} with {', '.join(sorted(call.query)) or 'no query'}")
    for name, _ in call.wire.headers:
        if not name.startswith("x-amz-") or name.startswith("x-amz-meta-"):
            continue
        if name not in _HANDLED_HEADERS and name not in _HARMLESS_HEADERS:
            raise not_implemented(name)
    check_key(call.key)


def check_key(key: str) -> None:
    """Raises KeyTooLongError for a key of more than 1024 bytes."""
    if (size := len(key.encode())) > MAX_KEY_BYTES:
        raise Refusal(
            "KeyTooLongError",
            400,
            "Your key is too long",
            details={"Size": str(size), "MaxSizeAllowed": str(MAX_KEY_BYTES)},
        )


def decoded(text: str) -> str:
    """Percent-decoded UTF-8. Raises InvalidURI."""
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Refusal("InvalidURI", 400, "Couldn't parse the specified URI.") from None


def is_virtual_host(host: str, bucket: str) -> bool:
    """Whether the Host header names the bucket (``bucket.anything``); an IP address never does."""
    name = _HOST_PORT.sub("", host)
    if not name.lower().startswith(f"{bucket}."):
        return False
    try:
        ip_address(name)
    except ValueError:
        return True
    return False

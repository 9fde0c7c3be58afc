"""The values that go into S3 calls and come out of them. Immutable, no I/O."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from aioftps3.s3 import checksums, uri
from aioftps3.s3.checksums import Algorithm, Checksum

SLICE_BYTES = 256 * 1024
"""A body at hand is given to the connection in slices of this size: larger ones are encrypted in one go, smaller ones
cost turns of the loop."""

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

WRITE_ID_METADATA = "aioftps3-write"
"""User metadata (`x-amz-meta-aioftps3-write`) with a random token, by which the outcome of a write is proven."""

SOURCE_METADATA = "aioftps3-source"
"""User metadata (`x-amz-meta-aioftps3-source`) of a copy in parts: its source's ETag, without the quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a bucket is, and how its URLs are formed."""

    scheme: str
    """"https" or "http"."""
    host: str
    """Host of the service, with `:port` unless it is the scheme's default; without the bucket."""
    bucket: str
    region: str
    path_style: bool
    """True: `https://host/bucket/key`; False: `https://bucket.host/key`."""

    @classmethod
    def for_bucket(
        cls, bucket: str, region: str, host: str | None = None, path_style: bool | None = None
    ) -> "Endpoint":
        """Make the endpoint of a bucket.

        `host` is `host[:port]` (https), or a URL with http:// or https://; AWS's own for the region when None.
        `path_style` None picks virtual-host addressing on AWS, path style elsewhere and for bucket names that cannot
        be part of a host name (with dots on https).

        Raises:
            RequestInvalid: one of them cannot be right.
        """
        uri.check_bucket(bucket)
        uri.check_region(region)
        scheme, name = uri.parse_endpoint(host if host is not None else uri.aws_host(region))
        on_aws = uri.is_aws_host(name)
        if on_aws and name.startswith(f"{bucket}.s3"):
            name = name.removeprefix(f"{bucket}.")
        possible = uri.can_be_virtual_host(bucket, scheme)
        if path_style is None:
            path_style = not (on_aws and possible)
        elif not path_style and not possible:
            path_style = True
        return cls(scheme=scheme, host=name, bucket=bucket, region=region, path_style=path_style)

    @property
    def on_aws(self) -> bool:
        """Whether this is AWS itself."""
        return uri.is_aws_host(self.host.partition(":")[0])

    @property
    def wants_equal_parts(self) -> bool:
        """Whether it is known to refuse multipart uploads whose parts, but the last one, differ in size."""
        return uri.is_r2_host(self.host.partition(":")[0])

    @property
    def authority(self) -> str:
        """The Host header, exactly as it is signed and sent."""
        return self.host if self.path_style else f"{self.bucket}.{self.host}"

    def path(self, key: str | None = None) -> str:
        """Give the encoded path of an object, or of the bucket itself.

        Raises:
            RequestInvalid: the key is empty or has a surrogate that stands for no byte.
        """
        prefix = f"/{uri.percent_encode(self.bucket)}" if self.path_style else ""
        if key is None:
            return prefix or "/"
        return f"{prefix}/{uri.encode_key(key)}"

    def in_region(self, region: str) -> "Endpoint":
        """Give the same bucket's endpoint after S3 has named another region."""
        host = self.host
        if host == uri.aws_host(self.region):
            host = uri.aws_host(region)
        return replace(self, region=region, host=host)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What S3 says of one object."""

    key: str
    size: int
    """Bytes of the whole object, also when only a range was asked for."""
    etag: str
    """As S3 sends it, quotes included. Opaque: not always an MD5."""
    last_modified: float
    """Seconds since the epoch; S3 gives whole seconds."""
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata, names in lower case without `x-amz-meta-`."""
    checksum: Checksum | None = None
    storage_class: str | None = None
    """None where S3 does not say, which means STANDARD."""
    content_headers: Mapping[str, str] = field(default_factory=dict)
    """Cache-Control, Content-Disposition, Content-Encoding, Content-Language and Expires as they were stored; names in
    lower case."""
    tag_count: int = 0
    """Number of tags, where S3 says it."""
    encryption: str | None = None
    """How S3 says that it is encrypted: "AES256", "aws:kms", ..., "customer" with a key of the client's; None: S3 does
    not say."""
    settled: bool = True
    """False: it is so new, by S3's own clock, that another version could still get the same `last_modified`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """One object of a listing."""

    key: str
    size: int
    etag: str
    last_modified: float
    storage_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of ListObjectsV2."""

    objects: tuple[ListedObject, ...] = ()
    prefixes: tuple[str, ...] = ()
    next_token: str | None = None
    """Continues the listing; None on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedPart:
    """One uploaded part, as Complete needs it."""

    number: int
    etag: str
    size: int
    checksum: Checksum | None = None
    """What it was sent with or S3 has computed of it, where S3 keeps that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPart:
    """One part that S3 holds of an unfinished upload."""

    number: int
    etag: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsPage:
    """One page of ListParts."""

    parts: tuple[ListedPart, ...] = ()
    next_marker: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedUpload:
    """One unfinished multipart upload."""

    key: str
    upload_id: str
    initiated: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadsPage:
    """One page of ListMultipartUploads."""

    uploads: tuple[ListedUpload, ...] = ()
    next_key_marker: str | None = None
    next_upload_id_marker: str | None = None

    @property
    def is_last(self) -> bool:
        """True when nothing follows this page."""
        return self.next_key_marker is None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResult:
    """What is known of an object that was just written."""

    etag: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """One attempt of one request, told to the observer when its outcome is known, and whether it is repeated."""

    operation: str
    """S3's name of it: PutObject, ListObjectsV2, ..."""
    key: str | None
    attempt: int
    """1 for the first."""
    status: int | None
    """HTTP status; None when no answer came."""
    error: str | None
    """Name of the error's class; None when it went well."""
    code: str | None
    """S3's error code."""
    request_id: str | None
    seconds: float
    """From the start of the attempt to the answer's end; to its headers for GetObject."""
    bytes_sent: int
    """Length of the request's body."""
    retry_in: float | None = None
    """Seconds until the next attempt of the same request; None: there is none."""


Observer = Callable[[RequestEvent], None]
"""Told of every attempt; it is called in the event loop, must be quick and must not raise."""


class Body(Protocol):
    """A request's body, held in memory, so that it can be sent again."""

    @property
    def length(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """SHA-256 in lower-case hex; asked for only when the payload is signed."""

    def checksum(self, algorithm: Algorithm) -> bytes:
        """Checksum of the whole content; asked for only with the algorithm of the client that sends it."""

    def chunks(self) -> Iterator[memoryview]:
        """Give the content from its start, in slices of at most about a MiB; may be called again."""


class BytesBody:
    """A body of bytes that are at hand."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).cast("B")

    @property
    def length(self) -> int:
        """Bytes."""
        return len(self._data)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 in lower-case hex, computed when it is first asked for."""
        return hashlib.sha256(self._data).hexdigest()

    def checksum(self, algorithm: Algorithm) -> bytes:
        """Checksum of the whole content, computed now."""
        digest = checksums.new_digest(algorithm)
        digest.update(self._data)
        return digest.digest()

    def chunks(self) -> Iterator[memoryview]:
        """Give the content in slices."""
        return slices(self._data)


def slices(data: memoryview) -> Iterator[memoryview]:
    """Cut a view into slices of `SLICE_BYTES`."""
    for start in range(0, len(data), SLICE_BYTES):
        yield data[start : start + SLICE_BYTES]

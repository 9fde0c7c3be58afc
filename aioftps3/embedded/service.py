"""What every handler is given, and what several of them need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aioftps3.embedded.answers import Answer, http_time
from aioftps3.embedded.errors import Refusal, invalid_argument, malformed_xml
from aioftps3.embedded.xmlin import XmlFault, parse_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from xml.etree.ElementTree import Element

    from aioftps3.embedded.state import Bucket, Checksum, Store, StoredObject
    from aioftps3.embedded.wire import Call

DEFAULT_CONTENT_TYPE = "binary/octet-stream"
"""What S3 calls an object that came without a Content-Type."""

MAX_METADATA = 2048
"""Bytes of all user metadata of an object, names and values together (S3's limit)."""

_KEPT_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-storage-class",
    "x-amz-tagging",
)
_META = "x-amz-meta-"

STORAGE_CLASS = "x-amz-storage-class"
DEFAULT_STORAGE_CLASS = "STANDARD"
"""The class that headers of objects leave out and listings name."""

_STORAGE_CLASSES = frozenset(
    {
        DEFAULT_STORAGE_CLASS,
        "DEEP_ARCHIVE",
        "GLACIER",
        "GLACIER_IR",
        "INTELLIGENT_TIERING",
        "ONEZONE_IA",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
    }
)

_MAX_TAGS = 10
"""Tags of one object (S3's limit)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes at which S3 says no; tests make them smaller."""

    min_part: int = 5 * 1024**2
    """Every part but the last of a completed upload has at least this size."""
    max_put: int = 5 * 1024**3
    """One PutObject, one part, one CopyObject or one part copy has at most this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The bucket and everything around it."""

    bucket: str
    region: str
    contents: Bucket
    limits: Limits
    clock: Callable[[], float]

    @property
    def store(self) -> Store:
        return self.contents.store

    def now(self) -> float:
        """The time in whole seconds, which is all that S3 keeps of it."""
        return float(math.floor(self.clock()))


def object_headers(call: Call) -> dict[str, str]:
    """The headers that are stored with an object.

    Raises:
        Refusal: MetadataTooLarge; InvalidStorageClass; InvalidArgument for a value that is not UTF-8, and bad tags
    """
    kept = {"content-type": DEFAULT_CONTENT_TYPE}
    size = 0
    for name, value in call.wire.headers:
        if name in _KEPT_HEADERS:
            kept[name] = value
        elif name.startswith(_META):
            kept[name] = f"{kept[name]},{value}" if name in kept else value
            size += len(name) - len(_META) + len(value.encode("utf-8", "surrogateescape"))
        else:
            continue
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise invalid_argument("Header value is not UTF-8.", name, "")
    if size > MAX_METADATA:
        raise Refusal(
            "MetadataTooLarge",
            400,
            "Your metadata headers exceed the maximum allowed metadata size",
            details={"Size": str(size), "MaxSizeAllowed": str(MAX_METADATA)},
        )
    if kept.get(STORAGE_CLASS, DEFAULT_STORAGE_CLASS) not in _STORAGE_CLASSES:
        raise Refusal("InvalidStorageClass", 400, "The storage class you specified is not valid")
    if kept.get(STORAGE_CLASS) == DEFAULT_STORAGE_CLASS:
        del kept[STORAGE_CLASS]
    if len(tags_of(kept)) > _MAX_TAGS:
        raise invalid_argument("Object tags cannot be greater than 10", "x-amz-tagging", kept["x-amz-tagging"])
    return kept


def tags_of(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The tags among the headers that are kept with an object."""
    return parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)


def described(stored: StoredObject, *, checksum: bool) -> dict[str, str]:
    """The headers that describe an object."""
    tags = tags_of(stored.headers)
    headers = {
        **{name.title(): value for name, value in stored.headers.items() if not name.startswith("x-amz-")},
        **{name: value for name, value in stored.headers.items() if name.startswith((_META, STORAGE_CLASS))},
        **({"x-amz-tagging-count": str(len(tags))} if tags else {}),
        "Accept-Ranges": "bytes",
        "ETag": stored.quoted_etag,
        "Last-Modified": http_time(stored.modified),
    }
    if checksum:
        headers |= checksum_headers(stored.checksum)
    return headers


def checksum_headers(checksum: Checksum | None) -> dict[str, str]:
    """How an additional checksum is told to the client."""
    if checksum is None:
        return {}
    return {f"x-amz-checksum-{checksum.algorithm}": checksum.value, "x-amz-checksum-type": checksum.kind}


def no_content() -> Answer:
    return Answer(status=204)


def parse_document(body: bytes, root: str) -> Element:
    """The document in a request. Raises MalformedXML."""
    try:
        document = parse_xml(body)
    except XmlFault:
        raise malformed_xml() from None
    if document.tag != root:
        raise malformed_xml()
    return document


def number_argument(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number from the query. Raises InvalidArgument."""
    text = query.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit()):
        raise invalid_argument(f"Provided {name} not an integer or within integer range", name, text)
    return int(text)


def encoding_argument(query: Mapping[str, str]) -> str | None:
    """The encoding-type of a listing. Raises InvalidArgument."""
    encoding = query.get("encoding-type")
    if encoding not in (None, "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", encoding)
    return encoding

"""ListObjectsV2 and ListMultipartUploads."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aioftps3.embedded.answers import Answer, Node, iso_time, listed_name, xml_answer
from aioftps3.embedded.errors import Refusal, invalid_argument
from aioftps3.embedded.intake import receive_document
from aioftps3.embedded.service import (
    DEFAULT_STORAGE_CLASS,
    STORAGE_CLASS,
    Service,
    encoding_argument,
    number_argument,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioftps3.embedded.wire import Call

MAX_PAGE = 1000
"""Most entries that one page of any listing has."""


@dataclass(slots=True)
class Page:
    """One page of a listing of keys."""

    keys: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: tuple[bool, str] | None = None
    """The last entry (whether it is a prefix, and its name) when there is more after it."""


def select_page(keys: Sequence[str], *, start: int, prefix: str, delimiter: str, limit: int) -> Page:
    """Up to ``limit`` keys and common prefixes from ``keys[start:]``; jumps over what a common prefix hides. Pure."""
    page = Page()
    last = None
    position = max(start, bisect_left(keys, prefix))
    while position < len(keys) and keys[position].startswith(prefix):
        key = keys[position]
        if len(page.keys) + len(page.prefixes) == limit:
            page.last = last
            break
        cut_at = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut_at < 0:
            page.keys.append(key)
            last = (False, key)
            position += 1
            continue
        common = key[: cut_at + len(delimiter)]
        page.prefixes.append(common)
        last = (True, common)
        position = after_prefix(keys, common, position)
    return page


def after_prefix(keys: Sequence[str], prefix: str, low: int = 0) -> int:
    """The index of the first key after all those that begin with ``prefix``. Pure."""
    return bisect_right(keys, prefix, low, key=lambda key: key[: len(prefix)])


async def list_objects_v2(service: Service, call: Call) -> Answer:
    await receive_document(call)
    query = call.query
    if query["list-type"] != "2":
        raise invalid_argument("Invalid List Type specified in Request", "list-type", query["list-type"])
    encoding = encoding_argument(query)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = min(number_argument(query, "max-keys", MAX_PAGE), MAX_PAGE)
    token, start_after = query.get("continuation-token"), query.get("start-after")
    keys = service.contents.keys
    if token is not None:
        is_prefix, name = _decode_token(token)
        start = after_prefix(keys, name) if is_prefix else bisect_right(keys, name)
    else:
        start = bisect_right(keys, start_after) if start_after else 0
    page = select_page(keys, start=start, prefix=prefix, delimiter=delimiter, limit=limit)
    nodes: list[Node] = [("Name", service.bucket), ("Prefix", listed_name(prefix, encoding))]
    if delimiter:
        nodes.append(("Delimiter", listed_name(delimiter, encoding)))
    if encoding:
        nodes.append(("EncodingType", encoding))
    if token is not None:
        nodes.append(("ContinuationToken", token))
    elif start_after:
        nodes.append(("StartAfter", listed_name(start_after, encoding)))
    nodes += [("MaxKeys", limit), ("KeyCount", len(page.keys) + len(page.prefixes))]
    nodes.append(("IsTruncated", "false" if page.last is None else "true"))
    if page.last is not None:
        nodes.append(("NextContinuationToken", _encode_token(*page.last)))
    nodes += [_contents(service, key, encoding) for key in page.keys]
    nodes += [("CommonPrefixes", [("Prefix", listed_name(name, encoding))]) for name in page.prefixes]
    return xml_answer("ListBucketResult", nodes)


def _contents(service: Service, key: str, encoding: str | None) -> Node:
    stored = service.contents.objects[key]
    return (
        "Contents",
        [
            ("Key", listed_name(key, encoding)),
            ("LastModified", iso_time(stored.modified)),
            ("ETag", stored.quoted_etag),
            ("Size", stored.size),
            ("StorageClass", stored.headers.get(STORAGE_CLASS, DEFAULT_STORAGE_CLASS)),
        ],
    )


def _encode_token(is_prefix: bool, name: str) -> str:
    return base64.urlsafe_b64encode(f"{'p' if is_prefix else 'k'}{name}".encode()).decode()


def _decode_token(token: str) -> tuple[bool, str]:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if text[:1] not in ("p", "k"):
        raise invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
    return text[0] == "p", text[1:]


async def list_multipart_uploads(service: Service, call: Call) -> Answer:
    await receive_document(call)
    query = call.query
    encoding = encoding_argument(query)
    prefix, key_marker, id_marker = (query.get(name, "") for name in ("prefix", "key-marker", "upload-id-marker"))
    limit = min(number_argument(query, "max-uploads", MAX_PAGE), MAX_PAGE)
    if limit == 0:
        raise Refusal("InvalidArgument", 400, "max-uploads must be at least 1.")
    # Upload ids begin with the time, so this is S3's order: by key, then by the time of the beginning.
    uploads = sorted(service.contents.uploads.values(), key=lambda upload: (upload.key, upload.upload_id))
    if key_marker:
        uploads = [
            upload
            for upload in uploads
            if upload.key > key_marker or (id_marker and upload.key == key_marker and upload.upload_id > id_marker)
        ]
    uploads = [upload for upload in uploads if upload.key.startswith(prefix)]
    shown, truncated = uploads[:limit], len(uploads) > limit
    nodes: list[Node] = [
        ("Bucket", service.bucket),
        ("KeyMarker", listed_name(key_marker, encoding)),
        ("UploadIdMarker", id_marker),
        ("Prefix", listed_name(prefix, encoding)),
        ("MaxUploads", limit),
        ("IsTruncated", "true" if truncated else "false"),
    ]
    if encoding:
        nodes.append(("EncodingType", encoding))
    if truncated:
        nodes.append(("NextKeyMarker", listed_name(shown[-1].key, encoding)))
        nodes.append(("NextUploadIdMarker", shown[-1].upload_id))
    nodes += [
        (
            "Upload",
            [
                ("Key", listed_name(upload.key, encoding)),
                ("UploadId", upload.upload_id),
                ("StorageClass", "STANDARD"),
                ("Initiated", iso_time(upload.initiated)),
            ],
        )
        for upload in shown
    ]
    return xml_answer("ListMultipartUploadsResult", nodes)

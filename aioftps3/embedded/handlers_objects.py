"""Buckets and single objects: HeadBucket GetBucketLocation Put- Copy- Get- Head- DeleteObject(s) GetObjectTagging."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from aioftps3.embedded.answers import Answer, Node, iso_time, xml_answer
from aioftps3.embedded.conditions import check_write, etag_matches, is_unmodified, parse_range
from aioftps3.embedded.digests import encode_digest, new_hash
from aioftps3.embedded.errors import (
    Refusal,
    invalid_argument,
    invalid_request,
    malformed_xml,
    no_such_bucket,
    no_such_key,
    not_implemented,
    precondition_failed,
)
from aioftps3.embedded.intake import is_checksum, receive_blob, receive_document
from aioftps3.embedded.service import (
    STORAGE_CLASS,
    Service,
    checksum_headers,
    described,
    no_content,
    object_headers,
    parse_document,
    tags_of,
)
from aioftps3.embedded.state import Checksum, StoredObject, cut
from aioftps3.embedded.wire import check_key, decoded

if TYPE_CHECKING:
    from aioftps3.embedded.answers import BodyStream
    from aioftps3.embedded.state import Blob
    from aioftps3.embedded.wire import Call

MAX_DELETED_AT_ONCE = 1000
"""Keys in one DeleteObjects (S3's limit)."""

_CLASSIC_REGION = "us-east-1"
"""The region whose LocationConstraint S3 leaves empty."""


async def head_bucket(service: Service, call: Call) -> Answer:
    await receive_document(call)
    return Answer(status=200, headers={"x-amz-bucket-region": service.region})


async def get_bucket_location(service: Service, call: Call) -> Answer:
    await receive_document(call)
    return xml_answer("LocationConstraint", "" if service.region == _CLASSIC_REGION else service.region)


async def put_object(service: Service, call: Call) -> Answer:
    headers = object_headers(call)
    received = await receive_blob(call, service.store, limit=service.limits.max_put)
    stored = StoredObject(
        key=call.key,
        blob=received.blob,
        etag=received.etag,
        modified=service.now(),
        headers=headers,
        checksum=received.checksum,
    )
    try:
        check_write(call.header, service.contents.objects.get(call.key), key=call.key)
        service.contents.put(stored)
    except BaseException:
        service.store.discard(received.blob)
        raise
    return Answer(status=200, headers={"ETag": stored.quoted_etag, **checksum_headers(stored.checksum)})


async def get_object(service: Service, call: Call) -> Answer:
    answer, blob = await _select(service, call)
    answer.length = blob.size
    if answer.status != 304:
        answer.body = service.store.reader(blob)
    return answer


async def head_object(service: Service, call: Call) -> Answer:
    answer, blob = await _select(service, call)
    answer.length = blob.size
    return answer


async def _select(service: Service, call: Call) -> tuple[Answer, Blob]:
    """Status, headers and content of a GET or HEAD."""
    await receive_document(call)
    stored = find(service, call.key)
    wants_checksum = (call.header("x-amz-checksum-mode") or "").upper() == "ENABLED"
    if is_unmodified(call.header, stored):
        return Answer(status=304, headers=described(stored, checksum=False)), stored.blob
    selected = parse_range(call.header("range"), stored.size)
    if selected is None:
        return Answer(status=200, headers=described(stored, checksum=wants_checksum)), stored.blob
    first, length = selected
    headers = described(stored, checksum=wants_checksum and length == stored.size)
    headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{stored.size}"
    return Answer(status=206, headers=headers), cut(stored.blob, first, length)


async def get_object_tagging(service: Service, call: Call) -> Answer:
    await receive_document(call)
    tags = tags_of(find(service, call.key).headers)
    return xml_answer("Tagging", [("TagSet", [("Tag", [("Key", name), ("Value", value)]) for name, value in tags])])


async def delete_object(service: Service, call: Call) -> Answer:
    await receive_document(call)
    check_write(call.header, service.contents.objects.get(call.key), key=call.key, if_none_match=False)
    service.contents.delete(call.key)
    return no_content()


async def delete_objects(service: Service, call: Call) -> Answer:
    if call.header("content-md5") is None and not any(is_checksum(name) for name, _ in call.wire.headers):
        raise invalid_request("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    document = parse_document(await receive_document(call), "Delete")
    entries = document.findall("Object")
    if not 0 < len(entries) <= MAX_DELETED_AT_ONCE:
        raise malformed_xml()
    quiet = (document.findtext("Quiet") or "").strip().lower() == "true"
    results: list[Node] = []
    for entry in entries:
        key = entry.findtext("Key")
        if key is None:
            raise malformed_xml()
        try:
            if entry.find("VersionId") is not None:
                raise not_implemented("VersionId")
            check_key(key)
            _delete_if(service, key, entry.findtext("ETag"))
        except Refusal as refusal:
            results.append(("Error", [("Key", key), ("Code", refusal.code), ("Message", refusal.message)]))
        else:
            if not quiet:
                results.append(("Deleted", [("Key", key)]))
    return xml_answer("DeleteResult", results)


def _delete_if(service: Service, key: str, etag: str | None) -> None:
    if etag is not None:
        stored = service.contents.objects.get(key)
        if stored is None:
            raise no_such_key(key)
        if not etag_matches(etag, stored.etag):
            raise precondition_failed("If-Match")
    service.contents.delete(key)


async def copy_object(service: Service, call: Call) -> Answer:
    await receive_document(call)
    source = find_source(service, call)
    directive = (call.header("x-amz-metadata-directive") or "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument("Unknown metadata directive.", "x-amz-metadata-directive", directive)
    if directive == "COPY" and source.key == call.key:
        raise invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )
    if source.size > service.limits.max_put:
        raise invalid_request(
            "The specified copy source is larger than the maximum allowable size for a copy source: "
            f"{service.limits.max_put}"
        )
    check_write(call.header, service.contents.objects.get(call.key), key=call.key)
    headers = object_headers(call)
    if directive == "COPY":
        # Everything but the storage class, which is the default unless the request names one.
        named = {STORAGE_CLASS: headers[STORAGE_CLASS]} if STORAGE_CLASS in headers else {}
        headers = {name: value for name, value in source.headers.items() if name != STORAGE_CLASS} | named
    elif "x-amz-tagging" in source.headers:
        headers["x-amz-tagging"] = source.headers["x-amz-tagging"]
    # The reader is open until the copy is in place: it keeps the bytes if the source is deleted meanwhile.
    async with aclosing(service.store.reader(source.blob)) as reader:
        etag, checksum = source.etag, source.checksum
        if "-" in etag or (checksum is not None and checksum.kind != "FULL_OBJECT"):
            etag, checksum = await digest_copy(reader, checksum)
            # The conditions are about the moment of the change, which is after the awaits.
            check_write(call.header, service.contents.objects.get(call.key), key=call.key)
        stored = StoredObject(
            key=call.key, blob=source.blob, etag=etag, modified=service.now(), headers=headers, checksum=checksum
        )
        service.contents.put(stored)
    return xml_answer("CopyObjectResult", copy_result(stored.quoted_etag, stored.modified, checksum))


def copy_result(quoted_etag: str, modified: float, checksum: Checksum | None) -> list[Node]:
    """The inside of CopyObjectResult and CopyPartResult."""
    nodes: list[Node] = [("LastModified", iso_time(modified)), ("ETag", quoted_etag)]
    if checksum is not None:
        nodes += [(f"Checksum{checksum.algorithm.upper()}", checksum.value), ("ChecksumType", checksum.kind)]
    return nodes


def find(service: Service, key: str) -> StoredObject:
    """The object of this key. Raises NoSuchKey."""
    stored = service.contents.objects.get(key)
    if stored is None:
        raise no_such_key(key)
    return stored


def find_source(service: Service, call: Call) -> StoredObject:
    """The source of a copy, its conditions checked.

    Raises:
        Refusal: InvalidArgument, NoSuchBucket, NoSuchKey, PreconditionFailed; NotImplemented for a version
    """
    text = call.header("x-amz-copy-source") or ""
    path, question_mark, _ = text.partition("?")
    if question_mark:
        raise not_implemented("x-amz-copy-source with a version")
    bucket, slash, key = decoded(path).removeprefix("/").partition("/")
    if not slash or not key:
        raise invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "x-amz-copy-source", text
        )
    if bucket != service.bucket:
        raise no_such_bucket(bucket)
    source = find(service, key)
    if is_unmodified(call.header, source, prefix="x-amz-copy-source-"):
        raise precondition_failed("x-amz-copy-source-If-None-Match")
    return source


async def digest_copy(reader: BodyStream, checksum: Checksum | None) -> tuple[str, Checksum | None]:
    """ETag of content that becomes a plain object or a part, and its checksum if there was one; reads it through."""
    md5 = hashlib.md5(usedforsecurity=False)
    extra = new_hash(checksum.algorithm) if checksum is not None else None
    async for chunk in reader:
        md5.update(chunk)
        if extra is not None:
            extra.update(chunk)
    if checksum is None or extra is None:
        return md5.hexdigest(), None
    return md5.hexdigest(), Checksum(algorithm=checksum.algorithm, value=encode_digest(extra.digest()))


def hex_md5(data: bytes) -> str:
    """The ETag of a plain object."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

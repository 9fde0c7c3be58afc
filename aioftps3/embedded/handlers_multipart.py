"""Multipart uploads: create, upload a part, copy a part, list parts, complete, abort."""

from __future__ import annotations

import re
import secrets
import time
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING

from aioftps3.embedded.answers import Answer, Node, iso_time, listed_name, xml_answer
from aioftps3.embedded.conditions import check_write
from aioftps3.embedded.digests import (
    ALGORITHMS,
    composite_checksum,
    encode_digest,
    full_object_crc32,
    multipart_etag,
)
from aioftps3.embedded.errors import (
    Refusal,
    bad_digest,
    entity_too_large,
    invalid_argument,
    invalid_request,
    malformed_xml,
    no_such_upload,
    not_implemented,
)
from aioftps3.embedded.handlers_listing import MAX_PAGE
from aioftps3.embedded.handlers_objects import copy_result, digest_copy, find_source
from aioftps3.embedded.intake import receive_blob, receive_document, sent_checksum
from aioftps3.embedded.service import (
    Service,
    checksum_headers,
    encoding_argument,
    no_content,
    number_argument,
    object_headers,
    parse_document,
)
from aioftps3.embedded.state import Checksum, Part, StoredObject, Upload, cut, join

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from aioftps3.embedded.wire import Call

MAX_PART_NUMBER = 10_000
"""Highest part number (S3's limit)."""

_COPY_RANGE = re.compile(r"bytes=(\d+)-(\d+)\Z")
_RANDOM_BYTES = 8


async def create_multipart_upload(service: Service, call: Call) -> Answer:
    await receive_document(call)
    algorithm, kind = call.header("x-amz-checksum-algorithm"), call.header("x-amz-checksum-type")
    if algorithm is not None:
        algorithm = algorithm.lower()
        if algorithm not in ALGORITHMS:
            raise not_implemented("x-amz-checksum-algorithm")
        kind = kind or "COMPOSITE"
        if kind not in ("COMPOSITE", "FULL_OBJECT"):
            raise invalid_request("Value for x-amz-checksum-type header is invalid.")
        if kind == "FULL_OBJECT" and algorithm != "crc32":
            raise invalid_request(f"The FULL_OBJECT checksum type cannot be used with the {algorithm} algorithm.")
    elif kind is not None:
        raise invalid_request("The x-amz-checksum-type header can only be used with x-amz-checksum-algorithm.")
    upload = Upload(
        key=call.key,
        # The time in front makes ids of one key sort by their beginning, as ListMultipartUploads has it.
        upload_id=f"{time.time_ns():016x}{secrets.token_hex(_RANDOM_BYTES)}",
        initiated=service.now(),
        headers=object_headers(call),
        checksum_algorithm=algorithm,
        checksum_kind=kind,
    )
    service.contents.begin_upload(upload)
    nodes: list[Node] = [("Bucket", service.bucket), ("Key", upload.key), ("UploadId", upload.upload_id)]
    answer = xml_answer("InitiateMultipartUploadResult", nodes)
    if algorithm is not None and kind is not None:
        answer.headers |= {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": kind}
    return answer


async def upload_part(service: Service, call: Call) -> Answer:
    number = _part_number(call)
    upload = _find_upload(service, call)
    if (sent := sent_checksum(call)) is not None and upload.checksum_algorithm not in (None, sent[0]):
        raise invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.checksum_algorithm}, "
            f"actual checksum Type: {sent[0]}"
        )
    received = await receive_blob(
        call, service.store, limit=service.limits.max_put, algorithm=upload.checksum_algorithm
    )
    part = Part(
        number=number,
        blob=received.blob,
        etag=received.etag,
        modified=service.now(),
        checksum=received.checksum,
    )
    try:
        _find_upload(service, call)
        service.contents.put_part(upload, part)
    except BaseException:
        service.store.discard(received.blob)
        raise
    headers = {"ETag": f'"{part.etag}"', **checksum_headers(part.checksum)}
    headers.pop("x-amz-checksum-type", None)
    return Answer(status=200, headers=headers)


async def upload_part_copy(service: Service, call: Call) -> Answer:
    await receive_document(call)
    number = _part_number(call)
    upload = _find_upload(service, call)
    source = find_source(service, call)
    first, length = _copy_range(call, source.size)
    if length > service.limits.max_put:
        raise entity_too_large(length, service.limits.max_put)
    blob = cut(source.blob, first, length)
    wanted = Checksum(algorithm=upload.checksum_algorithm, value="") if upload.checksum_algorithm else None
    # The reader is open until the part is in place: it keeps the bytes if the source is deleted meanwhile.
    async with aclosing(service.store.reader(blob)) as reader:
        etag, checksum = await digest_copy(reader, wanted)
        _find_upload(service, call)
        part = Part(number=number, blob=blob, etag=etag, modified=service.now(), checksum=checksum)
        service.contents.put_part(upload, part)
    return xml_answer("CopyPartResult", copy_result(f'"{etag}"', part.modified, checksum))


async def list_parts(service: Service, call: Call) -> Answer:
    await receive_document(call)
    upload = _find_upload(service, call)
    encoding = encoding_argument(call.query)
    marker = number_argument(call.query, "part-number-marker", 0)
    limit = min(number_argument(call.query, "max-parts", MAX_PAGE), MAX_PAGE)
    numbers = sorted(number for number in upload.parts if number > marker)
    shown = numbers[:limit]
    nodes: list[Node] = [
        ("Bucket", service.bucket),
        ("Key", listed_name(upload.key, encoding)),
        ("UploadId", upload.upload_id),
        ("StorageClass", "STANDARD"),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", shown[-1] if shown else 0),
        ("MaxParts", limit),
        ("IsTruncated", "true" if len(numbers) > len(shown) else "false"),
    ]
    if upload.checksum_algorithm is not None and upload.checksum_kind is not None:
        nodes.append(("ChecksumAlgorithm", upload.checksum_algorithm.upper()))
        nodes.append(("ChecksumType", upload.checksum_kind))
    nodes += [("Part", _listed_part(upload.parts[number])) for number in shown]
    return xml_answer("ListPartsResult", nodes)


def _listed_part(part: Part) -> list[Node]:
    nodes: list[Node] = [
        ("PartNumber", part.number),
        ("LastModified", iso_time(part.modified)),
        ("ETag", f'"{part.etag}"'),
        ("Size", part.blob.size),
    ]
    if part.checksum is not None:
        nodes.append((f"Checksum{part.checksum.algorithm.upper()}", part.checksum.value))
    return nodes


async def complete_multipart_upload(service: Service, call: Call) -> Answer:
    document = parse_document(await receive_document(call, of_body=False), "CompleteMultipartUpload")
    upload_id = call.query["uploadId"]
    if (before := service.contents.completed(call.key, upload_id)) is not None:
        return _completed(service, call, before)
    upload = _find_upload(service, call)
    parts = _chosen_parts(service, upload, document)
    checksum = _whole_checksum(call, upload, parts)
    stored = StoredObject(
        key=upload.key,
        blob=join(part.blob for part in parts),
        etag=multipart_etag([part.etag for part in parts]),
        modified=service.now(),
        headers=upload.headers,
        checksum=checksum,
    )
    size = call.header("x-amz-mp-object-size")
    if size is not None and size != str(stored.size):
        raise invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {size} does not match what was computed: {stored.size}"
        )
    check_write(call.header, service.contents.objects.get(upload.key), key=upload.key)
    service.contents.complete_upload(upload, stored)
    return _completed(service, call, stored)


def _completed(service: Service, call: Call, stored: StoredObject) -> Answer:
    host = call.header("host") or ""
    nodes: list[Node] = [
        ("Location", f"{host}{call.wire.path}"),
        ("Bucket", service.bucket),
        ("Key", stored.key),
        ("ETag", stored.quoted_etag),
    ]
    if stored.checksum is not None:
        nodes.append((f"Checksum{stored.checksum.algorithm.upper()}", stored.checksum.value))
        nodes.append(("ChecksumType", stored.checksum.kind))
    return xml_answer("CompleteMultipartUploadResult", nodes)


def _chosen_parts(service: Service, upload: Upload, document: Element) -> list[Part]:
    """The parts that a CompleteMultipartUpload names.

    Raises:
        Refusal: MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall
    """
    entries = [_named_part(entry) for entry in document.findall("Part")]
    if not entries or len(entries) > MAX_PART_NUMBER:
        raise malformed_xml()
    if any(one[0] >= next_one[0] for one, next_one in pairwise(entries)):
        raise Refusal(
            "InvalidPartOrder",
            400,
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            details={"UploadId": upload.upload_id},
        )
    parts = []
    for number, etag, checksums in entries:
        part = upload.parts.get(number)
        known = {part.checksum.algorithm: part.checksum.value} if part is not None and part.checksum is not None else {}
        if part is None or part.etag != etag or any(known.get(name) != value for name, value in checksums.items()):
            raise Refusal(
                "InvalidPart",
                400,
                "One or more of the specified parts could not be found. The part may not have been uploaded, "
                "or the specified entity tag may not match the part's entity tag.",
                details={"UploadId": upload.upload_id, "PartNumber": str(number), "ETag": etag},
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.blob.size < service.limits.min_part:
            raise Refusal(
                "EntityTooSmall",
                400,
                "Your proposed upload is smaller than the minimum allowed size",
                details={
                    "ProposedSize": str(part.blob.size),
                    "MinSizeAllowed": str(service.limits.min_part),
                    "PartNumber": str(part.number),
                    "ETag": part.etag,
                },
            )
    return parts


def _named_part(entry: Element) -> tuple[int, str, dict[str, str]]:
    """Number, unquoted ETag and checksums of one Part element. Raises MalformedXML."""
    number, etag = (entry.findtext("PartNumber") or "").strip(), entry.findtext("ETag")
    if etag is None or not (number.isascii() and number.isdigit()):
        raise malformed_xml()
    checksums = {
        child.tag.removeprefix("Checksum").lower(): (child.text or "").strip()
        for child in entry
        if child.tag.startswith("Checksum")
    }
    return int(number), etag.strip().strip('"'), checksums


def _whole_checksum(call: Call, upload: Upload, parts: list[Part]) -> Checksum | None:
    """The checksum of the completed object, held against the one that the client sent.

    Raises:
        Refusal: BadDigest, InvalidRequest
    """
    sent = sent_checksum(call) if upload.checksum_kind != "COMPOSITE" else None
    if upload.checksum_algorithm is None:
        if sent is not None:
            raise invalid_request("The upload was created without a checksum algorithm.")
        return None
    values = [part.checksum.value for part in parts if part.checksum is not None]
    if upload.checksum_kind == "COMPOSITE":
        checksum = composite_checksum(upload.checksum_algorithm, values)
        claimed = call.header(f"x-amz-checksum-{upload.checksum_algorithm}")
        if claimed is not None and claimed not in (checksum.value, checksum.value.partition("-")[0]):
            raise bad_digest(upload.checksum_algorithm.upper())
        return checksum
    checksum = full_object_crc32(list(zip(values, (part.blob.size for part in parts), strict=True)))
    if sent is not None and (sent[0], encode_digest(sent[1])) != (checksum.algorithm, checksum.value):
        raise bad_digest(sent[0].upper())
    return checksum


async def abort_multipart_upload(service: Service, call: Call) -> Answer:
    await receive_document(call)
    service.contents.drop_upload(_find_upload(service, call))
    return no_content()


def _find_upload(service: Service, call: Call) -> Upload:
    """Raises NoSuchUpload, also for an upload of another key."""
    upload = service.contents.uploads.get(call.query["uploadId"])
    if upload is None or upload.key != call.key:
        raise no_such_upload(call.query["uploadId"])
    return upload


def _part_number(call: Call) -> int:
    """Raises InvalidArgument."""
    text = call.query["partNumber"]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PART_NUMBER):
        raise invalid_argument(
            f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive", "partNumber", text
        )
    return int(text)


def _copy_range(call: Call, size: int) -> tuple[int, int]:
    """First position and length of x-amz-copy-source-range; unlike Range it must be exact. Raises InvalidArgument."""
    text = call.header("x-amz-copy-source-range")
    if text is None:
        return 0, size
    match = _COPY_RANGE.match(text)
    if match is None or int(match.group(2)) < int(match.group(1)):
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            text,
        )
    first, last = int(match.group(1)), int(match.group(2))
    if last >= size:
        raise invalid_argument(
            f"Range specified is not valid for source object of size: {size}", "x-amz-copy-source-range", text
        )
    return first, last - first + 1

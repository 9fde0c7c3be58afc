"""S3's XML: builders for what is sent, parsers for what comes. Pure.

Parsers take an answer's whole body, give values, and raise nothing but `S3ProtocolError`. Documents with a DTD are
refused before they are parsed, so no entity is ever defined; leading white space, which S3 sends to keep slow answers
alive, is skipped; names are matched without their namespace, which not every store sends.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from aioftps3.s3.checksums import Checksum
from aioftps3.s3.credentials import Credentials
from aioftps3.s3.errors import DeleteFailure, S3ProtocolError
from aioftps3.s3.models import (
    CompletedPart,
    ListedObject,
    ListedPart,
    ListedUpload,
    ListPage,
    PartsPage,
    UploadsPage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 section 2.2: characters that no XML document can hold, not even escaped."""

_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;", ord('"'): "&quot;"}


@dataclass(frozen=True, slots=True)
class ErrorDocument:
    """An `<Error>` answer."""

    code: str
    message: str = ""
    region: str | None = None
    request_id: str = ""
    host_id: str = ""


def can_hold(text: str) -> bool:
    """Say whether an XML document can hold this text."""
    return _NOT_IN_XML.search(text) is None


def delete_request(keys: Iterable[str]) -> bytes:
    """Build the body of DeleteObjects, quiet: only failures are answered. Every key must pass `can_hold`."""
    objects = "".join(f"<Object><Key>{key.translate(_ESCAPES)}</Key></Object>" for key in keys)
    return f'<Delete xmlns="{NAMESPACE}"><Quiet>true</Quiet>{objects}</Delete>'.encode()


def complete_request(parts: Iterable[CompletedPart]) -> bytes:
    """Build the body of CompleteMultipartUpload, in the order of part numbers."""
    items = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{part.etag.translate(_ESCAPES)}</ETag>"
        f"{_part_checksum(part)}</Part>"
        for part in sorted(parts, key=lambda part: part.number)
    )
    return f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{items}</CompleteMultipartUpload>'.encode()


def parse_error(body: bytes) -> ErrorDocument | None:
    """Read an `<Error>` document; None when the body is anything else, so that the status can speak."""
    try:
        root = _root(body)
    except S3ProtocolError:
        return None
    if root.tag != "Error":
        return None
    return ErrorDocument(
        code=_text(root, "Code"),
        message=_text(root, "Message"),
        region=_text(root, "Region") or None,
        request_id=_text(root, "RequestId"),
        host_id=_text(root, "HostId"),
    )


def parse_list_page(body: bytes) -> ListPage:
    """Read an answer of ListObjectsV2."""
    root = _named(body, "ListBucketResult")
    decode = _decoder(root)
    token = None
    truncated = _text(root, "IsTruncated")
    if truncated not in ("true", "false"):  # half an answer must not pass for a short listing
        raise S3ProtocolError("a listing does not say whether it goes on")
    if truncated == "true":
        token = _text(root, "NextContinuationToken")
        if not token:
            raise S3ProtocolError("a listing says that it goes on, but not where")
    return ListPage(
        objects=tuple(
            ListedObject(
                key=decode(_text(item, "Key")),
                size=_number(item, "Size"),
                etag=_text(item, "ETag"),
                last_modified=parse_time(_text(item, "LastModified")),
                storage_class=_text(item, "StorageClass") or None,
            )
            for item in root.iterfind("Contents")
        ),
        prefixes=tuple(decode(_text(item, "Prefix")) for item in root.iterfind("CommonPrefixes")),
        next_token=token,
    )


def parse_tags(body: bytes) -> dict[str, str]:
    """Read an answer of GetObjectTagging."""
    root = _named(body, "Tagging")
    return {_text(item, "Key"): _text(item, "Value") for item in root.iterfind("TagSet/Tag")}


def parse_delete_result(body: bytes) -> tuple[DeleteFailure, ...]:
    """Read an answer of DeleteObjects; an empty one says that nothing failed."""
    if not body.strip():
        return ()
    root = _named(body, "DeleteResult")
    return tuple(
        DeleteFailure(_text(item, "Key"), _text(item, "Code"), _text(item, "Message"))
        for item in root.iterfind("Error")
    )


def parse_upload_id(body: bytes) -> str:
    """Read an answer of CreateMultipartUpload."""
    upload_id = _text(_named(body, "InitiateMultipartUploadResult"), "UploadId")
    if not upload_id:
        raise S3ProtocolError("a new multipart upload has no id")
    return upload_id


def parse_complete_result(body: bytes) -> str:
    """Read the ETag in an answer of CompleteMultipartUpload."""
    return _etag(_named(body, "CompleteMultipartUploadResult"))


def parse_copy_result(body: bytes) -> str:
    """Read the ETag in an answer of CopyObject."""
    return _etag(_copy_result(body))


def parse_copied_part(body: bytes, algorithm: str | None) -> tuple[str, Checksum | None]:
    """Read the ETag in an answer of UploadPartCopy, and the part's checksum where the store has made that one."""
    root = _copy_result(body)
    value = "" if algorithm is None else _text(root, _checksum_name(algorithm))
    return _etag(root), Checksum(algorithm, value) if algorithm is not None and value else None


def parse_uploads_page(body: bytes) -> UploadsPage:
    """Read an answer of ListMultipartUploads."""
    root = _named(body, "ListMultipartUploadsResult")
    decode = _decoder(root)
    truncated = _text(root, "IsTruncated") == "true"
    next_key = decode(_text(root, "NextKeyMarker"))
    if truncated and not next_key:
        raise S3ProtocolError("a listing says that it goes on, but not where")
    return UploadsPage(
        uploads=tuple(
            ListedUpload(
                key=decode(_text(item, "Key")),
                upload_id=_text(item, "UploadId"),
                initiated=parse_time(_text(item, "Initiated")),
            )
            for item in root.iterfind("Upload")
        ),
        next_key_marker=next_key if truncated else None,
        next_upload_id_marker=(_text(root, "NextUploadIdMarker") or None) if truncated else None,
    )


def parse_parts_page(body: bytes) -> PartsPage:
    """Read an answer of ListParts."""
    root = _named(body, "ListPartsResult")
    truncated = _text(root, "IsTruncated") == "true"
    return PartsPage(
        parts=tuple(
            ListedPart(number=_number(item, "PartNumber"), etag=_text(item, "ETag"), size=_number(item, "Size"))
            for item in root.iterfind("Part")
        ),
        next_marker=_number(root, "NextPartNumberMarker") if truncated else None,
    )


def parse_assumed_role(body: bytes) -> Credentials:
    """Read an answer of the token service's AssumeRoleWithWebIdentity."""
    item = _named(body, "AssumeRoleWithWebIdentityResponse").find("AssumeRoleWithWebIdentityResult/Credentials")
    if item is None or not _text(item, "AccessKeyId") or not _text(item, "SecretAccessKey"):
        raise S3ProtocolError("the answer holds no credentials")
    return Credentials(
        _text(item, "AccessKeyId"),
        _text(item, "SecretAccessKey"),
        _text(item, "SessionToken") or None,
        parse_time(_text(item, "Expiration")),
    )


def parse_time(text: str) -> float:
    """Read an ISO 8601 time as seconds since the epoch; one without a zone is UTC.

    Raises:
        S3ProtocolError: it is none.
    """
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise S3ProtocolError("a time in the answer cannot be read") from error


def _part_checksum(part: CompletedPart) -> str:
    if part.checksum is None:
        return ""
    name = _checksum_name(part.checksum.algorithm)
    return f"<{name}>{part.checksum.value}</{name}>"


def _checksum_name(algorithm: str) -> str:
    return f"Checksum{algorithm.upper()}"


def _copy_result(body: bytes) -> ET.Element:
    root = _root(body)
    if root.tag not in ("CopyObjectResult", "CopyPartResult"):
        raise S3ProtocolError("the answer is no copy result")
    return root


def _root(body: bytes) -> ET.Element:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise S3ProtocolError("an answer with a document type is not S3's")
    try:
        # In another encoding a document could hide its DTD from the line above; the parser follows a UTF-16 mark, and
        # UTF-16 without one has NULs.
        if "\0" in body.decode():
            raise S3ProtocolError("the answer is no XML document")
        parser = ET.XMLParser(encoding="utf-8")  # noqa: S314
        parser.feed(body.lstrip())
        root = parser.close()
    except (ET.ParseError, ValueError) as error:
        raise S3ProtocolError("the answer is no XML document") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _named(body: bytes, name: str) -> ET.Element:
    root = _root(body)
    if root.tag != name:
        raise S3ProtocolError(f"the answer is no {name}")
    return root


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(name) or ""


def _number(element: ET.Element, name: str) -> int:
    text = _text(element, name)
    if not (text.isascii() and text.isdigit() and len(text) <= len("18446744073709551615")):
        raise S3ProtocolError("a number in the answer cannot be read")
    return int(text)


def _etag(root: ET.Element) -> str:
    etag = _text(root, "ETag")
    if not etag:
        raise S3ProtocolError("the answer has no ETag")
    return etag


def _decoder(root: ET.Element) -> "Callable[[str], str]":
    """Keys are encoded only when the answer says so: stores that do not know the option send them as they are."""
    if _text(root, "EncodingType") != "url":
        return str
    # Bytes that are no UTF-8 stay apart from each other, as lone surrogates.
    return lambda text: unquote_plus(text, errors="surrogateescape")

"""Answers' status, headers and bodies -> values and errors. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from aioftps3.s3 import errors, xml
from aioftps3.s3.checksums import HEADER_PREFIX as CHECKSUM_PREFIX
from aioftps3.s3.checksums import Checksum
from aioftps3.s3.models import ObjectInfo

MILLISECONDS_PER_SECOND = 1000

METADATA_PREFIX = "x-amz-meta-"

CONTENT_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
"""What S3 keeps with an object and gives back unread, besides Content-Type."""

ENCRYPTION = "x-amz-server-side-encryption"

CHECKSUM_ALGORITHMS = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1")

SETTLING_SECONDS = 2.0
"""Times are whole seconds, rounded either way."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,20})-([0-9]{1,20})/([0-9]{1,20})")

_LENGTH = re.compile(r"[0-9]{1,20}")

_BY_CODE: Mapping[str, type[errors.S3ResponseError]] = {
    "NoSuchKey": errors.NoSuchKey,
    "NoSuchVersion": errors.NoSuchKey,
    "NoSuchBucket": errors.NoSuchBucket,
    "InvalidBucketName": errors.NoSuchBucket,
    "NoSuchUpload": errors.NoSuchUpload,
    "AccessDenied": errors.AccessDenied,
    "AllAccessDisabled": errors.AccessDenied,
    "AccountProblem": errors.AccessDenied,
    "InvalidAccessKeyId": errors.CredentialsRejected,
    "SignatureDoesNotMatch": errors.CredentialsRejected,
    "InvalidToken": errors.CredentialsRejected,
    "ExpiredToken": errors.CredentialsRejected,
    "TokenRefreshRequired": errors.CredentialsRejected,
    "RequestTimeTooSkewed": errors.ClockSkew,
    "RequestExpired": errors.ClockSkew,
    "RequestInTheFuture": errors.ClockSkew,
    "AuthorizationHeaderMalformed": errors.WrongRegion,
    "PermanentRedirect": errors.WrongRegion,
    "TemporaryRedirect": errors.WrongRegion,
    "Redirect": errors.WrongRegion,
    "IllegalLocationConstraintException": errors.WrongRegion,
    "PreconditionFailed": errors.PreconditionFailed,
    "OperationAborted": errors.Conflict,
    "ConditionalRequestConflict": errors.Conflict,
    "RestoreAlreadyInProgress": errors.Conflict,
    "InvalidRange": errors.InvalidRange,
    "SlowDown": errors.Throttled,
    "ServiceUnavailable": errors.Throttled,
    "Throttling": errors.Throttled,
    "ThrottlingException": errors.Throttled,
    "ThrottledException": errors.Throttled,
    "RequestThrottled": errors.Throttled,
    "RequestThrottledException": errors.Throttled,
    "TooManyRequests": errors.Throttled,
    "TooManyRequestsException": errors.Throttled,
    "RequestLimitExceeded": errors.Throttled,
    "BandwidthLimitExceeded": errors.Throttled,
    "InternalError": errors.ServerFault,
    "RequestTimeout": errors.ServerFault,
    "RequestTimeoutException": errors.ServerFault,
    "BadDigest": errors.DigestMismatch,
    "InvalidDigest": errors.DigestMismatch,
    "XAmzContentSHA256Mismatch": errors.DigestMismatch,
    "IncompleteBody": errors.DigestMismatch,
    "EntityTooLarge": errors.TooLarge,
    "TooManyParts": errors.TooLarge,
    "MetadataTooLarge": errors.MetadataTooLarge,
    "MaxMessageLengthExceeded": errors.TooLarge,
    "QuotaExceeded": errors.QuotaExceeded,
    "XMinioAdminBucketQuotaExceeded": errors.QuotaExceeded,
    "XMinioStorageFull": errors.StorageFull,
    "InsufficientCapacity": errors.StorageFull,
    "KeyTooLongError": errors.KeyInvalid,
    "KeyTooLong": errors.KeyInvalid,
    "InvalidObjectName": errors.KeyInvalid,
    "XMinioInvalidObjectName": errors.KeyInvalid,
    "XMinioInvalidResourceName": errors.KeyInvalid,
    "InvalidURI": errors.KeyInvalid,
    "InvalidObjectState": errors.ArchivedObject,
    "NotImplemented": errors.NotSupported,
    "MethodNotAllowed": errors.NotSupported,
}

_BY_STATUS: Mapping[int, type[errors.S3ResponseError]] = {
    301: errors.WrongRegion,
    302: errors.WrongRegion,
    307: errors.WrongRegion,
    308: errors.WrongRegion,
    401: errors.CredentialsRejected,
    403: errors.AccessDenied,
    405: errors.NotSupported,
    408: errors.ServerFault,
    409: errors.Conflict,
    411: errors.RequestRejected,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    416: errors.InvalidRange,
    429: errors.Throttled,
    501: errors.NotSupported,
    503: errors.Throttled,
    507: errors.StorageFull,
}


def error_from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, operation: str = "", about_bucket: bool = False
) -> errors.S3ResponseError:
    """Make the error of an answer.

    The code decides, and the status where there is no code (HEAD has no body) or an unknown one. Names of `headers` are
    in lower case. `about_bucket`: a 404 without a code means the bucket.
    """
    document = xml.parse_error(body) or xml.ErrorDocument(code="")
    region = document.region or headers.get("x-amz-bucket-region")
    kind = _BY_CODE.get(document.code)
    if kind is None:
        kind = _kind_by_status(status, about_bucket)
        if not document.code and status == 400 and region is not None:
            # HEAD in the wrong region: an empty 400 that names the right one.
            kind = errors.WrongRegion
    return kind(
        document.code,
        status,
        operation=operation,
        request_id=headers.get("x-amz-request-id") or document.request_id,
        host_id=headers.get("x-amz-id-2") or document.host_id,
        message=document.message,
        region=region,
        retry_after=_retry_after(headers),
        server_time=http_time(headers.get("date")),
    )


def error_in_success(
    status: int, headers: Mapping[str, str], body: bytes, *, operation: str = ""
) -> errors.S3ResponseError | None:
    """Find the error in a 200: slow operations answer before they know how they will end."""
    if xml.parse_error(body) is None:
        return None
    return error_from_response(status, headers, body, operation=operation)


def object_info(key: str, headers: Mapping[str, str], *, size: int | None = None) -> ObjectInfo:
    """Read the headers of HeadObject or GetObject; names are in lower case.

    Raises:
        S3ProtocolError: they are not an object's.
    """
    etag = headers.get("etag")
    last_modified = http_time(headers.get("last-modified"))
    if not etag or last_modified is None:
        raise errors.S3ProtocolError("an object without ETag or Last-Modified is not S3's")
    answered = http_time(headers.get("date"))
    checksum = None
    for algorithm in CHECKSUM_ALGORITHMS:
        value = headers.get(CHECKSUM_PREFIX + algorithm)
        if value and (headers.get("x-amz-checksum-type") != "COMPOSITE" or "-" in value):
            checksum = Checksum(algorithm, value)
            break
    return ObjectInfo(
        key=key,
        size=content_length(headers) if size is None else size,
        etag=etag,
        last_modified=last_modified,
        content_type=headers.get("content-type"),
        metadata={
            name.removeprefix(METADATA_PREFIX): value
            for name, value in headers.items()
            if name.startswith(METADATA_PREFIX)
        },
        checksum=checksum,
        storage_class=headers.get("x-amz-storage-class"),
        content_headers={name: headers[name] for name in CONTENT_HEADERS if name in headers},
        encryption="customer" if f"{ENCRYPTION}-customer-algorithm" in headers else headers.get(ENCRYPTION),
        settled=answered is None or abs(answered - last_modified) >= SETTLING_SECONDS,
        tag_count=int(tags) if _LENGTH.fullmatch(tags := headers.get("x-amz-tagging-count", "")) else 0,
    )


def content_length(headers: Mapping[str, str]) -> int:
    """Read Content-Length.

    Raises:
        S3ProtocolError: it is missing or no number.
    """
    text = headers.get("content-length", "")
    if not _LENGTH.fullmatch(text):
        raise errors.S3ProtocolError("an answer has no Content-Length")
    return int(text)


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int]:
    """Read Content-Range: first byte, last byte, size of the whole object.

    Raises:
        S3ProtocolError: it is missing or makes no sense.
    """
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        raise errors.S3ProtocolError("a partial answer does not say which part it is")
    first, last, size = (int(group) for group in match.groups())
    if not first <= last < size:
        raise errors.S3ProtocolError("the range of a partial answer makes no sense")
    return first, last, size


def etag(headers: Mapping[str, str]) -> str:
    """Read the ETag in the answer to a write.

    Raises:
        S3ProtocolError: there is none.
    """
    found = headers.get("etag")
    if not found:
        raise errors.S3ProtocolError("the answer to a write has no ETag")
    return found


def http_time(text: str | None) -> float | None:
    """Read an HTTP date (RFC 9110 section 5.6.7) as seconds since the epoch; None when there is none."""
    if not text:
        return None
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _kind_by_status(status: int, about_bucket: bool) -> type[errors.S3ResponseError]:
    if status == 404:
        return errors.NoSuchBucket if about_bucket else errors.NoSuchKey
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return errors.ServerFault if status >= 500 else errors.RequestRejected


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds: `x-amz-retry-after` is in milliseconds, `Retry-After` (RFC 9110 section 10.2.3) in seconds."""
    milliseconds = headers.get("x-amz-retry-after", "")
    if _LENGTH.fullmatch(milliseconds):
        return int(milliseconds) / MILLISECONDS_PER_SECOND
    seconds = headers.get("retry-after", "")
    if _LENGTH.fullmatch(seconds):
        return float(int(seconds))
    return None

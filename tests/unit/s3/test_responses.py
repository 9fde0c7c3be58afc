"""Answers become values and errors."""

import pytest

from aioftps3.s3 import errors, responses
from aioftps3.s3.checksums import Checksum

BODY = b"""<?xml version="1.0"?>
<Error><Code>%s</Code><Message>secret-key-name</Message><RequestId>BODYID</RequestId><HostId>H</HostId></Error>"""


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", errors.NoSuchKey),
        (404, "NoSuchBucket", errors.NoSuchBucket),
        (404, "NoSuchUpload", errors.NoSuchUpload),
        (403, "AccessDenied", errors.AccessDenied),
        (403, "InvalidAccessKeyId", errors.CredentialsRejected),
        (403, "SignatureDoesNotMatch", errors.CredentialsRejected),
        (400, "ExpiredToken", errors.CredentialsRejected),
        (403, "RequestTimeTooSkewed", errors.ClockSkew),
        (400, "AuthorizationHeaderMalformed", errors.WrongRegion),
        (301, "PermanentRedirect", errors.WrongRegion),
        (412, "PreconditionFailed", errors.PreconditionFailed),
        (409, "ConditionalRequestConflict", errors.Conflict),
        (409, "OperationAborted", errors.Conflict),
        (416, "InvalidRange", errors.InvalidRange),
        (503, "SlowDown", errors.Throttled),
        (429, "TooManyRequests", errors.Throttled),
        (500, "InternalError", errors.ServerFault),
        (200, "InternalError", errors.ServerFault),
        (400, "RequestTimeout", errors.ServerFault),
        (400, "BadDigest", errors.DigestMismatch),
        (400, "EntityTooLarge", errors.TooLarge),
        (403, "QuotaExceeded", errors.QuotaExceeded),
        (507, "XMinioStorageFull", errors.StorageFull),
        (400, "KeyTooLongError", errors.KeyInvalid),
        (403, "InvalidObjectState", errors.ArchivedObject),
        (501, "NotImplemented", errors.NotSupported),
        (400, "EntityTooSmall", errors.RequestRejected),
        (400, "SomethingNew", errors.RequestRejected),
        (502, "SomethingNew", errors.ServerFault),
    ],
)
def test_code_decides(status: int, code: str, expected: type[errors.S3ResponseError]) -> None:
    error = responses.error_from_response(status, {}, BODY % code.encode(), operation="PutObject")
    assert type(error) is expected
    assert (error.code, error.status, error.request_id, error.host_id) == (code, status, "BODYID", "H")
    assert error.message == "secret-key-name"
    assert str(error) == f"PutObject failed: {code} (status {status}, request id BODYID)"


@pytest.mark.parametrize(
    ("status", "about_bucket", "expected"),
    [
        (404, False, errors.NoSuchKey),
        (404, True, errors.NoSuchBucket),
        (403, False, errors.AccessDenied),
        (401, False, errors.CredentialsRejected),
        (301, True, errors.WrongRegion),
        (405, False, errors.NotSupported),
        (409, False, errors.Conflict),
        (412, False, errors.PreconditionFailed),
        (413, False, errors.TooLarge),
        (416, False, errors.InvalidRange),
        (429, False, errors.Throttled),
        (500, False, errors.ServerFault),
        (503, False, errors.Throttled),
        (504, False, errors.ServerFault),
        (507, False, errors.StorageFull),
        (400, False, errors.RequestRejected),
        (304, False, errors.RequestRejected),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"not xml", b"<Error/>", b"\xff\x00"])
def test_status_decides_where_there_is_no_code(
    status: int, about_bucket: bool, expected: type[errors.S3ResponseError], body: bytes
) -> None:
    error = responses.error_from_response(
        status, {"x-amz-request-id": "R", "x-amz-id-2": "H"}, body, about_bucket=about_bucket
    )
    assert type(error) is expected
    assert (error.code, error.request_id, error.host_id) == ("", "R", "H")


def test_region_is_taken_from_the_document_or_the_header() -> None:
    body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>"
    assert responses.error_from_response(400, {}, body).region == "us-west-2"
    error = responses.error_from_response(400, {"x-amz-bucket-region": "r"}, b"")
    assert isinstance(error, errors.WrongRegion)
    assert error.region == "r"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"x-amz-retry-after": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_wait_that_the_store_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert responses.error_from_response(503, headers, b"").retry_after == seconds


def test_error_in_a_200_is_found_behind_white_space() -> None:
    error = responses.error_in_success(200, {}, b" \r\n\t " + BODY % b"InternalError")
    assert isinstance(error, errors.ServerFault)
    assert responses.error_in_success(200, {}, b"<CopyObjectResult/>") is None
    assert responses.error_in_success(200, {}, b"") is None


def test_headers_of_an_object_become_its_info() -> None:
    info = responses.object_info(
        "k",
        {
            "content-length": "12",
            "etag": '"e-2"',
            "last-modified": "Wed, 12 Oct 2022 17:50:00 GMT",
            "content-type": "a/b",
            "x-amz-meta-mtime": "1.5",
            "x-amz-checksum-crc32": "AAAAAA==",
            "x-amz-storage-class": "GLACIER",
            "x-amz-tagging-count": "2",
            "content-encoding": "gzip",
            "expires": "never",
            "server": "S3",
        },
    )
    assert (info.key, info.size, info.etag, info.last_modified) == ("k", 12, '"e-2"', 1665597000.0)
    assert info.metadata == {"mtime": "1.5"}
    assert info.checksum == Checksum("crc32", "AAAAAA==")
    assert (info.content_type, info.storage_class, info.tag_count) == ("a/b", "GLACIER", 2)
    assert info.content_headers == {"content-encoding": "gzip", "expires": "never"}


@pytest.mark.parametrize("text", ["", "many", "-1"])
def test_count_of_tags_that_is_none_is_none(text: str) -> None:
    headers = {"content-length": "1", "etag": "e", "last-modified": "Wed, 12 Oct 2022 17:50:00 GMT"}
    assert responses.object_info("k", {**headers, "x-amz-tagging-count": text}).tag_count == 0


@pytest.mark.parametrize(
    ("headers", "encryption"),
    [
        ({}, None),
        ({"x-amz-server-side-encryption": "aws:kms"}, "aws:kms"),
        ({"x-amz-server-side-encryption": "AES256"}, "AES256"),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, "customer"),
    ],
)
def test_the_encryption_of_an_object_is_told(headers: dict[str, str], encryption: str | None) -> None:
    plain = {"content-length": "1", "etag": "e", "last-modified": "Wed, 12 Oct 2022 17:50:00 GMT"}
    assert responses.object_info("k", {**plain, **headers}).encryption == encryption


@pytest.mark.parametrize(
    ("answered", "settled"),
    [
        (None, True),
        ("17:50:00", False),
        ("17:50:01", False),
        ("17:50:02", True),
        ("18:50:00", True),
        ("17:40:00", True),
    ],
)
def test_a_version_is_settled_when_its_second_is_over(answered: str | None, settled: bool) -> None:
    plain = {"content-length": "1", "etag": "e", "last-modified": "Wed, 12 Oct 2022 17:50:00 GMT"}
    date = {} if answered is None else {"date": f"Wed, 12 Oct 2022 {answered} GMT"}
    assert responses.object_info("k", {**plain, **date}).settled is settled


@pytest.mark.parametrize("text", ["", "-1", "1x", "9" * 21])
def test_length_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(errors.S3ProtocolError):
        responses.content_length({"content-length": text})


@pytest.mark.parametrize("text", ["", "bytes */5", "bytes 2-1/5", "bytes 0-5/5", "bytes 0-4/*", "items 0-1/2"])
def test_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(errors.S3ProtocolError):
        responses.content_range({"content-range": text})


@pytest.mark.parametrize("text", [None, "", "yesterday", "Wed, 99 Oct 2022 17:50:00 GMT", "1"])
def test_date_that_is_none_is_none(text: str | None) -> None:
    assert responses.http_time(text) is None


def test_every_error_class_keeps_to_the_tree() -> None:
    listed = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, errors.S3Error) for kind in listed)
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__ for kind in listed)

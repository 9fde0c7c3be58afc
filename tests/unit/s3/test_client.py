"""What each operation sends, what it makes of answers, what is repeated and what is mended."""

import asyncio
import base64
import hashlib
from email.utils import formatdate

import pytest

from aioftps3.s3 import errors
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import Credentials
from aioftps3.s3.models import EMPTY_SHA256, BytesBody, CompletedPart, Endpoint, RequestEvent
from tests.unit.s3.fakes import (
    ENDPOINT,
    MODIFIED,
    PATIENT,
    Answered,
    FakeS3,
    Fault,
    LostAfter,
    LostBefore,
    client_of,
    header,
)

NOW = 1_700_000_000.0

OBJECT = {"ETag": '"e"', "Last-Modified": MODIFIED, "Content-Length": "20"}


def listing(inside: str = "") -> bytes:
    return f'<ListBucketResult xmlns="x"><IsTruncated>false</IsTruncated>{inside}</ListBucketResult>'.encode()


async def test_simple_operations_send_what_s3_expects() -> None:
    fake = FakeS3()
    fake.objects["s"], fake.metadata["s"] = b"abc", {"a": "b"}
    fake.always = {
        "ListObjectsV2": Answered(200, body=listing()),
        "ListMultipartUploads": Answered(200, body=b"<ListMultipartUploadsResult/>"),
    }
    client = client_of(fake)
    await client.head_bucket()
    assert (await client.head_object("s", if_match='"e"')).metadata == {"a": "b"}
    await client.put_object("p", BytesBody(b"x"), metadata={"M": "v"}, content_type="a/b", headers=(("expires", "0"),))
    await client.delete_object("d")
    await client.copy_object("s", "c", source_if_match='"e"')
    await client.list_objects(prefix="a b/", delimiter="/", max_keys=2, token="t+", start_after="s")
    await client.list_multipart_uploads(prefix="p/", key_marker="k", upload_id_marker="u")
    assert [(request.method, request.target) for request in fake.sent] == [
        ("HEAD", "/bucket"),
        ("HEAD", "/bucket/s"),
        ("PUT", "/bucket/p"),
        ("DELETE", "/bucket/d"),
        ("PUT", "/bucket/c"),
        (
            "GET",
            (
                "/bucket?continuation-token=t%2B&delimiter=%2F&encoding-type=url&list-type=2&max-keys=2"
                "&prefix=a%20b%2F&start-after=s"
            ),
        ),
        (
            "GET",
            "/bucket?encoding-type=url&key-marker=k&max-uploads=1000&prefix=p%2F&upload-id-marker=u&uploads=",
        ),
    ]
    assert header(fake.sent[1], "if-match") == '"e"'
    assert (header(fake.sent[2], "x-amz-meta-m"), header(fake.sent[2], "expires")) == ("v", "0")
    assert header(fake.sent[4], "x-amz-copy-source") == "bucket/s"
    assert header(fake.sent[4], "x-amz-metadata-directive") is None
    assert all(header(request, "accept-encoding") == "identity" for request in fake.sent)
    assert all("accept-encoding" not in (header(request, "authorization") or "") for request in fake.sent)
    assert all(response.closed for response in fake.responses)


async def test_virtual_host_is_sent_and_signed_as_host() -> None:
    fake = FakeS3()
    endpoint = Endpoint.for_bucket("bucket", "eu-west-1")
    client = S3Client(fake, endpoint, _Rotating(), clock=lambda: NOW)
    await client.delete_object("a//../b")
    assert fake.sent[0].url == "https://bucket.s3.eu-west-1.amazonaws.com/a//../b"
    assert header(fake.sent[0], "host") == "bucket.s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("scheme", "sign_payload", "expected"),
    [
        ("http", None, hashlib.sha256(b"x").hexdigest()),
        ("https", None, "UNSIGNED-PAYLOAD"),
        ("http", False, "UNSIGNED-PAYLOAD"),
        ("https", True, hashlib.sha256(b"x").hexdigest()),
    ],
)
async def test_payload_is_signed_on_http_by_default(scheme: str, sign_payload: bool | None, expected: str) -> None:
    fake = FakeS3()
    client = S3Client(fake, Endpoint.for_bucket("bucket", "r", f"{scheme}://h"), _Rotating(), sign_payload=sign_payload)
    await client.put_object("k", BytesBody(b"x"))
    await client.delete_object("k")
    assert header(fake.sent[0], "x-amz-content-sha256") == expected
    assert header(fake.sent[1], "x-amz-content-sha256") == EMPTY_SHA256


async def test_get_gives_the_whole_object() -> None:
    fake = FakeS3()
    fake.always["GetObject"] = Answered(200, headers=OBJECT, body=b"0123456789" * 2)
    async with await client_of(fake).get_object("k") as got:
        assert b"".join([chunk async for chunk in got.chunks()]) == b"0123456789" * 2
        assert got.info.size == got.length == 20
        assert got.info.etag == '"e"'
    assert header(fake.sent[0], "range") is None
    assert fake.responses[0].closed


async def test_get_from_an_offset_knows_the_whole_size() -> None:
    fake = FakeS3()
    partial = {**OBJECT, "Content-Length": "15", "Content-Range": "bytes 5-19/20"}
    fake.always["GetObject"] = Answered(206, headers=partial, body=b"x" * 15)
    got = await client_of(fake).get_object("k", offset=5, if_match='"e"')
    assert header(fake.sent[0], "range") == "bytes=5-"
    assert header(fake.sent[0], "if-match") == '"e"'
    assert (got.info.size, got.offset, got.length) == (20, 5, 15)
    await got.close()
    await got.close()


@pytest.mark.parametrize(("body", "error"), [(b"x" * 19, errors.BodyTruncated), (b"x" * 21, errors.S3ProtocolError)])
async def test_body_of_another_length_is_an_error(body: bytes, error: type[Exception]) -> None:
    fake = FakeS3()
    fake.always["GetObject"] = Answered(200, headers=OBJECT, body=body)
    async with await client_of(fake).get_object("k") as got:
        with pytest.raises(error):
            [chunk async for chunk in got.chunks()]


@pytest.mark.parametrize(
    "answer",
    [
        Answered(200, headers=OBJECT),
        Answered(206, headers=OBJECT),
        Answered(206, headers={**OBJECT, "Content-Range": "bytes 4-19/20"}),
        Answered(206, headers={**OBJECT, "Content-Range": "bytes 5-18/20"}),
        Answered(206, headers={**OBJECT, "Content-Range": "bytes 5-20/20"}),
        Answered(206, headers={"Content-Range": "bytes 5-19/20"}),
    ],
)
async def test_another_range_than_asked_for_is_refused(answer: Answered) -> None:
    fake = FakeS3()
    fake.always["GetObject"] = answer
    with pytest.raises(errors.S3ProtocolError):
        await client_of(fake).get_object("k", offset=5)
    assert fake.responses[0].closed


async def test_error_of_get_is_read_and_closed() -> None:
    fake = FakeS3()
    fake.always["GetObject"] = Answered(416, "InvalidRange")
    with pytest.raises(errors.InvalidRange) as caught:
        await client_of(fake).get_object("k", offset=99)
    assert (caught.value.code, caught.value.status, caught.value.request_id) == ("InvalidRange", 416, "R1")
    assert fake.responses[0].closed


async def test_many_keys_are_deleted_a_thousand_at_a_time() -> None:
    fake = FakeS3()
    await client_of(fake).delete_objects([f"k{number}" for number in range(2001)])
    assert fake.requests == ["DeleteObjects"] * 3
    assert header(fake.sent[0], "content-md5") is not None


async def test_delete_of_many_sends_the_md5_and_names_failures() -> None:
    fake = FakeS3()
    failure = b"<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    fake.always["DeleteObjects"] = Answered(200, body=failure)
    with pytest.raises(errors.DeleteFailed) as caught:
        await client_of(fake).delete_objects(["k", "<&>\r"])
    assert [failure.key for failure in caught.value.failures] == ["k"]
    expected = (
        b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet><Object><Key>k</Key></Object>'
        b"<Object><Key>&lt;&amp;&gt;&#13;</Key></Object></Delete>"
    )
    digest = base64.b64encode(hashlib.md5(expected, usedforsecurity=False).digest()).decode()
    assert header(fake.sent[0], "content-md5") == digest


async def test_keys_that_xml_cannot_hold_are_deleted_one_by_one() -> None:
    fake = FakeS3()
    await client_of(fake).delete_objects(["a", "b\x01", "c\x00"])
    assert fake.requests == ["DeleteObjects", "DeleteObject", "DeleteObject"]


async def test_abort_of_an_ended_upload_is_no_error() -> None:
    await client_of(FakeS3()).abort_multipart_upload("k", "gone")


@pytest.mark.parametrize("operation", ["copy", "complete", "part copy"])
async def test_error_inside_a_200_is_found_and_repeated(operation: str) -> None:
    fake = FakeS3()
    fake.objects["s"], fake.metadata["s"] = b"abc", {}
    answer = Answered(200, body=b' \n <?xml version="1.0"?>\n<Error><Code>InternalError</Code></Error>')
    for name in ("CopyObject", "CompleteMultipartUpload", "UploadPartCopy"):
        fake.faults[name, 0] = answer
    client = client_of(fake, retry=PATIENT)
    upload_id = await client.create_multipart_upload("k")
    if operation == "copy":
        await client.copy_object("s", "k")
    elif operation == "complete":
        part = await client.upload_part("k", upload_id, 1, BytesBody(b"x"))
        await client.complete_multipart_upload("k", upload_id, [part])
    else:
        part = await client.upload_part_copy("k", upload_id, 1, source_key="s", first=0, last=1)
        assert part == CompletedPart(number=1, etag=part.etag, size=2)
    fake.always["CopyObject"] = answer
    with pytest.raises(errors.ServerFault):
        await client.copy_object("s", "k")


@pytest.mark.parametrize(
    "fault", [Answered(500), Answered(503, "SlowDown"), Answered(400, "RequestTimeout"), LostBefore(), LostAfter()]
)
async def test_transient_failures_are_repeated_up_to_the_limit(fault: Fault) -> None:
    fake = FakeS3()
    fake.faults["PutObject", 0] = fake.faults["PutObject", 1] = fault
    await client_of(fake, retry=PATIENT).put_object("k", BytesBody(b"x"))
    assert fake.count("PutObject") == 3
    fake.always["PutObject"] = fault
    with pytest.raises(errors.S3Error):
        await client_of(fake, retry=PATIENT).put_object("k", BytesBody(b"x"))
    assert fake.count("PutObject") == 6


@pytest.mark.parametrize("fault", [Answered(403, "AccessDenied"), Answered(404, "NoSuchBucket"), Answered(412)])
async def test_lasting_failures_are_not_repeated(fault: Fault) -> None:
    fake = FakeS3()
    fake.always["PutObject"] = fault
    with pytest.raises(errors.S3ResponseError):
        await client_of(fake, retry=PATIENT).put_object("k", BytesBody(b"x"))
    assert fake.count("PutObject") == 1


async def test_conditional_write_whose_answer_was_lost_is_not_repeated() -> None:
    fake = FakeS3()
    fake.faults["PutObject", 0] = LostAfter()
    with pytest.raises(errors.ConnectionBroken) as caught:
        await client_of(fake, retry=PATIENT).put_object("k", BytesBody(b"x"), if_none_match="*")
    assert caught.value.may_have_acted
    assert fake.count("PutObject") == 1


async def test_conditional_write_that_was_never_sent_is_repeated() -> None:
    fake = FakeS3()
    fake.faults["PutObject", 0] = LostBefore()
    await client_of(fake, retry=PATIENT).put_object("k", BytesBody(b"x"), if_none_match="*")
    assert fake.count("PutObject") == 2


async def test_wrong_clock_is_mended_once_and_remembered() -> None:
    fake = FakeS3()
    fake.date = formatdate(NOW + 3600, usegmt=True)
    fake.faults["DeleteObject", 0] = Answered(403, "RequestTimeTooSkewed")
    client = client_of(fake)
    await client.delete_object("k")
    await client.delete_object("k")
    dates = [header(request, "x-amz-date") for request in fake.sent]
    assert dates == ["20231114T221320Z", "20231114T231320Z", "20231114T231320Z"]


async def test_wrong_clock_is_seen_on_head_too() -> None:
    fake = FakeS3()
    fake.date = formatdate(NOW - 7200, usegmt=True)
    fake.faults["HeadBucket", 0] = Answered(403)
    await client_of(fake).head_bucket()
    assert header(fake.sent[1], "x-amz-date") == "20231114T201320Z"


async def test_right_clock_is_left_alone() -> None:
    fake = FakeS3()
    fake.date = formatdate(NOW + 60, usegmt=True)
    fake.always["DeleteObject"] = Answered(403, "RequestTimeTooSkewed")
    fake.always["HeadBucket"] = Answered(403)
    client = client_of(fake)
    with pytest.raises(errors.ClockSkew):
        await client.delete_object("k")
    with pytest.raises(errors.AccessDenied):
        await client.head_bucket()
    assert len(fake.sent) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answered(301, "PermanentRedirect", headers={"x-amz-bucket-region": "us-west-2"}),
        Answered(301, headers={"x-amz-bucket-region": "us-west-2"}),
        Answered(400, headers={"x-amz-bucket-region": "us-west-2"}),
        Answered(
            400,
            body=b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>",
        ),
    ],
)
async def test_wrong_region_is_mended_once_and_remembered(answer: Answered) -> None:
    fake = FakeS3()
    fake.faults["HeadBucket", 0] = answer
    client = S3Client(fake, Endpoint.for_bucket("bucket", "eu-west-1"), _Rotating(), clock=lambda: NOW)
    await client.head_bucket()
    await client.head_bucket()
    assert client.endpoint.region == "us-west-2"
    assert [request.authority for request in fake.sent] == [
        "bucket.s3.eu-west-1.amazonaws.com",
        "bucket.s3.us-west-2.amazonaws.com",
        "bucket.s3.us-west-2.amazonaws.com",
    ]
    assert "/us-west-2/s3/" in (header(fake.sent[1], "authorization") or "")


@pytest.mark.parametrize("region", ["eu-west-1", "evil/../x", ""])
async def test_useless_region_is_an_error_at_once(region: str) -> None:
    fake = FakeS3()
    fake.always["HeadBucket"] = Answered(301, headers={"x-amz-bucket-region": region})
    with pytest.raises(errors.WrongRegion):
        await client_of(fake).head_bucket()
    assert len(fake.sent) == 1


class _Rotating:
    """Gives other credentials after each refresh, as often as it has some."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.current = Credentials("AK0", "SK0")

    async def credentials(self) -> Credentials:
        return self.current

    async def refresh(self) -> bool:
        if not self.left:
            return False
        self.left -= 1
        self.current = Credentials(f"AK{self.left}new", "SK", "TOKEN")
        return True


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"])
async def test_rejected_credentials_are_refreshed_once(code: str) -> None:
    fake = FakeS3()
    fake.faults["DeleteObject", 0] = Answered(403, code)
    await S3Client(fake, ENDPOINT, _Rotating(left=1)).delete_object("k")
    assert header(fake.sent[1], "x-amz-security-token") == "TOKEN"
    fake.always["DeleteObject"] = Answered(403, code)
    for left, tries in ((0, 1), (9, 2)):
        fake.sent.clear()
        with pytest.raises(errors.CredentialsRejected):
            await S3Client(fake, ENDPOINT, _Rotating(left)).delete_object("k")
        assert len(fake.sent) == tries


@pytest.mark.parametrize("status", [400, 403])
async def test_credentials_that_head_refuses_without_a_word_are_refreshed(status: int) -> None:
    """Its answer has no body to say that the keys have been rotated (403), or that the token has expired (400)."""
    fake = FakeS3()
    fake.objects["k"], fake.metadata["k"] = b"data", {}
    fake.faults["HeadObject", 0] = Answered(status)
    fake.faults["ListObjectsV2", 0] = Answered(status, "ExpiredToken")
    assert (await S3Client(fake, ENDPOINT, _Rotating(left=1)).head_object("k")).size == 4
    assert fake.requests == ["HeadObject", "ListObjectsV2", "ListObjectsV2", "HeadObject"]
    assert [header(request, "x-amz-security-token") for request in fake.sent] == [None, None, "TOKEN", "TOKEN"]


async def test_a_head_is_repeated_when_another_call_has_refreshed_the_credentials_meanwhile() -> None:
    fake, credentials = FakeS3(), _Rotating(left=1)
    fake.objects["k"], fake.metadata["k"] = b"data", {}
    fake.faults["HeadObject", 0] = Answered(403)
    fake.faults["ListObjectsV2", 0] = Answered(200, body=listing())
    call = asyncio.create_task(S3Client(fake, ENDPOINT, credentials).head_object("k"))
    await asyncio.sleep(0)
    await credentials.refresh()
    assert (await call).size == 4
    assert fake.requests == ["HeadObject", "ListObjectsV2", "HeadObject"]


@pytest.mark.parametrize("listing", [None, Answered(403, "AccessDenied")])
async def test_a_head_that_is_refused_for_good_is_not_repeated(listing: Answered | None) -> None:
    fake = FakeS3()
    fake.always["HeadObject"] = Answered(403)
    if listing is not None:
        fake.always["ListObjectsV2"] = listing
    with pytest.raises(errors.AccessDenied) as caught:
        await S3Client(fake, ENDPOINT, _Rotating(left=1)).head_object("k")
    assert caught.value.operation == "HeadObject"
    assert fake.requests == ["HeadObject", "ListObjectsV2"]


class _Gone(_Rotating):
    """Fails when it is asked for newer ones."""

    async def refresh(self) -> bool:
        raise errors.NoCredentials("the source of credentials is down")


async def test_what_an_attempt_may_have_done_is_said_by_whatever_error_comes_last() -> None:
    """An upload looks for its object then, instead of reporting a failure."""
    fake = FakeS3()
    fake.faults["PutObject", 0] = LostAfter()
    fake.faults["PutObject", 1] = Answered(403, "ExpiredToken")
    with pytest.raises(errors.NoCredentials) as caught:
        await S3Client(fake, ENDPOINT, _Gone(), retry=PATIENT).put_object("k", BytesBody(b"abc"))
    assert caught.value.may_have_acted


async def test_observer_hears_of_every_attempt() -> None:
    fake = FakeS3()
    fake.faults["PutObject", 0] = LostBefore()
    fake.faults["PutObject", 1] = Answered(503, "SlowDown")
    events: list[RequestEvent] = []
    client = client_of(fake, retry=PATIENT, observer=events.append)
    await client.put_object("k", BytesBody(b"abc"))
    assert [(event.operation, event.key, event.attempt, event.status, event.error, event.code) for event in events] == [
        ("PutObject", "k", 1, None, "ConnectionBroken", None),
        ("PutObject", "k", 2, 503, "Throttled", "SlowDown"),
        ("PutObject", "k", 3, 200, None, None),
    ]
    assert {event.bytes_sent for event in events} == {3}
    assert [event.retry_in is None for event in events] == [False, False, True]
    assert events[2].request_id == "R1"


@pytest.mark.parametrize("key", ["", "\ud800"])
async def test_key_that_cannot_be_sent_is_refused_before_sending(key: str) -> None:
    fake = FakeS3()
    with pytest.raises(errors.RequestInvalid):
        await client_of(fake).head_object(key)
    assert fake.sent == []


async def test_bad_ranges_are_refused_before_sending() -> None:
    client = client_of(FakeS3())
    with pytest.raises(errors.RequestInvalid):
        await client.get_object("k", offset=-1)
    with pytest.raises(errors.RequestInvalid):
        await client.get_object("k", length=0)
    with pytest.raises(errors.RequestInvalid):
        await client.upload_part_copy("k", "u", 1, source_key="s", first=3, last=2)


async def test_answers_of_another_service_are_protocol_errors() -> None:
    fake = FakeS3()
    fake.always = {
        "ListObjectsV2": Answered(200, body=b"<html>welcome</html>"),
        "HeadObject": Answered(200),
        "PutObject": Answered(200),
    }
    client = client_of(fake)
    with pytest.raises(errors.S3ProtocolError):
        await client.list_objects()
    with pytest.raises(errors.S3ProtocolError):
        await client.head_object("k")
    with pytest.raises(errors.S3ProtocolError):
        await client.put_object("k", BytesBody(b""))


async def test_close_closes_the_transport() -> None:
    fake = FakeS3()
    await client_of(fake).close()
    assert fake.closed

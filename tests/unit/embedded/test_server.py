from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientConnectionError, ClientError, ClientPayloadError, ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aioftps3.embedded import Answer, ConnectionCut, EmbeddedS3, Limits, RecordedRequest, Refusal
from tests.unit.embedded.signed_client import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Outgoing, SignedClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from aioftps3.embedded import Call, Proceed


def server(**options: object) -> EmbeddedS3:
    values: dict[str, object] = {"bucket": BUCKET, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": REGION}
    return EmbeddedS3(**{**values, **options})  # type: ignore[arg-type] # options of mixed types


def change_url(old: str, new: str) -> Callable[[Outgoing], None]:
    def spoil(outgoing: Outgoing) -> None:
        assert old in outgoing.url
        outgoing.url = outgoing.url.replace(old, new)

    return spoil


def set_header(name: str, value: str) -> Callable[[Outgoing], None]:
    return lambda outgoing: outgoing.headers.update({name: value})


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (change_url("/tests/key", "/tests/kez"), (403, "SignatureDoesNotMatch")),
        (change_url("/tests/key", "/tests//key"), (403, "SignatureDoesNotMatch")),
        (change_url("x-id=a", "x-id=b"), (403, "SignatureDoesNotMatch")),
        (change_url("x-id=a", "x-id=a&uploads"), (403, "SignatureDoesNotMatch")),
        (change_url("?x-id=a", ""), (403, "SignatureDoesNotMatch")),
        (set_header("Content-Type", "text/html"), (403, "SignatureDoesNotMatch")),
        (set_header("x-amz-meta-a", "2"), (403, "SignatureDoesNotMatch")),
        (set_header("x-amz-meta-b", "1"), (403, "AccessDenied")),
        (set_header("Host", "elsewhere"), (403, "SignatureDoesNotMatch")),
        (lambda outgoing: setattr(outgoing, "method", "DELETE"), (403, "SignatureDoesNotMatch")),
        (lambda outgoing: setattr(outgoing, "body", b"other"), (400, "XAmzContentSHA256Mismatch")),
        (lambda outgoing: outgoing.headers.pop("Authorization"), (403, "AccessDenied")),
    ],
)
async def test_a_request_that_was_changed_after_signing_does_nothing(
    s3: EmbeddedS3, client: SignedClient, spoil: Callable[[Outgoing], None], expected: tuple[int, str]
) -> None:
    s3.put("key", b"before")
    headers = {"Content-Type": "text/plain", "x-amz-meta-a": "1"}
    reply = await client.send("PUT", "key", query={"x-id": "a"}, body=b"after", headers=headers, spoil=spoil)
    assert reply.error == expected
    assert s3.objects() == {"key": 6}
    assert s3.read("key") == b"before"
    assert (await client.send("PUT", "key", query={"x-id": "a"}, body=b"after", headers=headers)).status == 200


async def test_wrong_keys_are_told_apart(s3: EmbeddedS3, client: SignedClient) -> None:
    client.secret_key = "wrong"
    reply = await client.put("key", b"x")
    assert reply.error == (403, "SignatureDoesNotMatch")
    assert "StringToSign" in reply.body.decode()
    assert SECRET_KEY not in reply.body.decode()
    client.access_key = "wrong"
    assert (await client.put("key", b"x")).error == (403, "InvalidAccessKeyId")
    assert s3.objects() == {}


async def test_wrong_region_is_told_the_right_one(client: SignedClient) -> None:
    client.region = "us-west-1"
    reply = await client.send("GET", "key")
    assert reply.error == (400, "AuthorizationHeaderMalformed")
    assert reply.text("Region") == REGION


@pytest.mark.parametrize(("off", "status"), [(890, 200), (910, 403), (-890, 200), (-910, 403)])
async def test_a_clock_that_is_off_by_more_than_fifteen_minutes_is_refused(
    session: ClientSession, off: int, status: int
) -> None:
    async with server(clock=lambda: time.time() + off) as s3:
        reply = await SignedClient(session, s3).put("key")
        assert reply.status == status
        if status == 403:
            assert reply.text("Code") == "RequestTimeTooSkewed"
        answered = parsedate_to_datetime(reply.headers["Date"])
        assert abs(answered - datetime.now(UTC) - timedelta(seconds=off)) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("configured", "sent", "status"),
    [("token", "token", 200), ("token", None, 400), ("token", "other", 400), (None, "token", 400), (None, None, 200)],
)
async def test_session_token_has_to_be_the_configured_one(
    session: ClientSession, configured: str | None, sent: str | None, status: int
) -> None:
    async with server(session_token=configured) as s3:
        client = SignedClient(session, s3)
        client.token = sent
        reply = await client.put("key")
        assert reply.status == status
        if status == 400:
            assert reply.text("Code") == "InvalidToken"


async def test_unsigned_payload_is_allowed(s3: EmbeddedS3, client: SignedClient) -> None:
    client.unsigned_payload = True
    assert (await client.put("key", b"data")).status == 200
    assert s3.read("key") == b"data"


async def test_virtual_host_addresses_the_bucket(s3: EmbeddedS3, client: SignedClient) -> None:
    host = f"{BUCKET}.s3.example.com"
    assert (await client.send("PUT", "tests/key", body=b"1", host=host)).status == 200
    assert s3.objects() == {"tests/key": 1}
    assert (await client.send("HEAD", host=f"{host}:80")).status == 200


async def test_other_buckets_do_not_exist(client: SignedClient) -> None:
    client.bucket = "another"
    assert (await client.send("GET", "key")).error == (404, "NoSuchBucket")
    assert (await client.send("HEAD")).status == 404
    assert (await client.send("PUT", "key", body=b"x")).error == (404, "NoSuchBucket")


async def test_every_answer_carries_a_request_id_a_date_and_says_what_the_server_is(client: SignedClient) -> None:
    replies = [await client.put("key"), await client.send("GET", "key"), await client.send("GET", "missing")]
    for reply in replies:
        assert len(reply.headers["x-amz-request-id"]) == 16
        assert "Date" in reply.headers
        assert "development aid" in reply.headers["Server"]
    assert len({reply.headers["x-amz-request-id"] for reply in replies}) == 3


async def test_error_documents_have_code_message_resource_and_request_id(client: SignedClient) -> None:
    reply = await client.send("GET", "no such&key")
    assert reply.error == (404, "NoSuchKey")
    assert reply.headers["Content-Type"] == "application/xml"
    assert reply.text("Message")
    assert reply.text("Key") == "no such&key"
    assert reply.text("Resource") == "/tests/no%20such%26key"
    assert reply.text("RequestId") == reply.headers["x-amz-request-id"]


@pytest.mark.parametrize(
    ("method", "key", "query"),
    [
        ("GET", "", {}),
        ("GET", "", {"versioning": ""}),
        ("PUT", "", {}),
        ("DELETE", "", {}),
        ("GET", "key", {"acl": ""}),
        ("PUT", "key", {"tagging": ""}),
        ("GET", "key", {"versionId": "1"}),
        ("POST", "key", {}),
        ("PATCH", "key", {}),
        ("GET", "", {"list-type": "2", "marker": "a"}),
    ],
)
async def test_everything_else_is_not_implemented(
    s3: EmbeddedS3, client: SignedClient, method: str, key: str, query: dict[str, str]
) -> None:
    s3.put("key", b"data")
    assert (await client.send(method, key, query=query)).error == (501, "NotImplemented")
    assert s3.objects() == {"key": 4}
    assert s3.requests[-1] == RecordedRequest("Unknown", key, 501)


async def test_listing_all_buckets_is_not_implemented(client: SignedClient) -> None:
    client.bucket = ""
    assert (await client.send("GET", "")).error == (501, "NotImplemented")


@pytest.mark.parametrize(
    "name",
    ["x-amz-server-side-encryption", "x-amz-tagging-directive", "x-amz-checksum-crc64nvme", "x-amz-object-lock-mode"],
)
async def test_headers_that_would_be_ignored_are_not_implemented(
    s3: EmbeddedS3, client: SignedClient, name: str
) -> None:
    assert (await client.send("PUT", "key", headers={name: "x"})).error == (501, "NotImplemented")
    assert s3.objects() == {}


async def test_path_that_is_no_utf_8_is_an_invalid_uri(client: SignedClient) -> None:
    assert (await client.send("GET", "k", spoil=change_url("/k", "/%ff"))).error == (400, "InvalidURI")


async def test_body_without_content_length_is_refused(s3: EmbeddedS3, session: ClientSession) -> None:
    client = SignedClient(session, s3)
    client.unsigned_payload = True
    taken: list[Outgoing] = []
    await client.send("PUT", "key", body=b"x", spoil=taken.append)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    async with session.put(
        taken[0].url, data=chunks(), headers=taken[0].headers, skip_auto_headers=("Content-Type",)
    ) as reply:
        assert reply.status == 411
        assert "MissingContentLength" in await reply.text()


async def test_requests_are_recorded_with_operation_key_and_status(s3: EmbeddedS3, client: SignedClient) -> None:
    await client.put("a/é", b"x")
    await client.send("GET", "a/é")
    await client.send("HEAD", "missing")
    await client.send("GET", query={"list-type": "2"})
    assert list(s3.requests) == [
        RecordedRequest("PutObject", "a/é", 200),
        RecordedRequest("GetObject", "a/é", 200),
        RecordedRequest("HeadObject", "missing", 404),
        RecordedRequest("ListObjectsV2", "", 200),
    ]
    assert (s3.count(), s3.count("GetObject"), s3.count("DeleteObject")) == (4, 1, 0)
    s3.clear()
    assert s3.count() == 0


async def test_objects_can_be_put_read_and_deleted_past_the_protocol(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.put("b", b"22", headers={"content-type": "text/plain", "x-amz-meta-a": "1"})
    s3.put("a", b"1")
    assert list(s3.objects().items()) == [("a", 1), ("b", 2)]
    reply = await client.send("GET", "b")
    assert (reply.body, reply.headers["Content-Type"], reply.headers["x-amz-meta-a"]) == (b"22", "text/plain", "1")
    s3.delete("b")
    s3.delete("b")
    assert s3.objects() == {"a": 1}
    with pytest.raises(KeyError):
        s3.read("b")


async def test_latency_is_added_to_every_request(s3: EmbeddedS3, client: SignedClient) -> None:
    s3.latency = 0.05
    begun = asyncio.get_running_loop().time()
    await client.send("HEAD", "missing")
    assert asyncio.get_running_loop().time() - begun >= 0.05


async def test_stopped_server_starts_again_on_its_port_with_everything_there(
    s3: EmbeddedS3, session: ClientSession
) -> None:
    client = SignedClient(session, s3)
    await client.put("key", b"data")
    upload_id = await client.create_upload("upload")
    url = s3.url
    await s3.stop()
    await s3.stop()
    with pytest.raises(ClientConnectionError):
        await client.send("HEAD", "key")
    await s3.start()
    assert s3.url == url
    assert (await client.send("GET", "key")).body == b"data"
    assert s3.uploads_in_progress == [("upload", upload_id)]


async def test_client_that_breaks_off_its_upload_leaves_nothing(s3: EmbeddedS3, client: SignedClient) -> None:
    taken: list[Outgoing] = []
    await client.send("PUT", "key", body=b"x" * 200_000, spoil=taken.append)
    s3.delete("key")
    s3.clear()
    over = asyncio.Event()

    async def watch(call: Call, proceed: Proceed) -> Answer:
        try:
            return await proceed()
        finally:
            over.set()

    s3.intercept = watch
    host, port = s3.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    lines = [f"PUT /tests/key HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 200000\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in taken[0].headers.items()]
    writer.write("".join(lines).encode() + b"\r\n" + b"x" * 100_000)
    await writer.drain()
    writer.close()
    async with asyncio.timeout(5):
        await over.wait()
    assert list(s3.requests) == [RecordedRequest("PutObject", "key", 0)]
    assert s3.objects() == {}


async def test_stopping_ends_requests_that_hang(s3: EmbeddedS3, client: SignedClient) -> None:
    hanging = asyncio.Event()

    async def hang(call: Call, proceed: Proceed) -> Answer:
        hanging.set()
        await asyncio.Event().wait()
        return await proceed()

    s3.intercept = hang
    request = asyncio.create_task(client.create_upload("key"))
    await hanging.wait()
    async with asyncio.timeout(10):
        await s3.stop()
        with pytest.raises(ClientError):
            await request


async def test_expect_100_continue_is_answered_before_the_body(client: SignedClient, s3: EmbeddedS3) -> None:
    reply = await client.send("PUT", "key", body=b"data", spoil=set_header("Expect", "100-continue"))
    assert reply.status == 200
    assert s3.read("key") == b"data"


async def test_refused_request_with_expect_never_has_to_send_its_body(client: SignedClient, s3: EmbeddedS3) -> None:
    client.secret_key = "wrong"
    taken: list[Outgoing] = []
    await client.send("PUT", "key", body=b"data", spoil=taken.append)
    host, port = s3.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"PUT /tests/key HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in taken[0].headers.items()]
    writer.write("".join(lines).encode() + b"\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"SignatureDoesNotMatch" in answer


async def test_intercept_can_answer_instead_of_the_handler(s3: EmbeddedS3, client: SignedClient) -> None:
    async def slow_down(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "PutObject" and call.key == "key":
            raise Refusal("SlowDown", 503, "Please reduce your request rate.")
        return await proceed()

    s3.intercept = slow_down
    assert (await client.put("key", b"x" * 1_000_000)).error == (503, "SlowDown")
    assert (await client.put("other")).status == 200
    s3.intercept = None
    assert (await client.put("key")).status == 200


async def test_intercept_can_lose_the_answer_after_the_handler_has_acted(s3: EmbeddedS3, client: SignedClient) -> None:
    async def lose(call: Call, proceed: Proceed) -> Answer:
        await proceed()
        raise ConnectionCut

    s3.intercept = lose
    with pytest.raises(ClientError):
        await client.create_upload("key")
    assert [key for key, _ in s3.uploads_in_progress] == ["key"]
    assert list(s3.requests) == [RecordedRequest("CreateMultipartUpload", "key", 0)]


async def test_intercept_can_stream_a_body_of_its_own(s3: EmbeddedS3, client: SignedClient) -> None:
    async def drip() -> AsyncGenerator[bytes, None]:
        yield b" \n"
        yield b"<x/>"

    async def whitespace(call: Call, proceed: Proceed) -> Answer:
        return Answer(status=200, body=drip())

    s3.intercept = whitespace
    assert (await client.send("GET", "key")).body == b" \n<x/>"


@pytest.mark.parametrize("cut", [True, False])
async def test_intercept_can_end_a_body_early(s3: EmbeddedS3, client: SignedClient, cut: bool) -> None:
    async def half(answer: Answer) -> AsyncGenerator[bytes, None]:
        assert not isinstance(answer.body, bytes)
        try:
            yield await anext(aiter(answer.body))
            if cut:
                raise ConnectionCut
        finally:
            await answer.body.aclose()

    async def truncate(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed()
        answer.body = half(answer)
        return answer

    s3.put("key", b"x" * 1_000_000)
    s3.intercept = truncate
    with pytest.raises((ClientPayloadError, ClientConnectionError)):
        await client.send("GET", "key")


async def test_failing_intercept_is_an_internal_error(
    s3: EmbeddedS3, client: SignedClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(call: Call, proceed: Proceed) -> Answer:
        raise ZeroDivisionError

    s3.intercept = fail
    assert (await client.send("GET", "key")).error == (500, "InternalError")
    assert "GetObject of the embedded S3 server failed" in caplog.text


async def test_many_clients_at_once(s3: EmbeddedS3, client: SignedClient) -> None:
    await asyncio.gather(*(client.put(f"k{number}", b"%d" % number) for number in range(100)))
    replies = await asyncio.gather(*(client.send("GET", f"k{number}") for number in range(100)))
    assert [reply.body for reply in replies] == [b"%d" % number for number in range(100)]


async def test_default_limits_are_those_of_s3() -> None:
    assert Limits() == Limits(min_part=5 * 1024**2, max_put=5 * 1024**3)


def make_certificate(directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = directory / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_serves_https_with_an_ssl_context(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(make_certificate(tmp_path))
    async with (
        server(ssl_context=context) as s3,
        ClientSession(connector=TCPConnector(ssl=False)) as session,
    ):
        assert s3.url.startswith("https://127.0.0.1:")
        client = SignedClient(session, s3)
        assert (await client.put("key", b"data")).status == 200
        assert (await client.send("GET", "key")).body == b"data"

"""The whole client over a socket to a server that verifies signatures with code of its own."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aioftps3.certificates import make_self_signed
from aioftps3.embedded import Answer, Call, EmbeddedS3, Proceed
from aioftps3.s3 import (
    NO_RETRIES,
    AiohttpTransport,
    ByteBudget,
    BytesBody,
    Endpoint,
    RequestEvent,
    S3Client,
    StaticCredentials,
    Upload,
    copy_any_size,
)
from aioftps3.s3.checksums import Algorithm, Checksum
from aioftps3.s3.errors import (
    ConnectFailed,
    CredentialsRejected,
    DigestMismatch,
    InvalidRange,
    NoSuchKey,
    PreconditionFailed,
    RequestRejected,
    RequestTimedOut,
    S3Error,
)
from aioftps3.s3.parts import MIB
from aioftps3.s3.retry import RetryPolicy

ODD_KEYS = [
    "a b",
    "x+y%25&#?'\"",
    "é日本",
    "//a//../b/./",
    "-dash",
    "back\\slash",
    "tab\tand\nline",
    "~!*()",
    "a=b;c,d",
]


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedS3]:
    async with EmbeddedS3(bucket="bucket", access_key="AK", secret_key="SK") as server:
        yield server


def client_of(
    server: EmbeddedS3,
    secret: str = "SK",
    events: list[RequestEvent] | None = None,
    checksum: Algorithm | None = None,
    sign_payload: bool | None = None,
    retry: RetryPolicy | None = None,
) -> S3Client:
    endpoint = Endpoint.for_bucket("bucket", "us-east-1", server.url)
    observer = None if events is None else events.append
    return S3Client(
        AiohttpTransport(),
        endpoint,
        StaticCredentials("AK", secret),
        observer=observer,
        checksum=checksum,
        sign_payload=sign_payload,
        retry=retry,
    )


@pytest.fixture
async def client(server: EmbeddedS3) -> AsyncIterator[S3Client]:
    client = client_of(server)
    yield client
    await client.close()


async def content(client: S3Client, key: str, offset: int = 0) -> bytes:
    async with await client.get_object(key, offset=offset) as got:
        return b"".join([chunk async for chunk in got.chunks()])


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_go_there_and_back(client: S3Client, key: str) -> None:
    await client.put_object(key, BytesBody(b"content"), metadata={"a": "b  c"}, content_type="text/plain")
    info = await client.head_object(key)
    assert (info.key, info.size, info.content_type) == (key, 7, "text/plain")
    assert await content(client, key, 3) == b"tent"
    assert [item.key for item in (await client.list_objects(prefix=key)).objects] == [key]
    await client.copy_object(key, key + "2", source_if_match=info.etag)
    await client.delete_objects([key, key + "2"])
    assert (await client.list_objects()).objects == ()


async def test_listing_goes_on_over_pages(client: S3Client) -> None:
    keys = [f"d{number % 3}/é {number}" for number in range(25)]
    for key in keys:
        await client.put_object(key, BytesBody(b""))
    seen: list[str] = []
    token: str | None = None
    while True:
        page = await client.list_objects(max_keys=7, token=token)
        seen.extend(item.key for item in page.objects)
        token = page.next_token
        if token is None:
            break
    assert seen == sorted(keys, key=str.encode)
    assert (await client.list_objects(delimiter="/")).prefixes == ("d0/", "d1/", "d2/")


@pytest.mark.parametrize("size", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 23 * MIB + 7])
async def test_streams_arrive_whole(server: EmbeddedS3, size: int) -> None:
    events: list[RequestEvent] = []
    client = client_of(server, events=events)
    block = bytes(number * 31 % 253 for number in range(100_003))
    digest = hashlib.sha256()
    budget = ByteBudget(20 * MIB)
    upload = Upload(client, "k", budget=budget, part_size=5 * MIB)
    left = size
    while left:
        piece = block[: min(left, len(block))]
        digest.update(piece)
        left -= len(piece)
        await upload.write(piece)
    assert (await upload.complete()).size == size
    assert hashlib.sha256(await content(client, "k")).digest() == digest.digest()
    assert budget.in_use == 0
    assert server.uploads_in_progress == []
    if size <= 5 * MIB:
        assert [event.operation for event in events] == ["PutObject", "GetObject"]
    await client.close()


@pytest.mark.parametrize("sign_payload", [True, False])
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.SHA256, Algorithm.MD5])
@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 12 * MIB + 7])
async def test_checksums_are_accepted_kept_and_verified(
    server: EmbeddedS3, algorithm: Algorithm, size: int, sign_payload: bool
) -> None:
    client = client_of(server, checksum=algorithm, sign_payload=sign_payload)
    budget = ByteBudget(20 * MIB)
    data = bytes(number * 31 % 253 for number in range(997)) * (size // 997 + 1)
    upload = Upload(client, "k", budget=budget, part_size=5 * MIB)
    await upload.write(data[:size])
    await upload.complete()
    async with await client.get_object("k") as got:
        # SHA-256 of a multipart object is a hash of hashes, and S3 does not keep MD5.
        verified = algorithm is Algorithm.CRC32 or (algorithm is Algorithm.SHA256 and size <= 5 * MIB)
        assert (got.verification is not None) == verified
        assert b"".join([chunk async for chunk in got.chunks()]) == data[:size]
    assert server.uploads_in_progress == []
    await client.close()


class Damaged(BytesBody):
    """Its bytes are not those that its checksum was made of."""

    def checksum(self, algorithm: Algorithm) -> bytes:
        return BytesBody(b"something else").checksum(algorithm)


@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.SHA256, Algorithm.MD5])
async def test_content_that_is_not_what_its_checksum_says_is_refused(server: EmbeddedS3, algorithm: Algorithm) -> None:
    client = client_of(server, checksum=algorithm)
    with pytest.raises(DigestMismatch):
        await client.put_object("k", Damaged(b"content"))
    upload_id = await client.create_multipart_upload("k", checksum=algorithm)
    with pytest.raises(DigestMismatch):
        await client.upload_part("k", upload_id, 1, Damaged(b"content"))
    assert server.objects() == {}
    assert (await client.list_parts("k", upload_id)).parts == ()
    await client.close()


@pytest.mark.parametrize(
    ("checksum", "size", "error"), [("AAAAAA==", 7, DigestMismatch), ("/sUwqQ==", 8, RequestRejected)]
)
async def test_a_whole_that_is_not_what_was_sent_is_not_made(
    server: EmbeddedS3, checksum: str, size: int, error: type[S3Error]
) -> None:
    client = client_of(server, checksum=Algorithm.CRC32)
    upload_id = await client.create_multipart_upload("k", checksum=Algorithm.CRC32)
    part = await client.upload_part("k", upload_id, 1, BytesBody(b"content"))
    claimed = [replace(part, size=size)]
    with pytest.raises(error):
        await client.complete_multipart_upload("k", upload_id, claimed, checksum=Checksum("crc32", checksum))
    assert server.objects() == {}
    await client.close()


async def test_a_complete_that_fails_after_a_long_silence_is_repeated(server: EmbeddedS3) -> None:
    events: list[RequestEvent] = []
    failed = False

    async def slow_failure() -> AsyncGenerator[bytes, None]:
        yield b'<?xml version="1.0" encoding="UTF-8"?>\n'
        for _ in range(20):
            await asyncio.sleep(0)
            yield b" \n"
        yield b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        nonlocal failed
        if call.operation == "CompleteMultipartUpload" and not failed:
            failed = True
            await call.body.read()
            return Answer(status=200, body=slow_failure())
        return await proceed()

    server.intercept = intercept
    client = client_of(server, events=events, checksum=Algorithm.CRC32)
    upload = Upload(client, "k", budget=ByteBudget(20 * MIB), part_size=5 * MIB)
    await upload.write(bytes(11 * MIB))
    await upload.complete()
    attempts = [(event.attempt, event.status, event.code) for event in events if event.operation.startswith("Complete")]
    assert attempts == [(1, 200, "InternalError"), (2, 200, None)]
    assert server.objects() == {"k": 11 * MIB}
    await client.close()


async def test_a_complete_that_never_ends_is_given_up(server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.s3.sender.SLOW_ATTEMPT_SECONDS", 0.1)

    async def for_ever() -> AsyncGenerator[bytes, None]:
        while True:
            await asyncio.sleep(0.01)
            yield b" "

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "CompleteMultipartUpload":
            await call.body.read()
            return Answer(status=200, body=for_ever())
        return await proceed()

    server.intercept = intercept
    client = client_of(server, retry=RetryPolicy(attempts=2, base_seconds=0.0))
    upload = Upload(client, "k", budget=ByteBudget(20 * MIB), part_size=5 * MIB)
    await upload.write(bytes(6 * MIB))
    with pytest.raises(RequestTimedOut):
        await upload.complete()
    await upload.abort()
    assert server.count("CompleteMultipartUpload") == 2
    assert server.uploads_in_progress == []
    await client.close()


async def test_abort_leaves_nothing(server: EmbeddedS3, client: S3Client) -> None:
    upload = Upload(client, "k", budget=ByteBudget(20 * MIB), part_size=5 * MIB)
    await upload.write(bytes(12 * MIB))
    assert server.uploads_in_progress != []
    await upload.abort()
    assert server.uploads_in_progress == []
    assert (await client.list_multipart_uploads()).uploads == ()
    with pytest.raises(NoSuchKey):
        await client.head_object("k")


async def test_copy_in_parts(client: S3Client) -> None:
    data = bytes(range(256)) * (12 * MIB // 256)
    await client.put_object("s", BytesBody(data), metadata={"m": "v"})
    source = await client.head_object("s")
    await copy_any_size(client, source, "t", single_copy_bytes=MIB, part_bytes=5 * MIB)
    assert await content(client, "t") == data
    assert (await client.head_object("t")).metadata["m"] == "v"


async def test_conditions_hold(client: S3Client) -> None:
    await client.put_object("k", BytesBody(b"1"), if_none_match="*")
    with pytest.raises(PreconditionFailed):
        await client.put_object("k", BytesBody(b"2"), if_none_match="*")
    with pytest.raises(PreconditionFailed):
        await client.get_object("k", if_match='"other"')
    with pytest.raises(InvalidRange):
        await client.get_object("k", offset=1)
    with pytest.raises(NoSuchKey):
        await client.get_object("missing")


async def test_wrong_secret_is_rejected(server: EmbeddedS3) -> None:
    client = client_of(server, secret="wrong")
    with pytest.raises(CredentialsRejected):
        await client.put_object("k", BytesBody(b""))
    with pytest.raises(CredentialsRejected):
        await client.head_object("k")
    await client.close()


async def test_https_with_an_authority_of_its_own(tmp_path: Path) -> None:
    pair = make_self_signed(["127.0.0.1"], now=datetime.now(UTC))
    path = tmp_path / "both.pem"
    await asyncio.to_thread(path.write_bytes, pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    budget = ByteBudget(20 * MIB)
    data = bytes(range(251)) * 60_000
    async with EmbeddedS3(bucket="bucket", access_key="AK", secret_key="SK", ssl_context=context) as server:
        endpoint = Endpoint.for_bucket("bucket", "us-east-1", server.url)
        trusting = S3Client(AiohttpTransport(ca_file=str(path)), endpoint, StaticCredentials("AK", "SK"))
        assert endpoint.scheme == "https"
        assert not trusting.signs_payload
        upload = Upload(trusting, "k", budget=budget, part_size=5 * MIB)
        await upload.write(data)
        await upload.complete()
        assert await content(trusting, "k") == data
        await trusting.close()
        strict = S3Client(AiohttpTransport(), endpoint, StaticCredentials("AK", "SK"), retry=NO_RETRIES)
        with pytest.raises(ConnectFailed):
            await strict.head_bucket()
        await strict.close()

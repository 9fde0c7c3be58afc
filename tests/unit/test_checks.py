import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aioftps3.certificates import make_self_signed
from aioftps3.checks import Finding, check_reading, check_writing, diagnose
from aioftps3.embedded import Answer, Call, EmbeddedS3, Proceed, Refusal
from aioftps3.s3 import errors
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import ProfileCredentials, StaticCredentials
from aioftps3.s3.models import Endpoint
from aioftps3.s3.retry import NO_RETRIES
from aioftps3.s3.transport import AiohttpTransport

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@asynccontextmanager
async def client_of(
    url: str, *, bucket: str = "bucket", secret: str = SECRET, region: str = "us-east-1", ca_file: str | None = None
) -> AsyncIterator[S3Client]:
    client = S3Client(
        AiohttpTransport(ca_file=ca_file, connect_timeout=2),
        Endpoint.for_bucket(bucket, region, url),
        StaticCredentials(KEY, secret),
        retry=NO_RETRIES,
    )
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def s3() -> AsyncIterator[EmbeddedS3]:
    async with EmbeddedS3(bucket="bucket", access_key=KEY, secret_key=SECRET) as server:
        yield server


async def reading(client: S3Client) -> str:
    finding = await check_reading(client, "")
    assert not finding.good
    assert SECRET not in finding.text
    return finding.text


async def test_a_bucket_that_is_right_is_found_with_one_request(s3: EmbeddedS3) -> None:
    async with client_of(s3.url) as client:
        assert await check_reading(client, "team/") == Finding(
            True, f"S3 bucket bucket at {s3.url}: the bucket can be listed"
        )
    assert [request.operation for request in s3.requests] == ["ListObjectsV2"]


async def test_the_check_of_writing_leaves_nothing_behind(s3: EmbeddedS3) -> None:
    async with client_of(s3.url) as client:
        assert (await check_writing(client, "team/")).good
        assert [request.operation for request in s3.requests] == ["CreateMultipartUpload", "AbortMultipartUpload"]
        assert s3.requests[0].key == "team/.aioftps3-check"
        assert not (await client.list_objects()).objects


async def test_wrong_keys_are_named(s3: EmbeddedS3) -> None:
    async with client_of(s3.url, secret="x" * 40) as client:
        assert "wrong keys (SignatureDoesNotMatch); look at AWS_ACCESS_KEY_ID" in await reading(client)


async def test_a_missing_bucket_is_named(s3: EmbeddedS3) -> None:
    async with client_of(s3.url, bucket="another") as client:
        assert "there is no such bucket (NoSuchBucket); look at AWS_S3_BUCKET_NAME" in await reading(client)


async def test_a_region_that_s3_corrects_is_named(s3: EmbeddedS3) -> None:
    async with client_of(s3.url, region="eu-west-1") as client:
        finding = await check_reading(client, "")
    assert "us-east-1: set AWS_S3_BUCKET_REGION" in finding.text


async def test_denied_names_the_permission(s3: EmbeddedS3) -> None:
    async def deny(call: Call, proceed: Proceed) -> Answer:
        raise Refusal("AccessDenied", 403, "no")

    s3.intercept = deny
    async with client_of(s3.url) as client:
        assert "access denied (AccessDenied); the keys need s3:ListBucket" in await reading(client)
        assert "s3:PutObject and s3:AbortMultipartUpload" in (await check_writing(client, "")).text


async def test_an_endpoint_that_refuses_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with client_of(f"http://127.0.0.1:{unused.getsockname()[1]}") as client:
            assert "unreachable: the connection is refused; look at AWS_S3_BUCKET_HOST" in await reading(client)


async def test_https_to_a_port_without_tls_is_a_tls_failure(s3: EmbeddedS3) -> None:
    async with client_of(s3.url.replace("http://", "https://")) as client:
        assert "TLS failed" in await reading(client)


async def test_an_untrusted_certificate_points_to_the_ca_bundle(tmp_path: Path) -> None:
    made = make_self_signed(["127.0.0.1"], now=datetime.now(UTC))
    (tmp_path / "both.pem").write_bytes(made.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    async with EmbeddedS3(bucket="bucket", access_key=KEY, secret_key=SECRET, ssl_context=context) as s3:
        async with client_of(s3.url) as client:
            text = await reading(client)
        async with client_of(s3.url, ca_file=str(tmp_path / "both.pem")) as client:
            assert (await check_reading(client, "")).good
    assert "TLS: its certificate is not trusted (self" in text
    assert "look at AWS_CA_BUNDLE" in text


async def test_something_else_than_s3_is_named() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        assert "what answers is not S3" in await reading(client)


async def test_a_profile_that_is_not_there_is_named(s3: EmbeddedS3, tmp_path: Path) -> None:
    provider = ProfileCredentials("missing", tmp_path / "none")
    client = S3Client(AiohttpTransport(), Endpoint.for_bucket("bucket", "us-east-1", s3.url), provider)
    assert "no keys:" in await reading(client)
    await client.close()


def chained(error: Exception, cause: Exception) -> errors.S3Error:
    fault = errors.ConnectFailed("no connection")
    error.__cause__ = cause
    fault.__cause__ = error
    return fault


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (chained(OSError(), socket.gaierror(socket.EAI_NONAME, "unknown")), "does not resolve"),
        (chained(OSError(), TimeoutError()), "no answer in time"),
        (chained(OSError(), OSError()), "the endpoint does not answer"),
        (errors.WrongRegion("PermanentRedirect", 301, region="eu-west-1"), "wrong region: it is eu-west-1"),
        (errors.WrongRegion("PermanentRedirect", 301), "wrong region (PermanentRedirect)"),
        (errors.ClockSkew("RequestTimeTooSkewed", 403), "clock"),
        (errors.Throttled("SlowDown", 503), "it may come back"),
        (errors.NotSupported("NotImplemented", 501), "unexpected"),
        (errors.S3ResponseError("", 400), "what answers is not S3 (status 400); look at AWS_S3_BUCKET_HOST"),
    ],
)
def test_each_fault_has_its_words(error: errors.S3Error, words: str) -> None:
    assert words in diagnose(error)

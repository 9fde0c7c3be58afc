import asyncio
import contextlib
import ftplib
import io
import json
import logging
import re
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives import serialization

from aioftps3 import app
from aioftps3.auth import User
from aioftps3.certificates import make_self_signed
from aioftps3.embedded import Answer, Call, EmbeddedS3, Proceed, Refusal
from aioftps3.embedded.faults import FaultScript, Gate
from aioftps3.ftp.config import FtpConfig, RequireTls, UploadEnd
from aioftps3.options import Settings
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.copy import COPIES_IN_FLIGHT
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.errors import NoSuchKey
from aioftps3.s3.models import Body, BytesBody, RequestEvent
from aioftps3.s3.ranges import Parallel
from aioftps3.s3.transport import AiohttpTransport, Request, Response
from aioftps3.s3.upload import Upload
from aioftps3.settings import SettingsError, load
from aioftps3.storage import VirtualPath, s3store
from aioftps3.storage.errors import Exists, IsADirectory

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PASSWORD = "correct horse battery staple"
README: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_S3_BUCKET_REGION": "eu-west-1",
    "AWS_S3_BUCKET_HOST": "s3-eu-west-1.amazon.aws.com",
    "AWS_S3_BUCKET_NAME": "my-bucket-name",
    "FTP_USER_LOGIN": "user",
    "FTP_USER_PASSWORD": PASSWORD,
}
LOCAL = {
    "AIOFTPS3_HOST": "127.0.0.1",
    "AIOFTPS3_PORT": "0",
    "AIOFTPS3_IMPLICIT_PORT": "0",
    "AIOFTPS3_DATA_PORTS": "0",
    "AIOFTPS3_SHUTDOWN_GRACE": "10",
}
WAIT_SECONDS = 15
MIB = 1024 * 1024


# -- the parts ----------------------------------------------------------------------------------------------------


def test_the_words_of_the_settings_are_those_of_the_server() -> None:
    words = {name: set(get_args(field.annotation)) for name, field in Settings.model_fields.items()}
    assert words["require_tls"] == {member.value for member in RequireTls}
    assert words["upload_end"] == {member.value for member in UploadEnd}


def test_the_defaults_of_the_settings_are_those_of_the_server() -> None:
    assert app.ftp_config(load(README)) == FtpConfig()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("AIOFTPS3_HOST", "127.0.0.1,::1", "hosts", ("127.0.0.1", "::1")),
        ("AIOFTPS3_PORT", "2121", "port", 2121),
        ("AIOFTPS3_IMPLICIT_PORT", "990", "implicit_port", 990),
        ("AIOFTPS3_DATA_PORTS", "30000-30002", "data_ports", (30000, 30001, 30002)),
        ("AIOFTPS3_PUBLIC_HOST", "192.0.2.1", "public_host", "192.0.2.1"),
        ("AIOFTPS3_REQUIRE_TLS", "control", "require_tls", RequireTls.CONTROL),
        ("AIOFTPS3_UPLOAD_END", "strict", "upload_end", UploadEnd.STRICT),
        ("AIOFTPS3_MAX_SESSIONS", "11", "max_sessions", 11),
        ("AIOFTPS3_MAX_SESSIONS_PER_ADDRESS", "12", "max_sessions_per_address", 12),
        ("AIOFTPS3_LOGIN_TIMEOUT", "13", "login_timeout", 13.0),
        ("AIOFTPS3_IDLE_TIMEOUT", "14", "idle_timeout", 14.0),
        ("AIOFTPS3_DATA_CONNECT_TIMEOUT", "15", "data_connect_timeout", 15.0),
        ("AIOFTPS3_STALL_TIMEOUT", "16", "stall_timeout", 16.0),
        ("AIOFTPS3_TLS_HANDSHAKE_TIMEOUT", "17", "tls_handshake_timeout", 17.0),
        ("AIOFTPS3_REQUIRE_TLS_RESUMPTION", "true", "require_tls_resumption", True),
        ("AIOFTPS3_ALLOW_FOREIGN_DATA_PEER", "true", "allow_foreign_data_peer", True),
        ("AIOFTPS3_ACTIVE_MODE", "true", "active_mode", True),
        ("AIOFTPS3_CONVERT_TEXT", "true", "convert_text", True),
        ("AIOFTPS3_TIMES", "modified", "client_times", True),
    ],
)
def test_each_setting_of_the_server_reaches_it_alone(name: str, text: str, field: str, value: object) -> None:
    config = app.ftp_config(load({**README, name: text}))
    assert {each.name for each in fields(FtpConfig) if getattr(config, each.name) != each.default} == {field}
    assert getattr(config, field) == value


@pytest.mark.parametrize(
    ("name", "text", "argument", "value"),
    [
        ("AIOFTPS3_MEMORY_BUDGET", "64MiB", "budget", 64 * MIB),
        ("AIOFTPS3_PART_SIZE", "16MiB", "part_size", 16 * MIB),
        ("AIOFTPS3_PARTS_IN_FLIGHT", "7", "parts_in_flight", 7),
        ("AIOFTPS3_EQUAL_PARTS", "true", "equal_parts", True),
        ("AIOFTPS3_NO_OVERWRITE", "true", "if_none_match", "*"),
    ],
)
async def test_each_setting_of_uploads_reaches_them_alone(
    name: str, text: str, argument: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    class Watched(Upload):
        def __init__(self, client: S3Client, key: str, *, budget: ByteBudget, **given: Any) -> None:
            asked.append({**given, "budget": budget.total})
            super().__init__(client, key, budget=budget, **given)

    monkeypatch.setattr(s3store, "Upload", Watched)
    for environ in (README, {**README, name: text}):
        settings = load(environ)
        client = app.s3_client(settings, Nowhere(), StaticCredentials("AK", "SK"))
        app.tree_factory(settings, client)(User("joe")).open_write(VirtualPath("/f"))
    before, after = asked
    assert {key for key in after if before[key] != after[key]} == {argument}
    assert after[argument] == value


@pytest.mark.parametrize(
    ("host", "equal"),
    [
        ("https://0a1b2c.r2.cloudflarestorage.com", True),
        ("https://0a1b2c.eu.r2.cloudflarestorage.com:443", True),
        ("https://r2.cloudflarestorage.com.example.net", False),
        ("http://127.0.0.1:9000", False),
    ],
)
async def test_parts_are_equal_on_cloudflare_r2(host: str, equal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Watched(Upload):
        def __init__(self, *given: Any, **named: Any) -> None:
            asked.append(named["equal_parts"])
            super().__init__(*given, **named)

    monkeypatch.setattr(s3store, "Upload", Watched)
    settings = load({**README, "AWS_S3_BUCKET_HOST": host})
    client = app.s3_client(settings, Nowhere(), StaticCredentials("AK", "SK"))
    app.tree_factory(settings, client)(User("joe")).open_write(VirtualPath("/f"))
    assert asked == [equal]


@pytest.mark.parametrize(("streams", "expected"), [("", None), ("1", None), ("2", 2), ("16", 16)])
async def test_downloads_are_told_their_streams_and_share_the_budget_of_uploads(
    streams: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[ByteBudget] = []
    given: list[Parallel | None] = []

    class Watched(s3store.S3Store):
        def __init__(
            self, client: S3Client, budget: ByteBudget, *, parallel: Parallel | None = None, **others: Any
        ) -> None:
            budgets.append(budget)
            given.append(parallel)
            super().__init__(client, budget, parallel=parallel, **others)

    monkeypatch.setattr(app, "S3Store", Watched)
    settings = load({**README, "AIOFTPS3_DOWNLOAD_STREAMS": streams})
    app.tree_factory(settings, app.s3_client(settings, Nowhere(), StaticCredentials("AK", "SK")))
    (parallel,) = given
    assert (None if parallel is None else parallel.streams) == expected
    assert parallel is None or parallel.budget is budgets[0]


async def test_trees_of_all_sessions_share_what_is_remembered_of_clients_times() -> None:
    async with EmbeddedS3(bucket="my-bucket-name", access_key="AKIDEXAMPLE", secret_key=SECRET) as s3:
        for times, expected in (("modified", 1_500_000_000.0), ("uploaded", None)):
            given = {"AWS_S3_BUCKET_HOST": s3.url, "AWS_S3_BUCKET_REGION": "", "AIOFTPS3_TIMES": times}
            settings = load({**README, **given})
            transport = app.s3_transport(settings)
            client = app.s3_client(settings, transport, StaticCredentials("AKIDEXAMPLE", SECRET))
            open_tree = app.tree_factory(settings, client)
            s3.put("f", b"", headers={"x-amz-meta-mtime": "1500000000"}, modified=1_600_000_000.0)
            s3.clear()
            for user in ("joe", "ann"):
                tree = open_tree(User(user))
                (listed,) = [page async for page in tree.list(VirtualPath("/"))]
                (entry,) = await tree.timed(listed)
                assert entry.modified == (expected or 1_600_000_000.0)
            assert s3.count("HeadObject") == (1 if expected else 0)
            await transport.close()


@pytest.mark.parametrize(
    ("given", "hashes"),
    [
        ({}, ("SHA-256",)),
        ({"AWS_S3_BUCKET_HOST": ""}, ("CRC32", "MD5")),
        ({"AWS_S3_BUCKET_HOST": "", "AIOFTPS3_CHECKSUM": "none"}, ("MD5",)),
        ({"AIOFTPS3_CHECKSUM": "crc32"}, ("CRC32",)),
        ({"AIOFTPS3_CHECKSUM": "sha256"}, ("SHA-256",)),
        ({"AIOFTPS3_CHECKSUM": "md5"}, ("MD5",)),
        ({"AIOFTPS3_CHECKSUM": "none"}, ()),
        ({"AWS_S3_BUCKET_HOST": "http://localhost:9000", "AIOFTPS3_CHECKSUM": "crc32"}, ("CRC32", "SHA-256")),
    ],
)
def test_hashes_are_offered_as_the_checksum_allows(given: Mapping[str, str], hashes: tuple[str, ...]) -> None:
    settings = load({**README, **given})
    found = app.hashes_of(app.s3_client(settings, Nowhere(), StaticCredentials("AK", "SK")))
    assert found == hashes
    assert app.ftp_config(settings, found).hashes == hashes


async def test_trees_of_all_sessions_share_their_locks_and_what_was_emptied() -> None:
    async with EmbeddedS3(bucket="my-bucket-name", access_key="AKIDEXAMPLE", secret_key=SECRET) as s3:
        settings = load({**README, "AWS_S3_BUCKET_HOST": s3.url, "AWS_S3_BUCKET_REGION": ""})
        transport = app.s3_transport(settings)
        client = app.s3_client(settings, transport, StaticCredentials("AKIDEXAMPLE", SECRET))
        open_tree = app.tree_factory(settings, client)
        one, other = open_tree(User("joe")), open_tree(User("ann"))
        s3.put("d/f", b"")
        await one.unlink(VirtualPath("/d/f"))
        assert await other.is_dir(VirtualPath("/d"))

        reached, go_on = asyncio.Event(), asyncio.Event()

        async def intercept(call: Call, proceed: Proceed) -> Answer:
            if call.operation == "PutObject":
                reached.set()
                await go_on.wait()
            return await proceed()

        s3.intercept = intercept
        making = asyncio.create_task(one.mkdir(VirtualPath("/new")))
        await reached.wait()
        again = asyncio.create_task(other.mkdir(VirtualPath("/new")))
        s3.clear()
        # A request of its own, sent after the other tree could have sent one.
        await client.list_objects(prefix="elsewhere/")
        assert [request.operation for request in s3.requests if request.status == 200] == ["ListObjectsV2"]
        go_on.set()
        await making
        with pytest.raises(Exists):
            await again

        # A directory that one session makes is known to a rename of another one, which has not seen it.
        s3.put("f", b"")
        source = await one.rename_source(VirtualPath("/f"))
        await other.mkdir(VirtualPath("/newer"))
        with pytest.raises(IsADirectory):
            await one.rename(source, VirtualPath("/newer"))
        await transport.close()


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "FTP_USER_PASSWORD"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_of_the_settings_are_blotted_out_of_all_logs(
    name: str, log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        app.configure_logs(load({**README, name: "the-secret-of-this-test", "AIOFTPS3_LOG_FORMAT": log_format}))
        logging.getLogger("anyone").warning("it is %s, is it not", "the-secret-of-this-test")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert "is it not" in stream.getvalue()
    assert "the-secret-of-this-test" not in stream.getvalue()


def test_port_0_of_the_implicit_listener_turns_it_off() -> None:
    assert not app.ftp_config(load({**README, "AIOFTPS3_IMPLICIT_PORT": "0"})).implicit


def test_the_ready_line_names_every_address() -> None:
    addresses = [("explicit", "0.0.0.0", 8021), ("explicit", "::", 8021), ("implicit", "0.0.0.0", 8022)]
    assert app.ready_line(addresses) == "ready ftp://0.0.0.0:8021 ftp://[::]:8021 ftps://0.0.0.0:8022"


class Nowhere:
    """A transport that must not be used."""

    async def send(self, request: Request, body: Body | None) -> Response:
        raise AssertionError("nothing is asked when a source is chosen")

    async def close(self) -> None:
        return


WITHOUT_KEYS = {name: value for name, value in README.items() if not name.startswith(("AWS_ACCESS", "AWS_SECRET"))}


async def test_keys_come_from_the_environment_or_from_a_profile(tmp_path: Path) -> None:
    source = app.credentials(load({**README, "AWS_SESSION_TOKEN": "token", "AWS_PROFILE": "unused"}), Nowhere())
    given = await source.provider.credentials()
    assert (given.access_key, given.secret_key, given.session_token) == ("AKIDEXAMPLE", SECRET, "token")
    assert source.name == "AWS_ACCESS_KEY_ID"
    file = tmp_path / "credentials"
    file.write_text("[backup]\naws_access_key_id = OTHER\naws_secret_access_key = other-secret\n")
    settings = load({**WITHOUT_KEYS, "AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "backup"})
    source = app.credentials(settings, Nowhere())
    assert (await source.provider.credentials()).access_key == "OTHER"
    assert source.name == f"profile backup of {file}"


async def test_keys_come_from_the_role_of_a_container_a_pod_or_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "token"
    file.write_text("token")
    pod = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(file), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}
    for environ, name in (
        ({**pod, "AWS_ROLE_SESSION_NAME": "gateway"}, "AWS_WEB_IDENTITY_TOKEN_FILE for arn:aws:iam::1:role/r"),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}, "the container's role"),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
            },
            "the container's role",
        ),
        ({}, "the machine's role (EC2 metadata)"),
    ):
        settings = load({**WITHOUT_KEYS, "HOME": str(tmp_path), **environ})
        assert app.credentials(settings, Nowhere()).name == name


def test_an_address_that_cannot_be_trusted_with_a_token_is_a_fault_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    environ = {**WITHOUT_KEYS, "HOME": str(tmp_path), "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.0.0.1/"}
    with pytest.raises(SettingsError, match="AWS_CONTAINER_CREDENTIALS_FULL_URI cannot be trusted"):
        app.credentials(load(environ), Nowhere())


async def test_the_daemon_works_with_the_keys_of_a_container(s3: EmbeddedS3, tmp_path: Path) -> None:
    asked: list[str] = []
    document = json.dumps({"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": SECRET}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(document) + document)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    endpoint = await asyncio.start_server(answer, "127.0.0.1", 0)
    environ = {
        **WITHOUT_KEYS,
        **LOCAL,
        "HOME": str(tmp_path),
        "AWS_S3_BUCKET_HOST": s3.url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{endpoint.sockets[0].getsockname()[1]}/keys?a=b",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "the-token-of-the-container",
    }
    async with endpoint:
        code, out, err = await run(environ, "check")
        assert code == 0, out + err
        assert "ok    keys from the container's role" in out
        async with daemon(environ) as running:
            await running.logged("the bucket can be listed")
            running.process.terminate()
            assert await running.ended() == 0
            assert "the-token-of-the-container" not in "".join(running.errors)
            assert SECRET not in "".join(running.errors)
    assert len(asked) == 2
    assert all(request.startswith("GET /keys?a=b HTTP/1.1\r\n") for request in asked)
    assert all("Authorization: the-token-of-the-container\r\n" in request for request in asked)


@pytest.mark.parametrize(
    ("host", "choice", "algorithm", "signs"),
    [
        ("", "auto", Algorithm.CRC32, False),
        ("http://127.0.0.1:9000", "auto", None, True),
        ("https://127.0.0.1:9000", "auto", None, True),
        ("http://127.0.0.1:9000", "sha256", Algorithm.SHA256, True),
        ("https://127.0.0.1:9000", "crc32", Algorithm.CRC32, False),
        ("https://127.0.0.1:9000", "none", None, False),
        ("", "none", None, False),
    ],
)
async def test_uploads_are_protected_by_what_the_endpoint_takes(
    host: str, choice: str, algorithm: Algorithm | None, signs: bool
) -> None:
    """A checksum where it is known to be taken, else the payload hash that every signature can have."""
    settings = load({**README, "AWS_S3_BUCKET_HOST": host, "AIOFTPS3_CHECKSUM": choice})
    transport = app.s3_transport(settings)
    client = app.s3_client(settings, transport, StaticCredentials("AK", "SK"))
    assert client.checksum is algorithm
    assert client.signs_payload is signs
    await transport.close()


async def test_trees_begin_at_the_prefix_of_the_daemon_and_of_the_user() -> None:
    async with EmbeddedS3(bucket="my-bucket-name", access_key="AKIDEXAMPLE", secret_key=SECRET) as s3:
        settings = load({**README, "AWS_S3_BUCKET_HOST": s3.url, "AIOFTPS3_PREFIX": "team", "AWS_S3_BUCKET_REGION": ""})
        transport = app.s3_transport(settings)
        tree = app.tree_factory(settings, app.s3_client(settings, transport, StaticCredentials("AKIDEXAMPLE", SECRET)))(
            User("joe", prefix="joe/")
        )
        await tree.mkdir(VirtualPath("/inbox"))
        await transport.close()
        assert [request.key for request in s3.requests if request.operation == "PutObject"] == ["team/joe/inbox/"]


async def test_repeated_requests_are_warned_of_and_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    faults = ["SlowDown", "InternalError"]

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "PutObject" and faults:
            raise Refusal(faults.pop(0), 503, "secret-name", headers={"x-amz-retry-after": "1"})
        return await proceed()

    async with EmbeddedS3(bucket="my-bucket-name", access_key="AKIDEXAMPLE", secret_key=SECRET) as s3:
        s3.intercept = intercept
        settings = load({**README, "AWS_S3_BUCKET_HOST": s3.url, "AWS_S3_BUCKET_REGION": ""})
        transport = app.s3_transport(settings)
        client = app.s3_client(settings, transport, StaticCredentials("AKIDEXAMPLE", SECRET))
        with caplog.at_level(logging.INFO):
            await client.put_object("the/key", BytesBody(b"data"))
            await client.list_objects()
            with pytest.raises(NoSuchKey):
                await client.head_object("none")
        await transport.close()
    lines = [record.getMessage() for record in caplog.records]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "S3 PutObject the/key, attempt 1: Throttled SlowDown 503" in lines[0]
    assert "S3 PutObject the/key, attempt 2: ServerFault InternalError 503" in lines[1]
    assert all("; again in " in line and "request id " in line for line in lines)
    assert all(word not in caplog.text for word in (SECRET, "secret-name", "AKIDEXAMPLE"))


def test_a_request_that_is_given_up_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    event = RequestEvent(
        operation="ListObjectsV2",
        key=None,
        attempt=5,
        status=None,
        error="ConnectFailed",
        code=None,
        request_id=None,
        seconds=1.0,
        bytes_sent=0,
    )
    app.log_request(event)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "S3 ListObjectsV2 of the bucket, attempt 5: ConnectFailed" in record.getMessage()
    assert record.getMessage().endswith("; given up")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AIOFTPS3_REQUIRE_TLS", "none", "PASSWORDS AND FILES CAN BE READ"),
        ("AIOFTPS3_REQUIRE_TLS", "control", "FILES CAN BE READ"),
        ("AIOFTPS3_ALLOW_FOREIGN_DATA_PEER", "true", "WHOEVER CONNECTS"),
        ("AIOFTPS3_UPLOAD_END", "trusting", "cut off"),
        ("AWS_S3_BUCKET_HOST", "http://minio:9000", "clear text"),
        ("FTP_USER_PASSWORD", "password", "easy to guess"),
        ("FTP_USER_PASSWORD", "short", "easy to guess"),
    ],
)
def test_unsafe_choices_are_said_loudly(name: str, value: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    app.warn_about_choices(load({**README, name: value}))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert words in record.getMessage()


def test_safe_choices_are_not_commented(caplog: pytest.LogCaptureFixture) -> None:
    app.warn_about_choices(load({**README, "AWS_S3_BUCKET_HOST": "http://127.0.0.1:9000"}))
    assert not caplog.records


def test_a_start_without_certificate_makes_one_and_says_its_fingerprint(caplog: pytest.LogCaptureFixture) -> None:
    app.load_tls(load({**README, "AIOFTPS3_PUBLIC_HOST": "ftp.example.com"}))
    assert "self-signed" in caplog.text
    assert re.search(r"SHA-256 fingerprint is ([0-9A-F]{2}:){31}[0-9A-F]{2}", caplog.text)


def test_a_certificate_may_hold_its_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = make_self_signed(["localhost"], now=datetime.now(UTC))
    (tmp_path / "both.pem").write_bytes(made.pem)
    with caplog.at_level(logging.INFO):
        app.load_tls(load({**README, "AIOFTPS3_TLS_CERT": str(tmp_path / "both.pem")}))
    assert f"SHA-256 fingerprint {made.fingerprint}, {made.expiry}" in caplog.text


@pytest.mark.parametrize(("text", "highest"), [("", "TLSv1_3"), ("1.3", "TLSv1_3"), ("1.2", "TLSv1_2")])
def test_the_highest_version_of_tls_is_chosen(text: str, highest: str, tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_bytes(make_self_signed(["localhost"], now=datetime.now(UTC)).pem)
    for certificate in ("", str(tmp_path / "both.pem")):
        given = {"AIOFTPS3_TLS_MAX_VERSION": text, "AIOFTPS3_TLS_CERT": certificate}
        assert app.load_tls(load({**README, **given})).session_context().maximum_version is ssl.TLSVersion[highest]


def test_a_key_of_another_certificate_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    one, other = (make_self_signed(["localhost"], now=datetime.now(UTC)) for _ in range(2))
    (tmp_path / "cert.pem").write_bytes(one.certificate)
    (tmp_path / "key.pem").write_bytes(other.key)
    files = {"AIOFTPS3_TLS_CERT": str(tmp_path / "cert.pem"), "AIOFTPS3_TLS_KEY": str(tmp_path / "key.pem")}
    with pytest.raises(SettingsError, match="AIOFTPS3_TLS_CERT and its key cannot be used"):
        app.load_tls(load({**README, **files}))


def test_an_encrypted_key_is_refused_instead_of_asking_for_its_passphrase(tmp_path: Path) -> None:
    made = make_self_signed(["localhost"], now=datetime.now(UTC))
    key = serialization.load_pem_private_key(made.key, None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    (tmp_path / "cert.pem").write_bytes(made.certificate)
    (tmp_path / "key.pem").write_bytes(encrypted)
    files = {"AIOFTPS3_TLS_CERT": str(tmp_path / "cert.pem"), "AIOFTPS3_TLS_KEY": str(tmp_path / "key.pem")}
    with pytest.raises(SettingsError, match="AIOFTPS3_TLS_KEY is encrypted"):
        app.load_tls(load({**README, **files}))


def test_a_file_without_a_certificate_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    made = make_self_signed(["localhost"], now=datetime.now(UTC))
    (tmp_path / "cert.pem").write_bytes(made.certificate.replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-"))
    (tmp_path / "key.pem").write_bytes(made.key)
    files = {"AIOFTPS3_TLS_CERT": str(tmp_path / "cert.pem"), "AIOFTPS3_TLS_KEY": str(tmp_path / "key.pem")}
    with pytest.raises(SettingsError, match=r"cannot be used \(its first certificate is no plain CERTIFICATE\)"):
        app.load_tls(load({**README, **files}))


def test_a_ca_bundle_without_certificates_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(SettingsError, match="AWS_CA_BUNDLE holds no certificate"):
        app.s3_transport(load({**README, "AWS_CA_BUNDLE": str(file)}))


async def test_connections_to_s3_suffice_for_all_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Transport(AiohttpTransport):
        def __init__(self, *, ca_file: str | None = None, limit: int = 0) -> None:
            asked.append(limit)

    monkeypatch.setattr(app, "AiohttpTransport", Transport)
    app.s3_transport(load(README))
    app.s3_transport(load({**README, "AIOFTPS3_MAX_SESSIONS": "5"}))
    app.s3_transport(load({**README, "AIOFTPS3_DOWNLOAD_STREAMS": "4"}))
    app.s3_transport(load({**README, "AIOFTPS3_TIMES": "modified"}))
    others = 32 + COPIES_IN_FLIGHT + app.SPARE_CONNECTIONS
    assert asked == [1000 + others, 5 + others, 1000 + 16 + others, 1000 + s3store.LOOKS_IN_FLIGHT + others]


async def test_downloads_of_all_sessions_leave_connections_to_s3_for_other_requests() -> None:
    """Data ports are free again once a client has connected, so that their number limits nothing."""
    sessions, begun, go_on = 120, asyncio.Semaphore(0), asyncio.Event()

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "GetObject":
            begun.release()
            await go_on.wait()
        return await proceed()

    async with EmbeddedS3(bucket="my-bucket-name", access_key="AKIDEXAMPLE", secret_key=SECRET) as s3:
        s3.put("f", b"data")
        s3.intercept = intercept
        chosen = {"AIOFTPS3_DATA_PORTS": "20000-20001", "AIOFTPS3_MAX_SESSIONS": str(sessions)}
        settings = load({**README, **chosen, "AWS_S3_BUCKET_HOST": s3.url, "AWS_S3_BUCKET_REGION": ""})
        transport = app.s3_transport(settings)
        client = app.s3_client(settings, transport, StaticCredentials("AKIDEXAMPLE", SECRET))
        async with contextlib.AsyncExitStack() as stack:
            downloads = [asyncio.create_task(client.get_object("f")) for _ in range(sessions)]
            stack.push_async_callback(transport.close)
            async with asyncio.timeout(WAIT_SECONDS):
                for _ in range(sessions):
                    await begun.acquire()
                assert (await client.head_object("f")).size == 4
                go_on.set()
                for download in downloads:
                    async with await download:
                        pass


# -- the daemon as a process --------------------------------------------------------------------------------------


@dataclass
class Daemon:
    process: asyncio.subprocess.Process
    port: int
    errors: list[str]
    """Lines of standard error so far."""
    reader: "asyncio.Task[None]"
    changed: asyncio.Condition

    async def logged(self, words: str) -> str:
        """The first line with these words, as soon as there is one."""
        async with asyncio.timeout(WAIT_SECONDS), self.changed:
            while True:
                for line in self.errors:
                    if words in line:
                        return line
                await self.changed.wait()

    async def ended(self) -> int:
        async with asyncio.timeout(WAIT_SECONDS):
            await self.reader
            return await self.process.wait()


@asynccontextmanager
async def daemon(environ: Mapping[str, str], *arguments: str) -> AsyncIterator[Daemon]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aioftps3", "serve", *arguments, env=dict(environ), stdout=-1, stderr=-1
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[str] = []
    changed = asyncio.Condition()

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            async with changed:
                errors.append(line.decode())
                changed.notify_all()

    reader = asyncio.create_task(read(process.stderr))
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            line = (await process.stdout.readline()).decode()
        match = re.search(r"^ready ftp://127\.0\.0\.1:([0-9]+)", line)
        assert match, f"{line!r} {errors}"
        yield Daemon(process, int(match[1]), errors, reader, changed)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader
        process._transport.close()  # type: ignore[attr-defined]  # else 3.11 warns of it when it is collected


@pytest.fixture
async def s3() -> AsyncIterator[EmbeddedS3]:
    async with EmbeddedS3(
        bucket="my-bucket-name", access_key="AKIDEXAMPLE", secret_key=SECRET, region="eu-west-1"
    ) as server:
        yield server


@pytest.fixture
def environ(s3: EmbeddedS3) -> Mapping[str, str]:
    return {**README, **LOCAL, "AWS_S3_BUCKET_HOST": s3.url}


def login(port: int) -> ftplib.FTP_TLS:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    ftp = ftplib.FTP_TLS(context=context, timeout=WAIT_SECONDS)
    ftp.connect("127.0.0.1", port)
    ftp.login("user", PASSWORD)
    ftp.prot_p()
    return ftp


def sent_away(ftp: ftplib.FTP_TLS) -> bool:
    """Whether the client is told to go; then it does."""
    line = ftp.getline()
    ftp.close()
    return line.startswith("421")


async def test_the_daemon_serves_until_sigterm_and_logs_no_secret(s3: EmbeddedS3, environ: Mapping[str, str]) -> None:
    async with daemon(environ) as running:
        await running.logged("the bucket can be listed")

        def upload_and_stay() -> ftplib.FTP_TLS:
            ftp = login(running.port)
            data = ftp.transfercmd("STOR /file")
            data.sendall(b"content")
            data.close()
            ftp.voidresp()
            return ftp

        ftp = await asyncio.to_thread(upload_and_stay)
        running.process.terminate()
        assert await asyncio.to_thread(sent_away, ftp)
        assert await running.ended() == 0
        text = "".join(running.errors)
    assert "self-signed" in text
    assert PASSWORD not in text
    assert SECRET not in text
    assert "Traceback" not in text
    assert [request.key for request in s3.requests if request.operation == "PutObject"] == ["file"]


async def test_files_are_not_replaced_where_that_is_refused(s3: EmbeddedS3, environ: Mapping[str, str]) -> None:
    s3.put("file", b"old")
    s3.put("other", b"other")
    async with daemon({**environ, "AIOFTPS3_NO_OVERWRITE": "true"}) as running:

        def work() -> list[str]:
            ftp = login(running.port)
            replies = []
            acts: list[Callable[[], str]] = [
                lambda: ftp.storbinary("STOR file", io.BytesIO(b"new")),
                lambda: ftp.rename("other", "file"),
                lambda: ftp.storbinary("STOR fresh", io.BytesIO(b"fresh")),
            ]
            for act in acts:
                try:
                    replies.append(act()[:3])
                except ftplib.error_perm as error:
                    replies.append(str(error)[:3])
            ftp.quit()
            return replies

        assert await asyncio.to_thread(work) == ["553", "553", "226"]
        running.process.terminate()
        assert await running.ended() == 0
    assert {key: s3.read(key) for key in s3.objects()} == {"file": b"old", "other": b"other", "fresh": b"fresh"}


async def test_json_logs_are_one_object_a_line(environ: Mapping[str, str]) -> None:
    async with daemon({**environ, "AIOFTPS3_LOG_FORMAT": "json"}, "--log-level", "debug") as running:
        await running.logged("the bucket can be listed")
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0
        assert all(
            {"time", "level", "session", "logger", "message"} <= json.loads(line).keys() for line in running.errors
        )


async def test_a_running_upload_may_end_after_sigterm(s3: EmbeddedS3, environ: Mapping[str, str]) -> None:
    async with daemon(environ) as running:
        ftp = await asyncio.to_thread(login, running.port)
        data = await asyncio.to_thread(ftp.transfercmd, "STOR /file")
        data.sendall(b"first half, ")
        running.process.terminate()
        await running.logged("draining")

        def finish() -> str:
            data.sendall(b"second half")
            data.unwrap()  # type: ignore[attr-defined]  # it is a TLS socket
            data.close()
            return ftp.voidresp()

        assert (await asyncio.to_thread(finish)).startswith("226")
        assert await asyncio.to_thread(sent_away, ftp)
        assert await running.ended() == 0
    assert "file" in [request.key for request in s3.requests if request.operation == "PutObject"]


async def test_a_second_signal_aborts_and_stores_nothing(s3: EmbeddedS3, environ: Mapping[str, str]) -> None:
    async with daemon({**environ, "AIOFTPS3_SHUTDOWN_GRACE": "3600"}) as running:
        ftp = await asyncio.to_thread(login, running.port)
        data = await asyncio.to_thread(ftp.transfercmd, "STOR /file")
        data.sendall(b"half of it")
        running.process.terminate()
        await running.logged("draining")
        running.process.terminate()
        assert await running.ended() == 1
        line = await running.logged("STOR /file by user from 127.0.0.1: ")
        assert "failed: the server was stopped" in line
        data.close()
        ftp.close()
        assert "Traceback" not in "".join(running.errors)
    assert not [request for request in s3.requests if request.operation == "PutObject"]


async def test_a_second_signal_that_cuts_off_a_rename_is_said(s3: EmbeddedS3, environ: Mapping[str, str]) -> None:
    """It is no transfer, and may be a directory of thousands of files."""
    gate = Gate()
    s3.put("old", b"content")
    s3.intercept = script = FaultScript()
    script.add(gate.before, "CopyObject")
    async with daemon({**environ, "AIOFTPS3_SHUTDOWN_GRACE": "3600"}) as running:
        ftp = await asyncio.to_thread(login, running.port)
        await asyncio.to_thread(ftp.sendcmd, "RNFR old")
        ftp.putcmd("RNTO new")
        await gate.reached.wait()
        running.process.terminate()
        await running.logged("draining")
        running.process.terminate()
        assert await running.ended() == 1
        await running.logged("aborting: transfers and other commands that still run are cut off")
        gate.open()
        ftp.close()
    assert s3.objects().keys() >= {"old"}


async def test_a_second_signal_when_no_transfer_runs_any_more_is_no_failure(environ: Mapping[str, str]) -> None:
    async with daemon(environ) as running:
        ftp = await asyncio.to_thread(login, running.port)  # it does not close its end, which is waited for
        running.process.terminate()
        assert (await asyncio.to_thread(ftp.getline)).startswith("421")
        running.process.terminate()
        assert await running.ended() == 0
        assert "aborting" not in "".join(running.errors)
        ftp.close()


async def test_a_signal_that_comes_when_all_is_done_changes_nothing(environ: Mapping[str, str]) -> None:
    async with daemon(environ) as running:
        running.process.terminate()
        await running.logged("stopped")
        with contextlib.suppress(ProcessLookupError):
            running.process.terminate()
        assert await running.ended() == 0


async def test_a_hangup_ends_nothing_where_there_is_no_certificate_to_read(environ: Mapping[str, str]) -> None:
    async with daemon(environ) as running:
        running.process.send_signal(signal.SIGHUP)
        await running.logged("there is no certificate to read again: AIOFTPS3_TLS_CERT is not set")
        (await asyncio.to_thread(login, running.port)).close()
        running.process.terminate()
        assert await running.ended() == 0


async def test_s3_that_is_not_there_is_said_and_served_around(environ: Mapping[str, str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with daemon({**environ, "AWS_S3_BUCKET_HOST": host}) as running:
            line = await running.logged("unreachable: the connection is refused")
            assert " ERROR " in line
            running.process.terminate()
            assert await running.ended() == 0


async def test_wrong_keys_are_said_at_start(environ: Mapping[str, str]) -> None:
    async with daemon({**environ, "AWS_SECRET_ACCESS_KEY": "x" * 40}) as running:
        assert " ERROR " in await running.logged("wrong keys (SignatureDoesNotMatch)")


async def run(environ: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aioftps3", *arguments, env=dict(environ), stdout=-1, stderr=-1
    )
    async with asyncio.timeout(WAIT_SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("days", "code", "words"),
    [
        (90, 0, "ok    certificate: {path}, valid until "),
        (1, 0, "ok    certificate: {path}, expires at "),
        (-1, 1, "WRONG certificate: {path}, has expired at "),
    ],
)
async def test_check_tells_how_long_the_certificate_is_valid(
    environ: Mapping[str, str], days: int, code: int, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "both.pem"
    then = datetime.now(UTC) - timedelta(days=30)
    path.write_bytes(make_self_signed(["localhost"], now=then, validity=timedelta(days=30 + days)).pem)
    ended, out, _ = await run({**environ, "AIOFTPS3_TLS_CERT": str(path)}, "check")
    assert words.format(path=path) in out
    assert ended == code


async def test_check_says_a_line_for_each_check(s3: EmbeddedS3, environ: Mapping[str, str]) -> None:
    code, out, err = await run(environ, "check")
    assert code == 0, err
    assert [line[:5].strip() for line in out.splitlines()] == ["ok"] * 5
    code, out, err = await run({**environ, "AWS_S3_BUCKET_NAME": "another"}, "check")
    assert code == 1, err
    assert "WRONG S3 bucket another" in out
    assert "there is no such bucket" in out


async def test_a_port_that_is_taken_is_exit_code_1(environ: Mapping[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, out, err = await run(environ, "--port", str(taken.getsockname()[1]))
    assert code == 1
    assert out == ""
    assert "aioftps3: cannot listen: " in err
    assert "Traceback" not in err

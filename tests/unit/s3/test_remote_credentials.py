"""Credentials from containers, machines and roles."""

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from aioftps3.s3.credentials import Credentials, EnvironmentCredentials, ProfileCredentials
from aioftps3.s3.errors import ConnectFailed, NoCredentials, RequestInvalid, S3ProtocolError
from aioftps3.s3.models import Body
from aioftps3.s3.remote_credentials import (
    RefreshingCredentials,
    chosen_provider,
    chosen_source,
    container_fetch,
    machine_fetch,
    parse_json,
    web_identity_fetch,
)
from aioftps3.s3.transport import Request, Response
from tests.unit.s3.fakes import FakeResponse, header

DOCUMENT = {"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T", "Expiration": "1970-01-01T01:00:00Z"}

GOOD = Credentials("AK", "SK", "T", 3600.0)


class Source:
    """A `Transport` with fixed answers by method and URL."""

    def __init__(self, answers: dict[str, bytes], status: int = 200) -> None:
        self.answers = answers
        self.status = status
        self.sent: list[Request] = []
        self.bodies: list[bytes] = []

    async def send(self, request: Request, body: Body | None) -> Response:
        self.sent.append(request)
        self.bodies.append(b"" if body is None else b"".join(body.chunks()))
        return FakeResponse(self.status, {}, self.answers[f"{request.method} {request.url}"])

    async def close(self) -> None:
        return


async def test_container_is_asked_with_the_token_of_the_moment(tmp_path: Path) -> None:
    path = tmp_path / "token"
    source = Source({"GET http://169.254.170.23/v1/credentials": json.dumps(DOCUMENT).encode()})
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(path),
    }
    fetch = container_fetch(source, environ)
    for token in ("one", "two"):
        await asyncio.to_thread(path.write_text, f"{token}\n")
        assert await fetch() == GOOD
        assert header(source.sent[-1], "authorization") == token
    await asyncio.to_thread(path.write_text, "a\r\nx: y")
    with pytest.raises(RequestInvalid):
        await fetch()


async def test_container_with_a_relative_address() -> None:
    source = Source({"GET http://169.254.170.2/v2/x?a=b": json.dumps(DOCUMENT).encode()})
    assert await container_fetch(source, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x?a=b"})() == GOOD


@pytest.mark.parametrize(
    "url", ["", "http://example.test/", "http://10.0.0.1/", "ftp://localhost/", "https://", "http://["]
)
def test_address_that_must_not_be_trusted_is_refused(url: str) -> None:
    with pytest.raises(NoCredentials):
        container_fetch(Source({}), {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url})


async def test_machine_is_asked_in_version_2() -> None:
    host = "http://169.254.169.254"
    roles = f"{host}/latest/meta-data/iam/security-credentials/"
    source = Source(
        {
            f"PUT {host}/latest/api/token": b"TOKEN",
            f"GET {roles}": b"role\n",
            f"GET {roles}role": json.dumps(DOCUMENT).encode(),
        }
    )
    assert await machine_fetch(source)() == GOOD
    assert [header(request, "x-aws-ec2-metadata-token") for request in source.sent] == [None, "TOKEN", "TOKEN"]
    source.status = 404
    with pytest.raises(NoCredentials):
        await machine_fetch(source)()


async def test_web_identity_is_traded_for_credentials(tmp_path: Path) -> None:
    path = tmp_path / "token"
    await asyncio.to_thread(path.write_text, "to.ken")
    answer = b"""<AssumeRoleWithWebIdentityResponse xmlns="x"><AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>AK</AccessKeyId><SecretAccessKey>SK</SecretAccessKey><SessionToken>T</SessionToken>
    <Expiration>1970-01-01T01:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
    </AssumeRoleWithWebIdentityResponse>"""
    source = Source({"POST https://sts.eu-west-1.amazonaws.com/": answer})
    environ = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(path), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}
    assert await web_identity_fetch(source, environ, "eu-west-1")() == GOOD
    form = parse_qs(source.bodies[0].decode())
    assert form["RoleArn"] == ["arn:aws:iam::1:role/r"]
    assert form["WebIdentityToken"] == ["to.ken"]
    with pytest.raises(NoCredentials):
        web_identity_fetch(source, {}, "eu-west-1")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"AccessKeyId": 1, "SecretAccessKey": "SECRET"}', b"[" * 9999]
)
def test_other_documents_are_refused_without_being_shown(body: bytes) -> None:
    with pytest.raises(S3ProtocolError) as caught:
        parse_json(body)
    assert "SECRET" not in str(caught.value)


class Clocked:
    """A source that counts, fails on demand, and gives an hour each time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.fetched = 0
        self.fails = False
        self.provider = RefreshingCredentials(self.fetch, clock=lambda: self.now)

    async def fetch(self) -> Credentials:
        self.fetched += 1
        await asyncio.sleep(0)
        if self.fails:
            raise ConnectFailed("x")
        return Credentials(f"AK{self.fetched}", "SK", "T", self.now + 3600.0)

    async def key(self) -> str:
        return (await self.provider.credentials()).access_key


async def test_one_fetch_serves_all_who_wait_and_lasts_until_near_its_end() -> None:
    clocked = Clocked()
    assert await asyncio.gather(*(clocked.key() for _ in range(5))) == ["AK1"] * 5
    clocked.now = 2999.0
    assert await clocked.key() == "AK1"
    clocked.now = 3001.0
    assert await clocked.key() == "AK2"


async def test_failed_refresh_does_no_harm_while_the_old_ones_are_good() -> None:
    clocked = Clocked()
    await clocked.key()
    clocked.fails = True
    clocked.now = 3001.0
    assert [await clocked.key() for _ in range(3)] == ["AK1"] * 3
    assert clocked.fetched == 2
    clocked.now = 3062.0
    assert await clocked.key() == "AK1"
    assert clocked.fetched == 3
    clocked.now = 3601.0
    with pytest.raises(NoCredentials):
        await clocked.key()


async def test_a_source_that_has_failed_is_left_alone_for_a_moment() -> None:
    clocked = Clocked()
    clocked.fails = True
    failures = await asyncio.gather(*(clocked.key() for _ in range(5)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [NoCredentials] * 5
    assert clocked.fetched == 1
    clocked.fails = False
    clocked.now = 4.9
    with pytest.raises(NoCredentials):
        await clocked.key()
    clocked.now = 5.1
    assert await clocked.key() == "AK2"


async def test_rejected_credentials_are_fetched_again() -> None:
    clocked = Clocked()
    await clocked.key()
    assert await clocked.provider.refresh() is True
    assert await clocked.key() == "AK2"
    clocked.fails = True
    assert await clocked.provider.refresh() is False


def test_sources_are_chosen_in_awss_order(tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    where = {"AWS_SHARED_CREDENTIALS_FILE": str(shared)}
    keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"}
    identity = {"AWS_WEB_IDENTITY_TOKEN_FILE": "t", "AWS_ROLE_ARN": "r"}

    def chosen(environ: dict[str, str]) -> object:
        return type(chosen_provider(Source({}), {**where, **environ}, "eu-west-1"))

    assert chosen({**keys, **identity, "AWS_PROFILE": "p"}) is ProfileCredentials
    assert chosen({**keys, **identity}) is EnvironmentCredentials
    assert chosen({}) is RefreshingCredentials
    assert chosen({"AWS_EC2_METADATA_DISABLED": "true"}) is ProfileCredentials
    shared.touch()
    assert chosen(identity) is RefreshingCredentials
    assert chosen({}) is ProfileCredentials
    assert chosen_source(Source({}), {**where, **identity}, "eu-west-1").name == "AWS_WEB_IDENTITY_TOKEN_FILE for r"
    assert chosen_source(Source({}), where, "eu-west-1").name == f"profile default of {shared}"

"""Credentials that a machine, a container or a role hands out, over HTTP, for a limited time.

They are fetched when first needed and again before they end; callers that need them meanwhile share one fetch. While
the old ones are good, a failed fetch does no harm. No answer, token or secret is ever part of an error.
"""

import asyncio
import ipaddress
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from aioftps3.s3 import uri, xml
from aioftps3.s3.credentials import (
    DEFAULT_PROFILE,
    Credentials,
    CredentialsProvider,
    default_provider,
    from_environment,
    shared_file,
)
from aioftps3.s3.errors import NoCredentials, RequestInvalid, S3Error, S3ProtocolError
from aioftps3.s3.models import BytesBody
from aioftps3.s3.transport import Request, Transport

log = logging.getLogger(__name__)

REFRESH_BEFORE_SECONDS = 600.0
"""New credentials are asked for when the current ones are this near to their end."""

PAUSE_AFTER_FAILURE_SECONDS = 60.0
"""While the current ones are good, a source that failed is left alone for this long."""

PAUSE_WITHOUT_CREDENTIALS_SECONDS = 5.0
"""A source that failed when there was nothing else is left alone for this long: everything that needs S3 fails at once
meanwhile, instead of waiting for a timeout one after the other."""

FETCH_TIMEOUT_SECONDS = 2.0

ANSWER_LIMIT_BYTES = 64 * 1024

CONTAINER_HOST = "http://169.254.170.2"
"""Where ECS serves AWS_CONTAINER_CREDENTIALS_RELATIVE_URI."""

CONTAINER_HOSTS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23")
"""Hosts, loopback aside, that may be asked without TLS (ECS and EKS)."""

IMDS_HOST = "http://169.254.169.254"

IMDS_TOKEN_SECONDS = 21600

IMDS_ROLES = "/latest/meta-data/iam/security-credentials/"

Fetch = Callable[[], Awaitable[Credentials]]


class RefreshingCredentials:
    """A provider that keeps what `fetch` gives for as long as it is good."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._current: Credentials | None = None
        self._not_before = 0.0
        self._failure: tuple[float, S3Error] | None = None
        self._lock = asyncio.Lock()

    async def credentials(self) -> Credentials:
        """Give credentials that are good now.

        Raises:
            NoCredentials: there are none and the source gives none.
        """
        current = self._current
        if current is not None and not self._is_due(current):
            return current
        async with self._lock:
            current = self._current
            if current is not None and not self._is_due(current):
                return current
            try:
                self._raise_recent_failure()
                self._current = await self._fetch()
            except S3Error as error:
                if current is None or (current.expires is not None and current.expires <= self._clock()):
                    if self._failure is None or error is not self._failure[1]:
                        self._failure = self._clock(), error
                    raise NoCredentials(f"the source of credentials failed: {type(error).__name__}") from error
                self._not_before = self._clock() + PAUSE_AFTER_FAILURE_SECONDS
                log.warning("credentials could not be refreshed yet: %s", type(error).__name__)
                return current
            return self._current

    async def refresh(self) -> bool:
        """Fetch new ones at once; say whether they are others."""
        before = self._current
        async with self._lock:
            if self._current is before:
                try:
                    self._current = await self._fetch()
                except S3Error as error:
                    log.warning("credentials could not be refreshed: %s", type(error).__name__)
                    return False
            return self._current != before

    def _raise_recent_failure(self) -> None:
        if self._failure is not None and self._clock() < self._failure[0] + PAUSE_WITHOUT_CREDENTIALS_SECONDS:
            raise self._failure[1]

    def _is_due(self, current: Credentials) -> bool:
        now = self._clock()
        if current.expires is None or now < current.expires - REFRESH_BEFORE_SECONDS:
            return False
        return now >= min(self._not_before, current.expires)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the keys come from."""

    name: str
    """For people; no secret."""
    provider: CredentialsProvider


def chosen_provider(transport: Transport, environ: Mapping[str, str], region: str) -> CredentialsProvider:
    """Choose a provider, as `chosen_source` does."""
    return chosen_source(transport, environ, region).provider


def chosen_source(transport: Transport, environ: Mapping[str, str], region: str) -> Source:
    """Choose a source in the order of AWS's tools: an explicit AWS_PROFILE, keys in the environment, a web identity,
    the shared credentials file when there is one, a container's endpoint, the machine's metadata service.

    Looks for the shared file, which blocks for a moment. Sources that are asked over HTTP use `transport`, unsigned.

    Raises:
        NoCredentials: a container's endpoint is named that must not be trusted.
    """
    profile, file = environ.get("AWS_PROFILE", ""), shared_file(environ)
    shared = Source(f"profile {profile or DEFAULT_PROFILE} of {file}", default_provider(environ))
    if profile:
        return shared
    if from_environment(environ) is not None:
        return Source("AWS_ACCESS_KEY_ID", default_provider(environ))
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and (role := environ.get("AWS_ROLE_ARN")):
        fetch = web_identity_fetch(transport, environ, region)
        return Source(f"AWS_WEB_IDENTITY_TOKEN_FILE for {role}", RefreshingCredentials(fetch))
    if os.access(file, os.R_OK):
        return shared
    if environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return Source("the container's role", RefreshingCredentials(container_fetch(transport, environ)))
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return shared
    return Source("the machine's role (EC2 metadata)", RefreshingCredentials(machine_fetch(transport)))


def container_fetch(transport: Transport, environ: Mapping[str, str]) -> Fetch:
    """Fetch from the endpoint that ECS or EKS names in the environment.

    Raises:
        NoCredentials: none is named, or one that must not be trusted with a token.
    """
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
    url = f"{CONTAINER_HOST}{relative}" if relative else environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not url or not _may_be_asked(url):
        raise NoCredentials("no container endpoint that can be trusted is named")
    token_file = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")

    async def fetch() -> Credentials:
        # EKS replaces the file while the process runs.
        token = await _read(token_file) if token_file else environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        headers = {"Authorization": token} if token else {}
        return parse_json(await _ask(transport, "GET", url, headers))

    return fetch


def machine_fetch(transport: Transport, host: str = IMDS_HOST) -> Fetch:
    """Fetch from an EC2 machine's metadata service, version 2 only."""

    async def fetch() -> Credentials:
        ttl = {"x-aws-ec2-metadata-token-ttl-seconds": str(IMDS_TOKEN_SECONDS)}
        token = {"x-aws-ec2-metadata-token": _line(await _ask(transport, "PUT", f"{host}/latest/api/token", ttl))}
        role = _line(await _ask(transport, "GET", f"{host}{IMDS_ROLES}", token))
        return parse_json(await _ask(transport, "GET", f"{host}{IMDS_ROLES}{uri.percent_encode(role)}", token))

    return fetch


def web_identity_fetch(transport: Transport, environ: Mapping[str, str], region: str) -> Fetch:
    """Trade the token in a file for a role's credentials (AssumeRoleWithWebIdentity).

    Raises:
        NoCredentials: AWS_WEB_IDENTITY_TOKEN_FILE or AWS_ROLE_ARN is not set.
    """
    token_file, role = environ.get("AWS_WEB_IDENTITY_TOKEN_FILE", ""), environ.get("AWS_ROLE_ARN", "")
    if not token_file or not role:
        raise NoCredentials("no web identity is configured")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = f"https://sts.{uri.check_region(region)}.{suffix}/"

    async def fetch() -> Credentials:
        form = urlencode(
            {
                "Action": "AssumeRoleWithWebIdentity",
                "Version": "2011-06-15",
                "RoleArn": role,
                "RoleSessionName": environ.get("AWS_ROLE_SESSION_NAME") or "aioftps3",
                "WebIdentityToken": await _read(token_file),
            }
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return xml.parse_assumed_role(await _ask(transport, "POST", url, headers, form.encode()))

    return fetch


def parse_json(body: bytes) -> Credentials:
    """Read the document that containers and machines get.

    Raises:
        S3ProtocolError: it is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise S3ProtocolError("the credentials cannot be read") from None
    if not isinstance(document, dict):
        raise S3ProtocolError("the credentials cannot be read")
    names = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")
    values = [document.get(name) or "" for name in names]
    if not all(isinstance(value, str) for value in values) or not values[0] or not values[1]:
        raise S3ProtocolError("the credentials are not complete")
    access_key, secret_key, token, expires = values
    return Credentials(access_key, secret_key, token or None, xml.parse_time(expires) if expires else None)


def _may_be_asked(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return bool(host)
        if parts.scheme != "http":
            return False
        return host == "localhost" or host in CONTAINER_HOSTS or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _read(path: str) -> str:
    try:
        text = await asyncio.to_thread(Path(path).read_text, "utf-8")
    except (OSError, UnicodeDecodeError):
        raise NoCredentials("a token file cannot be read") from None
    return _line(text.encode())


def _line(body: bytes) -> str:
    """Read one line of ASCII; anything else must not become a header or a path."""
    text = body.decode("ascii", errors="replace").strip()
    if not text or not text.isascii() or not text.isprintable():
        raise RequestInvalid("a token or a name is not one line of text")
    return text


async def _ask(
    transport: Transport, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> bytes:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    response = await transport.send(
        Request(
            method=method,
            scheme=parts.scheme,
            authority=parts.netloc,
            target=f"{parts.path or '/'}{query}",
            headers=(("Host", parts.netloc), *headers.items()),
            read_timeout=FETCH_TIMEOUT_SECONDS,
        ),
        BytesBody(b"" if body is None else body) if method != "GET" else None,
    )
    try:
        answer = await response.read(ANSWER_LIMIT_BYTES)
    finally:
        await response.close()
    if response.status != 200:
        raise NoCredentials(f"the source of credentials answered with status {response.status}")
    return answer

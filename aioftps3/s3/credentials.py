"""Where the keys come from.

A `CredentialsProvider` is asked before every request and answers from memory; it reads files or the network only when
it is made, when its credentials are near their end, or when S3 has rejected them (`refresh`). Nothing here shows a
secret in a repr or an error.
"""

import asyncio
import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aioftps3.s3.errors import NoCredentials

DEFAULT_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, its secret, and the token of temporary ones."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: float | None = None
    """Seconds since the epoch; None: they do not expire, or nobody said when."""


class CredentialsProvider(Protocol):
    """Gives credentials that are good now."""

    async def credentials(self) -> Credentials:
        """Give the current credentials, quickly.

        Raises:
            NoCredentials: there are none.
        """

    async def refresh(self) -> bool:
        """Look for new ones, because S3 rejected the current ones; say whether they have changed."""


class StaticCredentials:
    """Credentials that never change."""

    def __init__(self, access_key: str, secret_key: str, session_token: str | None = None) -> None:
        self._credentials = Credentials(access_key, secret_key, session_token)

    async def credentials(self) -> Credentials:
        """Give them."""
        return self._credentials

    async def refresh(self) -> bool:
        """There are no others."""
        return False


class EnvironmentCredentials:
    """AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, read once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._credentials = from_environment(environ)

    async def credentials(self) -> Credentials:
        """Give them.

        Raises:
            NoCredentials: the environment had none.
        """
        if self._credentials is None:
            raise NoCredentials("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
        return self._credentials

    async def refresh(self) -> bool:
        """A process's environment does not change from outside."""
        return False


class ProfileCredentials:
    """A profile of the shared credentials file; the file is read when first needed, and again when S3 rejects them.

    Tools that hand out temporary credentials rewrite this file, hence `refresh`.
    """

    def __init__(self, profile: str, path: Path) -> None:
        self._profile = profile
        self._path = path
        self._current: Credentials | None = None
        self._lock = asyncio.Lock()

    async def credentials(self) -> Credentials:
        """Give them.

        Raises:
            NoCredentials: the file cannot be read, or has no such profile.
        """
        if self._current is not None:
            return self._current
        async with self._lock:
            if self._current is None:
                self._current = await asyncio.to_thread(read_profile, self._path, self._profile)
            return self._current

    async def refresh(self) -> bool:
        """Read the file again; one reader at a time, and those who waited for it share its result."""
        before = self._current
        async with self._lock:
            if self._current is before:
                try:
                    self._current = await asyncio.to_thread(read_profile, self._path, self._profile)
                except NoCredentials:
                    return False
            return self._current != before


def from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """Read credentials from AWS's environment variables; None when the key or its secret is missing or empty."""
    access_key = environ.get("AWS_ACCESS_KEY_ID", "")
    secret_key = environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not access_key or not secret_key:
        return None
    token = environ.get("AWS_SESSION_TOKEN") or environ.get("AWS_SECURITY_TOKEN") or None
    return Credentials(access_key, secret_key, token)


def read_profile(path: Path, profile: str) -> Credentials:
    """Read one profile of a shared credentials file. Blocking.

    Raises:
        NoCredentials: the file cannot be read, or the profile is missing or has no keys.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        # The parser's own error quotes the line it stumbled on, which may be a secret.
        raise NoCredentials("the shared credentials file cannot be read") from None
    for section in (profile, f"profile {profile}"):
        if parser.has_section(section):
            access_key = parser.get(section, "aws_access_key_id", fallback="")
            secret_key = parser.get(section, "aws_secret_access_key", fallback="")
            token = parser.get(section, "aws_session_token", fallback="") or None
            if access_key and secret_key:
                return Credentials(access_key, secret_key, token)
    raise NoCredentials(f"the shared credentials file has no keys for the profile {profile!r}")


def default_provider(environ: Mapping[str, str] | None = None) -> CredentialsProvider:
    """Choose a provider as AWS's tools do: an explicit AWS_PROFILE, else the environment's keys, else the default
    profile of AWS_SHARED_CREDENTIALS_FILE (`~/.aws/credentials`).

    Nothing is read here but the environment; a provider without credentials says so when it is asked.
    """
    environ = os.environ if environ is None else environ
    profile = environ.get("AWS_PROFILE", "")
    if not profile and from_environment(environ) is not None:
        return EnvironmentCredentials(environ)
    return ProfileCredentials(profile or DEFAULT_PROFILE, shared_file(environ))


def shared_file(environ: Mapping[str, str]) -> Path:
    """Give the path of the shared credentials file."""
    return Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()

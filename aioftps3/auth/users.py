"""Who may log in: `User`, the `Authenticator` Protocol, and the one user of the environment.

An unknown login and a wrong password must look alike: the same work is done for both, and comparisons take the same
time wherever they differ.
"""

import asyncio
import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

from aioftps3.auth.passwords import PREFIX, PasswordHash, password_bytes

__all__ = ("Authenticator", "EnvironmentUser", "User")

MAX_HASHES_AT_ONCE = 2
"""Slow hashes checked in parallel: peers that are not logged in must not take all of the memory and threads."""


@dataclass(frozen=True, slots=True)
class User:
    """Someone logged in."""

    login: str
    home: str = "/"
    """The directory that a session starts in."""
    prefix: str = ""
    """What this user's keys begin with, below the daemon's own prefix: empty, or ends with a slash."""


class Authenticator(Protocol):
    """Decides about a login."""

    async def authenticate(self, login: str, password: str, *, peer: str) -> User | None:
        """The user, or None for an unknown login and a wrong password alike. `peer` is the client's address."""


class EnvironmentUser:
    """The one user whose login and password (or scrypt hash) come from the settings."""

    def __init__(self, login: str, password: str, *, prefix: str = "") -> None:
        """Raises BadHashError when the password begins like a hash and is none."""
        self._user = User(login, prefix=prefix)
        self._login = _digest(login)
        self._hash = PasswordHash.parse(password) if password.startswith(PREFIX) else None
        self._password = b"" if self._hash else _digest(password)
        self._hashing = asyncio.Semaphore(MAX_HASHES_AT_ONCE)

    def __repr__(self) -> str:
        return f"EnvironmentUser({self._user.login!r})"

    async def authenticate(self, login: str, password: str, *, peer: str) -> User | None:  # noqa: ARG002 - by the Protocol
        """See `Authenticator.authenticate`."""
        right_login = hmac.compare_digest(_digest(login), self._login)
        if self._hash:
            async with self._hashing:
                right_password = await asyncio.to_thread(self._hash.matches, password)
        else:
            right_password = hmac.compare_digest(_digest(password), self._password)
        return self._user if right_login & right_password else None


def _digest(text: str) -> bytes:
    """Texts of any length become equally long, so that comparing them tells no length."""
    return hashlib.sha256(password_bytes(text)).digest()

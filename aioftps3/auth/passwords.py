"""Passwords as scrypt hashes (RFC 7914): `scrypt$N$R$P$SALT$HASH`, salt and hash in base64. Pure, and slow on purpose.

N, R and P are scrypt's cost, block size and parallelization. Call `PasswordHash.matches` off the event loop.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

__all__ = ("PREFIX", "BadHashError", "PasswordHash", "hash_password", "password_bytes")

PREFIX = "scrypt$"
"""What a hash begins with; a password that begins so cannot be given in clear text."""

COST = 2**14
BLOCK_SIZE = 8
PARALLELIZATION = 5
"""OWASP's recommendation for 16 MiB, which keeps many logins at once affordable: about 0.2 s each."""

SALT_BYTES = 16
HASH_BYTES = 32
MAX_MEMORY_BYTES = 64 * 1024 * 1024
"""A hash that takes more to check (128 * N * R bytes) is refused: memory has a limit also when logins come together."""

MAX_PARALLELIZATION = 16


class BadHashError(ValueError):
    """A text that begins like a hash and is none, or one too costly to check. The message never repeats it."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A parsed hash; its repr shows neither salt nor hash."""

    cost: int
    block_size: int
    parallelization: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "PasswordHash":
        """Read `scrypt$N$R$P$SALT$HASH`. Raises BadHashError."""
        try:
            name, cost, block_size, parallelization, salt, digest = text.split("$")
            parsed = cls(
                int(cost),
                int(block_size),
                int(parallelization),
                base64.b64decode(salt, validate=True),
                base64.b64decode(digest, validate=True),
            )
        except (ValueError, binascii.Error):
            raise BadHashError("it is not written scrypt$N$R$P$SALT$HASH") from None
        if f"{name}$" != PREFIX or len(parsed.digest) < SALT_BYTES or not parsed.salt:
            raise BadHashError("it is not written scrypt$N$R$P$SALT$HASH")
        power_of_two = parsed.cost > 1 and parsed.cost & (parsed.cost - 1) == 0
        if not power_of_two or parsed.block_size < 1 or not 1 <= parsed.parallelization <= MAX_PARALLELIZATION:
            raise BadHashError("its costs are not scrypt's")
        if parsed._memory() > MAX_MEMORY_BYTES:
            raise BadHashError(f"it takes more than {MAX_MEMORY_BYTES // 1024**2} MiB to check")
        return parsed

    def matches(self, password: str) -> bool:
        """Whether it is the password's hash; takes the same time either way. Blocks for tenths of a second."""
        return hmac.compare_digest(self._derive(password), self.digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"{PREFIX}{self.cost}${self.block_size}${self.parallelization}${salt}${digest}"

    def _memory(self) -> int:
        return 128 * self.cost * self.block_size

    def _derive(self, password: str) -> bytes:
        return hashlib.scrypt(
            password_bytes(password),
            salt=self.salt,
            n=self.cost,
            r=self.block_size,
            p=self.parallelization,
            maxmem=2 * self._memory() + 1024**2,  # OpenSSL counts some working space above scrypt's own
            dklen=len(self.digest),
        )


def hash_password(password: str) -> PasswordHash:
    """A new hash with a random salt. Blocks for tenths of a second."""
    salt = secrets.token_bytes(SALT_BYTES)
    unfilled = PasswordHash(COST, BLOCK_SIZE, PARALLELIZATION, salt, bytes(HASH_BYTES))
    return PasswordHash(COST, BLOCK_SIZE, PARALLELIZATION, salt, unfilled._derive(password))


def password_bytes(password: str) -> bytes:
    """A password's bytes, also for one that came as bytes which are not UTF-8."""
    return password.encode("utf-8", "surrogateescape")

"""AWS Signature Version 4 for S3, in the Authorization header. Pure: the time is an input.

Three steps, each public, because comparing them one by one is how a signature mismatch is found:
`canonical_request` -> `string_to_sign` -> `signature`; `sign` does all of them.

S3's rules differ from other services': the path is encoded once, is not normalised, and the hash of the payload is a
header of its own. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aioftps3.s3 import uri
from aioftps3.s3.errors import RequestInvalid

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
SERVICE = "s3"

SIGNING_KEYS_KEPT = 16
"""A process uses one key per credentials, day and region; the rest is room for refreshes and midnight."""

NEVER_SIGNED = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
"""Headers that proxies and stores change on the way."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signing key is good for: one day, region and service."""

    day: str
    """YYYYMMDD, UTC."""
    region: str
    service: str = SERVICE

    def __str__(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True, slots=True)
class CanonicalRequest:
    """The first step's result."""

    text: str
    signed_headers: str
    """Names, sorted and joined with `;`."""


class SigningKeys:
    """Signing keys, kept because one is good for a day. Bounded; holds no secret and no hash that could be looked up.

    An entry is found by a keyed hash of the secret, whose key is random and never leaves the process.
    """

    __slots__ = ("_keys", "_limit", "_salt")

    def __init__(self, limit: int = SIGNING_KEYS_KEPT) -> None:
        self._limit = limit
        self._salt = os.urandom(32)
        self._keys: OrderedDict[tuple[bytes, Scope], bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"SigningKeys({len(self._keys)} of {self._limit})"

    def get(self, secret_key: str, scope: Scope) -> bytes:
        """Give the signing key of a secret in a scope."""
        entry = hashlib.blake2b(secret_key.encode(), key=self._salt, digest_size=32).digest(), scope
        key = self._keys.get(entry)
        if key is None:
            key = self._keys[entry] = signing_key(secret_key, scope)
            if len(self._keys) > self._limit:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(entry)
        return key


def timestamp(now: datetime) -> str:
    """Give the time as `x-amz-date` wants it, in UTC.

    Raises:
        RequestInvalid: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise RequestInvalid("the time of a signature needs a time zone")
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give the headers that are signed: lower-case names, sorted; values trimmed, inner runs of blanks made one space,
    those of a repeated name joined with a comma in the order they came.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        lower = name.lower()
        if lower not in NEVER_SIGNED:
            values.setdefault(lower, []).append(" ".join(value.split()))
    return [(name, ",".join(values[name])) for name in sorted(values)]


def canonical_request(
    method: str, path: str, query: Iterable[tuple[str, str]], headers: Iterable[tuple[str, str]], payload_hash: str
) -> CanonicalRequest:
    """First step. `path` is the encoded path exactly as it is sent; `query` is not yet encoded."""
    signed = canonical_headers(headers)
    signed_headers = ";".join(name for name, _ in signed)
    lines = [method, path, uri.encode_query(query)]
    lines.extend(f"{name}:{value}" for name, value in signed)
    lines.extend(("", signed_headers, payload_hash))
    return CanonicalRequest("\n".join(lines), signed_headers)


def string_to_sign(request: CanonicalRequest, when: str, scope: Scope) -> str:
    """Second step; `when` is what `timestamp` gave."""
    return "\n".join((ALGORITHM, when, str(scope), hashlib.sha256(request.text.encode()).hexdigest()))


def signing_key(secret_key: str, scope: Scope) -> bytes:
    """Derive the key of the third step from the secret; `SigningKeys` saves doing it for each request."""
    key = f"AWS4{secret_key}".encode()
    for part in (scope.day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, text: str) -> str:
    """Third step: the signature in hex."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def sign(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Iterable[tuple[str, str]],
    *,
    payload_hash: str,
    access_key: str,
    secret_key: str,
    session_token: str | None,
    region: str,
    now: datetime,
    keys: SigningKeys | None = None,
) -> list[tuple[str, str]]:
    """Give all headers to send: `headers`, which must have `host` as it is sent, and those of the signature.

    `payload_hash` is the body's SHA-256 in hex or `UNSIGNED_PAYLOAD`.

    Raises:
        RequestInvalid: a header could not be sent as one line, or `now` has no time zone.
    """
    when = timestamp(now)
    scope = Scope(when[:8], region)
    result = [*headers, ("x-amz-content-sha256", payload_hash), ("x-amz-date", when)]
    if session_token is not None:
        result.append(("x-amz-security-token", session_token))
    for _, value in result:
        if not (value.isascii() and (value.isprintable() or value.replace("\t", " ").isprintable())):
            raise RequestInvalid("a header's value can hold printable ASCII only")
    request = canonical_request(method, path, query, result, payload_hash)
    key = signing_key(secret_key, scope) if keys is None else keys.get(secret_key, scope)
    authorization = (
        f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={request.signed_headers}, "
        f"Signature={signature(key, string_to_sign(request, when, scope))}"
    )
    return [*result, ("Authorization", authorization)]

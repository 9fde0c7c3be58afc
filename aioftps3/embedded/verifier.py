"""Signature Version 4 as the server checks it, from the request as it came over the wire.

Pure: no clock, no socket. Written from the published rules and sharing nothing with the code that signs, so that a
mistake in one does not hide in the other.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from aioftps3.embedded.errors import Refusal, access_denied, invalid_argument, invalid_request, not_implemented

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALLOWED_SKEW = timedelta(minutes=15)
"""S3 refuses a request whose date is further away than this from its own clock."""

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

_ALGORITHM = "AWS4-HMAC-SHA256"
_FIELDS = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^,\s]+)\s*(?:,|$)")
_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
_SPACES = re.compile(r" {2,}")
_AMZ_DATE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """What a signature covers, as it was sent."""

    method: str
    target: str
    """The request target, path and query, with its percent-encoding untouched."""
    headers: Sequence[tuple[str, str]]
    """Names in lower case, in the order and with the repetitions in which they came."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The value of the first header of this (lower-case) name."""
        return next((value for header, value in self.headers if header == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The one access key that is let in."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authorization:
    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def verify(request: WireRequest, account: Account, *, region: str, now: datetime) -> str:
    """Check the signature and return the value of ``x-amz-content-sha256``, which the body has to match.

    The value is ``UNSIGNED-PAYLOAD`` or the lower-case hex SHA-256 of the body.

    Raises:
        Refusal: with the code and status that S3 uses for the fault.
    """
    authorization = _parse_authorization(request)
    if not hmac.compare_digest(authorization.access_key.encode(), account.access_key.encode()):
        raise Refusal(
            "InvalidAccessKeyId",
            403,
            "The AWS Access Key Id you provided does not exist in our records.",
            details={"AWSAccessKeyId": authorization.access_key},
        )
    _check_scope(authorization, region)
    amz_date = _check_date(request, authorization, now)
    _check_signed_headers(request, authorization)
    payload = _payload_hash(request)
    _check_signature(request, authorization, account, amz_date, payload)
    _check_token(request, account)
    return payload if payload == UNSIGNED_PAYLOAD else payload.lower()


def canonical_path(path: str) -> str:
    """The path with every byte but the unreserved ones and ``/`` encoded exactly once; nothing is normalised away."""
    return quote(unquote_to_bytes(path), safe="/-._~")


def canonical_query(query: str) -> str:
    """Names and values encoded once and sorted by (name, value); ``+`` is a plus sign."""
    pairs = []
    for item in query.split("&"):
        if item:
            name, _, value = item.partition("=")
            pairs.append((quote(unquote_to_bytes(name), safe="-._~"), quote(unquote_to_bytes(value), safe="-._~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def canonical_headers(headers: Iterable[tuple[str, str]], signed: Sequence[str]) -> str:
    """The signed headers, one a line: values trimmed, runs of spaces collapsed, repetitions joined by commas."""
    values: dict[str, list[str]] = {name: [] for name in signed}
    for name, value in headers:
        if name in values:
            values[name].append(_SPACES.sub(" ", value.strip()))
    return "".join(f"{name}:{','.join(values[name])}\n" for name in signed)


def canonical_request(request: WireRequest, signed: Sequence[str], payload: str) -> str:
    """The text whose hash is signed."""
    return "\n".join(
        (
            request.method,
            canonical_path(request.path),
            canonical_query(request.query),
            canonical_headers(request.headers, signed),
            ";".join(signed),
            payload,
        )
    )


def _malformed(message: str, **details: str) -> Refusal:
    return Refusal("AuthorizationHeaderMalformed", 400, message, details=details)


def _parse_authorization(request: WireRequest) -> _Authorization:
    header = request.header("authorization")
    if header is None:
        if any(item.partition("=")[0].lower() == "x-amz-signature" for item in request.query.split("&")):
            raise not_implemented("X-Amz-Signature")
        raise access_denied()
    algorithm, _, rest = header.partition(" ")
    if algorithm != _ALGORITHM:
        raise invalid_request(
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        )
    found: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _FIELDS.match(rest, position)
        if match is None or match.group(1) in found:
            raise _malformed("The authorization header is malformed.")
        found[match.group(1)] = match.group(2)
        position = match.end()
    if len(found) != 3:
        raise _malformed(
            "The authorization header is malformed; the authorization header requires three components: "
            "Credential, SignedHeaders, and Signature."
        )
    # An access key may itself hold a slash, so the scope is counted from the right.
    credential = found["Credential"].rsplit("/", 4)
    if len(credential) != 5 or credential[4] != "aws4_request":
        raise _malformed(
            "The authorization header is malformed; the Credential is mal-formed; "
            'expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    return _Authorization(
        access_key=credential[0],
        date=credential[1],
        region=credential[2],
        service=credential[3],
        signed_headers=tuple(found["SignedHeaders"].split(";")),
        signature=found["Signature"],
    )


def _check_scope(authorization: _Authorization, region: str) -> None:
    if authorization.region != region:
        raise _malformed(
            f"The authorization header is malformed; the region '{authorization.region}' is wrong; "
            f"expecting '{region}'",
            Region=region,
        )
    if authorization.service != "s3":
        raise _malformed(
            f'The authorization header is malformed; incorrect service "{authorization.service}". '
            'This endpoint belongs to "s3".'
        )


def _check_date(request: WireRequest, authorization: _Authorization, now: datetime) -> str:
    """The request's own date in the ISO basic form, once it is known to be near ``now`` and the scope's day."""
    try:
        if (amz_date := request.header("x-amz-date")) is not None:
            sent = datetime.strptime(amz_date, _AMZ_DATE).replace(tzinfo=UTC)
        else:
            sent = parsedate_to_datetime(request.header("date") or "").astimezone(UTC)
    except ValueError:
        raise access_denied("AWS authentication requires a valid Date or x-amz-date header") from None
    if abs(sent - now) > ALLOWED_SKEW:
        raise Refusal(
            "RequestTimeTooSkewed",
            403,
            "The difference between the request time and the current time is too large.",
            details={
                "RequestTime": sent.strftime(_AMZ_DATE),
                "ServerTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "MaxAllowedSkewMilliseconds": str(int(ALLOWED_SKEW.total_seconds() * 1000)),
            },
        )
    if sent.strftime("%Y%m%d") != authorization.date:
        raise _malformed("The authorization header is malformed; Invalid credential date.")
    return sent.strftime(_AMZ_DATE)


def _check_signed_headers(request: WireRequest, authorization: _Authorization) -> None:
    signed = set(authorization.signed_headers)
    unsigned = sorted({name for name, _ in request.headers if name == "host" or name.startswith("x-amz-")} - signed)
    if unsigned:
        raise access_denied(
            "There were headers present in the request which were not signed",
            details={"HeadersNotSigned": ", ".join(unsigned)},
        )


def _payload_hash(request: WireRequest) -> str:
    payload = request.header("x-amz-content-sha256")
    if payload is None:
        raise invalid_request("Missing required header for this request: x-amz-content-sha256")
    if payload.startswith("STREAMING-"):
        raise not_implemented("x-amz-content-sha256")
    if payload != UNSIGNED_PAYLOAD and not _SHA256_HEX.match(payload):
        raise invalid_argument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.", "x-amz-content-sha256", payload
        )
    return payload


def _check_signature(
    request: WireRequest, authorization: _Authorization, account: Account, amz_date: str, payload: str
) -> None:
    canonical = canonical_request(request, sorted(authorization.signed_headers), payload)
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    string_to_sign = "\n".join((_ALGORITHM, amz_date, authorization.scope, digest))
    key = _signing_key(account.secret_key, authorization.date, authorization.region, authorization.service)
    expected = hmac.new(key, string_to_sign.encode(), hashlib.sha256).hexdigest()
    if hmac.compare_digest(expected.encode(), authorization.signature.encode("utf-8", "surrogateescape")):
        return
    if (token := request.header("x-amz-security-token")) is not None:
        canonical = canonical.replace(token, "(not shown)")
    raise Refusal(
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        details={
            "AWSAccessKeyId": authorization.access_key,
            "StringToSign": string_to_sign,
            "SignatureProvided": authorization.signature,
            "CanonicalRequest": canonical,
        },
    )


def _check_token(request: WireRequest, account: Account) -> None:
    sent = request.header("x-amz-security-token")
    if sent is None and account.session_token is None:
        return
    expected = account.session_token or ""
    given = (sent or "").encode("utf-8", "surrogateescape")
    if account.session_token is None or not hmac.compare_digest(given, expected.encode()):
        raise Refusal("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for step in (date, region, service, "aws4_request"):
        key = hmac.new(key, step.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
    return key

"""What is wrong with S3, in the operator's words: which setting to look at. Used at start and by `aioftps3 check`."""

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aioftps3.s3 import errors
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import CredentialsProvider

__all__ = ("Finding", "check_keys", "check_reading", "check_writing", "diagnose")

PROBE_NAME = ".aioftps3-check"
"""Name of the multipart upload that is begun and aborted at once; it never becomes an object."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    good: bool
    text: str


async def check_keys(provider: CredentialsProvider, source: str) -> Finding:
    """Whether the source of the keys has any: no request to S3."""
    try:
        await provider.credentials()
    except errors.S3Error as error:
        return Finding(False, f"keys from {source}: {diagnose(error)}")
    return Finding(True, f"keys from {source}")


async def check_reading(client: S3Client, prefix: str) -> Finding:
    """Whether the endpoint can be reached, takes the keys, has the bucket, and lets it be listed: one request."""

    async def read() -> None:
        await client.list_objects(prefix=prefix, max_keys=1)

    configured = client.endpoint.region
    finding = await _finding(client, read, "the bucket can be listed", "s3:ListBucket")
    if finding.good and client.endpoint.region != configured:
        return Finding(True, f"{finding.text}, but it is in region {client.endpoint.region}: set AWS_S3_BUCKET_REGION")
    return finding


async def check_writing(client: S3Client, prefix: str) -> Finding:
    """Whether objects may be written: begins a multipart upload and aborts it, which leaves nothing behind."""

    async def write() -> None:
        key = f"{prefix}{PROBE_NAME}"
        await client.abort_multipart_upload(key, await client.create_multipart_upload(key))

    return await _finding(client, write, "uploads can be begun and aborted", "s3:PutObject and s3:AbortMultipartUpload")


async def _finding(client: S3Client, act: Callable[[], Awaitable[None]], good: str, permission: str) -> Finding:
    where = f"S3 bucket {client.endpoint.bucket} at {client.endpoint.scheme}://{client.endpoint.host}"
    try:
        await act()
    except errors.S3Error as error:
        log.debug("the check of S3 failed: %s", error)
        return Finding(False, f"{where}: {diagnose(error, permission=permission)}")
    return Finding(True, f"{where}: {good}")


def diagnose(error: errors.S3Error, *, permission: str = "the permission") -> str:
    """What an operator has to look at. `permission` is what the failed request needs."""
    match error:
        case errors.NoCredentials():
            return f"no keys: {error}; look at AWS_ACCESS_KEY_ID, AWS_PROFILE and the role of this machine or container"
        case errors.S3TransportError():
            return _diagnose_connection(error)
        case errors.CredentialsRejected():
            return (
                f"wrong keys ({error.code or error.status}); look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                "and AWS_SESSION_TOKEN"
            )
        case errors.NoSuchBucket():
            return f"there is no such bucket ({error.code or error.status}); look at AWS_S3_BUCKET_NAME"
        case errors.WrongRegion():
            known = f": it is {error.region}" if error.region else ""
            return f"wrong region{known} ({error.code or error.status}); look at AWS_S3_BUCKET_REGION"
        case errors.AccessDenied():
            return f"access denied ({error.code or error.status}); the keys need {permission} on this bucket"
        case errors.ClockSkew():
            return f"this machine's clock is too far from S3's ({error.code or error.status})"
        case errors.Throttled() | errors.ServerFault():
            return f"S3 cannot answer now ({error.code or error.status}); it may come back"
        case errors.S3ProtocolError():
            return f"what answers is not S3 ({error}); look at AWS_S3_BUCKET_HOST"
        case errors.S3ResponseError() if not error.code:  # a listing that S3 refuses has a code
            return f"what answers is not S3 (status {error.status}); look at AWS_S3_BUCKET_HOST"
        case _:
            return f"unexpected: {error}"


def _diagnose_connection(error: errors.S3TransportError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        # aiohttp's errors derive from those of the standard library, and keep what really happened in attributes.
        for known in (getattr(cause, "certificate_error", None), getattr(cause, "os_error", None), cause):
            if text := _connection_fault(known):
                return text
        cause = cause.__cause__
    return f"the endpoint does not answer ({error}); look at AWS_S3_BUCKET_HOST"


def _connection_fault(cause: BaseException | None) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError():
            reason = getattr(cause, "verify_message", None) or "no reason given"
            return f"TLS: its certificate is not trusted ({reason}); look at AWS_CA_BUNDLE"
        case ssl.SSLError():
            reason = getattr(cause, "reason", None) or "no reason given"
            return f"TLS failed ({reason}); look at AWS_S3_BUCKET_HOST, whose URL may have to begin with http://"
        case socket.gaierror():
            return "unreachable: the name of the endpoint does not resolve; look at AWS_S3_BUCKET_HOST"
        case ConnectionRefusedError():
            return "unreachable: the connection is refused; look at AWS_S3_BUCKET_HOST"
        case TimeoutError():
            return "unreachable: no answer in time; look at AWS_S3_BUCKET_HOST and at firewalls"
        case _:
            return None

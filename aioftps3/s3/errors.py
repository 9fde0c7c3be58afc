"""Everything that can go wrong while talking to S3, as one tree of exceptions.

::

    S3Error
    +-- RequestInvalid            (also ValueError) arguments that cannot be sent: an empty key, a bad endpoint
    +-- NoCredentials             no provider had credentials
    +-- UploadEnded               write or complete after complete, abort or a failure
    +-- UploadEvicted             memory was short and the upload silent: its memory was given to others
    +-- DeleteFailed              DeleteObjects answered 200 but named keys that it did not delete
    +-- S3ProtocolError           an answer that is not S3's
    +-- ChecksumMismatch          the content of an object is not what its checksum says
    +-- ObjectChanged             the object that is being read has become another one
    +-- S3TransportError          no whole answer came
    |   +-- ConnectFailed         the request was never sent
    |   +-- RequestTimedOut
    |   +-- ConnectionBroken
    |   +-- BodyTruncated         the body of an answer ended early
    +-- S3ResponseError           S3 answered with an error: `code`, `status`, `request_id`, `host_id`
        +-- NoSuchKey
        +-- NoSuchBucket
        +-- NoSuchUpload
        +-- AccessDenied
        +-- CredentialsRejected   the keys or the token are wrong or out of date
        +-- ClockSkew             our clock and S3's are too far apart
        +-- WrongRegion           `region` is the right one, when S3 said it
        +-- PreconditionFailed    412
        +-- Conflict              409
        +-- InvalidRange          416
        +-- Throttled             slow down: 429, 503
        +-- ServerFault           5xx, and S3's own 400 RequestTimeout
        +-- DigestMismatch        the body did not arrive as it was sent
        +-- TooLarge
        +-- MetadataTooLarge
        +-- QuotaExceeded
        +-- StorageFull
        +-- KeyInvalid
        +-- ArchivedObject
        +-- NotSupported          405, 501
        +-- RequestRejected       any other 3xx or 4xx

The text of an error never holds the message of S3's answer, which may name buckets, keys and accounts; it is kept in
`S3ResponseError.message` for a log. How an answer becomes an error is in `responses.error_from_response`.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class S3Error(Exception):
    """Base of every error that this package raises on purpose."""

    may_have_acted: bool = False
    """Whether S3 may have done the work all the same: by this attempt, or, when a call has failed for good, by one
    before it. That has to be looked up then."""


class RequestInvalid(S3Error, ValueError):
    """The arguments of a call cannot be made into a request; nothing was sent."""


class NoCredentials(S3Error):
    """No credentials could be found, or their source did not answer."""


class UploadEnded(S3Error):
    """The upload was completed, aborted or has failed before; it takes nothing more."""


class UploadEvicted(S3Error):
    """Others had waited for memory for too long, and this upload, which had got next to nothing for as long, lost its
    own."""


@dataclass(frozen=True, slots=True)
class DeleteFailure:
    """One key that DeleteObjects did not delete."""

    key: str
    code: str
    message: str


class DeleteFailed(S3Error):
    """DeleteObjects did not delete every key; the keys not in `failures` are gone."""

    def __init__(self, failures: Sequence[DeleteFailure]) -> None:
        codes = sorted({failure.code for failure in failures})
        super().__init__(f"{len(failures)} keys were not deleted: {', '.join(codes)}")
        self.failures = tuple(failures)


class S3ProtocolError(S3Error):
    """The answer is not one that S3 gives: broken XML, missing headers, another service."""

    may_have_acted = True


class ChecksumMismatch(S3Error):
    """An object's content came to its end and is not what was stored."""


class ObjectChanged(S3Error):
    """The object that is being read was replaced or deleted; the rest of it is gone."""


class S3TransportError(S3Error):
    """No whole answer was received."""

    def __init__(self, text: str, *, may_have_acted: bool) -> None:
        super().__init__(text)
        # False only when S3 cannot have received all of the request.
        self.may_have_acted = may_have_acted


class ConnectFailed(S3TransportError):
    """No connection: the name does not resolve, it is refused, it timed out, or TLS failed."""

    def __init__(self, text: str, *, may_have_acted: bool = False) -> None:
        super().__init__(text, may_have_acted=may_have_acted)


class RequestTimedOut(S3TransportError):
    """The connection stood still for longer than a timeout."""


class ConnectionBroken(S3TransportError):
    """The connection was reset or closed before an answer came."""


class BodyTruncated(S3TransportError):
    """The body of an answer ended before its announced length."""

    def __init__(self, text: str, *, may_have_acted: bool = True) -> None:
        super().__init__(text, may_have_acted=may_have_acted)


class S3ResponseError(S3Error):
    """S3 answered with an error."""

    def __init__(
        self,
        code: str,
        status: int,
        *,
        operation: str = "",
        request_id: str = "",
        host_id: str = "",
        message: str = "",
        region: str | None = None,
        retry_after: float | None = None,
        server_time: float | None = None,
    ) -> None:
        super().__init__(
            f"{operation or 'request'} failed: {code or 'no code'} (status {status}, request id {request_id or 'none'})"
        )
        self.code = code
        """S3's error code, for example NoSuchKey; empty when the answer had no body (HEAD)."""
        self.status = status
        """HTTP status; 200 is possible, see CompleteMultipartUpload and CopyObject."""
        self.operation = operation
        self.request_id = request_id
        self.host_id = host_id
        self.message = message
        """S3's own words; for logs only, they may name keys and accounts."""
        self.region = region
        """The bucket's region, when S3 said it."""
        self.retry_after = retry_after
        """Seconds that S3 asks to wait."""
        self.server_time = server_time
        """S3's clock when it answered, seconds since the epoch."""


class NoSuchKey(S3ResponseError):
    """There is no such object."""


class NoSuchBucket(S3ResponseError):
    """There is no such bucket, or its name is not valid."""


class NoSuchUpload(S3ResponseError):
    """The multipart upload was completed or aborted, or never was."""


class AccessDenied(S3ResponseError):
    """The credentials are good, but may not do this."""


class CredentialsRejected(S3ResponseError):
    """S3 does not know the access key, or the signature or token is not right."""


class ClockSkew(S3ResponseError):
    """The request's time is too far from S3's."""


class WrongRegion(S3ResponseError):
    """The bucket lives in another region or at another host."""


class PreconditionFailed(S3ResponseError):
    """An If-Match or If-None-Match condition does not hold."""


class Conflict(S3ResponseError):
    """Another request on the same object is under way."""


class InvalidRange(S3ResponseError):
    """The range begins at or behind the end of the object."""


class Throttled(S3ResponseError):
    """S3 asks for fewer requests."""


class ServerFault(S3ResponseError):
    """S3 failed to handle the request; another try may succeed."""

    may_have_acted = True


class DigestMismatch(S3ResponseError):
    """The body that S3 received is not the one that was announced."""


class TooLarge(S3ResponseError):
    """The object, the part or the number of parts is above S3's limits."""


class MetadataTooLarge(S3ResponseError):
    """The user metadata of an object is above S3's 2 KiB."""


class QuotaExceeded(S3ResponseError):
    """The owner's quota is used up."""


class StorageFull(S3ResponseError):
    """The store itself has no room."""


class KeyInvalid(S3ResponseError):
    """S3 cannot hold an object of this name."""


class ArchivedObject(S3ResponseError):
    """The object is in an archive class and must be restored before it can be read."""


class NotSupported(S3ResponseError):
    """This store does not implement the operation."""


class RequestRejected(S3ResponseError):
    """S3 refused the request for a reason that has no class of its own."""

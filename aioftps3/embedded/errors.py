"""Everything this package raises.

::

    EmbeddedError
    ├── Refusal           the request breaks a rule: becomes an S3 error document
    ├── ConnectionCut     raised by an intercept: the connection is dropped without (the rest of) an answer
    ├── XmlFault          a document of the client is not XML (see xmlin)
    ├── DirectoryInUse    another embedded server holds the directory
    └── DirectoryDamaged  a record on disk cannot be read
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class EmbeddedError(Exception):
    """Base of every error of the embedded server."""


class ConnectionCut(EmbeddedError):
    """Raised by an intercept, or by the body that it answers with, to drop the connection at once."""


class DirectoryInUse(EmbeddedError):
    """Another embedded server is using the directory."""


class DirectoryDamaged(EmbeddedError):
    """A record in the directory cannot be read; the text names the file."""


class Refusal(EmbeddedError):
    """A request that S3 would refuse.

    ``code``, ``status`` and ``message`` are S3's; ``details`` become further elements of the error document and
    ``headers`` further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        *,
        details: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.code = code
        self.status = status
        self.message = message
        self.details: dict[str, str] = dict(details or {})
        self.headers: dict[str, str] = dict(headers or {})


def access_denied(message: str = "Access Denied", *, details: Mapping[str, str] | None = None) -> Refusal:
    return Refusal("AccessDenied", 403, message, details=details)


def bad_digest(what: str) -> Refusal:
    return Refusal("BadDigest", 400, f"The {what} you specified did not match the calculated checksum.")


def entity_too_large(proposed: int, allowed: int) -> Refusal:
    return Refusal(
        "EntityTooLarge",
        400,
        "Your proposed upload exceeds the maximum allowed size",
        details={"ProposedSize": str(proposed), "MaxSizeAllowed": str(allowed)},
    )


def invalid_argument(message: str, name: str, value: str) -> Refusal:
    return Refusal("InvalidArgument", 400, message, details={"ArgumentName": name, "ArgumentValue": value})


def invalid_request(message: str) -> Refusal:
    return Refusal("InvalidRequest", 400, message)


def malformed_xml() -> Refusal:
    return Refusal(
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def no_such_bucket(bucket: str) -> Refusal:
    return Refusal("NoSuchBucket", 404, "The specified bucket does not exist", details={"BucketName": bucket})


def no_such_key(key: str) -> Refusal:
    return Refusal("NoSuchKey", 404, "The specified key does not exist.", details={"Key": key})


def no_such_upload(upload_id: str) -> Refusal:
    return Refusal(
        "NoSuchUpload",
        404,
        "The specified multipart upload does not exist. "
        "The upload ID may be invalid, or the upload may have been aborted or completed.",
        details={"UploadId": upload_id},
    )


def not_implemented(what: str) -> Refusal:
    return Refusal(
        "NotImplemented", 501, "This implies functionality that the embedded server lacks.", details={"Header": what}
    )


def precondition_failed(condition: str) -> Refusal:
    return Refusal(
        "PreconditionFailed",
        412,
        "At least one of the pre-conditions you specified did not hold",
        details={"Condition": condition},
    )

"""Digests of whole objects that can be told without reading them: what S3 keeps, and what uploads have noted.

What counts as known, and nothing else does:

- a checksum of the whole content that S3 keeps;
- a digest that was computed for the upload's signature or for Content-MD5 anyway, and was put into the object's
  metadata because S3 does not keep it; with the size, as other programs may take the metadata over to other content;
- an ETag where it is documented to be the MD5: on AWS, in buckets of the usual kind, for objects that are of one piece
  and not encrypted with keys of KMS or of the client's
  (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
"""

import base64
import binascii
import re

from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.models import Body, ObjectInfo

NOTED: dict[Algorithm, str] = {Algorithm.SHA256: "aioftps3-sha256", Algorithm.MD5: "aioftps3-md5"}
"""User metadata with a digest in hex, a slash and the size in bytes."""

BYTES: dict[str, int] = {"md5": 16, "sha1": 20, "sha256": 32, "crc32": 4}
"""Sizes of the digests that can be told."""

PLAIN_ENCRYPTION = (None, "AES256")
"""How objects are encrypted whose ETag is an MD5."""

DIRECTORY_BUCKET = "--x-s3"
"""End of the name of a directory bucket (S3 Express One Zone), where an ETag is no MD5."""

_ETAG = re.compile(r'"?([0-9a-f]{32})"?', re.IGNORECASE)
_NOTE = re.compile(r"([0-9a-f]{32,128})/([0-9]{1,20})")


def told(client: S3Client) -> tuple[str, ...]:
    """Name the digests that can be told of objects which this client has stored; first what it can tell of any size."""
    names = []
    if client.checksum is Algorithm.CRC32:
        names.append("crc32")
    if client.signs_payload or client.checksum is Algorithm.SHA256:
        names.append("sha256")
    if client.checksum is Algorithm.MD5 or etag_is_md5(client):
        names.append("md5")
    return tuple(names)


def etag_is_md5(client: S3Client) -> bool:
    """Say whether the bucket's ETags are known to be MD5s where they can be."""
    return client.endpoint.on_aws and not client.endpoint.bucket.endswith(DIRECTORY_BUCKET)


def notes(client: S3Client, body: Body) -> dict[str, str]:
    """Give the metadata for an object that is written in one request: the digests that are computed anyway."""
    found = {}
    if client.signs_payload:
        found[NOTED[Algorithm.SHA256]] = f"{body.sha256}/{body.length}"
    if client.checksum is Algorithm.MD5:
        found[NOTED[Algorithm.MD5]] = f"{body.checksum(Algorithm.MD5).hex()}/{body.length}"
    return found


def known(info: ObjectInfo, *, etag_is_md5: bool) -> dict[str, bytes]:
    """Give the digests of an object that are known, by their names in lower case.

    `info` is what HeadObject says when it is asked for the checksum, too.
    """
    found = {}
    match = _ETAG.fullmatch(info.etag)
    if etag_is_md5 and match is not None and info.encryption in PLAIN_ENCRYPTION:
        found["md5"] = bytes.fromhex(match[1])
    for algorithm, name in NOTED.items():
        note = _NOTE.fullmatch(info.metadata.get(name, ""))
        if note is not None and int(note[2]) == info.size and len(note[1]) == 2 * BYTES[algorithm]:
            found[algorithm.value] = bytes.fromhex(note[1])
    if info.checksum is not None and (digest := _whole(info.checksum.algorithm, info.checksum.value)) is not None:
        found[info.checksum.algorithm] = digest
    return found


def _whole(algorithm: str, value: str) -> bytes | None:
    """A checksum of the whole content; None for one of parts' checksums, or of a kind that is not told."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest if len(digest) == BYTES.get(algorithm) else None

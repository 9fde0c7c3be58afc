"""Values -> the headers of requests. Pure."""

import base64
from collections.abc import Mapping, Sequence

from aioftps3.s3 import uri
from aioftps3.s3.checksums import HEADER_PREFIX, Algorithm, Checksum, header
from aioftps3.s3.models import Body, CompletedPart, ObjectInfo
from aioftps3.s3.responses import METADATA_PREFIX

Pairs = tuple[tuple[str, str], ...]


def conditions(
    *, if_match: str | None = None, if_none_match: str | None = None, source_if_match: str | None = None
) -> Pairs:
    """Under which conditions S3 may act."""
    pairs = (("If-Match", if_match), ("If-None-Match", if_none_match), ("x-amz-copy-source-if-match", source_if_match))
    return tuple((name, value) for name, value in pairs if value is not None)


def description(content_type: str | None, metadata: Mapping[str, str] | None) -> Pairs:
    """What is kept with an object."""
    pairs = [(f"{METADATA_PREFIX}{name.lower()}", value) for name, value in (metadata or {}).items()]
    if content_type is not None:
        pairs.append(("Content-Type", content_type))
    return tuple(pairs)


def sendable(text: str) -> str:
    """A value of user metadata as S3 takes it: what is no ASCII is encoded (RFC 2047 section 4.1). S3 answers such
    values in this form, too; some stores answer them as bytes."""
    if text.isascii():
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode('utf-8', 'surrogateescape')).decode()}?="


def description_of(source: ObjectInfo, metadata: Mapping[str, str]) -> Pairs:
    """What is kept with an object, but for its metadata, and `metadata` in place of that."""
    values = {name: sendable(value) for name, value in metadata.items()}
    return (*description(source.content_type, values), *source.content_headers.items())


def in_storage_class(name: str | None) -> Pairs:
    """Which class of storage an object goes to; S3's default for None."""
    return () if name is None else (("x-amz-storage-class", name),)


def likeness(content_headers: Mapping[str, str], tags: Mapping[str, str], storage_class: str | None) -> Pairs:
    """What makes an object like another one, besides its content type and metadata."""
    tagging = (("x-amz-tagging", uri.encode_query(tags.items())),) if tags else ()
    return (*content_headers.items(), *tagging, *in_storage_class(storage_class))


def query(*fixed: tuple[str, str], **optional: str | None) -> Pairs:
    """A query of what is always there and of what is there unless it is None; `_` in names stands for `-`."""
    return (*fixed, *((name.replace("_", "-"), value) for name, value in optional.items() if value is not None))


def protection(body: Body, algorithm: Algorithm | None) -> Pairs:
    """The checksum of the body."""
    return () if algorithm is None else (header(algorithm, body.checksum(algorithm)),)


def kept(body: Body, algorithm: Algorithm | None) -> Checksum | None:
    """The body's checksum as S3 keeps it."""
    if algorithm is None or not algorithm.is_kept:
        return None
    return Checksum(algorithm, header(algorithm, body.checksum(algorithm))[1])


def announced(checksum: Algorithm | None) -> Pairs:
    """The checksum that the parts of a multipart upload will have."""
    if checksum is None or not checksum.is_kept:
        return ()
    kind = "FULL_OBJECT" if checksum.is_crc else "COMPOSITE"
    return (("x-amz-checksum-algorithm", checksum.upper()), ("x-amz-checksum-type", kind))


def promised(parts: Sequence[CompletedPart], checksum: Checksum | None) -> Pairs:
    """What the whole object has to be like."""
    pairs: list[tuple[str, str]] = []
    if parts and all(part.checksum is not None for part in parts):
        pairs.append(("x-amz-mp-object-size", str(sum(part.size for part in parts))))
    if checksum is not None:
        pairs.append((f"{HEADER_PREFIX}{checksum.algorithm}", checksum.value))
        pairs.append(("x-amz-checksum-type", "FULL_OBJECT"))
    return tuple(pairs)

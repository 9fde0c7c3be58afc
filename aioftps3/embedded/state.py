"""What a bucket holds, and the store behind it.

The index (keys, headers, parts) is in memory whichever store is used; a store keeps the bytes and, if it is a lasting
one, a copy of the index. Every change of the index happens between two awaits, so requests never see half of one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aioftps3.embedded.answers import BodyStream

STREAM_CHUNK = 256 * 1024
"""Bytes of a body that are read and sent at a time."""

_REMEMBERED_COMPLETIONS = 1000
"""Completed uploads that still answer 200 to a repeated CompleteMultipartUpload."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of bytes: the bytes themselves, or a range of a stored file named by the store."""

    source: bytes | str
    first: int
    length: int


@dataclass(frozen=True, slots=True)
class Blob:
    """Content as a sequence of segments, so that copies and completed uploads share bytes instead of moving them."""

    segments: tuple[Segment, ...] = ()
    size: int = 0


def make_blob(segments: Iterable[Segment]) -> Blob:
    """The blob of these segments."""
    kept = tuple(segment for segment in segments if segment.length)
    return Blob(kept, sum(segment.length for segment in kept))


def join(blobs: Iterable[Blob]) -> Blob:
    """One blob after the other."""
    return make_blob(segment for blob in blobs for segment in blob.segments)


def cut(blob: Blob, first: int, length: int) -> Blob:
    """``length`` bytes of the blob from ``first`` on; the range lies inside the blob."""
    pieces = []
    last = first + length
    position = 0
    for segment in blob.segments:
        start, end = max(first, position), min(last, position + segment.length)
        if start < end:
            pieces.append(Segment(segment.source, segment.first + start - position, end - start))
        position += segment.length
        if position >= last:
            break
    return make_blob(pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """One of S3's additional checksums."""

    algorithm: str
    """``crc32``, ``sha1`` or ``sha256``."""
    value: str
    """Base64, followed by ``-N`` for a composite one of N parts."""
    kind: str = "FULL_OBJECT"
    """``FULL_OBJECT`` or ``COMPOSITE``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object. Never changed: an overwrite replaces the record."""

    key: str
    blob: Blob
    etag: str
    """Without quotes."""
    modified: float
    headers: Mapping[str, str]
    """Content headers and ``x-amz-meta-``, in lower case, given back with the object."""
    checksum: Checksum | None = None

    @property
    def size(self) -> int:
        return self.blob.size

    @property
    def quoted_etag(self) -> str:
        return f'"{self.etag}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an upload that is not completed yet."""

    number: int
    blob: Blob
    etag: str
    modified: float
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload in progress; ``parts`` grows."""

    key: str
    upload_id: str
    initiated: float
    headers: Mapping[str, str]
    checksum_algorithm: str | None = None
    checksum_kind: str | None = None
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a store holds when it is opened."""

    objects: Iterable[StoredObject] = ()
    uploads: Iterable[Upload] = ()


class BlobWriter(Protocol):
    """Content on its way in. Ends by exactly one of ``finish`` and ``abandon``."""

    def write(self, data: bytes) -> None:
        """Append. Called from worker threads too, one call at a time."""

    def finish(self) -> Blob:
        """The content, for the caller to put into a record or to hand to ``Store.discard``."""

    def abandon(self) -> None:
        """Forget what was written."""


class Store(Protocol):
    """Keeps bytes, and records if it is a lasting one.

    A ``save_`` or ``delete_`` call comes just before the index changes; when it fails, nothing changes. The bytes of a
    blob are kept as long as a saved record or an open reader uses them.
    """

    def open(self) -> Contents | None:
        """Start using the store. None from a store that saves nothing: what the index holds is still all there is."""

    def close(self) -> None:
        """Stop using the store. Idempotent."""

    def writer(self) -> BlobWriter: ...

    def reader(self, blob: Blob) -> BodyStream:
        """The content in chunks of at most STREAM_CHUNK; what it needs stays until its ``aclose``."""

    def read(self, blob: Blob) -> bytes:
        """All of the content at once, blocking."""

    def discard(self, blob: Blob) -> None:
        """Forget content that no record took."""

    def save_object(self, stored: StoredObject, replaced: StoredObject | None) -> None: ...

    def delete_object(self, stored: StoredObject) -> None: ...

    def save_upload(self, upload: Upload) -> None: ...

    def save_part(self, upload: Upload, part: Part, replaced: Part | None) -> None: ...

    def delete_upload(self, upload: Upload) -> None: ...


class Bucket:
    """The index of the one bucket, kept in step with its store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.objects: dict[str, StoredObject] = {}
        self.keys: list[str] = []
        """All keys, sorted: code point order, which is the order of their UTF-8 bytes."""
        self.uploads: dict[str, Upload] = {}
        self._completed: OrderedDict[str, StoredObject] = OrderedDict()

    def open(self) -> None:
        """Open the store, blocking, and take over what it holds."""
        contents = self.store.open()
        if contents is None:
            return
        self.objects = {stored.key: stored for stored in contents.objects}
        self.keys = sorted(self.objects)
        self.uploads = {upload.upload_id: upload for upload in contents.uploads}

    def put(self, stored: StoredObject) -> None:
        """Add or replace an object."""
        replaced = self.objects.get(stored.key)
        self.store.save_object(stored, replaced)
        if replaced is None:
            insort(self.keys, stored.key)
        self.objects[stored.key] = stored

    def delete(self, key: str) -> None:
        """Remove an object if there is one."""
        stored = self.objects.get(key)
        if stored is not None:
            self.store.delete_object(stored)
            del self.objects[key]
            del self.keys[bisect_left(self.keys, key)]

    def begin_upload(self, upload: Upload) -> None:
        self.store.save_upload(upload)
        self.uploads[upload.upload_id] = upload

    def put_part(self, upload: Upload, part: Part) -> None:
        """Add or replace a part of an upload in progress."""
        self.store.save_part(upload, part, upload.parts.get(part.number))
        upload.parts[part.number] = part

    def complete_upload(self, upload: Upload, stored: StoredObject) -> None:
        """Turn an upload into an object."""
        self.put(stored)
        self.drop_upload(upload)
        self._completed[upload.upload_id] = stored
        if len(self._completed) > _REMEMBERED_COMPLETIONS:
            self._completed.popitem(last=False)

    def drop_upload(self, upload: Upload) -> None:
        """Forget an upload and its parts."""
        self.store.delete_upload(upload)
        del self.uploads[upload.upload_id]

    def completed(self, key: str, upload_id: str) -> StoredObject | None:
        """What an upload that is over became, while that is remembered."""
        stored = self._completed.get(upload_id)
        return stored if stored is not None and stored.key == key else None

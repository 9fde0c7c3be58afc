"""The store under a directory: what is in it is there again after a restart.

::

    lock                    held while a server uses the directory
    blobs/ab/ab...          content, under random names; several records may share one
    objects/NAME.json       one record an object
    uploads/ID/upload.json  one multipart upload in progress, and
    uploads/ID/N.json       its parts

NAME is the start of the percent-encoded key, for people who look, and a hash of the whole key, so that any key fits
into a file name. A record is replaced in one step after its content is complete, and content that no record names is
removed at the next start. Nothing is forced to the disk: a power cut may lose the last seconds.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import secrets
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from aioftps3.embedded.errors import DirectoryDamaged, DirectoryInUse
from aioftps3.embedded.state import (
    STREAM_CHUNK,
    Blob,
    Checksum,
    Contents,
    Part,
    Segment,
    StoredObject,
    Upload,
    make_blob,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioftps3.embedded.answers import BodyStream

_READABLE_NAME = 80
"""Characters of the percent-encoded key in a record's file name."""

_HASHED_NAME = 32
"""Hex digits of the key's SHA-256 in a record's file name."""

_BLOB_NAME_BYTES = 16


class DirectoryStore:
    """Keeps bytes in files and counts who uses each file; records are JSON."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._blobs = directory / "blobs"
        self._objects = directory / "objects"
        self._uploads = directory / "uploads"
        self._users: Counter[str] = Counter()
        self._lock: IO[bytes] | None = None

    def open(self) -> Contents:
        """Lock the directory, which is made when it is missing, and read every record.

        Raises:
            DirectoryInUse, DirectoryDamaged, OSError
        """
        for directory in (self._blobs, self._objects, self._uploads):
            directory.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._users.clear()
            contents = Contents(objects=list(self._load_objects()), uploads=list(self._load_uploads()))
            self._remove_leftovers()
        except BaseException:
            self.close()
            raise
        return contents

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def writer(self) -> _FileWriter:
        return _FileWriter(self)

    def reader(self, blob: Blob) -> BodyStream:
        return _FileReader(self, blob)

    def read(self, blob: Blob) -> bytes:
        pieces = []
        for segment in blob.segments:
            with self.path_of(segment).open("rb") as file:
                file.seek(segment.first)
                pieces.append(file.read(segment.length))
        return b"".join(pieces)

    def discard(self, blob: Blob) -> None:
        self.retain(blob)
        self.release(blob)

    def save_object(self, stored: StoredObject, replaced: StoredObject | None) -> None:
        _write_record(self._object_path(stored.key), _object_record(stored))
        self.retain(stored.blob)
        if replaced is not None:
            self.release(replaced.blob)

    def delete_object(self, stored: StoredObject) -> None:
        self._object_path(stored.key).unlink()
        self.release(stored.blob)

    def save_upload(self, upload: Upload) -> None:
        (self._uploads / upload.upload_id).mkdir()
        record = asdict(upload)
        del record["parts"]
        _write_record(self._uploads / upload.upload_id / "upload.json", record)

    def save_part(self, upload: Upload, part: Part, replaced: Part | None) -> None:
        _write_record(self._uploads / upload.upload_id / f"{part.number}.json", _part_record(part))
        self.retain(part.blob)
        if replaced is not None:
            self.release(replaced.blob)

    def delete_upload(self, upload: Upload) -> None:
        shutil.rmtree(self._uploads / upload.upload_id)
        for part in upload.parts.values():
            self.release(part.blob)

    def retain(self, blob: Blob) -> None:
        """Count one more user of the blob's files."""
        self._users.update(_names(blob))

    def release(self, blob: Blob) -> None:
        """Count one user less, and remove the files that have none left."""
        for name in _names(blob):
            self._users[name] -= 1
            if self._users[name] <= 0:
                del self._users[name]
                self._blob_path(name).unlink(missing_ok=True)

    def new_file(self) -> tuple[str, IO[bytes]]:
        """A fresh blob file, open for writing, and its name."""
        name = secrets.token_hex(_BLOB_NAME_BYTES)
        path = self._blob_path(name)
        path.parent.mkdir(exist_ok=True)
        return name, path.open("xb")

    def remove_file(self, name: str) -> None:
        self._blob_path(name).unlink(missing_ok=True)

    def path_of(self, segment: Segment) -> Path:
        """The file that a segment lies in."""
        if not isinstance(segment.source, str):
            raise TypeError("a blob of another store")
        return self._blob_path(segment.source)

    def _blob_path(self, name: str) -> Path:
        return self._blobs / name[:2] / name

    def _object_path(self, key: str) -> Path:
        readable = quote(key, safe=" ")[:_READABLE_NAME]
        return self._objects / f"{readable}~{hashlib.sha256(key.encode()).hexdigest()[:_HASHED_NAME]}.json"

    def _take_lock(self) -> None:
        lock = (self._root / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise DirectoryInUse(f"{self._root} is used by another embedded S3 server") from None
        self._lock = lock

    def _load_objects(self) -> Iterator[StoredObject]:
        for path in self._objects.glob("*.json"):
            with _reading(path):
                stored = _object_of(_read_record(path))
            self.retain(stored.blob)
            yield stored

    def _load_uploads(self) -> Iterator[Upload]:
        for directory in self._uploads.iterdir():
            path = directory / "upload.json"
            if not path.exists():
                # Being made or being removed when the server ended.
                shutil.rmtree(directory)
                continue
            with _reading(path):
                upload = Upload(**_read_record(path))
            for part_path in directory.glob("[0-9]*.json"):
                with _reading(part_path):
                    part = _part_of(_read_record(part_path))
                self.retain(part.blob)
                upload.parts[part.number] = part
            yield upload

    def _remove_leftovers(self) -> None:
        for path in self._blobs.glob("*/*"):
            if path.name not in self._users:
                path.unlink()
        for path in self._root.rglob("*.tmp"):
            path.unlink()


class _FileWriter:
    """Writes one blob file, which is made at the first byte."""

    def __init__(self, store: DirectoryStore) -> None:
        self._store = store
        self._name = ""
        self._file: IO[bytes] | None = None
        self._size = 0

    def write(self, data: bytes) -> None:
        if self._file is None:
            self._name, self._file = self._store.new_file()
        self._file.write(data)
        self._size += len(data)

    def finish(self) -> Blob:
        if self._file is None:
            return Blob()
        self._file.close()
        return make_blob([Segment(self._name, 0, self._size)])

    def abandon(self) -> None:
        if self._file is not None:
            self._file.close()
            self._store.remove_file(self._name)


class _FileReader:
    """Reads a blob; its files stay until ``aclose``, whatever happens to the records meanwhile."""

    def __init__(self, store: DirectoryStore, blob: Blob) -> None:
        self._store = store
        self._blob: Blob | None = blob
        self._segments = iter(blob.segments)
        self._file: IO[bytes] | None = None
        self._left = 0
        store.retain(blob)

    def __aiter__(self) -> _FileReader:
        return self

    async def __anext__(self) -> bytes:
        if self._blob is None:
            raise StopAsyncIteration
        # Handing a small read to a thread costs more than the read.
        small = self._blob.size <= STREAM_CHUNK
        data = self._read() if small else await asyncio.to_thread(self._read)
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        if self._blob is not None:
            blob, self._blob = self._blob, None
            if self._file is not None:
                self._file.close()
            self._store.release(blob)

    def _read(self) -> bytes:
        if not self._left:
            segment = next(self._segments, None)
            if segment is None:
                return b""
            if self._file is not None:
                self._file.close()
            self._file = self._store.path_of(segment).open("rb")
            self._file.seek(segment.first)
            self._left = segment.length
        if self._file is None:
            return b""
        data = self._file.read(min(self._left, STREAM_CHUNK))
        self._left -= len(data)
        return data


class _reading:  # noqa: N801 (used like a function)
    """Turns what goes wrong while a record is read into DirectoryDamaged."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (ValueError, TypeError, KeyError, AttributeError)):
            raise DirectoryDamaged(f"{self._path} is no record of the embedded S3 server") from error


def _names(blob: Blob) -> set[str]:
    return {segment.source for segment in blob.segments if isinstance(segment.source, str)}


def _write_record(path: Path, record: dict[str, Any]) -> None:
    temporary = path.with_name(f"{secrets.token_hex(_BLOB_NAME_BYTES)}.tmp")
    try:
        temporary.write_text(json.dumps(record), "utf-8")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read_record(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return record


def _object_record(stored: StoredObject) -> dict[str, Any]:
    return {
        "key": stored.key,
        "etag": stored.etag,
        "modified": stored.modified,
        "headers": dict(stored.headers),
        **_content_record(stored.blob, stored.checksum),
    }


def _part_record(part: Part) -> dict[str, Any]:
    return {
        "number": part.number,
        "etag": part.etag,
        "modified": part.modified,
        **_content_record(part.blob, part.checksum),
    }


def _content_record(blob: Blob, checksum: Checksum | None) -> dict[str, Any]:
    return {
        "blob": [[segment.source, segment.first, segment.length] for segment in blob.segments],
        "checksum": None if checksum is None else asdict(checksum),
    }


def _object_of(record: dict[str, Any]) -> StoredObject:
    return StoredObject(**{**record, **_content_of(record)})


def _part_of(record: dict[str, Any]) -> Part:
    return Part(**{**record, **_content_of(record)})


def _content_of(record: dict[str, Any]) -> dict[str, Any]:
    checksum = record["checksum"]
    return {
        "blob": make_blob(Segment(*segment) for segment in record["blob"]),
        "checksum": None if checksum is None else Checksum(**checksum),
    }

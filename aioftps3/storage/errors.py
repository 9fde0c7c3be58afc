"""What can go wrong with files and directories, whatever keeps them.

::

    StorageError
    ├── NotFound         no file and no directory of that name
    ├── Exists           the name is taken
    │   └── OverwriteRefused   by a file that must not be replaced
    ├── NotADirectory    a file where a directory is needed
    ├── IsADirectory     a directory where a file is needed
    ├── NotEmpty         a directory with something in it
    ├── Denied           not allowed, by the store or by the rules of the tree
    ├── NameInvalid      no key can have this name
    ├── RangeInvalid     an offset past the end of the file
    ├── Archived         the bytes are in cold storage
    ├── NotSupported     the store cannot do this at all
    ├── Quota            more than the store lets this owner keep, or than one object may hold
    ├── MetadataFull     no room for what has to be noted with the file
    ├── StorageFull      the store has no room left
    ├── Busy             somebody else is at it; works later
    ├── Changed          the file became another one meanwhile
    ├── Corrupt          bytes or answers that are not what was sent
    ├── TooSlow          memory for uploads was short, and taken from this one, which stood still
    ├── Unavailable      the store cannot be reached, or asks to slow down
    └── Misconfigured    credentials, bucket or endpoint are wrong: the operator has to act
"""

from __future__ import annotations

from typing import ClassVar

__all__ = (
    "Archived",
    "Busy",
    "Changed",
    "Corrupt",
    "Denied",
    "Exists",
    "IsADirectory",
    "MetadataFull",
    "Misconfigured",
    "NameInvalid",
    "NotADirectory",
    "NotEmpty",
    "NotFound",
    "NotSupported",
    "OverwriteRefused",
    "Quota",
    "RangeInvalid",
    "StorageError",
    "StorageFull",
    "TooSlow",
    "Unavailable",
)


class StorageError(Exception):
    """Base of all errors of this package.

    ``reason`` is short and made of fixed words: it may be shown to clients. ``detail`` is for the log alone: it may
    name keys, error codes and request ids. ``request_id`` identifies the failed request to the store's operator.
    """

    words: ClassVar[str] = "storage failure"

    def __init__(self, detail: str = "", *, reason: str | None = None, request_id: str | None = None) -> None:
        self.reason = self.words if reason is None else reason
        self.detail = detail
        self.request_id = request_id
        super().__init__(f"{self.reason}: {detail}" if detail else self.reason)


class NotFound(StorageError):
    """No file and no directory has this name."""

    words = "no such file or directory"


class Exists(StorageError):
    """The name is taken by a file or a directory."""

    words = "already exists"


class OverwriteRefused(Exists):
    """There is a file of that name, and files are not to be replaced."""

    words = "already exists, and files are not replaced"


class NotADirectory(StorageError):
    """A directory is needed, and the name is a file's."""

    words = "not a directory"


class IsADirectory(StorageError):
    """A file is needed, and the name is a directory's."""

    words = "is a directory"


class NotEmpty(StorageError):
    """The directory has something in it."""

    words = "directory not empty"


class Denied(StorageError):
    """The store's permissions, or the rules of the tree, do not allow it."""

    words = "permission denied"


class NameInvalid(StorageError):
    """No key can have this name, or the name makes no sense as a target."""

    words = "file name not allowed"


class RangeInvalid(StorageError):
    """The offset lies past the end of the file."""

    words = "offset past the end of the file"


class Archived(StorageError):
    """The object is in cold storage and must be restored before it can be read."""

    words = "file is archived"


class NotSupported(StorageError):
    """The store does not know the operation."""

    words = "not supported by the storage"


class MetadataFull(StorageError):
    """The file has so much metadata already that what has to be noted with it does not fit."""

    words = "the file's own metadata leave no room for what the server notes there"


class Quota(StorageError):
    """Larger than one object, or all objects of this owner, may be."""

    words = "storage allocation exceeded"


class StorageFull(StorageError):
    """The store has no room left."""

    words = "insufficient storage space"


class Busy(StorageError):
    """Another writer is at the same object; the same request works later."""

    words = "file is busy, try again later"


class Changed(StorageError):
    """The file was replaced by another one in the middle of the operation."""

    words = "file changed meanwhile"


class Corrupt(StorageError):
    """Bytes or answers arrived that are not what was sent."""

    words = "data damaged on the way to or from the storage"


class TooSlow(StorageError):
    """The gateway's memory for uploads was used up, and was taken from this one, which got next to nothing."""

    words = "memory for uploads is used up and this one sent too slowly, try again later"


class Unavailable(StorageError):
    """The store cannot be reached, fails, or asks to slow down; the same request may work later."""

    words = "storage unavailable, try again later"


class Misconfigured(StorageError):
    """Credentials, bucket or endpoint are wrong; nothing works until the operator acts."""

    words = "storage misconfigured"

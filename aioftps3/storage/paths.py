"""Virtual paths and object keys. Pure.

A virtual path is what clients see: absolute, normalised, separated by single slashes: ``/``, ``/a``, ``/a/b``. A key is
what the store sees: the prefix of the user's root (empty, or ending in a slash) and the path without its first slash.
The key of a directory's marker object is the key of the directory and one more slash.

What stays true: `resolve` never leads above the root; `key_of` and `marker_of` refuse whatever is not a normalised
path, so that no caller can reach beyond the prefix; `path_of` undoes both and gives None for every other key.
"""

from __future__ import annotations

import re
from typing import NewType

from aioftps3.storage.errors import NameInvalid

__all__ = (
    "KEY_BYTES",
    "ROOT",
    "VirtualPath",
    "ancestors",
    "is_below",
    "join",
    "key_of",
    "marker_of",
    "means_directory",
    "name_of",
    "parent_of",
    "path_of",
    "resolve",
    "valid_name",
    "valid_prefix",
)

VirtualPath = NewType("VirtualPath", str)

ROOT = VirtualPath("/")

KEY_BYTES = 1024
"""Longest key in bytes of UTF-8, the prefix included (S3 user guide, "Creating object key names")."""

# Control characters would break reply lines and listings; lone surrogates have no UTF-8 form.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

_CONTROL = "file name holds a control character"
_NOT_UTF8 = "file name is not UTF-8"
_TOO_LONG = "file name is too long"
_NOT_NORMALISED = "file name not allowed"


def _check_characters(text: str) -> None:
    found = _FORBIDDEN.search(text)
    if found is not None:
        raise NameInvalid(reason=_NOT_UTF8 if found[0] >= "\ud800" else _CONTROL)


def valid_name(name: str) -> bool:
    """True if ``name`` can be one segment of a path."""
    return name not in {"", ".", ".."} and "/" not in name and _FORBIDDEN.search(name) is None


def valid_prefix(prefix: str) -> bool:
    """True if ``prefix`` can be the key prefix of a root: empty, or valid names that each end in a slash."""
    return not prefix or (prefix.endswith("/") and all(valid_name(name) for name in prefix[:-1].split("/")))


def resolve(cwd: VirtualPath, argument: str) -> VirtualPath:
    """The path that ``argument`` means in the directory ``cwd``, by its letters alone.

    An empty argument means ``cwd``; ``..`` at the root stays at the root; a slash at the end means
    nothing here, see `means_directory`.
    Raises NameInvalid for characters that no path holds.
    """
    _check_characters(argument)
    segments = [] if argument.startswith("/") else [name for name in cwd.split("/") if name]
    for name in argument.split("/"):
        if name == "..":
            if segments:
                segments.pop()
        elif name not in {"", "."}:
            segments.append(name)
    return VirtualPath("/" + "/".join(segments))


def means_directory(argument: str) -> bool:
    """True if a path, as a client has sent it, can only mean a directory, or directories: it ends in a slash."""
    return argument.endswith("/")


def key_of(path: VirtualPath, prefix: str = "") -> str:
    """The key of the file ``path``. Raises NameInvalid: not a normalised path, the root, or too long for a key."""
    if path == ROOT or not path.startswith("/"):
        raise NameInvalid(reason=_NOT_NORMALISED)
    return _checked(path, prefix + path[1:])


def marker_of(path: VirtualPath, prefix: str = "") -> str:
    """The key of the marker of the directory ``path``, which all keys below it begin with; for the root, the prefix.

    Raises NameInvalid as `key_of` does, but not for the root.
    """
    if path == ROOT:
        return prefix
    if not path.startswith("/"):
        raise NameInvalid(reason=_NOT_NORMALISED)
    return _checked(path, prefix + path[1:] + "/")


def _checked(path: str, key: str) -> str:
    _check_characters(path)
    if not all(valid_name(name) for name in path[1:].split("/")):
        raise NameInvalid(reason=_NOT_NORMALISED)
    if len(key.encode()) > KEY_BYTES:
        raise NameInvalid(reason=_TOO_LONG)
    return key


def path_of(key: str, prefix: str = "") -> VirtualPath | None:
    """The path of a key or of a marker's key; None when no path leads to that key."""
    if not key.startswith(prefix):
        return None
    inner = key[len(prefix) :]
    if not inner:
        return ROOT
    if not all(valid_name(name) for name in inner.removesuffix("/").split("/")):
        return None
    return VirtualPath("/" + inner.removesuffix("/"))


def join(parent: VirtualPath, name: str) -> VirtualPath:
    """The path of ``name`` in the directory ``parent``."""
    return VirtualPath(parent + name if parent == ROOT else f"{parent}/{name}")


def parent_of(path: VirtualPath) -> VirtualPath:
    """The directory that ``path`` is in; the root is in itself."""
    return VirtualPath(path[: path.rindex("/")] or "/")


def name_of(path: VirtualPath) -> str:
    """The last segment; ``/`` for the root."""
    return path[path.rindex("/") + 1 :] or "/"


def ancestors(path: VirtualPath) -> tuple[VirtualPath, ...]:
    """All directories above ``path``, the root first; none above the root."""
    if path == ROOT:
        return ()
    cuts = [index for index, letter in enumerate(path) if letter == "/"]
    return tuple(VirtualPath(path[:cut] or "/") for cut in cuts)


def is_below(path: VirtualPath, directory: VirtualPath) -> bool:
    """True if ``path`` lies somewhere under ``directory`` (and is not that directory itself)."""
    return path != directory and (directory == ROOT or path.startswith(directory + "/"))

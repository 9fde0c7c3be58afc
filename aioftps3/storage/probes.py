"""Questions that are answered by the first keys of a listing."""

from __future__ import annotations

from collections.abc import Sequence

from aioftps3.storage.store import ListPage, ObjectInfo, ObjectStore

__all__ = ("first_below", "first_page", "is_empty", "occupants")

_PROBE_LIMIT = 16
"""Names on the page that looks for a file and a directory of one name: `name` is the first on it, and few names sort
between that and `name/`."""


async def occupants(store: ObjectStore, key: str) -> tuple[bool, bool]:
    """Is there a file with this key, and a directory? One request, or two when names crowd between them."""
    marker = key + "/"
    page = await first_page(store, key, delimiter="/", limit=_PROBE_LIMIT)
    is_file = any(info.key == key for info in page.objects)
    if marker in page.prefixes:
        return is_file, True
    passed = any(name > marker for name in page.prefixes) or any(info.key > marker for info in page.objects)
    if passed or page.next_token is None:
        return is_file, False
    return is_file, bool(await first_below(store, marker, 1))


async def first_below(store: ObjectStore, prefix: str, limit: int) -> Sequence[ObjectInfo]:
    """The first keys that begin with ``prefix``; fewer than ``limit`` only if there are no more."""
    found: tuple[ObjectInfo, ...] = ()
    token: str | None = None
    while True:
        page = await store.list(prefix, limit=limit - len(found), token=token)
        found += page.objects
        token = page.next_token
        if token is None or len(found) >= limit:
            return found


async def first_page(store: ObjectStore, prefix: str, *, delimiter: str, limit: int) -> ListPage:
    """The first page of a listing that is not empty, or the last one."""
    page = await store.list(prefix, delimiter=delimiter, limit=limit)
    while page.next_token is not None and not (page.objects or page.prefixes):
        page = await store.list(prefix, delimiter=delimiter, limit=limit, token=page.next_token)
    return page


def is_empty(page: ListPage) -> bool:
    """Whether a listing ends with this page and nothing is on it."""
    return not (page.objects or page.prefixes) and page.next_token is None

"""Listings of a store: their pages one after the other, and questions that the first keys of one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from aioftps3.storage.store import ListPage, ObjectInfo, ObjectStore

__all__ = ("first_below", "first_page", "is_empty", "occupants", "pages_from")

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


async def pages_from(
    store: ObjectStore, prefix: str, page: ListPage, *, delimiter: str | None = None
) -> AsyncGenerator[ListPage, None]:
    """The pages of a listing of which ``page`` is the first; while one is used the next is on its way already. Close
    the iterator (`contextlib.aclosing`)."""
    following: asyncio.Task[ListPage] | None = None
    try:
        while True:
            following = None
            if page.next_token is not None:
                following = asyncio.create_task(store.list(prefix, delimiter=delimiter, token=page.next_token))
            yield page
            if following is None:
                return
            page = await following
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

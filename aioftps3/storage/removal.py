"""Removing a directory with all in it: page by page, so that memory does not grow with what is removed.

Nothing can be taken back: when it fails or is cut short, what has been deleted is gone, the rest is still there, and it
can be begun again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aioftps3.storage.store import DELETE_LIMIT, ListPage, ObjectStore

__all__ = ("remove_below",)


async def remove_below(store: ObjectStore, prefix: str, page: ListPage, removed: Callable[[int], None]) -> int:
    """Delete all keys that begin with ``prefix``, of which ``page`` is the first; their number.

    Two requests for each page, the next one being listed while one is deleted. ``removed`` is told the sum after each
    page. Raises what the store raises.
    """
    count = 0
    while True:
        following: asyncio.Task[ListPage] | None = None
        if page.next_token is not None:
            following = asyncio.create_task(store.list(prefix, limit=DELETE_LIMIT, token=page.next_token))
        try:
            if page.objects:
                await store.delete([info.key for info in page.objects])
                count += len(page.objects)
                removed(count)
            if following is None:
                return count
            page = await following
        finally:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

"""Moving all keys of a directory: copies, then deletes, as S3 has no rename.

Nothing of the source is deleted before every copy is confirmed. When copying fails, the copies are taken away again, so
that the rename can be repeated. One that is cut short leaves the whole source and a part of the target, or, if it was
deleting already, the whole target and the last part of the source.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence

from aioftps3.storage.errors import Changed, NotFound, StorageError
from aioftps3.storage.store import DELETE_LIMIT, ObjectInfo, ObjectStore

__all__ = ("COPIES_IN_FLIGHT", "copy_below", "delete_all", "keys_below")

COPIES_IN_FLIGHT = 8
"""Copies of one directory that run at the same time: enough to hide the latency of the store, few enough to leave
connections to the other sessions."""

UNDO_SECONDS = 10.0
"""What taking copies away again may take: a client waits for its answer, and the store may be the reason for it."""

log = logging.getLogger(__name__)


async def keys_below(store: ObjectStore, prefix: str) -> AsyncIterator[ObjectInfo]:
    """All objects whose keys begin with ``prefix``, those that no path leads to included."""
    token: str | None = None
    while True:
        page = await store.list(prefix, token=token)
        for info in page.objects:
            yield info
        token = page.next_token
        if token is None:
            return


async def copy_below(store: ObjectStore, source: str, target: str, *, keep: str | None = None) -> list[str]:
    """Copy all keys that begin with ``source`` to ``target``; returns the source's keys.

    When it returns, every copy was confirmed and has been found under its new key. When it fails, the copies that were
    confirmed are deleted as far as the store lets that happen; not so when it is cancelled. ``keep``, a key of the
    target that was there before, stays. Raises Changed when a source was replaced meanwhile or a copy is missing,
    NotFound when a source was deleted; whatever else the store raises.
    """
    objects = [info async for info in keys_below(store, source)]
    copied: list[ObjectInfo] = []
    try:
        await _copy_all(store, objects, source, target, copied)
        await _confirm(store, objects, source, target)
    except NotFound:
        # Someone else deletes the source, perhaps as the end of the same rename: then the copies are all there is.
        raise
    except StorageError:
        await _undo(store, copied, source, target, keep)
        raise
    return [info.key for info in objects]


async def delete_all(store: ObjectStore, keys: Sequence[str]) -> None:
    """Delete any number of keys, `DELETE_LIMIT` in a request."""
    for start in range(0, len(keys), DELETE_LIMIT):
        await store.delete(keys[start : start + DELETE_LIMIT])


async def _copy_all(
    store: ObjectStore, objects: Iterable[ObjectInfo], source: str, target: str, copied: list[ObjectInfo]
) -> None:
    """Copy, and note in ``copied`` what is confirmed. After a failure no copy is begun, but those on their way are
    waited for: what became of a request that is cut off would be unknown."""
    waiting = iter(objects)
    failures: list[StorageError] = []

    async def copy_next() -> None:
        for info in waiting:
            try:
                await store.copy(info, target + info.key[len(source) :])
            except StorageError as error:
                failures.append(error)
            else:
                copied.append(info)
            if failures:
                return

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(COPIES_IN_FLIGHT):
                group.create_task(copy_next())
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    if failures:
        raise next((error for error in failures if isinstance(error, NotFound)), failures[0])


async def _undo(store: ObjectStore, copied: Iterable[ObjectInfo], source: str, target: str, keep: str | None) -> None:
    """Delete the copies whose sources still are what was copied; a failure is only logged."""
    try:
        async with asyncio.timeout(UNDO_SECONDS):
            there = {info.key: info.etag async for info in keys_below(store, source)}
            same = (target + info.key[len(source) :] for info in copied if there.get(info.key) == info.etag)
            await delete_all(store, [key for key in same if key != keep])
    except (StorageError, TimeoutError) as error:
        log.warning("copies of a rename that failed stay below %s: %s", target, type(error).__name__)


async def _confirm(store: ObjectStore, objects: Iterable[ObjectInfo], source: str, target: str) -> None:
    expected = {target + info.key[len(source) :]: info.size for info in objects}
    if not expected:
        return
    async for info in keys_below(store, target):
        if expected.get(info.key) == info.size:
            del expected[info.key]
    if expected:
        raise Changed(f"{len(expected)} of the copies are missing, such as {min(expected)!r}")

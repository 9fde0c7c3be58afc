"""Moving all keys of a directory: copies, then deletes, as S3 has no rename.

Nothing is deleted before every copy is confirmed. So a rename that fails or is cut short leaves the whole source and a
part of the target, or, if it was deleting already, the whole target and the last part of the source.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from aioftps3.storage.errors import Changed, StorageError
from aioftps3.storage.store import DELETE_LIMIT, ObjectInfo, ObjectStore

__all__ = ("COPIES_IN_FLIGHT", "copy_below", "delete_all", "keys_below")

COPIES_IN_FLIGHT = 8
"""Copies of one directory that run at the same time: enough to hide the latency of the store, few enough to leave
connections to the other sessions."""


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


async def copy_below(store: ObjectStore, source: str, target: str) -> list[str]:
    """Copy all keys that begin with ``source`` to ``target``; returns the source's keys.

    When it returns, every copy was confirmed and has been found under its new key. Raises Changed when a source was
    replaced meanwhile or a copy is missing, NotFound when a source was deleted; whatever else the store raises.
    """
    objects = [info async for info in keys_below(store, source)]
    await _copy_all(store, objects, source, target)
    await _confirm(store, objects, source, target)
    return [info.key for info in objects]


async def delete_all(store: ObjectStore, keys: Sequence[str]) -> None:
    """Delete any number of keys, `DELETE_LIMIT` in a request."""
    for start in range(0, len(keys), DELETE_LIMIT):
        await store.delete(keys[start : start + DELETE_LIMIT])


async def _copy_all(store: ObjectStore, objects: Iterable[ObjectInfo], source: str, target: str) -> None:
    waiting = iter(objects)

    async def copy_next() -> None:
        for info in waiting:
            await store.copy(info, target + info.key[len(source) :])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(COPIES_IN_FLIGHT):
                group.create_task(copy_next())
    except BaseExceptionGroup as failures:
        storage, _ = failures.split(StorageError)
        raise (failures if storage is None else storage).exceptions[0] from None


async def _confirm(store: ObjectStore, objects: Iterable[ObjectInfo], source: str, target: str) -> None:
    expected = {target + info.key[len(source) :]: info.size for info in objects}
    if not expected:
        return
    async for info in keys_below(store, target):
        if expected.get(info.key) == info.size:
            del expected[info.key]
    if expected:
        raise Changed(f"{len(expected)} of the copies are missing, such as {min(expected)!r}")

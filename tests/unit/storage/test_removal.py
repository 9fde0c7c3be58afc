from __future__ import annotations

import asyncio

import pytest

from aioftps3.storage.errors import Unavailable
from aioftps3.storage.removal import remove_below
from tests.support.memory_store import MemoryStore


def a_store(count: int, *, page_limit: int = 1000) -> MemoryStore:
    return MemoryStore(dict.fromkeys((f"a/{number:04}" for number in range(count)), b""), page_limit=page_limit)


@pytest.mark.parametrize(("keys", "pages"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (2500, 3)])
async def test_each_page_is_one_request_to_list_and_one_to_delete(keys: int, pages: int) -> None:
    store = a_store(keys)
    store.seed("b/kept")
    sums: list[int] = []
    assert await remove_below(store, "a/", await store.list("a/"), sums.append) == keys
    assert list(store.contents) == ["b/kept"]
    assert sums == [min((page + 1) * 1000, keys) for page in range(pages if keys else 0)]
    operations = store.operations()
    assert operations.count("ListObjectsV2") == pages
    assert len(operations) == (2 * pages if keys else 1)


async def test_the_next_page_is_listed_while_one_is_deleted_and_no_more() -> None:
    store = a_store(100, page_limit=10)
    await remove_below(store, "a/", await store.list("a/"), lambda _: None)
    assert store.peak == {"ListObjectsV2": 1, "DeleteObjects": 1}
    assert store.contents == {}


async def test_a_failure_stops_at_once_and_leaves_no_request_behind() -> None:
    store = a_store(100, page_limit=10)

    def fail(operation: str, key: str, when: str) -> None:
        if operation == "DeleteObjects" and key == "a/0020" and when == "before":
            raise Unavailable

    store.point = fail
    with pytest.raises(Unavailable):
        await remove_below(store, "a/", await store.list("a/"), lambda _: None)
    assert list(store.contents) == [f"a/{number:04}" for number in range(20, 100)]
    assert store.in_flight.total() == 0
    store.point = lambda operation, key, when: None
    assert await remove_below(store, "a/", await store.list("a/"), lambda _: None) == 80


async def test_when_cancelled_nothing_more_is_deleted() -> None:
    store = a_store(100, page_limit=10)
    page = await store.list("a/")

    def stop(_: int) -> None:
        removing.cancel()

    removing = asyncio.create_task(remove_below(store, "a/", page, stop))
    with pytest.raises(asyncio.CancelledError):
        await removing
    assert len(store.contents) == 90
    assert store.in_flight.total() == 0

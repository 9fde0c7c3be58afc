from __future__ import annotations

import asyncio

import pytest

from aioftps3.storage.errors import Changed, Unavailable
from aioftps3.storage.rename import COPIES_IN_FLIGHT, copy_below, delete_all, keys_below
from tests.support.memory_store import MemoryStore


async def test_all_keys_below_a_prefix_are_found_on_all_pages() -> None:
    store = MemoryStore(dict.fromkeys(("a", "a/", "a/b", "a//c", "a/d/e", "ab"), b""), page_limit=1)
    assert [info.key async for info in keys_below(store, "a/")] == ["a/", "a//c", "a/b", "a/d/e"]


async def test_copies_run_side_by_side_but_not_all_at_once() -> None:
    store = MemoryStore({f"a/{number:02}": b"%d" % number for number in range(50)})
    keys = await copy_below(store, "a/", "b/")

    assert keys == [f"a/{number:02}" for number in range(50)]
    assert store.peak["CopyObject"] == COPIES_IN_FLIGHT
    assert {key: data for key, data in store.contents.items() if key.startswith("b/")} == {
        f"b/{number:02}": b"%d" % number for number in range(50)
    }


async def test_the_first_failure_stops_the_copies_and_is_the_error() -> None:
    store = MemoryStore({f"a/{number:02}": b"" for number in range(50)})

    def fail(operation: str, key: str, when: str) -> None:
        if key == "b/03" and operation == "CopyObject":
            raise Unavailable("SlowDown")

    store.point = fail
    with pytest.raises(Unavailable, match="SlowDown"):
        await copy_below(store, "a/", "b/")
    assert len(store.contents) < 50 + 20


async def test_a_fault_of_our_own_is_not_hidden() -> None:
    store = MemoryStore({"a/b": b""})

    def fail(operation: str, key: str, when: str) -> None:
        if operation == "CopyObject":
            raise KeyError(key)

    store.point = fail
    with pytest.raises(KeyError):
        await copy_below(store, "a/", "b/")


async def test_a_copy_that_is_not_found_afterwards_is_an_error() -> None:
    store = MemoryStore({"a/b": b"", "a/c": b""})

    def lose(operation: str, key: str, when: str) -> None:
        if operation == "ListObjectsV2" and key == "b/" and when == "before":
            store.drop("b/c")

    store.point = lose
    with pytest.raises(Changed, match="b/c"):
        await copy_below(store, "a/", "b/")


async def test_cancelled_copies_stop() -> None:
    store = MemoryStore({f"a/{number:02}": b"" for number in range(50)})
    task = asyncio.create_task(copy_below(store, "a/", "b/"))

    def cancel(operation: str, key: str, when: str) -> None:
        if key == "b/20":
            task.cancel()

    store.point = cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.in_flight.total() == 0
    assert "b/49" not in store.contents


async def test_deletes_go_by_the_thousand() -> None:
    store = MemoryStore({f"a/{number:04}": b"" for number in range(2001)})
    await delete_all(store, list(store.contents))
    await delete_all(store, [])

    assert store.contents == {}
    assert store.operations() == ["DeleteObjects", "DeleteObjects", "DeleteObject"]

from __future__ import annotations

import asyncio
import gc
import logging
from array import array
from collections.abc import Callable
from contextlib import aclosing, suppress

import pytest

from aioftps3.storage import rename
from aioftps3.storage.errors import (
    Changed,
    Denied,
    Exists,
    NameInvalid,
    NotFound,
    NotSupported,
    StorageError,
    Unavailable,
)
from aioftps3.storage.moves import Moves
from aioftps3.storage.rename import (
    COPIES_IN_FLIGHT,
    DirectoryMove,
    Progress,
    delete_all,
    keys_below,
    pages_below,
    reported,
)
from aioftps3.storage.store import ListPage, ObjectInfo
from tests.support.memory_store import MemoryStore


class Bench:
    """Moves from ``a/`` to ``b/``."""

    def __init__(self, keys: dict[str, bytes], *, page_limit: int = 1000) -> None:
        self.store = MemoryStore(keys, page_limit=page_limit)
        self.moves = Moves()
        self.progress = Progress(what="rename", source="a/", target="b/")

    def new(self, moves: Moves | None = None) -> DirectoryMove:
        self.progress = Progress(what="rename", source="a/", target="b/")
        return DirectoryMove(
            self.store, "a/", "b/", moves=self.moves if moves is None else moves, progress=self.progress
        )

    async def move(self, *, compare: bool = False, moves: Moves | None = None) -> int:
        move = self.new(moves)
        if compare:
            await move.compare(deleting=True)
        return await move.move()

    def at(self, operation: str, key: str, when: str, act: Callable[[], object]) -> None:
        """Act once at one point of one request."""
        done = False

        def point(*happening: str) -> None:
            nonlocal done
            if not done and happening == (operation, key, when):
                done = True
                act()

        self.store.point = point


def refuse(error: StorageError) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def numbered(count: int) -> dict[str, bytes]:
    return {f"a/{number:04}": b"%d" % number for number in range(count)}


def moved(keys: dict[str, bytes]) -> dict[str, bytes]:
    return {"b/" + key[2:]: data for key, data in keys.items()}


def held() -> int:
    """Listed objects in memory."""
    return sum(type(thing) is ObjectInfo for thing in gc.get_objects())


class TestListing:
    async def test_all_keys_below_a_prefix_are_found_on_all_pages(self) -> None:
        store = MemoryStore(dict.fromkeys(("a", "a/", "a/b", "a//c", "a/d/e", "ab"), b""), page_limit=1)
        assert [info.key async for info in keys_below(store, "a/")] == ["a/", "a//c", "a/b", "a/d/e"]

    async def test_the_next_page_is_on_its_way_and_cancelled_when_nobody_wants_it(self) -> None:
        store = MemoryStore(numbered(6), page_limit=2)
        async with aclosing(pages_below(store, "a/")) as pages:
            assert [info.key for info in await anext(pages)] == ["a/0000", "a/0001"]
            await asyncio.sleep(0)
            assert store.operations() == ["ListObjectsV2", "ListObjectsV2"]
            assert store.in_flight.total() == 1
        assert store.in_flight.total() == 0

    async def test_deletes_go_by_the_thousand(self) -> None:
        store = MemoryStore({f"a/{number:04}": b"" for number in range(2001)})
        await delete_all(store, list(store.contents))
        await delete_all(store, [])

        assert store.contents == {}
        assert store.operations() == ["DeleteObjects", "DeleteObjects", "DeleteObject"]


class TestMove:
    @pytest.mark.parametrize("count", [0, 1, 5, 1000, 1001, 2500])
    async def test_every_key_is_copied_and_then_deleted(self, count: int) -> None:
        bench = Bench(numbered(count))
        assert await bench.move() == count
        assert bench.store.contents == moved(numbered(count))
        pages = max(1, -(-count // 1000))
        operations = bench.store.operations()
        assert operations.count("CopyObject") == count
        assert sum(operation.startswith("Delete") for operation in operations) == -(-count // 1000)
        assert operations.count("ListObjectsV2") == 3 * pages - (count == 0), "sources twice, targets once"
        assert (bench.progress.copied, bench.progress.deleted) == (count, count)
        assert bench.progress.size == sum(map(len, numbered(count).values()))

    async def test_copies_run_side_by_side_but_not_all_at_once(self) -> None:
        bench = Bench(numbered(50))
        await bench.move()
        assert bench.store.peak["CopyObject"] == COPIES_IN_FLIGHT

    async def test_a_large_directory_is_never_held_as_a_whole(self) -> None:
        bench = Bench(numbered(3000), page_limit=50)
        gc.collect()
        others, most = held(), 0

        def point(operation: str, key: str, when: str) -> None:
            nonlocal most
            if when == "before" and (key.endswith("500") or operation == "DeleteObjects"):
                most = max(most, held() - others)

        bench.store.point = point
        await bench.move()
        assert 50 <= most <= 5 * 50 + COPIES_IN_FLIGHT

    async def test_nothing_is_deleted_before_everything_is_copied(self) -> None:
        bench = Bench(numbered(40), page_limit=10)
        await bench.move()
        operations = bench.store.operations()
        last_copy = max(index for index, operation in enumerate(operations) if operation == "CopyObject")
        assert "DeleteObjects" not in operations[:last_copy]

    async def test_the_first_failure_stops_the_copies_and_is_the_error(self) -> None:
        bench = Bench(numbered(60))
        bench.at("CopyObject", "b/0003", "before", refuse(Unavailable("SlowDown")))
        with pytest.raises(Unavailable, match="SlowDown"):
            await bench.move()
        assert bench.store.in_flight.total() == 0
        assert numbered(60).items() <= bench.store.contents.items()
        assert len(bench.store.contents) < 60 + 2 * COPIES_IN_FLIGHT

    async def test_a_listing_that_fails_is_the_error_and_copies_on_their_way_end(self) -> None:
        bench = Bench(numbered(60), page_limit=20)
        calls = 0

        def point(operation: str, key: str, when: str) -> None:
            nonlocal calls
            calls += (operation, when) == ("ListObjectsV2", "before")
            if calls == 3 and operation == "ListObjectsV2":
                raise Unavailable

        bench.store.point = point
        with pytest.raises(Unavailable):
            await bench.move()
        assert bench.store.in_flight.total() == 0

    async def test_keys_that_would_be_too_long_are_refused_before_anything_is_copied(self) -> None:
        keys = {"a/f": b"", "a/\udcff": b"", "a/" + "é" * 511: b""}
        for target, fits in (("b/", True), ("bb/", False)):
            store = MemoryStore(keys)
            move = DirectoryMove(
                store, "a/", target, moves=Moves(), progress=Progress(what="rename", source="a/", target=target)
            )
            if fits:
                assert await move.move() == 3
            else:
                with pytest.raises(NameInvalid):
                    await move.move()
                assert store.contents == keys

    async def test_a_fault_of_our_own_is_not_hidden(self) -> None:
        bench = Bench({"a/b": b""})

        def fail() -> None:
            raise KeyError

        bench.at("CopyObject", "b/b", "before", fail)
        with pytest.raises(KeyError):
            await bench.move()

    @pytest.mark.parametrize("lost", ["b/0000", "b/0007", "b/0029"])
    async def test_a_source_whose_copy_is_not_there_is_not_deleted(self, lost: str) -> None:
        """Some stores take two slashes for one, and so two keys for one."""
        bench = Bench(numbered(30), page_limit=10)
        bench.at("ListObjectsV2", "b/", "before", lambda: bench.store.drop(lost))
        with pytest.raises(Changed, match=lost):
            await bench.move()
        assert "a" + lost[1:] in bench.store.contents

    async def test_a_source_whose_copy_has_another_size_is_not_deleted(self) -> None:
        bench = Bench(numbered(3))
        bench.at("ListObjectsV2", "b/", "before", lambda: bench.store.seed("b/0001", b"something else"))
        with pytest.raises(Changed, match="b/0001"):
            await bench.move()
        assert numbered(3).items() <= bench.store.contents.items()

    async def test_a_file_that_comes_meanwhile_moves_along(self) -> None:
        bench = Bench(numbered(30), page_limit=10)
        bench.at("CopyObject", "b/0029", "after", lambda: bench.store.seed("a/0005b", b"new"))
        await bench.move()
        assert bench.store.contents == moved({**numbered(30), "a/0005b": b"new"})

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_file_that_changes_meanwhile_moves_as_it_is_then(self, when: str) -> None:
        bench = Bench(numbered(30), page_limit=10)
        bench.at("CopyObject", "b/0005", when, lambda: bench.store.seed("a/0005", b"!"))
        await bench.move()
        assert bench.store.contents == moved({**numbered(30), "a/0005": b"!"})

    async def test_a_file_that_comes_meanwhile_and_goes_again_is_not_missed(self) -> None:
        bench = Bench(numbered(30), page_limit=10)

        def point(*happening: str) -> None:
            match happening:
                case ("CopyObject", "b/0029", "after"):
                    bench.store.seed("a/new", b"new")
                case ("CopyObject", "b/new", "before"):
                    bench.store.drop("a/new")

        bench.store.point = point
        assert await bench.move() == 30
        assert bench.store.contents == moved(numbered(30))

    async def test_it_is_told_before_sources_are_deleted(self) -> None:
        store = MemoryStore(numbered(30))
        told: list[int] = []
        move = DirectoryMove(
            store,
            "a/",
            "b/",
            moves=Moves(),
            progress=Progress(what="rename", source="a/", target="b/"),
            leaving=lambda: told.append(len(store.contents)),
        )
        await move.move()
        assert told == [60]

    async def test_files_that_keep_coming_end_the_move(self) -> None:
        bench = Bench(numbered(3))

        def point(operation: str, key: str, when: str) -> None:
            if (operation, when) == ("CopyObject", "after"):
                bench.store.seed(f"a/new{len(bench.store.requests)}", b"new")

        bench.store.point = point
        with pytest.raises(Changed):
            await bench.move()
        assert moved(numbered(3)).items() <= bench.store.contents.items()

    async def test_very_many_strangers_end_the_move_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rename, "_STRANGERS", 5)
        bench = Bench(numbered(3))

        def come() -> None:
            for number in range(6):
                bench.store.seed(f"a/new{number}", b"new")

        bench.at("CopyObject", "b/0002", "after", come)
        with pytest.raises(Changed):
            await bench.move()
        assert numbered(3).items() <= bench.store.contents.items()

    async def test_looking_for_a_stranger_among_very_many_keys_lets_others_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rename, "_NUMBERS_AT_A_TIME", 2)
        steps: list[int] = []
        bench = Bench(numbered(8))
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        bench.at("CopyObject", "b/0007", "after", lambda: bench.store.seed("a/0000new", b"new"))
        working = asyncio.create_task(others())
        original = rename._index

        async def index(numbers: array[int], number: int, start: int) -> int | None:
            before = turns
            found = await original(numbers, number, start)
            steps.append(turns - before)
            return found

        monkeypatch.setattr(rename, "_index", index)
        await bench.move()
        working.cancel()
        assert bench.store.contents == moved({**numbered(8), "a/0000new": b"new"})
        assert sorted(steps) == [0] * 9 + [4], "7 numbers behind the first, two at a time"

    async def test_a_source_that_somebody_deletes_meanwhile_is_not_missed(self) -> None:
        bench = Bench(numbered(30))
        bench.at("CopyObject", "b/0005", "before", lambda: bench.store.drop("a/0005"))
        await bench.move()
        left = numbered(30)
        del left["a/0005"]
        assert bench.store.contents == moved(left)

    async def test_a_directory_that_somebody_deletes_meanwhile_is_not_found(self) -> None:
        bench = Bench(numbered(3))

        def vanish() -> None:
            for key in numbered(3):
                bench.store.drop(key)

        bench.at("CopyObject", "b/0000", "before", vanish)
        with pytest.raises(NotFound):
            await bench.move()

    async def test_a_move_that_is_cancelled_stops(self) -> None:
        bench = Bench(numbered(60))
        task = asyncio.create_task(bench.move())
        bench.at("CopyObject", "b/0020", "before", task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.store.in_flight.total() == 0
        assert "b/0059" not in bench.store.contents


class TestCopy:
    async def test_every_key_is_copied_and_none_deleted(self) -> None:
        bench = Bench(numbered(30), page_limit=10)
        assert await bench.new().copy() == 30
        assert bench.store.contents == {**numbered(30), **moved(numbered(30))}
        assert not any(operation.startswith("Delete") for operation in bench.store.operations())

    async def test_a_copy_that_is_not_there_afterwards_is_an_error(self) -> None:
        bench = Bench(numbered(3))
        bench.at("ListObjectsV2", "b/", "before", lambda: bench.store.drop("b/0001"))
        with pytest.raises(Changed, match="b/0001"):
            await bench.new().copy()

    async def test_a_copy_that_is_old_already_is_an_error(self) -> None:
        bench = Bench(numbered(3))
        bench.at("CopyObject", "b/0001", "after", lambda: bench.store.seed("a/0001", b"new"))
        with pytest.raises(Changed):
            await bench.new().copy()


class TestCompare:
    """What may be at the target: left-overs of the same move, and nothing else."""

    @pytest.mark.parametrize(
        ("source", "target", "goes_on"),
        [
            ({"x": b"1"}, {"": b""}, True),
            ({"": b"", "x": b"1"}, {"": b""}, True),
            ({"x": b"1", "y": b"2"}, {"x": b"1"}, True),
            ({"": b"", "x": b"1", "y": b"2"}, {"": b"", "y": b"2"}, True),
            ({"x": b"1", "y": b"2"}, {"x": b"1", "y": b"2"}, True),
            ({"y": b"2"}, {"x": b"1", "y": b"2"}, True),
            ({"": b"", "y": b"2"}, {"": b"", "x": b"1", "y": b"2"}, True),
            ({"sub/": b"", "sub/x": b"1"}, {"sub/": b""}, True),
            ({"x": b"1"}, {"x": b"2"}, False),
            ({"x": b"1"}, {"x": b"12"}, False),
            ({"x": b"1"}, {"y": b"1"}, False),
            ({"x": b"1", "y": b"2"}, {"x": b"1", "z": b"3"}, False),
            ({"x": b"1", "y": b"2"}, {"x": b"9", "y": b"2"}, False),
            ({"": b""}, {"x": b"1"}, False),
            ({"sub/": b""}, {"sub/": b"", "x": b"1"}, True),
            ({}, {"x": b"1"}, False),
        ],
    )
    @pytest.mark.parametrize("page_limit", [1, 1000])
    async def test_the_evidence(
        self, source: dict[str, bytes], target: dict[str, bytes], goes_on: bool, page_limit: int
    ) -> None:
        sources = {f"a/{name}": data for name, data in source.items()}
        targets = {f"b/{name}": data for name, data in target.items()}
        bench = Bench({**sources, **targets}, page_limit=page_limit)
        if goes_on:
            await bench.move(compare=True)
            assert bench.store.contents == {**targets, **moved(sources)}
        else:
            with pytest.raises(Exists):
                await bench.move(compare=True)
            assert bench.store.contents == {**sources, **targets}

    async def test_what_is_older_than_its_source_is_no_copy_unless_that_is_proven(self) -> None:
        """Its own metadata, a client's time among it, would be lost without a copy."""
        bench = Bench({"b/x": b"1"})
        bench.store.seed("a/x", b"1", client_time=5.0)
        with pytest.raises(Exists):
            await bench.move(compare=True)
        bench.store.seed("a/x", b"1")
        await bench.move(compare=True)
        assert bench.store.contents == {"b/x": b"1"}

    async def test_a_copy_does_not_go_on_where_something_else_is(self) -> None:
        bench = Bench({"a/y": b"2", "b/x": b"1", "b/y": b"2"})
        with pytest.raises(Exists):
            await bench.new().compare(deleting=False)

    async def test_keys_that_are_there_are_not_copied_again(self) -> None:
        keys = numbered(100)
        bench = Bench({**keys, **{key: keys["a" + key[1:]] for key in list(moved(keys))[:60]}}, page_limit=30)
        await bench.move(compare=True)
        assert bench.store.operations().count("CopyObject") == 40
        assert (bench.progress.found, bench.progress.copied) == (60, 40)
        assert bench.store.contents == moved(keys)

    async def test_a_directory_that_is_full_of_other_things_is_refused_at_once(self) -> None:
        other = {f"b/{number:04}!": b"" for number in range(3000)}
        bench = Bench({**numbered(3000), **other})
        with pytest.raises(Exists):
            await bench.move(compare=True)
        assert len(bench.store.operations()) <= 4

    @pytest.mark.parametrize("token", ["written by us", None])
    async def test_copies_with_etags_of_their_own_are_proven_where_they_can_be(self, token: str | None) -> None:
        bench = Bench({})
        bench.store.plain_etags = False
        for name in "xyz":
            bench.store.seed(f"a/{name}", b"large", token=token)
        bench.store.seed("b/x", b"large", token=token)
        if token is None:
            with pytest.raises(Exists):
                await bench.move(compare=True)
            assert sorted(bench.store.contents) == ["a/x", "a/y", "a/z", "b/x"]
        else:
            await bench.move(compare=True)
            assert sorted(bench.store.contents) == ["b/x", "b/y", "b/z"]

    async def test_copies_of_this_process_need_no_other_proof(self) -> None:
        bench = Bench({})
        bench.store.plain_etags = False
        for name in "xyz":
            bench.store.seed(f"a/{name}", b"large")
        bench.at("CopyObject", "b/y", "before", refuse(Unavailable()))
        with pytest.raises(Unavailable):
            await bench.move()
        assert "b/x" in bench.store.contents
        with pytest.raises(Exists):
            await bench.move(compare=True, moves=Moves())
        await bench.move(compare=True)
        assert sorted(bench.store.contents) == ["b/x", "b/y", "b/z"]

    async def test_a_copy_that_was_replaced_since_is_none(self) -> None:
        bench = Bench(numbered(30))
        bench.at("CopyObject", "b/0020", "before", refuse(Unavailable()))
        with pytest.raises(Unavailable):
            await bench.move()
        bench.store.seed("b/0000", b"?")
        with pytest.raises(Exists):
            await bench.move(compare=True)
        assert bench.store.contents["b/0000"] == b"?"

    @pytest.mark.parametrize("plain_etags", [True, False])
    async def test_what_comes_to_the_target_after_the_comparison_is_not_taken_for_a_copy(
        self, plain_etags: bool
    ) -> None:
        bench = Bench({})
        bench.store.plain_etags = plain_etags
        for name in "wxyz":
            bench.store.seed(f"a/{name}", b"data", token=name)
            bench.store.seed(f"b/{name}", b"data", token=name)
        bench.store.drop("b/y")
        move = bench.new()
        await move.compare(deleting=True)
        bench.store.seed("b/y", b"!!!!")
        with pytest.raises(Exists):
            await move.move()
        assert bench.store.contents["a/y"] == b"data"
        assert bench.store.contents["b/y"] == b"!!!!"

    async def test_a_move_that_is_remembered_goes_on_beside_files_that_came_to_both_sides(self) -> None:
        bench = Bench(numbered(30))
        bench.at("CopyObject", "b/0020", "before", refuse(Unavailable()))
        with pytest.raises(Unavailable):
            await bench.move()
        bench.store.seed("a/new", b"new")
        bench.store.seed("b/other", b"other")
        with pytest.raises(Exists):
            await bench.move(compare=True, moves=Moves())
        await bench.move(compare=True)
        assert bench.store.contents == {**moved(numbered(30)), "b/new": b"new", "b/other": b"other"}

    async def test_a_move_that_ended_well_is_not_remembered(self) -> None:
        bench = Bench(numbered(3))
        await bench.move()
        bench.store.seed("a/0001", b"1")
        bench.store.seed("a/more", b"1")
        with pytest.raises(Exists):
            await bench.move(compare=True)

    async def test_a_failing_proof_is_the_error(self) -> None:
        bench = Bench({"a/x": b"12", "b/x": b"34"})
        bench.at("HeadObject", "b/x", "before", refuse(Denied()))
        with pytest.raises(Denied):
            await bench.move(compare=True)

    async def test_a_store_that_lists_in_no_order_cannot_be_compared(self) -> None:
        bench = Bench({"a/x": b"1", "a/y": b"2", "b/y": b"2"})
        ordered = bench.store.list

        async def reverse(
            prefix: str, *, delimiter: str | None = None, limit: int = 1000, token: str | None = None
        ) -> ListPage:
            page = await ordered(prefix, delimiter=delimiter, limit=limit, token=token)
            return ListPage(objects=page.objects[::-1], prefixes=page.prefixes)

        bench.store.list = reverse  # type: ignore[method-assign]  # a store of another kind
        with pytest.raises(NotSupported):
            await bench.move(compare=True)
        bench.store.drop("b/y")
        await bench.move()
        assert bench.store.contents == {"b/x": b"1", "b/y": b"2"}


KEYS = {"a/": b"", "a/e": b"", **numbered(25), "a/sub/": b"", "a/sub/x": b"deep", "a//hidden": b"h", "a/../z": b"z"}


def assert_nothing_is_lost(bench: Bench) -> None:
    contents = bench.store.contents
    for key, data in KEYS.items():
        assert data in (contents.get(key), contents.get("b/" + key[2:]))


async def repeat(bench: Bench, *, restarted: bool) -> None:
    """What a client does after a failure."""
    bench.store.point = lambda *happening: assert_nothing_is_lost(bench)
    if any(key.startswith("a/") for key in bench.store.contents):
        there = any(key.startswith("b/") for key in bench.store.contents)
        await bench.move(compare=there, moves=Moves() if restarted else None)
    assert bench.store.contents == moved(KEYS)


class TestEveryFault:
    """Each request fails once, before or after it has acted; then the same is done again."""

    @pytest.mark.parametrize("restarted", [False, True])
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_nothing_is_lost_at_any_time_and_the_same_move_ends_well(self, when: str, restarted: bool) -> None:
        failing = 0
        while True:
            failing += 1
            bench = Bench(KEYS, page_limit=10)
            seen = 0

            def point(operation: str, key: str, happening: str, bench: Bench = bench, failing: int = failing) -> None:
                nonlocal seen
                assert_nothing_is_lost(bench)
                seen += happening == when
                if seen == failing and happening == when:
                    raise Unavailable

            bench.store.point = point
            with suppress(Unavailable):
                await bench.move()
                assert failing > 40
                return
            await repeat(bench, restarted=restarted)

    @pytest.mark.parametrize("restarted", [False, True])
    async def test_a_move_that_is_cut_anywhere_goes_on(self, restarted: bool) -> None:
        cut = 0
        while True:
            cut += 1
            bench = Bench(KEYS, page_limit=10)
            bench.store.plain_etags = False
            for key, data in KEYS.items():
                bench.store.seed(key, data, token=key)
            task = asyncio.create_task(bench.move())
            seen = 0

            def point(*happening: str, bench: Bench = bench, cut: int = cut, task: asyncio.Task[int] = task) -> None:
                nonlocal seen
                assert_nothing_is_lost(bench)
                seen += 1
                if seen == cut:
                    task.cancel()

            bench.store.point = point
            with suppress(asyncio.CancelledError):
                await task
            if not task.cancelled():
                assert cut > 80
                return
            await repeat(bench, restarted=restarted)


class TestReports:
    async def test_progress_is_told_now_and_then(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(rename, "PROGRESS_SECONDS", 0.001)
        progress = Progress(what="rename", source="a/", target="b/")
        with caplog.at_level(logging.INFO, logger="aioftps3.storage"):
            async with reported(progress):
                progress.copied, progress.size, progress.found = 7, 3 * 2**20, 2
                told = asyncio.Event()

                def look() -> None:
                    if len(caplog.records) >= 2:
                        told.set()
                    else:
                        asyncio.get_running_loop().call_later(0.001, look)

                look()
                await asyncio.wait_for(told.wait(), 10)
        lines = [record.getMessage() for record in caplog.records]
        assert lines[1].startswith("rename of a/ to b/: copied 7 (3.0 MiB) and 2 found there, deleted 0, ")
        assert lines[1].endswith("s so far")
        assert lines[-1].endswith("; done")

    async def test_what_is_quick_and_brief_is_not_told(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="aioftps3.storage"):
            async with reported(Progress(what="rename", source="a", target="b"), briefly=True):
                pass
        assert caplog.records == []

    async def test_how_far_it_was_when_it_stopped_is_told_to_the_log_and_the_client(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench = Bench(numbered(60))
        bench.at("CopyObject", "b/0030", "before", refuse(Unavailable("SlowDown")))
        move = bench.new()
        with caplog.at_level(logging.INFO, logger="aioftps3.storage"), pytest.raises(Unavailable) as caught:
            async with reported(bench.progress):
                await move.move()
        assert caught.value.reason == f"{Unavailable.words}; not finished, the same command goes on from here"
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "stopped by Unavailable" in record.getMessage()
        assert f": copied {bench.progress.copied} (" in record.getMessage()

    async def test_a_failure_before_anything_was_done_is_an_ordinary_one(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(Exists) as caught:
            async with reported(Progress(what="rename", source="a/", target="b/")):
                raise Exists
        assert caught.value.reason == Exists.words
        assert caplog.records == []

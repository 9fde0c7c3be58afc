from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from aioftps3.storage.errors import NotFound, Quota, TooSlow, Unavailable
from aioftps3.storage.files import ReadFile, WriteFile
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.store import ObjectInfo
from tests.support.memory_store import MemoryBody, MemoryStore, MemoryWriter

PATH = VirtualPath("/d/f")
INFO = ObjectInfo(key="d/f", size=9, etag='"1"', modified=2.0)


class Scene:
    def __init__(self) -> None:
        self.store = MemoryStore({"d/f": b"old"})
        self.locks = PathLocks()
        self.committed: list[ObjectInfo] = []

    def file(self, writer: MemoryWriter | None = None) -> WriteFile:
        return WriteFile(
            PATH,
            writer or self.store.open_write("d/f"),
            lock=lambda: self.locks.exclusive(PATH),
            committed=self.committed.append,
            abort_seconds=0.05,
        )

    def assert_untouched(self) -> None:
        assert self.store.contents == {"d/f": b"old"}
        assert not self.store.open_writers
        assert len(self.locks) == 0
        assert not self.committed


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_leaving_normally_commits(scene: Scene) -> None:
    async with scene.file() as file:
        await file.write(b"some")
        await file.write(memoryview(b" bytes"))
        assert scene.store.contents == {"d/f": b"old"}
    assert scene.store.contents == {"d/f": b"some bytes"}
    assert [info.size for info in scene.committed] == [10]


async def test_bytes_are_put_into_the_files_own_memory(scene: Scene) -> None:
    async with scene.file() as file:
        room = await file.room()
        room[:4] = b"some"
        file.filled(4)
        with pytest.raises(ValueError, match="released"):
            room[0] = 0
        room = await file.room()
        room[:6] = b" bytes"
        file.filled(6)
    assert scene.store.contents == {"d/f": b"some bytes"}


async def test_an_owner_hears_that_the_store_has_failed_meanwhile(scene: Scene) -> None:
    writer = scene.store.open_write("d/f")
    told = asyncio.Event()

    async def work() -> None:
        async with scene.file(writer) as file:
            file.on_broken(told.set)
            await file.write(b"lost")
            writer.break_down(TooSlow())
            await told.wait()
            await file.room()

    with pytest.raises(TooSlow):
        await work()
    scene.assert_untouched()


async def test_the_store_hears_that_all_bytes_have_come_before_the_lock_is_waited_for(scene: Scene) -> None:
    writer = scene.store.open_write("d/f")
    async with scene.locks.exclusive("/d"):
        task = asyncio.create_task(scene.file(writer).commit())
        for _ in range(10):
            await asyncio.sleep(0)
        assert writer.is_sealed
        assert scene.store.operations() == []
    await task


@pytest.mark.parametrize("how", ["commit", "abort", "a commit that fails"])
async def test_the_end_is_told_once_whichever_it_is(scene: Scene, how: str) -> None:
    ended: list[bool] = []
    writer = scene.store.open_write("d/f")
    file = WriteFile(
        PATH,
        writer,
        lock=lambda: scene.locks.exclusive(PATH),
        committed=scene.committed.append,
        ended=lambda: ended.append(True),
    )
    await file.write(b"new")
    assert ended == []
    if how == "abort":
        await file.abort()
    elif how == "commit":
        await file.commit()
    else:
        writer.break_down(Unavailable())
        with pytest.raises(Unavailable):
            await file.commit()
    await file.abort()
    assert ended == [True]


async def test_there_is_no_room_in_a_file_that_has_ended(scene: Scene) -> None:
    async with scene.file() as file:
        await file.abort()
        with pytest.raises(ValueError, match="ended"):
            await file.room()
    scene.assert_untouched()


async def test_commit_gives_the_entry_and_may_come_twice(scene: Scene) -> None:
    async with scene.file() as file:
        entry = await file.commit()
        assert (entry.name, entry.path, entry.size, entry.is_dir) == ("f", PATH, 0, False)
        assert await file.commit() == entry
        await file.abort()
    assert scene.store.operations() == ["PutObject"]
    assert len(scene.committed) == 1


async def test_leaving_by_an_exception_aborts(scene: Scene) -> None:
    async def work() -> None:
        async with scene.file() as file:
            await file.write(b"lost")
            raise KeyError

    with pytest.raises(KeyError):
        await work()
    scene.assert_untouched()


async def test_an_exception_after_the_commit_changes_nothing(scene: Scene) -> None:
    async def work() -> None:
        async with scene.file() as file:
            await file.commit()
            raise KeyError

    with pytest.raises(KeyError):
        await work()
    assert scene.store.contents == {"d/f": b""}


async def test_an_explicit_abort_ends_the_file(scene: Scene) -> None:
    async with scene.file() as file:
        await file.write(b"lost")
        await file.abort()
        await file.abort()
        with pytest.raises(ValueError, match="ended"):
            await file.write(b"more")
        with pytest.raises(ValueError, match="ended"):
            await file.commit()
    scene.assert_untouched()


async def test_a_failed_commit_aborts_and_says_why(scene: Scene) -> None:
    def refuse(operation: str, key: str, when: str) -> None:
        if operation == "PutObject":
            raise Quota

    scene.store.point = refuse
    with pytest.raises(Quota):
        async with scene.file() as file:
            await file.write(b"lost")
    scene.assert_untouched()


async def test_a_commit_waits_for_the_path(scene: Scene) -> None:
    async with scene.locks.exclusive("/d"):
        task = asyncio.create_task(scene.file().commit())
        for _ in range(10):
            await asyncio.sleep(0)
        assert scene.store.operations() == []
    await task
    assert scene.store.operations() == ["PutObject"]


async def test_an_abort_that_fails_is_logged_and_no_error(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(operation: str, key: str, when: str) -> None:
        if operation == "abort":
            raise Unavailable("SlowDown")

    scene.store.point = refuse
    with caplog.at_level(logging.WARNING):
        await scene.file().abort()
    assert "aborting an upload failed" in caplog.text
    assert "SlowDown" in caplog.text


class HangingWriter(MemoryWriter):
    async def abort(self) -> None:
        self.aborts += 1
        await asyncio.Event().wait()


async def test_an_abort_that_hangs_is_given_up(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    writer = HangingWriter(scene.store, "d/f")
    file = scene.file(writer)
    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(5):
            await file.abort()
            await file.abort()
    assert writer.aborts == 1
    assert "gave up aborting an upload" in caplog.text


class SlowWriter(MemoryWriter):
    def __init__(self, store: MemoryStore, key: str) -> None:
        super().__init__(store, key)
        self.go_on = asyncio.Event()

    async def abort(self) -> None:
        await self.go_on.wait()
        await super().abort()


async def test_a_cancelled_abort_ends_first_and_is_cancelled_then(scene: Scene) -> None:
    writer = SlowWriter(scene.store, "d/f")
    task = asyncio.create_task(scene.file(writer).abort())
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()

    writer.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert writer.aborts == 1
    scene.assert_untouched()


async def test_a_timeout_around_a_file_aborts_it(scene: Scene) -> None:
    async def work() -> None:
        async with scene.file() as file:
            await file.write(b"lost")
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(work(), 0.01)
    scene.assert_untouched()


async def cancelled_at(store: MemoryStore, number: int, work: Callable[[], Awaitable[None]]) -> bool:
    """Run ``work`` and cancel it at its await ``number``; False if it has fewer."""
    task = asyncio.ensure_future(work())
    seen = 0

    def point(operation: str, key: str, when: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            task.cancel()

    store.point = point
    with suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


async def test_cancelled_at_any_await_a_write_is_whole_or_nothing() -> None:
    for number in range(1, 20):
        scene = Scene()

        async def work(scene: Scene = scene) -> None:
            async with scene.file() as file:
                await file.write(b"ne")
                await file.write(b"w")

        was_cancelled = await cancelled_at(scene.store, number, work)
        assert scene.store.contents in ({"d/f": b"old"}, {"d/f": b"new"})
        assert was_cancelled or scene.store.contents == {"d/f": b"new"}
        assert not scene.store.open_writers
        assert len(scene.locks) == 0
        if not was_cancelled:
            assert number > 3
            return
    pytest.fail("the work has no end")


async def test_cancelled_while_waiting_for_the_lock_a_commit_aborts(scene: Scene) -> None:
    async with scene.locks.exclusive(PATH):
        task = asyncio.create_task(scene.file().commit())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    scene.assert_untouched()


async def test_a_read_file_opens_once_and_closes_its_body() -> None:
    body = MemoryBody(INFO, b"some bytes")
    calls = 0

    async def opener() -> MemoryBody:
        nonlocal calls
        calls += 1
        return body

    async with ReadFile(PATH, opener) as file:
        entry = await file.open()
        assert (entry.path, entry.size, entry.etag) == (PATH, 9, '"1"')
        assert b"".join([chunk async for chunk in file.chunks()]) == b"some bytes"
    assert calls == 1
    assert body.closed


async def test_a_read_file_that_cannot_be_opened_has_nothing_to_close() -> None:
    async def opener() -> MemoryBody:
        raise NotFound

    file = ReadFile(PATH, opener)
    with pytest.raises(NotFound):
        await file.open()
    await file.close()
    with pytest.raises(ValueError, match="not open"):
        file.chunks()
    with pytest.raises(ValueError, match="not open"):
        _ = file.entry

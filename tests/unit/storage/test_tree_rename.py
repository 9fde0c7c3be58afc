"""`Tree.rename`, and what cancellation at every await leaves of it and of its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest

from aioftps3.storage.errors import (
    Busy,
    Changed,
    Denied,
    Exists,
    IsADirectory,
    NameInvalid,
    NotFound,
    StorageError,
    Unavailable,
)
from aioftps3.storage.paths import ROOT
from aioftps3.storage.tree import Entry
from tests.support.tree_scene import Scene, path


class TestRename:
    async def test_a_file_replaces_a_file(self) -> None:
        scene = Scene("f", "g")
        await scene.rename("/f", "/g")
        assert scene.store.contents == {"g": b"f"}
        assert scene.store.operations() == ["HeadObject", "ListObjectsV2", "CopyObject", "DeleteObject"]

    @pytest.mark.parametrize("below", ["g/", "g/h"])
    async def test_a_file_does_not_hide_behind_a_directory(self, below: str) -> None:
        """Listings would show the directory alone, and the file that a client has just renamed would seem lost."""
        scene = Scene("f", below)
        with pytest.raises(IsADirectory):
            await scene.rename("/f", "/g")
        assert scene.keys == sorted(["f", below])

    async def test_a_source_that_changed_since_is_refused(self) -> None:
        scene = Scene("f", "g")
        source = await scene.tree.rename_source(path("/f"))
        scene.store.seed("f", b"new")
        with pytest.raises(Changed):
            await scene.tree.rename(source, path("/h"))
        scene.store.drop("f")
        with pytest.raises(NotFound):
            await scene.tree.rename(source, path("/h"))
        assert scene.keys == ["g"]
        assert len(scene.emptied) == 0

    async def test_onto_itself_is_nothing(self) -> None:
        scene = Scene("f", "d/g")
        await scene.rename("/f", "/f")
        await scene.rename("/d", "/d")
        assert set(scene.store.operations()) == {"HeadObject", "ListObjectsV2"}
        assert scene.keys == ["d/g", "f"]

    async def test_below_itself_is_refused(self) -> None:
        scene = Scene("f", "d/g")
        for source, target in (("/d", "/d/e"), ("/d", "/d/g/h"), ("/f", "/f/g")):
            with pytest.raises(NameInvalid):
                await scene.rename(source, target)
        await scene.rename("/d", "/dd")
        assert scene.keys == ["dd/g", "f"]

    async def test_the_root_neither_moves_nor_is_replaced(self) -> None:
        scene = Scene("f")
        with pytest.raises(Denied):
            await scene.tree.rename_source(ROOT)
        with pytest.raises(Denied):
            await scene.tree.rename(await scene.tree.stat(ROOT), path("/g"))
        with pytest.raises(Exists):
            await scene.rename("/f", "/")

    async def test_a_file_does_not_replace_an_emptied_directory(self) -> None:
        scene = Scene("f", "d/g")
        await scene.tree.unlink(path("/d/g"))
        with pytest.raises(IsADirectory):
            await scene.rename("/f", "/d")

    async def test_a_directory_takes_every_key_along(self) -> None:
        scene = Scene("d/", "d/f", "d//x", "d/../y", "d/e/", "da", "d", page_limit=2)
        await scene.tree.rename(Entry(name="d", path=path("/d"), is_dir=True), path("/new/d"))
        assert scene.keys == ["d", "da", "new/d/", "new/d/../y", "new/d//x", "new/d/e/", "new/d/f"]
        assert await scene.names("/") == ["d", "da", "new/"]

    @pytest.mark.parametrize("taken", ["t", "t/f", "t//", "t/x_$folder$"])
    async def test_a_directory_replaces_nothing_but_an_empty_directory(self, taken: str) -> None:
        scene = Scene("d/f", taken)
        with pytest.raises(Exists):
            await scene.rename("/d", "/t")
        assert sorted(scene.keys) == sorted(["d/f", taken])

        scene = Scene("d/f", "t/")
        await scene.rename("/d", "/t")
        assert scene.keys == ["t/", "t/f"]

    async def test_a_directory_does_not_replace_one_with_emptied_directories_in_it(self) -> None:
        scene = Scene("d/f", "t/e/f")
        await scene.tree.unlink(path("/t/e/f"))
        with pytest.raises(Exists):
            await scene.rename("/d", "/t")

    async def test_emptied_directories_move_along(self) -> None:
        scene = Scene("d/e/f", "x")
        await scene.tree.unlink(path("/d/e/f"))
        await scene.rename("/d", "/n")
        assert await scene.names("/") == ["n/", "x"]
        assert await scene.names("/n") == ["e/"]
        assert scene.keys == ["n/", "x"]

    async def test_a_directory_that_is_gone_is_not_found(self) -> None:
        scene = Scene("d/f")
        source = await scene.tree.rename_source(path("/d"))
        scene.store.drop("d/f")
        with pytest.raises(NotFound):
            await scene.tree.rename(source, path("/e"))

    async def test_the_directory_of_a_moved_file_stays(self) -> None:
        scene = Scene("d/f")
        await scene.rename("/d/f", "/f")
        assert await scene.names("/") == ["d/", "f"]

    @pytest.mark.parametrize("there", [(), ("e/",)])
    @pytest.mark.parametrize(("operation", "at"), [("CopyObject", "e/7"), ("ListObjectsV2", "e/")])
    async def test_a_directory_rename_that_failed_can_be_repeated(
        self, there: tuple[str, ...], operation: str, at: str
    ) -> None:
        keys = ["d/", *(f"d/{number}" for number in range(20))]
        scene = Scene(*keys, *there)

        def fail(happening: str, key: str, when: str) -> None:
            if (happening, key, when) == (operation, at, "before") and "CopyObject" in scene.store.operations():
                raise Unavailable

        scene.store.point = fail
        with pytest.raises(Unavailable):
            await scene.rename("/d", "/e")
        assert scene.keys == sorted([*keys, *there])
        assert len(scene.locks) == 0
        scene.store.point = lambda operation, key, when: None
        await scene.rename("/d", "/e")
        assert scene.keys == sorted(key.replace("d/", "e/") for key in keys)

    async def test_a_failed_copy_deletes_nothing_of_the_source(self) -> None:
        """Also when its copies cannot be taken away again."""
        keys = {f"d/{number}" for number in range(20)}
        scene = Scene(*keys)

        def fail(operation: str, key: str, when: str) -> None:
            if (operation == "CopyObject" and key == "e/7") or operation.startswith("DeleteObject"):
                raise Busy

        scene.store.point = fail
        with pytest.raises(Busy):
            await scene.rename("/d", "/e")
        assert keys < set(scene.keys)

    @pytest.mark.parametrize(("gone", "error"), [("d/12", NotFound), ("d/00", Unavailable)])
    async def test_copies_stay_when_somebody_else_deletes_the_source(
        self, gone: str, error: type[StorageError]
    ) -> None:
        """Another daemon may end the same rename; without the copies nothing would be left."""
        scene = Scene(*(f"d/{number:02}" for number in range(20)))

        def drop(operation: str, key: str, when: str) -> None:
            if (operation, key, when) == ("CopyObject", "e/12", "before"):
                scene.store.drop(gone)
                if error is Unavailable:
                    raise Unavailable

        scene.store.point = drop
        with pytest.raises(error):
            await scene.rename("/d", "/e")
        assert "e/00" in scene.keys
        assert ("e/01" in scene.keys) == (error is NotFound)

    async def test_the_target_is_locked_too(self) -> None:
        scene = Scene("f", "d/g")
        for source, target in (("/f", "/h"), ("/d", "/e")):
            async with scene.locks.exclusive(target):
                rename = asyncio.create_task(scene.rename(source, target))
                for _ in range(50):
                    await asyncio.sleep(0)
                assert "CopyObject" not in scene.store.operations()
            await rename
            scene.store.requests.clear()

    async def test_a_write_into_a_moving_directory_waits_and_is_not_lost(self) -> None:
        scene = Scene("d/f")
        copying = asyncio.Event()

        def point(operation: str, key: str, when: str) -> None:
            if operation == "CopyObject":
                copying.set()

        scene.store.point = point
        rename = asyncio.create_task(scene.rename("/d", "/e"))
        await copying.wait()
        write = asyncio.create_task(scene.write("/d/g"))
        await rename
        await write
        assert scene.keys == ["d/g", "e/f"]


async def every_cancellation(
    make: Callable[[], Scene], work: Callable[[Scene], Awaitable[None]]
) -> Sequence[tuple[bool, Scene]]:
    """Run ``work`` again and again, cancelled at its first await, at its second, ..., until it comes to its end."""
    runs: list[tuple[bool, Scene]] = []
    while len(runs) < 200:
        scene = make()
        task = asyncio.ensure_future(work(scene))
        seen = 0

        def point(operation: str, key: str, when: str, task: asyncio.Future[None] = task) -> None:
            nonlocal seen
            seen += 1
            if seen == len(runs) + 1:
                task.cancel()

        scene.store.point = point
        with suppress(asyncio.CancelledError):
            await task
        assert len(scene.locks) == 0
        assert not scene.store.open_writers
        assert scene.store.in_flight.total() == 0
        runs.append((task.cancelled(), scene))
        if not task.cancelled():
            return runs
    pytest.fail("the work has no end")


async def test_a_file_rename_cancelled_anywhere_loses_nothing() -> None:
    runs = await every_cancellation(lambda: Scene("f", "g"), lambda scene: scene.rename("/f", "/g"))
    for was_cancelled, scene in runs:
        states: list[dict[str, bytes]] = [{"g": b"f"}]
        if was_cancelled:
            states += [{"f": b"f", "g": b"g"}, {"f": b"f", "g": b"f"}]
        assert scene.store.contents in states
    assert len(runs) > 6


async def test_a_directory_rename_cancelled_anywhere_loses_nothing() -> None:
    keys = [f"d/{number:02}" for number in range(12)]
    runs = await every_cancellation(lambda: Scene(*keys, page_limit=5), lambda scene: scene.rename("/d", "/e"))
    for was_cancelled, scene in runs:
        values = set(scene.store.contents.values())
        assert values == {key.encode() for key in keys}
        whole_source = set(keys) <= set(scene.keys)
        whole_target = {key.replace("d/", "e/") for key in keys} <= set(scene.keys)
        assert whole_source or whole_target
        assert was_cancelled or not whole_source
    assert len(runs) > 30


async def test_what_makes_and_removes_cancelled_anywhere_holds_no_lock_and_forgets_no_directory() -> None:
    for _, scene in await every_cancellation(Scene, lambda scene: scene.tree.mkdir(path("/d"))):
        assert scene.keys in ([], ["d/"])
    for _, scene in await every_cancellation(lambda: Scene("a/d/"), lambda scene: scene.tree.rmdir(path("/a/d"))):
        assert await scene.tree.is_dir(path("/a"))
    for _, scene in await every_cancellation(lambda: Scene("a/f"), lambda scene: scene.tree.unlink(path("/a/f"))):
        assert await scene.tree.is_dir(path("/a"))

    async def remove_all(scene: Scene) -> None:
        await scene.tree.remove_all(path("/a/d"))

    for _, scene in await every_cancellation(lambda: Scene("a/d/f"), remove_all):
        assert await scene.tree.is_dir(path("/a"))

"""`Tree.rename`, and what cancellation at every await leaves of it and of its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from aioftps3.storage.errors import (
    Busy,
    Changed,
    Denied,
    Exists,
    IsADirectory,
    NameInvalid,
    NotFound,
    OverwriteRefused,
    Unavailable,
)
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import ROOT
from aioftps3.storage.store import ListPage, ObjectInfo
from aioftps3.storage.tree import Entry, Tree
from tests.support.memory_store import MemoryStore
from tests.support.tree_scene import Scene, path


class TestRename:
    async def test_a_file_replaces_a_file(self) -> None:
        scene = Scene("f", "g")
        await scene.rename("/f", "/g")
        assert scene.store.contents == {"g": b"f"}
        assert scene.store.operations() == ["ListObjectsV2", "CopyObject", "DeleteObject"]

    async def test_a_file_that_was_just_stored_is_not_looked_up(self) -> None:
        """Clients upload under a temporary name, here or in another directory."""
        scene = Scene("final", *(f"{number}" for number in range(200)))
        await scene.write("/tmp/part", b"new")
        scene.store.operations()
        await scene.rename("/tmp/part", "/final")
        assert scene.store.operations() == ["ListObjectsV2", "CopyObject", "DeleteObject"]
        assert scene.store.contents["final"] == b"new"

    async def test_to_another_directory_the_name_is_looked_for_there(self) -> None:
        scene = Scene("a/f", "b/g")
        await scene.rename("/a/f", "/b/f")
        assert scene.store.operations() == ["ListObjectsV2", "ListObjectsV2", "CopyObject", "DeleteObject"]
        await scene.rename("/b/f", "/b/new/f")
        assert scene.store.operations() == ["ListObjectsV2", "CopyObject", "DeleteObject"], "there is no b/new"

    async def test_a_crowded_directory_is_looked_into_only_once(self) -> None:
        scene = Scene(*(f"d/{number:03}" for number in range(500)))
        await scene.rename("/d/400", "/d/400b")
        assert scene.store.operations() == [
            "ListObjectsV2",
            "HeadObject",
            "ListObjectsV2",
            "CopyObject",
            "DeleteObject",
        ]
        await scene.rename("/d/401", "/d/401b")
        assert scene.store.operations() == ["HeadObject", "ListObjectsV2", "CopyObject", "DeleteObject"]

    @pytest.mark.parametrize("crowd", [0, 300])
    async def test_the_source_is_told_honestly(self, crowd: int) -> None:
        scene = Scene("file", "marked/", "implicit/f", "both", "both/f", *(f"crowd{n}" for n in range(crowd)))
        for name, is_dir in (("file", False), ("marked", True), ("implicit", True), ("both", False)):
            assert (await scene.tree.rename_source(path(f"/{name}"))).is_dir is is_dir
        assert (await scene.tree.rename_source(path("/implicit/f"))).etag == scene.store.info("implicit/f").etag
        for name in ("/none", "/implicit/none", "/none/f", "/impl"):
            with pytest.raises(NotFound):
                await scene.tree.rename_source(path(name))
        await scene.tree.unlink(path("/implicit/f"))
        assert (await scene.tree.rename_source(path("/implicit"))).is_dir

    async def test_a_directory_that_was_made_since_the_look_is_seen(self) -> None:
        scene = Scene("f", "g")
        for other in ("/g", "/h", "/i"):
            source = await scene.tree.rename_source(path("/f"))
            match other:
                case "/g":
                    await scene.tree.unlink(path("/g"))
                    await scene.other_tree().mkdir(path("/g"))
                case "/h":
                    async with scene.other_tree().open_write(path("/h/deep/file")) as file:
                        await file.write(b"x")
                case "/i":
                    await scene.rename("/h", "/i", scene.other_tree())
            with pytest.raises(IsADirectory):
                await scene.tree.rename(source, path(other))
        assert scene.store.contents["f"] == b"f"

    async def test_a_directory_that_is_made_during_the_look_is_seen(self) -> None:
        scene = Scene("f")
        list_page = scene.store.list

        async def slow(
            prefix: str, *, delimiter: str | None = None, limit: int = 1000, token: str | None = None
        ) -> ListPage:
            page = await list_page(prefix, delimiter=delimiter, limit=limit, token=token)
            if delimiter and limit == 100:
                await scene.other_tree().mkdir(path("/g"))
            return page

        scene.store.list = slow  # type: ignore[method-assign]  # its answer takes its time
        source = await scene.tree.rename_source(path("/f"))
        with pytest.raises(IsADirectory):
            await scene.tree.rename(source, path("/g"))

    async def test_a_refused_rename_leaves_no_memory_of_emptied_directories(self) -> None:
        scene = Scene("a/d/f", "e/g")
        with pytest.raises(Exists):
            await scene.rename("/a/d", "/e")
        assert len(scene.emptied) == 0

    async def test_a_stored_file_that_somebody_replaced_is_the_one_that_is_renamed(self) -> None:
        scene = Scene()
        await scene.write("/f", b"first")
        scene.store.seed("f", b"second")
        await scene.rename("/f", "/g")
        assert scene.store.contents == {"g": b"second"}

    async def test_a_stored_file_that_somebody_deleted_is_not_found(self) -> None:
        scene = Scene()
        await scene.write("/f", b"first")
        scene.store.drop("f")
        with pytest.raises(NotFound):
            await scene.rename("/f", "/g")
        with pytest.raises(NotFound):
            await scene.tree.rename_source(path("/f"))

    @pytest.mark.parametrize("act", ["unlink", "rename", "directory"])
    async def test_a_stored_file_that_the_client_took_away_is_not_found(self, act: str) -> None:
        scene = Scene()
        await scene.write("/d/f", b"data")
        match act:
            case "unlink":
                await scene.tree.unlink(path("/d/f"))
            case "rename":
                await scene.rename("/d/f", "/g")
            case "directory":
                await scene.rename("/d", "/e")
        with pytest.raises(NotFound):
            await scene.tree.rename_source(path("/d/f"))

    async def test_a_storage_class_is_handed_to_the_copy(self) -> None:
        classes: list[str | None] = []

        class Store(MemoryStore):
            async def list(
                self, prefix: str, *, delimiter: str | None = None, limit: int = 1000, token: str | None = None
            ) -> ListPage:
                page = await super().list(prefix, delimiter=delimiter, limit=limit, token=token)
                return replace(page, objects=tuple(replace(info, storage_class="COLD") for info in page.objects))

            async def copy(
                self, source: ObjectInfo, target: str, *, copied: Callable[[int], None] | None = None
            ) -> str:
                classes.append(source.storage_class)
                return await super().copy(source, target, copied=copied)

        tree = Tree(Store({"f": b"", "d/g": b""}), locks=PathLocks())
        await tree.rename(await tree.rename_source(path("/f")), path("/e"))
        await tree.rename(await tree.rename_source(path("/d")), path("/c"))
        assert classes == ["COLD", "COLD"]

    async def test_a_file_does_not_replace_the_directory_that_it_is_in(self) -> None:
        scene = Scene("d/f")
        with pytest.raises(IsADirectory):
            await scene.rename("/d/f", "/d")
        assert scene.keys == ["d/f"]

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
        assert set(scene.store.operations()) == {"ListObjectsV2"}
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
        """Those that no path leads to as well: nobody could fetch them after the others."""
        hidden = ("\n", "../y", ".", "/x", "e//", "x_$folder$", "\udcff")
        scene = Scene("d/", "d/f", "d/e/", "da", "d", *(f"d/{name}" for name in hidden), page_limit=2)
        await scene.tree.rename(Entry(name="d", path=path("/d"), is_dir=True), path("/new/d"))
        assert set(scene.keys) == {
            "d", "da", "new/d/", "new/d/e/", "new/d/f", *(f"new/d/{name}" for name in hidden),
        }  # fmt: skip
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

    async def test_a_directory_of_nothing_that_can_be_shown_moves_too(self) -> None:
        scene = Scene("d//x", "d/../y")
        await scene.rename("/d", "/e")
        assert scene.keys == ["e/../y", "e//x"]
        assert await scene.names("/") == ["e/"]

    async def test_the_directory_of_a_moved_file_stays(self) -> None:
        scene = Scene("d/f")
        await scene.rename("/d/f", "/f")
        assert await scene.names("/") == ["d/", "f"]

    async def test_a_directory_is_not_renamed_to_one_that_it_is_in(self) -> None:
        scene = Scene("d/e/f")
        with pytest.raises(Exists):
            await scene.rename("/d/e", "/d")
        assert scene.keys == ["d/e/f"]

    @pytest.mark.parametrize("restarted", [False, True])
    @pytest.mark.parametrize("there", [(), ("e/",)])
    @pytest.mark.parametrize(
        ("operation", "at"),
        [("CopyObject", "e/7"), ("ListObjectsV2", "e/"), ("ListObjectsV2", "d/"), ("DeleteObjects", "d/")],
    )
    async def test_a_directory_rename_that_failed_is_repeated_and_goes_on(
        self, there: tuple[str, ...], operation: str, at: str, restarted: bool
    ) -> None:
        keys = ["d/", *(f"d/{number}" for number in range(20))]
        scene = Scene(*keys, *there)
        copied = 0

        def fail(happening: str, key: str, when: str) -> None:
            nonlocal copied
            if (happening, key, when) == (operation, at, "before") and copied > 10:
                raise Unavailable
            copied += happening == "CopyObject"

        scene.store.point = fail
        with pytest.raises(Unavailable):
            await scene.rename("/d", "/e")
        assert set(keys) <= set(scene.keys)
        assert len(scene.locks) == 0
        assert len(scene.moves) == 0
        scene.store.point = lambda operation, key, when: None
        done = scene.store.operations().count("CopyObject")
        await scene.rename("/d", "/e", scene.restarted_tree() if restarted else None)
        assert set(scene.keys) == {key.replace("d/", "e/") for key in keys}
        assert done + scene.store.operations().count("CopyObject") <= len(keys) + 2

    async def test_a_target_with_copies_of_a_failed_rename_is_no_longer_there_when_they_are_removed(self) -> None:
        """Who does not want to go on can take the copies away as any other files."""
        scene = Scene(*(f"d/{number}" for number in range(30)))

        def fail(operation: str, key: str, when: str) -> None:
            if (operation, key) == ("CopyObject", "e/20"):
                raise Denied

        scene.store.point = fail
        with pytest.raises(Denied, match="permission denied"):
            await scene.rename("/d", "/e")
        scene.store.point = lambda operation, key, when: None
        for name in await scene.names("/e"):
            await scene.tree.unlink(path(f"/e/{name}"))
        await scene.tree.rmdir(path("/e"))
        assert scene.keys == sorted(f"d/{number}" for number in range(30))

    async def test_who_sends_the_same_rename_again_waits_for_the_first_and_is_told_that_it_is_done(self) -> None:
        """A client's patience ends after 20 seconds, and a large directory takes longer."""
        for source, target, keys in (("/d", "/e", ["e/f"]), ("/f", "/g", ["g"])):
            scene = Scene("d/f" if source == "/d" else "f")
            copying, go_on = asyncio.Event(), asyncio.Event()
            copy = scene.store.copy

            async def slow(info: ObjectInfo, key: str, *, copied: Callable[[int], None] | None = None) -> str:
                copying.set()  # noqa: B023  # of this turn
                await go_on.wait()  # noqa: B023
                return await copy(info, key, copied=copied)  # noqa: B023

            scene.store.copy = slow  # type: ignore[assignment, method-assign]  # slower than it is
            first = asyncio.create_task(scene.rename(source, target))
            await copying.wait()
            again = asyncio.create_task(scene.rename(source, target, scene.other_tree()))
            other = asyncio.create_task(scene.rename(source, "/elsewhere", scene.other_tree()))
            for _ in range(20):
                await asyncio.sleep(0)
            go_on.set()
            await first
            await again
            with pytest.raises(NotFound):
                await other
            assert scene.keys == keys

    async def test_who_waited_for_a_rename_that_failed_tries_itself(self) -> None:
        scene = Scene("d/f")
        failed = False

        def fail(operation: str, key: str, when: str) -> None:
            nonlocal failed
            if operation == "CopyObject" and not failed:
                failed = True
                raise Unavailable

        scene.store.point = fail
        source = await scene.tree.rename_source(path("/d"))
        results = await asyncio.gather(
            scene.tree.rename(source, path("/e")),
            scene.other_tree().rename(source, path("/e")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [Unavailable, type(None)]
        assert scene.keys == ["e/f"]

    async def test_another_daemon_that_ends_the_same_rename_takes_nothing_away(self) -> None:
        scene = Scene(*(f"d/{number:02}" for number in range(20)))
        other = scene.restarted_tree()
        source = await scene.tree.rename_source(path("/d"))
        results = await asyncio.gather(
            scene.tree.rename(source, path("/e")), other.rename(source, path("/e")), return_exceptions=True
        )
        assert None in results
        assert set(scene.store.contents.values()) == {f"d/{number:02}".encode() for number in range(20)}
        assert scene.keys == [f"e/{number:02}" for number in range(20)]

    async def test_a_failed_copy_deletes_nothing_of_the_source(self) -> None:
        keys = {f"d/{number}" for number in range(20)}
        scene = Scene(*keys)

        def fail(operation: str, key: str, when: str) -> None:
            if operation == "CopyObject" and key == "e/7":
                raise Busy

        scene.store.point = fail
        with pytest.raises(Busy, match="busy"):
            await scene.rename("/d", "/e")
        assert keys < set(scene.keys)

    async def test_without_overwriting_a_rename_goes_on_too(self) -> None:
        keys = [f"d/{number}" for number in range(30)]
        scene = Scene(*keys)
        scene.store.no_overwrite = True

        def fail(operation: str, key: str, when: str) -> None:
            if operation == "CopyObject" and key == "e/17":
                raise Unavailable

        scene.store.point = fail
        with pytest.raises(Unavailable):
            await scene.rename("/d", "/e")
        scene.store.point = lambda operation, key, when: None
        await scene.rename("/d", "/e")
        assert set(scene.keys) == {key.replace("d/", "e/") for key in keys}

    async def test_without_overwriting_a_file_that_comes_to_the_target_meanwhile_is_kept(self) -> None:
        scene = Scene(*(f"d/{number}" for number in range(30)))
        scene.store.no_overwrite = True

        def come(operation: str, key: str, when: str) -> None:
            if operation == "CopyObject" and key == "e/0":
                scene.store.seed("e/29", b"somebody else's")

        scene.store.point = come
        with pytest.raises(OverwriteRefused):
            await scene.rename("/d", "/e")
        assert scene.store.contents["e/29"] == b"somebody else's"
        assert scene.store.contents["d/29"] == b"d/29"

    async def test_listings_meanwhile_show_the_old_directory_whole_and_the_new_one_growing(self) -> None:
        names = [f"{number:02}" for number in range(40)]
        scene = Scene(*(f"d/{name}" for name in names))
        seen: list[tuple[int, int]] = []
        copy = scene.store.copy

        async def looked(info: ObjectInfo, key: str, *, copied: Callable[[int], None] | None = None) -> str:
            etag = await copy(info, key, copied=copied)
            old, new = await scene.other_tree().stat(path("/d")), await scene.names("/e")
            assert old.is_dir
            seen.append((len(await scene.names("/d")), len(new)))
            return etag

        scene.store.copy = looked  # type: ignore[assignment, method-assign]  # slower than it is
        await scene.rename("/d", "/e")
        assert {old for old, _ in seen} == {40}
        assert [new for _, new in seen] == sorted(new for _, new in seen)
        assert await scene.names("/e") == names

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


class TestCopy:
    async def test_a_file_is_copied_and_replaces_another(self) -> None:
        scene = Scene("f", "g")
        await scene.copy("/f", "/g")
        assert scene.store.contents == {"f": b"f", "g": b"f"}
        assert scene.store.operations() == ["ListObjectsV2", "CopyObject"]
        await scene.copy("/f", "/d/g")
        assert scene.keys == ["d/g", "f", "g"]

    async def test_a_file_is_not_copied_onto_a_directory_or_itself(self) -> None:
        scene = Scene("f", "d/g")
        with pytest.raises(IsADirectory):
            await scene.copy("/f", "/d")
        with pytest.raises(Exists):
            await scene.copy("/f", "/f")
        with pytest.raises(Exists):
            await scene.copy("/d", "/d")
        assert scene.keys == ["d/g", "f"]

    async def test_a_directory_is_copied_with_all_that_is_in_it(self) -> None:
        scene = Scene("d/", "d/f", "d//x", "d/e/", "d/e/g", "da", page_limit=2)
        await scene.copy("/d", "/new")
        assert scene.keys == [
            "d/",
            "d//x",
            "d/e/",
            "d/e/g",
            "d/f",
            "da",
            "new/",
            "new//x",
            "new/e/",
            "new/e/g",
            "new/f",
        ]

    async def test_a_directory_is_not_copied_into_itself_or_onto_a_full_one(self) -> None:
        scene = Scene("d/f", "e/g", "h")
        with pytest.raises(NameInvalid):
            await scene.copy("/d", "/d/e")
        for target in ("/e", "/h", "/"):
            with pytest.raises(Exists):
                await scene.copy("/d", target)
        with pytest.raises(Denied):
            await scene.tree.copy(await scene.tree.stat(ROOT), path("/x"))
        assert scene.keys == ["d/f", "e/g", "h"]

    async def test_emptied_directories_are_copied_too(self) -> None:
        scene = Scene("d/e/f", "d/g/h")
        await scene.tree.unlink(path("/d/e/f"))
        await scene.copy("/d", "/n")
        assert await scene.names("/n") == await scene.names("/d") == ["e/", "g/"]

    async def test_a_copy_that_failed_is_repeated_and_goes_on(self) -> None:
        scene = Scene(*(f"d/{number}" for number in range(30)))

        def fail(operation: str, key: str, when: str) -> None:
            if (operation, key) == ("CopyObject", "e/20"):
                raise Unavailable

        scene.store.point = fail
        with pytest.raises(Unavailable):
            await scene.copy("/d", "/e")
        scene.store.point = lambda operation, key, when: None
        for _ in range(2):
            await scene.copy("/d", "/e")
            assert len(scene.keys) == 60
        assert scene.store.operations().count("CopyObject") < 40

    async def test_a_source_that_changed_since_is_refused(self) -> None:
        scene = Scene("f")
        source = await scene.tree.rename_source(path("/f"))
        scene.store.seed("f", b"new")
        with pytest.raises(Changed):
            await scene.tree.copy(source, path("/g"))
        assert scene.keys == ["f"]


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

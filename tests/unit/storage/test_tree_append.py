"""Appending to files of the tree: who waits for whom, and what becomes of those who come late."""

from __future__ import annotations

import asyncio

import pytest

from aioftps3.storage import tree as tree_module
from aioftps3.storage.errors import Changed, IsADirectory, NotFound, RangeInvalid, Unavailable
from aioftps3.storage.files import WriteFile
from aioftps3.storage.paths import ROOT
from aioftps3.storage.tree import Tree
from tests.support.tree_scene import Scene, path


async def opened(scene: Scene, tree: Tree | None = None, offset: int | None = None) -> WriteFile:
    return await (tree or scene.tree).open_append(path("/d/f"), offset)


async def append(scene: Scene, data: bytes, tree: Tree | None = None) -> None:
    async with await opened(scene, tree) as file:
        await file.write(data)


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.store.seed("d/f", b"old")
    return scene


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_bytes_stand_behind_those_that_were_there(scene: Scene) -> None:
    async with await opened(scene) as file:
        assert file.kept == 3
        await file.write(b"new")
    assert scene.store.contents == {"d/f": b"oldnew"}
    async with await opened(scene, offset=2) as file:
        assert file.kept == 2
        await file.write(b"X")
    assert scene.store.contents == {"d/f": b"olX"}
    assert len(scene.locks) == 0


async def test_a_file_is_made_where_there_is_none_unless_an_offset_is_asked_for(scene: Scene) -> None:
    async with await scene.tree.open_append(path("/new/f")) as file:
        await file.write(b"1")
    assert scene.store.contents["new/f"] == b"1"
    with pytest.raises(NotFound):
        await scene.tree.open_append(path("/none"), 1)
    with pytest.raises(RangeInvalid):
        await opened(scene, offset=4)
    with pytest.raises(IsADirectory):
        await scene.tree.open_append(ROOT)
    assert len(scene.locks) == 0


async def test_a_directory_that_was_emptied_is_no_empty_one_any_more(scene: Scene) -> None:
    await scene.tree.unlink(path("/d/f"))
    await append(scene, b"new")
    await scene.tree.unlink(path("/d/f"))
    assert await scene.names("/d") == []


async def test_two_who_append_at_the_same_time_both_do(scene: Scene) -> None:
    other = scene.other_tree()
    first = await opened(scene)
    second = asyncio.create_task(append(scene, b" second", other))
    await settle()
    await first.write(b" first")
    await first.commit()
    await second
    assert scene.store.contents == {"d/f": b"old first second"}
    assert len(scene.locks) == 0


@pytest.mark.parametrize("end", ["abort", "error", "cancellation"])
async def test_the_turn_ends_with_the_file_however_that_ends(scene: Scene, end: str) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with await opened(scene) as file:
            begun.set()
            if end == "abort":
                await file.abort()
            elif end == "error":
                raise Unavailable
            else:
                await asyncio.Event().wait()

    first = asyncio.create_task(work())
    await begun.wait()
    second = asyncio.create_task(append(scene, b"new"))
    await settle()
    first.cancel()
    await asyncio.wait({first, second})
    assert isinstance(first.cancelled() or first.exception(), Unavailable | bool | None)
    assert scene.store.contents == {"d/f": b"oldnew"}
    assert len(scene.locks) == 0


async def test_who_has_waited_long_enough_does_not_wait_for_the_dead(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "TURN_SECONDS", 0.01)
    dead = await opened(scene)
    await dead.write(b" dead")
    await append(scene, b" alive")
    with pytest.raises(Changed):
        await dead.commit()
    assert scene.store.contents == {"d/f": b"old alive"}
    assert len(scene.locks) == 0


@pytest.mark.parametrize("what", ["write", "delete", "rename away", "rename onto", "rename its directory"])
async def test_what_others_do_to_the_file_is_not_undone(scene: Scene, what: str) -> None:
    scene.store.seed("e", b"e")
    file = await opened(scene)
    await file.write(b"new")
    match what:
        case "write":
            await scene.write("/d/f", b"foreign")
        case "delete":
            await scene.tree.unlink(path("/d/f"))
        case "rename away":
            await scene.rename("/d/f", "/d/g")
        case "rename onto":
            await scene.rename("/e", "/d/f")
        case _:
            await scene.rename("/d", "/x")
    there = scene.store.contents
    with pytest.raises(Changed):
        await file.commit()
    assert scene.store.contents == there
    assert len(scene.locks) == 0


async def test_a_file_that_appears_meanwhile_is_not_replaced(scene: Scene) -> None:
    file = await scene.tree.open_append(path("/new"))
    await file.write(b"mine")
    await scene.write("/new", b"foreign")
    with pytest.raises(Changed):
        await file.commit()
    assert scene.store.contents["new"] == b"foreign"


async def test_a_failure_to_open_ends_the_turn(scene: Scene) -> None:
    def fail(operation: str, key: str, when: str) -> None:
        raise Unavailable

    scene.store.point = fail
    with pytest.raises(Unavailable):
        await opened(scene)
    assert len(scene.locks) == 0


async def test_the_store_is_told_the_size_that_the_client_knows(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int | None] = []
    open_append = scene.store.open_append

    async def telling(key: str, **options: int | None) -> object:
        told.append(options["likely_size"])
        return await open_append(key, **options)

    monkeypatch.setattr(scene.store, "open_append", telling)
    await append(scene, b"new")
    await append(scene, b"new")
    other = scene.other_tree()
    await other.stat_file(path("/d/f"))
    await append(scene, b"new", other)
    assert told == [None, 6, 9]


async def test_appending_nothing_changes_nothing(scene: Scene) -> None:
    before = scene.store.info("d/f")
    await append(scene, b"")
    assert scene.store.info("d/f") == before
    assert scene.store.operations() == ["HeadObject"]
    entry = await scene.tree.rename_source(path("/d/f"))
    assert (entry.size, entry.modified) == (3, before.modified)
    assert scene.store.operations() == []


async def test_appending_nothing_to_a_file_that_is_gone_leaves_its_directory(scene: Scene) -> None:
    async with await opened(scene):
        await scene.tree.unlink(path("/d/f"))
    assert (await scene.tree.stat(path("/d"))).is_dir

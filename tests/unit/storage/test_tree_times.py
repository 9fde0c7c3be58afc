"""Clients' times and digests, by paths."""

from __future__ import annotations

import asyncio

import pytest

from aioftps3.storage.errors import IsADirectory, NameInvalid, NotFound, Unavailable
from aioftps3.storage.paths import ROOT
from aioftps3.storage.tree import Entry
from tests.support.tree_scene import Scene, path

GIVEN = 1_500_000_000.0


async def listed(scene: Scene, text: str) -> list[Entry]:
    return [entry async for page in scene.tree.list(path(text)) for entry in page]


async def test_a_files_time_is_set_by_two_requests_and_then_it_has_it() -> None:
    scene = Scene("home/d/f", prefix="home/")
    entry = await scene.tree.set_time(path("/d/f"), GIVEN)
    assert scene.store.operations() == ["HeadObject", "CopyObject"]
    assert entry.modified == GIVEN
    assert await scene.tree.stat(path("/d/f")) == await scene.tree.stat_file(path("/d/f")) == entry
    async with scene.tree.open_read(path("/d/f")) as file:
        assert file.entry == entry


async def test_a_listing_has_the_times_when_they_are_asked_for() -> None:
    scene = Scene("d/a", "d/b", "d/c/x", "d/e")
    await scene.tree.set_time(path("/d/b"), GIVEN)
    scene.store.operations()
    entries = await listed(scene, "/d")
    assert all(entry.modified != GIVEN for entry in entries)
    scene.store.operations()
    timed = await scene.tree.timed(entries)
    assert [entry.name for entry in timed] == ["a", "b", "c", "e"]
    assert [entry.modified for entry in timed] == [
        scene.store.info("d/a").modified,
        GIVEN,
        0.0,
        scene.store.info("d/e").modified,
    ]
    assert [(entry.path, entry.size, entry.etag) for entry in timed] == [
        (entry.path, entry.size, entry.etag) for entry in entries
    ]
    assert scene.store.operations() == ["HeadObject"] * 3


async def test_what_is_no_file_has_no_time_that_could_be_set() -> None:
    scene = Scene("d/f", "marked/")
    for text in ("/d", "/marked"):
        with pytest.raises(IsADirectory, match="times of directories"):
            await scene.tree.set_time(path(text), GIVEN)
    with pytest.raises(IsADirectory):
        await scene.tree.set_time(ROOT, GIVEN)
    with pytest.raises(NotFound):
        await scene.tree.set_time(path("/none"), GIVEN)
    with pytest.raises(NameInvalid):
        await scene.tree.set_time(path("/" + "x" * 1025), GIVEN)


async def test_a_time_is_set_under_the_lock_of_the_path() -> None:
    scene = Scene("d/f")
    async with scene.locks.exclusive("/d"):
        task = asyncio.create_task(scene.tree.set_time(path("/d/f"), GIVEN))
        for _ in range(10):
            await asyncio.sleep(0)
        assert scene.store.operations() == []
    await task
    assert len(scene.locks) == 0


async def test_a_rename_keeps_the_time_and_an_upload_does_not() -> None:
    scene = Scene("f")
    await scene.tree.set_time(path("/f"), GIVEN)
    await scene.rename("/f", "/g")
    assert (await scene.tree.stat(path("/g"))).modified == GIVEN
    await scene.write("/g", b"new")
    assert (await scene.tree.stat(path("/g"))).modified == scene.store.info("g").modified


async def test_a_file_that_was_stored_and_timed_is_renamed_without_being_looked_up() -> None:
    """rclone's way: a temporary name, the time, the name."""
    scene = Scene()
    scene.store.plain_etags = False
    await scene.write("/d/f.partial", b"data")
    await scene.tree.set_time(path("/d/f.partial"), GIVEN)
    scene.store.operations()
    await scene.rename("/d/f.partial", "/d/f")
    assert scene.store.operations() == ["ListObjectsV2", "CopyObject", "DeleteObject"]
    assert (await scene.tree.stat(path("/d/f"))).modified == GIVEN


async def test_digests_are_one_request_and_of_files_only() -> None:
    scene = Scene("d/f")
    found = await scene.tree.digests(path("/d/f"))
    assert scene.store.operations() == ["HeadObject"]
    assert found.info.size == 3
    assert set(found.known) == {"crc32", "sha256"}
    for text in ("/d", "/"):
        with pytest.raises(IsADirectory):
            await scene.tree.digests(path(text))
    with pytest.raises(NotFound):
        await scene.tree.digests(path("/none"))


@pytest.mark.parametrize("operation", ["HeadObject", "CopyObject"])
async def test_a_failure_is_told_and_frees_the_lock(operation: str) -> None:
    scene = Scene("f")

    def point(happening: str, key: str, when: str) -> None:
        if (happening, when) == (operation, "before"):
            raise Unavailable

    scene.store.point = point
    with pytest.raises(Unavailable):
        await scene.tree.set_time(path("/f"), GIVEN)
    assert len(scene.locks) == 0

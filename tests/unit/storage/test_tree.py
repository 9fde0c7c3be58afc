from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

import pytest

from aioftps3.storage.errors import (
    Denied,
    Exists,
    IsADirectory,
    NameInvalid,
    NotADirectory,
    NotEmpty,
    NotFound,
    Unavailable,
)
from aioftps3.storage.paths import ROOT
from aioftps3.storage.tree import Entry
from tests.support.tree_scene import Scene, path


class TestStat:
    async def test_the_root_is_a_directory_without_a_request(self) -> None:
        scene = Scene()
        assert await scene.tree.stat(ROOT) == Entry(name="/", path=ROOT, is_dir=True)
        assert await scene.tree.is_dir(ROOT)
        assert scene.store.operations() == []
        with pytest.raises(NotFound):
            await scene.tree.stat_file(ROOT)

    async def test_a_file_is_one_request_and_has_size_time_and_version(self) -> None:
        scene = Scene("home/d/f", prefix="home/")
        entry = await scene.tree.stat(path("/d/f"))

        info = scene.store.info("home/d/f")
        assert entry == Entry(name="f", path=path("/d/f"), is_dir=False, size=8, modified=info.modified, etag=info.etag)
        assert scene.store.operations() == ["HeadObject"]

    async def test_a_directory_has_a_time_only_by_its_marker(self) -> None:
        scene = Scene("marked/", "marked/f", "implicit/f")
        assert (await scene.tree.stat(path("/marked"))).modified == scene.store.info("marked/").modified
        assert (await scene.tree.stat(path("/implicit"))).modified == 0.0
        assert scene.store.operations() == ["HeadObject", "ListObjectsV2"] * 2

    async def test_is_dir_is_one_request(self) -> None:
        scene = Scene("d/f", "both", "both/f")
        assert await scene.tree.is_dir(path("/d"))
        assert await scene.tree.is_dir(path("/both"))
        assert not await scene.tree.is_dir(path("/d/f"))
        assert not await scene.tree.is_dir(path("/none"))
        assert scene.store.operations() == ["ListObjectsV2"] * 4

    async def test_names_that_begin_alike_are_no_directory(self) -> None:
        scene = Scene("ab/f")
        with pytest.raises(NotFound):
            await scene.tree.stat(path("/a"))

    async def test_a_prefix_must_be_a_directory_of_keys(self) -> None:
        with pytest.raises(ValueError, match="prefix"):
            Scene(prefix="home")

    async def test_a_path_that_is_not_normalised_reaches_nothing(self) -> None:
        scene = Scene("secret", "home/f", prefix="home/")
        for text in ("/../secret", "/a/../../secret", "secret", "//f", "/f/"):
            with pytest.raises(NameInvalid):
                await scene.tree.stat(path(text))
            with pytest.raises(NameInvalid):
                scene.tree.open_write(path(text))
            with pytest.raises(NameInvalid):
                scene.tree.open_read(path(text))
        assert scene.store.operations() == []


class TestList:
    async def test_a_file_yields_itself(self) -> None:
        scene = Scene("d/f")
        assert await scene.pages("/d/f") == [["f"]]

    async def test_an_empty_directory_yields_an_empty_page(self) -> None:
        scene = Scene("d/")
        assert await scene.pages("/d") == [[]]
        assert await Scene().pages("/") == [[]]

    async def test_nothing_is_not_found_before_the_first_page(self) -> None:
        scene = Scene("ab/f")
        with pytest.raises(NotFound):
            await anext(scene.tree.list(path("/a")))

    async def test_keys_that_no_path_leads_to_are_hidden_and_counted(self) -> None:
        scene = Scene("d/", "d//x", "d/../x", "d/.", "d/\n", "d/ok", "d/x_$folder$")
        assert await scene.names("/d") == ["ok"]
        assert scene.tree.hidden == 4

    async def test_hidden_keys_are_told_in_the_log_of_each_directory_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        scene = Scene("d//x", "d/..", "d/e/\x01", "d/f", "/", "x\udcff", page_limit=1)
        with caplog.at_level(logging.INFO, logger="aioftps3.storage"):
            for _ in range(3):
                assert await scene.names("/") == ["d/"]
                assert await scene.names("/d") == ["e/", "f"]
                assert await scene.names("/d/e") == []
        assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
            "2 names in the root are not shown",
            "2 names in d/ are not shown",
            "1 names in d/e/ are not shown",
        ]
        assert scene.tree.hidden == 15

    async def test_names_that_differ_in_normalisation_only_are_different_files(self) -> None:
        """macOS writes é as two characters, others as one; S3 keeps what it gets, and so do we."""
        one, two = "/caf\u00e9", "/cafe\u0301"
        scene = Scene()
        await scene.write(one, b"one")
        await scene.write(two, b"two")
        assert sorted(await scene.names("/")) == sorted((one[1:], two[1:]))
        await scene.rename(one, "/other")
        assert scene.store.contents == {"other": b"one", two[1:]: b"two"}
        await scene.rename(two, one)
        assert await scene.names("/") == [one[1:], "other"]
        await scene.tree.mkdir(path(two))
        with pytest.raises(NotFound):
            await scene.tree.unlink(path("/cafe"))

    async def test_pages_come_one_at_a_time_with_the_next_one_on_its_way(self) -> None:
        scene = Scene(*(f"d/{number}" for number in range(6)), page_limit=2)
        async with aclosing(scene.tree.list(path("/d"))) as pages:
            assert [entry.name for entry in await anext(pages)] == ["0"]  # "1/" may still come
            for _ in range(10):
                await asyncio.sleep(0)
            assert scene.store.operations() == ["ListObjectsV2", "ListObjectsV2"]
            assert [entry.name for entry in await anext(pages)] == ["1", "2"]
            assert [entry.name for entry in await anext(pages)] == ["3", "4", "5"]
        assert scene.store.operations() == ["ListObjectsV2"]

    async def test_stopping_early_cancels_the_request_for_the_next_page(self) -> None:
        scene = Scene(*(f"d/{number}" for number in range(6)), page_limit=2)
        async with aclosing(scene.tree.list(path("/d"))) as pages:
            await anext(pages)
            await asyncio.sleep(0)
            assert scene.store.in_flight.total() == 1
        assert scene.store.in_flight.total() == 0

    async def test_a_failure_on_a_later_page_is_raised_there(self) -> None:
        scene = Scene(*(f"d/{number}" for number in range(6)), page_limit=2)
        pages = scene.tree.list(path("/d"))
        await anext(pages)

        def fail(operation: str, key: str, when: str) -> None:
            raise Unavailable

        scene.store.point = fail
        with pytest.raises(Unavailable):
            await anext(pages)

    async def test_a_failure_of_a_page_that_nobody_wants_any_more_is_silent(self) -> None:
        scene = Scene(*(f"d/{number}" for number in range(6)), page_limit=2)
        async with aclosing(scene.tree.list(path("/d"))) as pages:
            await anext(pages)

            def fail(operation: str, key: str, when: str) -> None:
                raise Unavailable

            scene.store.point = fail
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def test_pages_do_not_pile_up(self) -> None:
        """P9."""
        scene = Scene(*(f"d/{number:04}" for number in range(100)), page_limit=5)
        count, asked, given = 0, 0, 0
        async for page in scene.tree.list(path("/d")):
            given += 1
            asked += len(scene.store.operations())
            assert asked <= given + 1
            count += len(page)
            assert len(page) <= 6
            assert scene.store.peak["ListObjectsV2"] == 1
        assert count == 100

    async def test_a_beginning_lists_the_names_that_begin_so_and_asks_for_no_others(self) -> None:
        scene = Scene("d/aa", "d/ab/x", "d/b", "d/a", "e/aa", prefix="d/", page_limit=2)
        scene.emptied.remember("d/ac/")
        scene.emptied.remember("d/bc/")
        async with aclosing(scene.tree.list(path("/"), "a")) as pages:
            assert [entry.name for page in [page async for page in pages] for entry in page] == ["a", "aa", "ab", "ac"]
        assert scene.store.requests == [("ListObjectsV2", "d/a")] * 2

    async def test_a_beginning_that_no_name_has_is_empty_in_a_directory_and_not_found_elsewhere(self) -> None:
        scene = Scene("d/a", "f")
        async with aclosing(scene.tree.list(path("/d"), "b")) as pages:
            assert [page async for page in pages] == [[]]
        assert scene.store.operations() == ["ListObjectsV2"] * 2
        for nothing in ("/f", "/none"):
            with pytest.raises(NotFound):
                await anext(scene.tree.list(path(nothing), "b"))


class TestMkdir:
    async def test_it_writes_the_marker(self) -> None:
        scene = Scene(prefix="home/")
        await scene.tree.mkdir(path("/a/b"))
        assert scene.store.contents == {"home/a/b/": b""}
        assert scene.store.operations() == ["ListObjectsV2", "PutObject"]

    @pytest.mark.parametrize("key", ["d", "d/", "d/f", "d//"])
    async def test_a_file_or_a_directory_of_that_name_is_refused(self, key: str) -> None:
        scene = Scene(key)
        with pytest.raises(Exists):
            await scene.tree.mkdir(path("/d"))
        assert scene.keys == [key]
        assert scene.store.operations() == ["ListObjectsV2"]

    @pytest.mark.parametrize("names", [["d!", "d-", "d.txt"], ["d0", "da/f"]])
    async def test_names_that_begin_alike_do_not_matter(self, names: list[str]) -> None:
        scene = Scene(*names)
        await scene.tree.mkdir(path("/d"))
        assert scene.store.operations() == ["ListObjectsV2", "PutObject"]

    async def test_a_directory_behind_a_crowd_of_names_is_found(self) -> None:
        crowd = [f"d-{number}" for number in range(40)]
        scene = Scene(*crowd, "d/f")
        with pytest.raises(Exists):
            await scene.tree.mkdir(path("/d"))
        assert scene.store.operations() == ["ListObjectsV2", "ListObjectsV2"]

        scene = Scene(*crowd)
        await scene.tree.mkdir(path("/d"))
        assert scene.store.operations() == ["ListObjectsV2", "ListObjectsV2", "PutObject"]

    async def test_the_root_exists(self) -> None:
        with pytest.raises(Exists):
            await Scene().tree.mkdir(ROOT)

    async def test_only_one_of_two_at_once_makes_it(self) -> None:
        scene = Scene()
        results = await asyncio.gather(
            scene.tree.mkdir(path("/d")), scene.other_tree().mkdir(path("/d")), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), Exists]


class TestRmdir:
    async def test_it_deletes_the_marker_and_nothing_else(self) -> None:
        """P4, P5."""
        scene = Scene("a/", "a", "ab/", "ab/f", "aa")
        await scene.tree.rmdir(path("/a"))
        assert scene.keys == ["a", "aa", "ab/", "ab/f"]
        assert scene.store.operations() == ["ListObjectsV2", "DeleteObject"]

    @pytest.mark.parametrize("keys", [["a/", "a/f"], ["a/f"], ["a/b/"], ["a//"], ["a/b_$folder$"]])
    async def test_anything_but_the_marker_is_content(self, keys: list[str]) -> None:
        scene = Scene(*keys)
        with pytest.raises(NotEmpty):
            await scene.tree.rmdir(path("/a"))
        assert scene.keys == keys
        assert scene.store.operations() == ["ListObjectsV2"]

    @pytest.mark.parametrize("hidden", ["a//", "a//x", "a/../x", "a/.", "a/\x01", "a/\udcff", "a/b_$folder$"])
    @pytest.mark.parametrize("marker", [(), ("a/",)])
    async def test_content_that_cannot_be_shown_is_not_deleted_and_the_reason_says_so(
        self, hidden: str, marker: tuple[str, ...]
    ) -> None:
        scene = Scene(*marker, hidden)
        assert await scene.names("/a") == []
        with pytest.raises(NotEmpty) as caught:
            await scene.tree.rmdir(path("/a"))
        assert "cannot be shown" in caught.value.reason
        assert scene.keys == [*marker, hidden]

    async def test_content_that_is_shown_needs_no_explanation(self) -> None:
        scene = Scene("a/f")
        with pytest.raises(NotEmpty) as caught:
            await scene.tree.rmdir(path("/a"))
        assert caught.value.reason == NotEmpty.words

    async def test_an_empty_page_that_is_not_the_last_does_not_mean_empty(self) -> None:
        scene = Scene("a/", "a/f", page_limit=1)
        with pytest.raises(NotEmpty):
            await scene.tree.rmdir(path("/a"))

    async def test_files_and_nothing_are_no_directories(self) -> None:
        scene = Scene("f", "ab/f")
        with pytest.raises(NotADirectory):
            await scene.tree.rmdir(path("/f"))
        with pytest.raises(NotFound):
            await scene.tree.rmdir(path("/a"))
        assert scene.store.operations() == ["ListObjectsV2", "HeadObject"] * 2
        with pytest.raises(Denied):
            await scene.tree.rmdir(ROOT)

    async def test_the_parent_stays_when_its_last_directory_goes(self) -> None:
        scene = Scene("a/b/")
        await scene.tree.rmdir(path("/a/b"))
        assert await scene.names("/") == ["a/"]
        assert await scene.names("/a") == []
        await scene.tree.rmdir(path("/a"))
        assert await scene.names("/") == []


class TestRemoveAll:
    @pytest.mark.parametrize(
        "keys", [["a/"], ["a/f"], ["a/", "a/b/c/", "a/b/d", "a//x", "a/.."], [f"a/{number}" for number in range(2500)]]
    )
    async def test_it_removes_the_directory_and_all_in_it_and_nothing_else(self, keys: list[str]) -> None:
        """P4: never what only begins alike."""
        scene = Scene(*keys, "a", "ab/f", "a!")
        assert await scene.tree.remove_all(path("/a")) == len(keys)
        assert scene.keys == ["a", "a!", "ab/f"]
        assert not await scene.tree.is_dir(path("/a"))

    async def test_directories_that_are_only_remembered_go_too(self) -> None:
        scene = Scene("a/b/f", "x/y/f")
        await scene.tree.unlink(path("/a/b/f"))
        assert await scene.tree.remove_all(path("/a")) == 0
        assert await scene.names("/") == ["x/"]
        await scene.tree.remove_all(path("/x/y"))
        assert await scene.names("/x") == []

    async def test_files_nothing_and_the_root_are_refused_and_nothing_is_remembered(self) -> None:
        scene = Scene("f", "ab/f")
        with pytest.raises(NotADirectory):
            await scene.tree.remove_all(path("/f"))
        with pytest.raises(NotFound):
            await scene.tree.remove_all(path("/none/a"))
        with pytest.raises(Denied):
            await scene.tree.remove_all(ROOT)
        assert scene.keys == ["ab/f", "f"]
        assert not await scene.tree.is_dir(path("/none"))

    async def test_an_upload_into_it_waits_and_is_kept(self) -> None:
        scene = Scene(*(f"a/{number:04}" for number in range(1500)))
        removing = asyncio.create_task(scene.tree.remove_all(path("/a")))
        await asyncio.sleep(0)
        await scene.write("/a/new", b"new")
        assert removing.done()
        assert scene.keys == ["a/new"]


class TestUnlink:
    async def test_it_deletes_the_exact_key(self) -> None:
        scene = Scene("a", "a/f", "ab")
        await scene.tree.unlink(path("/a"))
        assert scene.keys == ["a/f", "ab"]
        assert scene.store.operations() == ["HeadObject", "DeleteObject"]

    async def test_directories_and_nothing_are_refused(self) -> None:
        scene = Scene("a/f", "ab")
        with pytest.raises(IsADirectory):
            await scene.tree.unlink(path("/a"))
        with pytest.raises(NotFound):
            await scene.tree.unlink(path("/b"))
        assert scene.store.operations() == ["HeadObject", "ListObjectsV2"] * 2
        with pytest.raises(IsADirectory):
            await scene.tree.unlink(ROOT)

    async def test_an_implicit_directory_stays_when_its_last_file_goes(self) -> None:
        scene = Scene("a/b/f")
        await scene.tree.unlink(path("/a/b/f"))

        assert scene.keys == []
        assert await scene.tree.is_dir(path("/a/b"))
        assert (await scene.other_tree().stat(path("/a/b"))).is_dir
        assert await scene.names("/") == ["a/"]
        assert await scene.names("/a") == ["b/"]
        assert await scene.pages("/a/b") == [[]]
        with pytest.raises(Exists):
            await scene.tree.mkdir(path("/a/b"))
        with pytest.raises(NotEmpty):
            await scene.tree.rmdir(path("/a"))
        with pytest.raises(IsADirectory):
            await scene.tree.unlink(path("/a/b"))

        await scene.tree.rmdir(path("/a/b"))
        await scene.tree.rmdir(path("/a"))
        assert len(scene.emptied) == 0
        with pytest.raises(NotFound):
            await scene.tree.stat(path("/a"))

    async def test_a_directory_that_is_filled_again_needs_no_memory(self) -> None:
        scene = Scene("a/b/f")
        await scene.tree.unlink(path("/a/b/f"))
        await scene.write("/a/b/g")
        assert len(scene.emptied) == 0

    async def test_trees_of_overlapping_roots_share_what_they_remember(self) -> None:
        scene = Scene("home/a/f")
        await scene.tree.unlink(path("/home/a/f"))
        assert await scene.other_tree("home/").is_dir(path("/a"))


async def test_locks_are_on_keys_so_that_overlapping_roots_exclude_each_other() -> None:
    scene = Scene("home/f")
    async with scene.locks.exclusive("/home/f"):
        task = asyncio.create_task(scene.other_tree("home/").unlink(path("/f")))
        for _ in range(10):
            await asyncio.sleep(0)
        assert scene.store.operations() == []
    await task
    assert scene.keys == []


async def test_root_is_neither_read_nor_written() -> None:
    scene = Scene()
    with pytest.raises(IsADirectory):
        scene.tree.open_read(ROOT)
    with pytest.raises(IsADirectory):
        scene.tree.open_write(ROOT)


async def test_a_file_with_the_longest_possible_name_is_written_moved_and_deleted() -> None:
    scene = Scene()
    name = "/" + "x" * 1024
    await scene.write(name, b"data")
    await scene.rename(name, "/y")
    await scene.rename("/y", name)
    await scene.tree.unlink(path(name))
    assert scene.keys == []

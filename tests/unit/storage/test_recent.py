from __future__ import annotations

import gc

import pytest

from aioftps3.storage.entries import Entry
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.recent import SEEN_SECONDS, STORED_SECONDS, Recent, Watchers


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def entry(name: str) -> Entry:
    return Entry(name=name, path=VirtualPath(f"/{name}"), is_dir=False)


def test_a_stored_file_is_known_for_a_while() -> None:
    clock = Clock()
    recent = Recent(Watchers(), clock)
    recent.stored("d/f", entry("f"))
    clock.now = STORED_SECONDS
    assert recent.file("d/f") == entry("f")
    assert recent.file("d/g") is None
    clock.now += 1
    assert recent.file("d/f") is None


def test_a_size_is_known_for_a_while_by_whoever_asked_for_it_or_stored_the_file() -> None:
    clock = Clock()
    recent = Recent(Watchers(), clock)
    recent.saw_size("asked", 3)
    recent.stored("stored", entry("stored"))
    clock.now = STORED_SECONDS
    assert [recent.size(key) for key in ("asked", "stored", "other")] == [3, 0, None]
    recent.saw_size("asked", 4)
    clock.now += 1
    assert [recent.size(key) for key in ("asked", "stored")] == [4, None]
    for number in range(1000):
        recent.saw_size(f"{number}", number)
    assert recent.size("asked") is None
    assert sum(recent.size(f"{number}") is not None for number in range(1000)) < 100


def test_a_file_that_may_be_another_is_not_known() -> None:
    recent = Recent(Watchers())
    recent.stored("f", entry("f"))
    recent.gone("f")
    recent.gone("f")
    assert recent.file("f") is None
    recent.stored("f", entry("f"))
    recent.clear()
    assert recent.file("f") is None


def test_only_the_last_files_are_known() -> None:
    recent = Recent(Watchers())
    for number in range(100):
        recent.stored(f"{number}", entry("f"))
        recent.stored("again", entry("f"))
    known = [number for number in range(100) if recent.file(f"{number}")]
    assert known == list(range(100 - len(known), 100))
    assert len(known) == 15
    assert recent.file("again")


@pytest.mark.parametrize("parent", ["", "home/d/"])
def test_what_was_no_directory_is_none_for_a_moment(parent: str) -> None:
    clock = Clock()
    recent = Recent(Watchers(), clock)
    assert not recent.is_no_directory(parent + "x/")
    recent.looks_into(parent)
    assert not recent.is_no_directory(parent + "x/")
    recent.saw([parent + "dir/"], whole=True)
    clock.now = SEEN_SECONDS
    assert recent.is_no_directory(parent + "x/")
    assert not recent.is_no_directory(parent + "dir/")
    assert recent.is_no_directory(parent + "x/y/")
    assert not recent.is_no_directory(parent + "dir/y/")
    assert not recent.is_no_directory(parent)
    assert recent.is_no_directory("elsewhere/x/") is (parent == "")
    clock.now += 1
    assert not recent.is_no_directory(parent + "x/")


def test_directories_that_are_made_meanwhile_are_heard_of() -> None:
    watchers = Watchers()
    recent, other = Recent(watchers), Recent(watchers)
    recent.looks_into("d/")
    watchers.made("d/meanwhile/")
    recent.saw([], whole=True)
    assert not recent.is_no_directory("d/meanwhile/"), "it was made while S3 was asked"
    for key in ("d/made/", "d/implicit/a/b", "d/file", "e/x/", "elsewhere"):
        watchers.made(key)
    assert not recent.is_no_directory("d/made/")
    assert not recent.is_no_directory("d/implicit/")
    assert recent.is_no_directory("d/file/")
    other.looks_into("d/")
    other.saw([], whole=True)
    assert other.is_no_directory("d/made/"), "it was not there any more"
    recent.forget()
    assert not recent.is_no_directory("d/file/")


@pytest.mark.parametrize("is_seen", [True, False])
def test_what_is_heard_is_dropped_when_nobody_comes_back_for_it(is_seen: bool) -> None:
    """RNFR without RNTO, or a look that failed."""
    clock, watchers = Clock(), Watchers()
    recents = [Recent(watchers, clock) for _ in range(3)]
    for recent in recents:
        recent.looks_into("d/")
        if is_seen:
            recent.saw(["d/old/"], whole=True)
    watchers.made("d/new/")
    assert {len(recent._directories) for recent in recents} == {1 + is_seen}
    clock.now += SEEN_SECONDS + 1
    watchers.made("d/newer/")
    assert {len(recent._directories) for recent in recents} == {0}
    assert len(watchers._all) == 0
    recents[0].saw(["d/x/"], whole=True)
    assert not recents[0].is_no_directory("d/newer/"), "it came when nobody listened"


def test_nobody_is_kept_for_being_told() -> None:
    watchers = Watchers()
    recent = Recent(watchers)
    recent.looks_into("")
    del recent
    gc.collect()
    watchers.made("x/")
    assert len(watchers._all) == 0


def test_crowded_directories_are_remembered_within_a_bound() -> None:
    recent = Recent(Watchers())
    recent.saw([], whole=False)
    recent.looks_into("d/")
    recent.saw([], whole=False)
    assert recent.is_crowded("d/")
    assert not recent.is_crowded("e/")
    assert not recent.is_no_directory("d/x/")
    for number in range(1000):
        recent.looks_into(f"{number}/")
        recent.saw([], whole=False)
    assert sum(recent.is_crowded(f"{number}/") for number in range(1000)) <= 100

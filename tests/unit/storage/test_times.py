"""What is remembered of clients' times, and how what is not is looked up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from aioftps3.storage.errors import Unavailable
from aioftps3.storage.store import ObjectInfo
from aioftps3.storage.times import LOOKS_OF_ONE, SLACK_SECONDS, KnownTimes, times_of

STORED = 1_800_000_000.0
GIVEN = 1_500_000_000.5


def an_object(
    key: str = "k", *, etag: str = '"e"', modified: float = STORED, client_time: float | None = None
) -> ObjectInfo:
    return ObjectInfo(key=key, size=1, etag=etag, modified=modified, client_time=client_time)


def test_nothing_is_known_of_an_object_that_nobody_has_seen() -> None:
    assert KnownTimes().find(an_object()) is None


@pytest.mark.parametrize("client_time", [GIVEN, None, 0.0, -5.0])
def test_a_version_that_was_seen_is_known(client_time: float | None) -> None:
    """Listings tell fractions of seconds that headers do not."""
    known = KnownTimes()
    known.saw(an_object(client_time=client_time))
    for modified in (STORED, STORED + 0.987):
        assert known.find(an_object(modified=modified)) == (modified if client_time is None else client_time)
    assert known.find(an_object(etag="e")) is not None, "quotes mean nothing"


@pytest.mark.parametrize(
    "other",
    [an_object("l"), an_object(etag='"f"'), an_object(modified=STORED + 1), an_object(modified=STORED - 1)],
)
def test_another_version_is_not_known(other: ObjectInfo) -> None:
    """The same bytes can be stored again, by another process and under another time."""
    known = KnownTimes()
    known.saw(an_object(client_time=GIVEN))
    assert known.find(other) is None


def test_what_may_be_replaced_in_the_same_second_is_not_remembered() -> None:
    known = KnownTimes()
    known.saw(an_object(client_time=GIVEN), settled=False)
    assert known.find(an_object()) is None
    known.wrote(an_object(client_time=GIVEN))
    known.saw(an_object(client_time=GIVEN), settled=False)
    assert known.find(an_object()) == GIVEN, "it says the same"
    known.saw(an_object(client_time=GIVEN + 1), settled=False)
    assert known.find(an_object()) is None, "somebody else has set another time"


@pytest.mark.parametrize("late", [-SLACK_SECONDS, 0, 1.5, SLACK_SECONDS])
def test_what_was_written_here_is_known_until_the_store_says_when(late: float) -> None:
    known = KnownTimes()
    known.wrote(an_object(client_time=GIVEN))
    listed = an_object(modified=STORED + late)
    assert known.find(listed) == GIVEN
    assert known.find(listed) == GIVEN
    assert known.find(replace(listed, modified=listed.modified + 1)) is None, "another version of the same bytes"


def test_what_says_that_it_was_stored_at_quite_another_time_is_not_what_was_written_here() -> None:
    known = KnownTimes()
    known.wrote(an_object(client_time=GIVEN))
    assert known.find(an_object(modified=STORED + SLACK_SECONDS + 1)) is None
    assert known.find(an_object(modified=STORED - SLACK_SECONDS - 1)) is None


def test_an_upload_shows_the_stores_time() -> None:
    known = KnownTimes()
    known.wrote(an_object())
    assert known.find(an_object(modified=STORED + 2)) == STORED + 2


def test_a_time_that_is_set_replaces_the_one_before() -> None:
    known = KnownTimes()
    known.wrote(an_object())
    known.find(an_object())
    known.wrote(an_object(client_time=GIVEN))
    assert known.find(an_object()) == GIVEN


def test_a_copy_has_the_time_of_its_source_if_that_is_known() -> None:
    known = KnownTimes()
    known.copied(an_object("source"), an_object("target"))
    assert known.find(an_object("target")) is None
    known.saw(an_object("source", client_time=GIVEN))
    known.copied(an_object("source", modified=1.0), an_object("target"))
    assert known.find(an_object("target", modified=STORED + 1)) == GIVEN


def test_memory_is_bounded_and_what_was_used_stays() -> None:
    known = KnownTimes(capacity=3)
    for key in "abc":
        known.saw(an_object(key))
    known.find(an_object("a"))
    known.saw(an_object("d"))
    assert len(known) == 3
    assert [key for key in "abcd" if known.find(an_object(key)) is not None] == ["a", "c", "d"]


class Looks:
    """Finds times when it is let."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.under_way = self.peak = self.cancelled = 0
        self.fails_at: str | None = None
        self.open = asyncio.Event()

    async def __call__(self, info: ObjectInfo) -> float:
        self.keys.append(info.key)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            await self.open.wait()
            if info.key == self.fails_at:
                raise Unavailable
            for _ in range(int(info.key) % 7):
                await asyncio.sleep(0)
            return float(info.key)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1


def crowd(count: int) -> list[ObjectInfo]:
    return [an_object(str(number)) for number in range(count)]


async def test_what_is_not_known_is_looked_up_some_at_a_time_and_comes_in_order() -> None:
    known, look = KnownTimes(), Looks()
    known.saw(an_object("3", client_time=GIVEN))
    look.open.set()
    times = await times_of(crowd(100), known, look)
    assert times == [GIVEN if number == 3 else float(number) for number in range(100)]
    assert sorted(look.keys) == sorted(str(number) for number in range(100) if number != 3)
    assert look.peak == LOOKS_OF_ONE


async def test_what_is_known_is_not_looked_up() -> None:
    known, look = KnownTimes(), Looks()
    for info in crowd(10):
        known.saw(info)
    assert await times_of(crowd(10), known, look) == [STORED] * 10
    assert await times_of([], known, look) == []
    assert look.keys == []


async def test_a_failure_ends_all_looks() -> None:
    look = Looks()
    look.fails_at = "20"
    look.open.set()
    with pytest.raises(Unavailable):
        await times_of(crowd(100), KnownTimes(), look)
    assert look.under_way == 0
    assert len(look.keys) < 100


async def test_cancellation_ends_all_looks() -> None:
    look = Looks()
    task = asyncio.create_task(times_of(crowd(100), KnownTimes(), look))
    for _ in range(5):
        await asyncio.sleep(0)
    assert look.under_way == LOOKS_OF_ONE
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert look.under_way == 0
    assert look.cancelled == len(look.keys) == LOOKS_OF_ONE

"""Downloads of any size: resumed, and read by several GETs at a time."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from aioftps3.s3.budget import Account, ByteBudget
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.download import Download
from aioftps3.s3.errors import ChecksumMismatch, ConnectionBroken, ObjectChanged, S3Error, Throttled
from aioftps3.s3.ranges import Parallel
from aioftps3.s3.retry import NO_RETRIES, RetryPolicy
from aioftps3.s3.version import RESUMES
from tests.unit.s3.fake_object import Broken, FakeObject, Replaced
from tests.unit.s3.fakes import ENDPOINT, PATIENT, Answered, etag, is_whole, settle

RANGE = 100
LEAST = 300
MEASURED = 50

SLOW_DOWN = Answered(503, "SlowDown")


def content(size: int, seed: int = 0) -> bytes:
    return b"".join(hashlib.sha256(b"%d %d" % (seed, block)).digest() for block in range(size // 32 + 1))[:size]


DATA = content(1234)


@dataclass
class Reading:
    """A download of one object, with everything that it could leave behind."""

    s3: FakeObject
    streams: int = 4
    ranges_in_budget: int = 100
    retry: RetryPolicy = NO_RETRIES
    checksum: Algorithm | None = None
    client_seconds: float = 0.0
    """What the client takes for each chunk, while S3 takes one second."""
    got: bytearray = field(default_factory=bytearray)
    chunk_sizes: list[int] = field(default_factory=list)
    budget: ByteBudget = field(init=False)
    client: S3Client = field(init=False)

    def __post_init__(self) -> None:
        self.budget = ByteBudget(2 * RANGE * self.ranges_in_budget)
        keys = StaticCredentials("AK", "SK")
        self.client = S3Client(self.s3, ENDPOINT, keys, retry=self.retry, checksum=self.checksum)

    async def open(self, offset: int = 0) -> Download:
        parallel = Parallel(
            budget=self.budget,
            streams=self.streams,
            range_bytes=RANGE,
            least_bytes=LEAST,
            measured_bytes=MEASURED,
            clock=self.s3.clock,
        )
        stream = await self.client.get_object("k", offset=offset)
        return Download(self.client, stream, parallel=parallel if self.streams > 1 else None)

    async def read(self, offset: int = 0, *, each: Callable[[], None] = lambda: None) -> bytes:
        """All that comes, until the end or an error; nothing is left behind either way."""
        download = await self.open(offset)
        try:
            async for chunk in download.chunks():
                self.got += chunk
                self.chunk_sizes.append(len(chunk))
                self.s3.clock.now += self.client_seconds
                each()
        finally:
            await download.close()
            assert is_whole(self.budget)
            assert self.s3.reading == 0
        return bytes(self.got)

    @property
    def ranges(self) -> list[tuple[int, int | None]]:
        """The requests of ranges that have an end."""
        return [each for each in self.s3.requests if each[1] is not None]


# -- one stream ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, LEAST - 1, LEAST, len(DATA)])
@pytest.mark.parametrize("offset", [0, 1, 200])
async def test_by_default_a_download_is_one_get(size: int, offset: int) -> None:
    reading = Reading(FakeObject(DATA[: max(size, offset + 1)]), streams=1)
    assert await reading.read(offset) == DATA[offset : max(size, offset + 1)]
    assert len(reading.s3.requests) == 1


@pytest.mark.parametrize("how", ["reset", "stall", "end"])
async def test_one_stream_goes_on_at_its_position_with_the_condition(how: str) -> None:
    reading = Reading(FakeObject(DATA, faults={0: Broken(500, how), 1: Broken(0, how), 2: Broken(1, how)}), streams=1)
    assert await reading.read() == DATA
    assert reading.s3.requests == [(0, None), (500, None), (500, None), (501, None)]
    assert reading.s3.conditions == [None, *[etag(DATA)] * 3]


async def test_breaks_in_a_row_are_limited() -> None:
    reading = Reading(FakeObject(DATA, faults={number: Broken(3) for number in range(100)}), streams=1)
    with pytest.raises(ConnectionBroken):
        await reading.read()
    assert len(reading.s3.requests) == 1 + RESUMES
    assert reading.got == DATA[: 3 * (1 + RESUMES)]


async def test_a_long_download_may_break_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.s3.download.RESUME_BYTES", 100)
    reading = Reading(FakeObject(DATA, faults={number: Broken(100) for number in range(100)}), streams=1)
    assert await reading.read() == DATA
    assert len(reading.s3.requests) == -(-len(DATA) // 100) > 1 + RESUMES


async def test_a_stream_that_breaks_after_its_last_byte_is_whole() -> None:
    for streams in (1, 4):
        reading = Reading(FakeObject(DATA, faults={0: Broken(len(DATA))}), streams=streams, client_seconds=10)
        assert await reading.read() == DATA
        assert len(reading.s3.requests) == 1


# -- ranges -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [2, 3, 16])
@pytest.mark.parametrize("offset", [0, 17])
async def test_a_large_object_is_read_in_ranges_when_s3_is_slower_than_the_client(streams: int, offset: int) -> None:
    reading = Reading(FakeObject(DATA), streams=streams)
    assert await reading.read(offset) == DATA[offset:]
    first = reading.ranges[0][0]
    assert MEASURED <= first - offset < MEASURED + reading.s3.piece
    starts = range(first, len(DATA), RANGE)
    assert reading.s3.requests == [
        (offset, None),
        *((start, min(start + RANGE, len(DATA)) - 1) for start in starts),
    ]
    assert reading.s3.conditions == [None, *[etag(DATA)] * len(starts)]
    assert reading.s3.most_reading == min(streams, 6), "twice as many after each round of them, up to what is left"
    assert reading.s3.given == len(DATA) - offset, "nothing is fetched twice"


async def test_a_small_object_is_one_get_whatever_the_number_of_streams() -> None:
    reading = Reading(FakeObject(DATA[: LEAST - 1]))
    assert await reading.read() == DATA[: LEAST - 1]
    assert len(reading.s3.requests) == 1


async def test_what_is_left_decides_and_not_the_size_of_the_object() -> None:
    reading = Reading(FakeObject(DATA))
    offset = len(DATA) - LEAST + 1
    assert await reading.read(offset) == DATA[offset:]
    assert len(reading.s3.requests) == 1


async def test_a_client_that_is_slower_than_s3_is_served_by_one_get() -> None:
    reading = Reading(FakeObject(DATA), client_seconds=1.5)
    assert await reading.read() == DATA
    assert len(reading.s3.requests) == 1


async def test_a_client_that_becomes_slow_is_served_by_one_stream_again() -> None:
    """And what was fetched ahead for it is not thrown away."""
    reading = Reading(FakeObject(content(20_000)), streams=3)

    def grow_tired() -> None:
        if len(reading.got) > 1000:
            reading.client_seconds = 100.0

    assert await reading.read(each=grow_tired) == content(20_000)
    last = reading.ranges[-1][1]
    assert last is not None
    assert reading.s3.requests[-1] == (last + 1, None)
    assert len(reading.ranges) < 25
    assert reading.s3.given == 20_000


async def test_memory_for_ranges_comes_from_the_budget_and_half_of_that_is_left_alone() -> None:
    reading = Reading(FakeObject(DATA), streams=16, ranges_in_budget=5)
    used: list[int] = []
    assert await reading.read(each=lambda: used.append(reading.budget.in_use)) == DATA
    assert max(used) == 5 * RANGE == reading.budget.total // 2
    assert len(reading.s3.requests) == 1 + -(-(len(DATA) - reading.ranges[0][0]) // RANGE)


@pytest.mark.parametrize("taken", [0.5, 0.9, 1.0])
async def test_without_memory_for_two_ranges_a_download_stays_one_get(taken: float) -> None:
    reading = Reading(FakeObject(DATA), ranges_in_budget=3)
    amount = int(reading.budget.total * taken)
    assert reading.budget.try_acquire(amount)
    download = await reading.open()
    assert b"".join([chunk async for chunk in download.chunks()]) == DATA
    await download.close()
    assert reading.budget.in_use == amount
    assert len(reading.s3.requests) == 1


async def test_memory_that_becomes_free_is_used_and_memory_that_is_wanted_is_left() -> None:
    reading = Reading(FakeObject(content(5000)), ranges_in_budget=3)
    wanted = reading.budget.total
    assert reading.budget.try_acquire(wanted)
    uploads: list[asyncio.Task[None]] = []
    held = [wanted]
    taken: list[Account] = []
    blocks: list[bytearray] = []

    async def upload() -> None:
        account = reading.budget.account(short=lambda: None, evicted=lambda: None, filled=lambda: 0)
        account.begin(wanted, wanted)
        taken.append(account)
        blocks.append(await account.take())

    def change() -> None:
        if held and len(reading.got) > 1000:
            reading.budget.release(held.pop())
        if not uploads and len(reading.got) > 3000:
            uploads.append(asyncio.create_task(upload()))

    download = await reading.open()
    async for chunk in download.chunks():
        reading.got += chunk
        change()
    assert reading.got == content(5000)
    await download.close()
    await asyncio.gather(*uploads)
    taken[0].drop(blocks)
    assert is_whole(reading.budget)
    ranges = reading.ranges
    assert 1000 < ranges[0][0] < 1200
    last = ranges[-1][1]
    assert last is not None
    assert 3000 < last < 3500
    assert reading.s3.requests == [(0, None), *ranges, (last + 1, None)]


# -- faults of ranges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "stall", "end"])
@pytest.mark.parametrize("at", [0, 1, 50, RANGE - 1, RANGE])
@pytest.mark.parametrize("number", [1, 2, 5, 12])
async def test_a_broken_range_goes_on_at_its_position(number: int, at: int, how: str) -> None:
    reading = Reading(FakeObject(DATA, faults={number: Broken(at, how)}))
    assert await reading.read() == DATA
    assert reading.s3.given == len(DATA)
    starts = -(-(len(DATA) - reading.ranges[0][0]) // RANGE)
    whole = at >= 1 + (reading.s3.requests[number][1] or 0) - reading.s3.requests[number][0]
    assert len(reading.s3.requests) == 1 + starts + (not whole)


async def test_a_range_that_breaks_too_often_is_tried_as_one_stream_and_then_given_up() -> None:
    reading = Reading(FakeObject(DATA, faults={number: Broken(0) for number in range(1, 100)}), streams=2)
    with pytest.raises(ConnectionBroken):
        await reading.read()
    assert reading.got == DATA[: reading.ranges[0][0]]
    assert len(reading.s3.requests) == 1 + 2 * (1 + RESUMES) + (1 + RESUMES)


async def test_a_store_that_refuses_ranges_for_their_number_is_read_by_one_stream() -> None:
    reading = Reading(FakeObject(DATA, faults={2: SLOW_DOWN}))
    assert await reading.read() == DATA
    assert reading.s3.requests[-1] == (reading.ranges[1][0], None)
    assert len(reading.s3.requests) == 4


async def test_a_range_that_is_refused_once_is_sent_for_again() -> None:
    reading = Reading(FakeObject(DATA, faults={3: SLOW_DOWN}), retry=PATIENT)
    assert await reading.read() == DATA
    assert reading.s3.given == len(DATA)
    assert reading.s3.requests.count(reading.s3.requests[3]) == 2


async def test_a_store_that_refuses_everything_from_then_on_is_an_error() -> None:
    reading = Reading(FakeObject(DATA, faults=dict.fromkeys(range(3, 100), SLOW_DOWN)))
    with pytest.raises(Throttled):
        await reading.read()
    assert DATA.startswith(reading.got)


@pytest.mark.parametrize("careful", [True, False])
@pytest.mark.parametrize("by", [content(len(DATA), 1), content(5), None])
@pytest.mark.parametrize("number", [1, 2, 5, 12])
async def test_an_object_that_changes_between_its_ranges_is_never_mixed(
    number: int, by: bytes | None, careful: bool
) -> None:
    reading = Reading(FakeObject(DATA, careful=careful, faults={number: Replaced(by)}))
    with pytest.raises(S3Error) as caught:
        await reading.read()
    if careful:
        assert caught.type is ObjectChanged
    assert DATA.startswith(reading.got)
    assert len(reading.got) < len(DATA)


@pytest.mark.parametrize("broken", [{}, {1: Broken(10)}, {3: SLOW_DOWN}, {5: Broken(0), 6: Broken(0)}])
async def test_ranges_are_verified_together(broken: dict[int, Broken | Answered]) -> None:
    reading = Reading(FakeObject(DATA, faults=dict(broken)), checksum=Algorithm.CRC32)
    assert await reading.read() == DATA
    assert reading.ranges


@pytest.mark.parametrize("broken", [{}, {0: Broken(20)}, {1: Broken(10)}, {3: SLOW_DOWN}])
@pytest.mark.parametrize("at", [0, 500, len(DATA) - 1])
async def test_damage_in_any_range_is_noticed_before_the_end(at: int, broken: dict[int, Broken | Answered]) -> None:
    reading = Reading(FakeObject(DATA, damaged=at, faults=dict(broken)), checksum=Algorithm.CRC32)
    with pytest.raises(ChecksumMismatch):
        await reading.read()
    assert reading.ranges
    assert len(reading.got) < len(DATA)


# -- ends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [1, 5, 9, 20, 60, 150])
async def test_a_download_that_is_closed_reads_nothing_more(chunks: int) -> None:
    tasks = asyncio.all_tasks()
    reading = Reading(FakeObject(DATA))
    download = await reading.open()
    source = download.chunks()
    for _ in range(chunks):
        reading.got += await anext(source)
    await download.close()
    given = reading.s3.given
    assert asyncio.all_tasks() == tasks
    assert reading.s3.reading == 0
    assert is_whole(reading.budget)
    await settle(100)
    assert reading.s3.given == given
    await download.close()


async def test_a_download_that_is_cancelled_while_it_waits_leaves_nothing() -> None:
    for turns in range(200):
        tasks = asyncio.all_tasks()
        reading = Reading(FakeObject(DATA, faults={3: Broken(20), 4: SLOW_DOWN}))
        task = asyncio.create_task(reading.read())
        await settle(turns)
        task.cancel()
        await asyncio.wait({task})
        await settle()
        assert asyncio.all_tasks() == tasks
        assert DATA.startswith(reading.got)
        assert task.cancelled() or reading.got == DATA
        if not task.cancelled():
            break
    else:
        raise AssertionError("no turn without a cancellation")


async def test_a_close_that_is_cancelled_has_given_back_everything() -> None:
    reading = Reading(FakeObject(DATA))
    download = await reading.open()
    source = download.chunks()
    while not reading.ranges:
        await anext(source)
    closing = asyncio.create_task(download.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    await settle()
    assert is_whole(reading.budget)
    assert reading.s3.reading == 0

"""The budget, under any number of uploads of any size in any order: nobody waits for ever, and nothing leaks."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioftps3.s3.budget import Account, ByteBudget
from aioftps3.s3.errors import UploadEvicted
from aioftps3.s3.upload import Upload
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.s3.fakes import FakeS3, client_of, is_whole

NEVER = 1e4
PATIENCE = 10.0


class Sender:
    """An upload whose client goes on sending: part by part, each as the budget lets it."""

    def __init__(self, budget: ByteBudget, parts: list[tuple[int, int]], chance: random.Random) -> None:
        self.account: Account = budget.account(short=self.short, evicted=self.evicted, filled=lambda: 0)
        self.budget = budget
        self.parts = parts
        self.chance = chance
        self.answer_seconds = 0.0
        self.blocks: list[bytearray] = []
        self.answers: set[asyncio.Task[None]] = set()
        self.is_taking = False
        self.broken = asyncio.Event()
        self.came_back = asyncio.Event()

    def evicted(self) -> None:
        """Somebody has waited for as good as ever; its next step fails the test."""
        self.account.drop(self.blocks)
        self.blocks = []
        self.account.close(UploadEvicted())
        self.broken.set()

    def short(self) -> None:
        assert self.account.filling >= self.account.least
        if not self.is_taking:
            self.send()

    def send(self) -> None:
        self.account.send()
        blocks, self.blocks = self.blocks, []
        answer = asyncio.create_task(asyncio.sleep(self.answer_seconds or self.chance.choice([0, 0, 1, 5])))
        answer.add_done_callback(lambda _: self.came(blocks))
        self.answers.add(answer)

    def came(self, blocks: list[bytearray]) -> None:
        self.account.returned(blocks)
        self.came_back.set()

    async def pause(self) -> None:
        if self.chance.random() < 0.5:
            await asyncio.sleep(self.chance.choice([0, 0, 0.1, 2]))

    async def run(self) -> None:
        try:
            for size, least in self.parts:
                await self.part(size, least)
            await asyncio.gather(*self.answers)
            assert not self.broken.is_set()
        finally:
            self.account.drop(self.blocks)
            self.blocks = []
            self.account.close()
            for answer in self.answers:
                answer.cancel()
            await asyncio.gather(*self.answers, return_exceptions=True)

    async def part(self, size: int, least: int) -> None:
        self.account.begin(size, least)
        while self.account.filling < size:
            while self.account.is_at_limit:
                self.came_back.clear()
                await self.came_back.wait()
            block = self.account.try_take()
            if block is None:
                if self.blocks and not self.account.need:
                    break
                self.is_taking = True
                try:
                    block = await self.account.take()
                finally:
                    self.is_taking = False
            self.blocks.append(block)
            assert self.budget.in_use + self.budget.idle <= self.budget.total
            await self.pause()
            if not self.blocks:
                return  # it was sent when memory became short
        self.send()
        await self.pause()


part_sizes = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda pair: (max(pair), min(pair)))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    total=st.integers(40, 120),
    block=st.integers(1, 50),
    growth=st.sampled_from([1, 2, 4]),
    uploads=st.lists(st.lists(part_sizes, max_size=6), max_size=12),
    seed=st.integers(0, 10**6),
    cancelled=st.lists(st.tuples(st.integers(0, 11), st.floats(0, 20)), max_size=4),
)
def test_uploads_that_go_on_sending_all_finish_whatever_their_sizes_and_their_order(
    total: int,
    block: int,
    growth: int,
    uploads: list[list[tuple[int, int]]],
    seed: int,
    cancelled: list[tuple[int, float]],
) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        budget = ByteBudget(total, block=block, growth=growth, patience=NEVER)
        tasks = [asyncio.create_task(Sender(budget, parts, chance).run()) for parts in uploads]
        loop = asyncio.get_running_loop()
        for number, seconds in cancelled:
            if number < len(tasks):
                loop.call_later(seconds, tasks[number].cancel)
        if tasks:
            await asyncio.wait(tasks)
        for number, task in enumerate(tasks):
            if task.cancelled():
                assert any(number == other for other, _ in cancelled)
            else:
                task.result()
        assert is_whole(budget)
        assert budget.idle <= budget.total

    run_in_virtual_time(run())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    total=st.integers(160, 400),
    block=st.integers(1, 30),
    growth=st.sampled_from([1, 2, 4]),
    hanging=st.lists(part_sizes, min_size=1, max_size=8),
    uploads=st.lists(st.lists(part_sizes, max_size=6), max_size=12),
    seed=st.integers(0, 10**6),
)
def test_one_upload_whose_parts_hang_keeps_nobody_from_finishing(
    total: int, block: int, growth: int, hanging: list[tuple[int, int]], uploads: list[list[tuple[int, int]]], seed: int
) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        budget = ByteBudget(total, block=block, growth=growth, patience=NEVER)
        slow = Sender(budget, hanging, chance)
        slow.answer_seconds = 2 * NEVER
        task = asyncio.create_task(slow.run())
        others = [Sender(budget, parts, chance) for parts in uploads]
        await asyncio.wait_for(asyncio.gather(*(other.run() for other in others)), NEVER)
        task.cancel()
        await asyncio.wait({task})
        assert is_whole(budget)

    run_in_virtual_time(run())


PART = 48


@pytest.fixture(autouse=True, scope="module")
def small_parts_can_be_sent_early() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aioftps3.s3.parts.LEAST_PART_BYTES", 20)
        patch.setattr("aioftps3.s3.parts.SLACK_SHARE", 4)
        yield


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(0, 6 * PART), min_size=1, max_size=16),
    silent=st.lists(st.integers(1, 3 * PART), max_size=16),
    parts_of_budget=st.integers(1, 6),
    block=st.integers(5, PART + 1),
    growth=st.sampled_from([1, 2, 4]),
    equal=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_uploads_finish_whoever_falls_silent(
    sizes: list[int], silent: list[int], parts_of_budget: int, block: int, growth: int, equal: bool, seed: int
) -> None:
    chance = random.Random(seed)
    fake = FakeS3()

    async def run() -> None:
        budget = ByteBudget(parts_of_budget * PART, block=block, growth=growth, patience=PATIENCE)

        def upload_of(key: str) -> Upload:
            return Upload(client_of(fake), key, budget=budget, part_size=PART, parts_in_flight=2, equal_parts=equal)

        async def send(upload: Upload, data: bytes) -> None:
            while data:
                room = await upload.room()
                count = min(len(room), len(data), chance.randint(1, PART))
                room[:count] = data[:count]
                upload.filled(count)
                assert budget.in_use + budget.idle <= budget.total
                data = data[count:]
                if chance.random() < 0.3:
                    await asyncio.sleep(chance.choice([0, 0.1, 2]))

        async def whole(number: int, size: int) -> None:
            upload = upload_of(f"{number}")
            await send(upload, chance.randbytes(size))
            assert (await upload.complete()).size == size

        async def cut(size: int) -> None:
            upload = upload_of("silent")
            try:
                with suppress(UploadEvicted):
                    await send(upload, bytes(size))
                    broken = asyncio.Event()
                    upload.on_broken(broken.set)
                    await asyncio.wait_for(broken.wait(), 3600)
                    await upload.room()
            finally:
                await upload.abort()

        silences = [asyncio.create_task(cut(size)) for size in silent]
        await asyncio.wait_for(asyncio.gather(*(whole(number, size) for number, size in enumerate(sizes))), 1800)
        for task in silences:
            task.cancel()
        ends = await asyncio.gather(*silences, return_exceptions=True)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
        assert {key: len(data) for key, data in fake.objects.items()} == {str(n): size for n, size in enumerate(sizes)}
        assert fake.uploads == {}
        assert is_whole(budget)

    run_in_virtual_time(run())

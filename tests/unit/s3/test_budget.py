"""The process-wide limit on upload memory: who gets a block, who waits, and who loses his."""

import asyncio

import pytest

from aioftps3.s3.blocks import BlockPool
from aioftps3.s3.budget import LAPSE_SECONDS, Account, ByteBudget
from aioftps3.s3.errors import RequestInvalid, UploadEnded, UploadEvicted
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.s3.fakes import is_whole, settle

BLOCK = 10
PATIENCE = 5.0


class Holder:
    """An upload as the budget sees it."""

    def __init__(self, budget: ByteBudget, *, size: int = 4 * BLOCK, least: int | None = None) -> None:
        self.account: Account = budget.account(short=self.short, evicted=self.evicted, filled=self.filled)
        self.size = size
        self.least = size if least is None else least
        self.blocks: list[bytearray] = []
        self.sent: list[list[bytearray]] = []
        self.told = 0
        self.is_evicted = False
        self.came = 0
        """Bytes that have come beyond its first block."""
        self.is_prompt = False
        """Whether it sends when it is told that memory is short."""

    def short(self) -> None:
        self.told += 1
        if self.is_prompt:
            self.send()

    def filled(self) -> int:
        return self.came

    def evicted(self) -> None:
        self.is_evicted = True
        self.drop()
        self.account.close(UploadEvicted())

    async def take(self, count: int = 1) -> None:
        for _ in range(count):
            if not self.blocks:
                self.account.begin(self.size, self.least)
            self.blocks.append(await self.account.take())

    def waits(self, count: int = 1) -> "asyncio.Task[None]":
        return asyncio.create_task(self.take(count))

    def send(self) -> None:
        self.account.send()
        self.sent.append(self.blocks)
        self.blocks = []

    def returned(self) -> None:
        self.account.returned(self.sent.pop(0))

    def drop(self) -> None:
        self.account.drop(self.blocks)
        self.blocks = []


async def test_blocks_are_granted_one_by_one_and_given_back() -> None:
    budget = ByteBudget(100, block=BLOCK, growth=1)
    holder = Holder(budget, size=25)
    assert budget.in_use == 0
    await holder.take(3)
    assert [len(block) for block in holder.blocks] == [10, 10, 5]
    assert (budget.in_use, holder.account.filling, holder.account.in_flight) == (25, 25, 0)
    holder.send()
    assert (budget.in_use, holder.account.filling, holder.account.in_flight) == (25, 0, 25)
    await holder.take(1)
    holder.returned()
    assert (budget.in_use, holder.account.held) == (10, 10)
    holder.drop()
    assert is_whole(budget)


async def test_a_part_is_begun_only_when_all_that_it_needs_is_there_and_then_never_waits() -> None:
    budget = ByteBudget(6 * BLOCK, block=BLOCK, growth=1)
    first, second = Holder(budget), Holder(budget, size=3 * BLOCK)
    await first.take()
    assert budget.in_use == BLOCK
    beginning = second.waits(3)
    await settle()
    assert budget.waiting == 1
    await first.take(3)
    assert not beginning.done()
    first.send()
    await settle()
    assert not beginning.done()
    first.returned()
    await beginning
    second.drop()
    assert is_whole(budget)


def test_a_promise_lapses_when_no_block_is_filled_for_a_moment() -> None:
    async def scenario() -> None:
        budget = ByteBudget(8 * BLOCK, block=BLOCK, growth=1)
        slow = [Holder(budget), Holder(budget)]
        for holder in slow:
            await holder.take()
        began = asyncio.get_running_loop().time()
        other = Holder(budget, size=3 * BLOCK)
        await other.take(3)
        assert LAPSE_SECONDS <= asyncio.get_running_loop().time() - began <= 2 * LAPSE_SECONDS
        # What is left is still enough for the slow ones, one after the other.
        for holder in slow:
            await holder.take(3)
            holder.drop()
        assert budget.in_use == 3 * BLOCK

    run_in_virtual_time(scenario())


def test_a_promise_is_kept_while_blocks_are_filled() -> None:
    async def scenario() -> None:
        budget = ByteBudget(10 * BLOCK, block=BLOCK, growth=1)
        steady, other = Holder(budget, size=8 * BLOCK), Holder(budget, size=3 * BLOCK)
        await steady.take()
        beginning = other.waits()
        for _ in range(7):
            await asyncio.sleep(0.9 * LAPSE_SECONDS)
            await steady.take()
        assert not beginning.done()
        steady.drop()
        await beginning

    run_in_virtual_time(scenario())


def test_a_part_is_begun_only_when_those_with_lapsed_promises_can_still_go_on() -> None:
    async def scenario() -> None:
        budget = ByteBudget(12 * BLOCK, block=BLOCK, growth=1)
        slow, hanging, other = Holder(budget, size=5 * BLOCK), Holder(budget, size=6 * BLOCK), Holder(budget)
        await slow.take(2)
        await asyncio.sleep(1)
        await hanging.take(6)
        hanging.send()
        beginning = other.waits()
        await asyncio.sleep(1)
        assert not beginning.done()
        # S3 never takes the part of the one that hangs, and this one goes on all the same.
        await slow.take(3)
        slow.send()
        slow.returned()
        await beginning
        assert budget.in_use == 7 * BLOCK

    run_in_virtual_time(scenario())


def test_who_is_in_the_middle_of_a_part_goes_before_who_wants_to_begin_and_who_needs_least_first() -> None:
    async def scenario() -> None:
        budget = ByteBudget(14 * BLOCK, block=BLOCK, growth=1)
        sizes = {"first": 5, "more": 4, "least": 3}
        holders = {name: Holder(budget, size=size * BLOCK) for name, size in sizes.items()}
        for holder in holders.values():
            await holder.take()
        await asyncio.sleep(1)
        assert budget.try_acquire(7 * BLOCK)
        await holders["first"].take()
        order: list[str] = []

        async def take(name: str, holder: Holder) -> None:
            await holder.take()
            order.append(name)

        other = Holder(budget, size=BLOCK)
        waiting = {"other": other, "more": holders["more"], "least": holders["least"]}
        tasks = [asyncio.create_task(take(name, holder)) for name, holder in waiting.items()]
        await settle()
        assert budget.waiting == 3
        holders["first"].drop()
        await settle()
        assert order == ["least", "more"]
        holders["least"].drop()
        await asyncio.gather(*tasks)
        assert order == ["least", "more", "other"]

    run_in_virtual_time(scenario())


async def test_who_wants_to_begin_waits_behind_who_came_before_and_large_ones_are_not_starved() -> None:
    budget = ByteBudget(10 * BLOCK, block=BLOCK, growth=1)
    holder, large, small = Holder(budget), Holder(budget, size=9 * BLOCK), Holder(budget, size=BLOCK)
    await holder.take(4)
    large_waits, small_waits = large.waits(9), small.waits()
    await settle()
    assert (budget.waiting, budget.in_use) == (2, 4 * BLOCK)
    holder.drop()
    await large_waits
    await small_waits
    large.drop()
    small.drop()
    assert is_whole(budget)


async def test_a_part_that_can_be_sent_is_called_for_when_somebody_waits() -> None:
    budget = ByteBudget(9 * BLOCK, block=BLOCK, growth=1)
    ready, not_yet = Holder(budget, least=2 * BLOCK), Holder(budget, least=4 * BLOCK)
    ready.is_prompt = not_yet.is_prompt = True
    await ready.take(3)
    await not_yet.take(2)
    other = Holder(budget, size=3 * BLOCK)
    assert (ready.told, not_yet.told) == (0, 0)
    waits = other.waits()
    await settle()
    assert (ready.told, not_yet.told) == (1, 0)
    assert budget.is_short
    ready.returned()
    await waits
    assert not budget.is_short
    not_yet.drop()
    other.drop()
    assert is_whole(budget)


async def test_who_has_more_than_his_share_in_flight_begins_after_the_others() -> None:
    budget = ByteBudget(9 * BLOCK, block=BLOCK, growth=1)
    heavy, light, late, holder = (Holder(budget, size=size * BLOCK) for size in (5, 3, 3, 3))
    await heavy.take(5)
    heavy.send()
    await holder.take(3)
    order: list[str] = []

    async def begin(name: str, one: Holder) -> None:
        await one.take()
        order.append(name)

    waiting = {"heavy": heavy, "light": light, "late": late}
    tasks = [asyncio.create_task(begin(name, one)) for name, one in waiting.items()]
    await settle()
    assert order == []
    holder.drop()
    await settle()
    light.drop()
    await settle()
    late.drop()
    heavy.returned()
    await asyncio.gather(*tasks)
    assert order == ["light", "late", "heavy"]
    heavy.drop()
    assert is_whole(budget)


async def test_one_upload_is_at_its_limit_with_half_of_the_budget() -> None:
    budget = ByteBudget(10 * BLOCK, block=BLOCK, growth=1)
    holder = Holder(budget, size=3 * BLOCK)
    await holder.take(3)
    assert not holder.account.is_at_limit
    holder.send()
    await holder.take(2)
    assert holder.account.is_at_limit
    holder.returned()
    assert not holder.account.is_at_limit
    holder.drop()


async def test_one_part_is_allowed_whatever_the_limit_is() -> None:
    budget = ByteBudget(4 * BLOCK, block=BLOCK, growth=1)
    holder = Holder(budget, size=4 * BLOCK)
    for _ in range(4):
        assert not holder.account.is_at_limit
        await holder.take()
    holder.send()
    holder.account.begin(4 * BLOCK, 4 * BLOCK)
    assert holder.account.is_at_limit
    holder.returned()
    assert is_whole(budget)


# -- cancellation and closing --------------------------------------------------------------------------------------


async def test_a_cancelled_waiter_lets_the_next_one_through() -> None:
    budget = ByteBudget(4 * BLOCK, block=BLOCK, growth=1)
    holder, large, small = Holder(budget, size=2 * BLOCK), Holder(budget), Holder(budget, size=BLOCK)
    await holder.take(2)
    waits, behind = large.waits(), small.waits()
    await settle()
    assert budget.waiting == 2
    waits.cancel()
    await settle()
    assert waits.cancelled()
    assert behind.done()
    assert (budget.in_use, budget.waiting) == (3 * BLOCK, 0)


def test_what_a_cancelled_waiter_needs_to_go_on_stays_there() -> None:
    async def scenario() -> None:
        budget = ByteBudget(8 * BLOCK, block=BLOCK, growth=1)
        first, second = Holder(budget), Holder(budget)
        await first.take()
        await second.take()
        await asyncio.sleep(1)
        assert budget.try_acquire(3 * BLOCK)
        await first.take()
        waits = second.waits()
        await settle()
        assert budget.waiting == 1
        first.drop()
        waits.cancel()
        await asyncio.wait({waits})
        assert waits.cancelled()
        assert not budget.try_acquire(BLOCK + 1)
        assert budget.try_acquire(BLOCK)
        await second.take(3)
        second.drop()
        budget.release(4 * BLOCK)
        assert is_whole(budget)

    run_in_virtual_time(scenario())


async def test_a_waiter_cancelled_in_the_turn_of_its_grant_gives_it_back() -> None:
    budget = ByteBudget(BLOCK, block=BLOCK, growth=1)
    holder, other = Holder(budget, size=BLOCK), Holder(budget, size=BLOCK)
    await holder.take()
    waiter = other.waits()
    await settle()
    holder.drop()
    waiter.cancel()
    await asyncio.wait({waiter})
    assert waiter.cancelled()
    assert is_whole(budget)
    await holder.take()


async def test_a_waiter_cancelled_in_the_turn_of_another_release_is_forgotten() -> None:
    budget = ByteBudget(BLOCK, block=BLOCK, growth=1)
    holder, first, second = (Holder(budget, size=BLOCK) for _ in range(3))
    await holder.take()
    tasks = [first.waits(), second.waits()]
    await settle()
    tasks[0].cancel()
    holder.drop()
    await asyncio.wait(tasks)
    assert tasks[0].cancelled()
    assert (len(second.blocks), budget.in_use, budget.waiting) == (1, BLOCK, 0)


@pytest.mark.parametrize("in_the_turn_of_the_grant", [True, False])
async def test_a_closed_account_takes_nothing(in_the_turn_of_the_grant: bool) -> None:
    budget = ByteBudget(BLOCK, block=BLOCK, growth=1)
    holder, other = Holder(budget, size=BLOCK), Holder(budget, size=BLOCK)
    await holder.take()
    waiter = other.waits()
    await settle()
    if in_the_turn_of_the_grant:
        holder.drop()
    other.account.close(UploadEvicted("gone"))
    with pytest.raises(UploadEvicted):
        await waiter
    with pytest.raises(UploadEvicted):
        await other.account.take()
    assert other.account.try_take() is None
    holder.drop()
    assert is_whole(budget)
    holder.account.close()
    with pytest.raises(UploadEnded):
        await holder.account.take()


async def test_a_block_for_which_the_system_has_no_memory_was_never_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(self: BlockPool, size: int) -> bytearray:
        raise MemoryError

    budget = ByteBudget(2 * BLOCK, block=BLOCK, growth=1)
    holder, other = Holder(budget, size=2 * BLOCK), Holder(budget, size=BLOCK)
    await holder.take(2)
    waiter = other.waits()
    await settle()
    monkeypatch.setattr(BlockPool, "take", none)
    holder.drop()
    with pytest.raises(MemoryError):
        await waiter
    with pytest.raises(MemoryError):
        await other.take()
    assert is_whole(budget)


async def test_trying_never_overtakes_and_never_waits() -> None:
    budget = ByteBudget(6 * BLOCK, block=BLOCK, growth=1)
    holder, other, third = Holder(budget, least=BLOCK), Holder(budget, size=3 * BLOCK), Holder(budget, size=BLOCK)
    await holder.take(2)
    await other.take()
    waiter = Holder(budget, size=3 * BLOCK).waits()
    await settle()
    assert budget.waiting == 1
    assert holder.account.try_take() is None
    third.account.begin(BLOCK, BLOCK)
    assert third.account.try_take() is None
    # What was promised is no overtaking.
    assert other.account.try_take() is not None
    waiter.cancel()
    await asyncio.wait({waiter})
    assert holder.account.try_take() is not None
    assert budget.in_use == 5 * BLOCK


async def test_downloads_are_lent_what_uploads_do_not_need() -> None:
    budget = ByteBudget(10 * BLOCK, block=BLOCK, growth=1)
    holder, other = Holder(budget), Holder(budget, size=5 * BLOCK)
    await holder.take()
    assert not budget.try_acquire(7 * BLOCK)
    assert budget.try_acquire(5 * BLOCK)
    assert budget.in_use == 6 * BLOCK
    beginning = other.waits(5)
    await settle()
    assert not budget.try_acquire(1)
    budget.release(5 * BLOCK)
    await beginning
    assert not budget.try_acquire(-1)
    with pytest.raises(RequestInvalid):
        budget.release(1)
    holder.drop()
    other.drop()
    assert is_whole(budget)


def test_downloads_leave_enough_to_go_on_with() -> None:
    async def scenario() -> None:
        budget = ByteBudget(10 * BLOCK, block=BLOCK, growth=1)
        slow = [Holder(budget), Holder(budget)]
        for holder in slow:
            await holder.take()
        await asyncio.sleep(1)
        assert not budget.try_acquire(5 * BLOCK + 1)
        assert budget.try_acquire(5 * BLOCK)
        for holder in slow:
            await holder.take(3)
            holder.drop()

    run_in_virtual_time(scenario())


def test_impossible_requests_are_refused() -> None:
    for total, block in ((0, 1), (1, 0)):
        with pytest.raises(RequestInvalid):
            ByteBudget(total, block=block, growth=1)
    holder = Holder(ByteBudget(10))
    for size, least in ((11, 5), (5, 6), (5, 0)):
        with pytest.raises(RequestInvalid):
            holder.account.begin(size, least)


async def test_no_part_is_begun_while_another_is_filled() -> None:
    holder = Holder(ByteBudget(100, block=BLOCK, growth=1))
    await holder.take()
    with pytest.raises(RequestInvalid):
        holder.account.begin(10, 10)


async def test_blocks_are_used_again_and_never_kept_beyond_the_total() -> None:
    budget = ByteBudget(5 * BLOCK + 5, block=BLOCK, growth=1)
    first, odd = Holder(budget, size=5 * BLOCK), Holder(budget, size=5)
    await first.take(5)
    seen = {id(block) for block in first.blocks}
    first.send()
    first.returned()
    assert (budget.in_use, budget.idle) == (0, 5 * BLOCK)
    await first.take(2)
    assert {id(block) for block in first.blocks} <= seen
    await odd.take()
    assert (budget.in_use, budget.idle) == (2 * BLOCK + 5, 3 * BLOCK)
    first.drop()
    assert (budget.in_use, budget.idle) == (5, 5 * BLOCK)
    # Blocks that were kept make room for what is lent.
    assert budget.try_acquire(4 * BLOCK)
    assert budget.idle == BLOCK
    budget.release(4 * BLOCK)
    odd.drop()
    assert is_whole(budget)


# -- the sizes of blocks --------------------------------------------------------------------------------------------


def test_blocks_grow_with_what_has_come_of_a_part() -> None:
    async def scenario() -> None:
        budget = ByteBudget(100 * BLOCK, block=BLOCK, growth=4)
        holder = Holder(budget, size=31 * BLOCK)
        for _ in range(2):
            await holder.take(16)
            assert [len(block) // BLOCK for block in holder.blocks] == [1] * 8 + [2] * 4 + [4] * 3 + [3]
            holder.send()
        assert budget.in_use == 62 * BLOCK

    run_in_virtual_time(scenario())


def test_blocks_never_exceed_what_is_promised_to_a_part() -> None:
    async def scenario() -> None:
        budget = ByteBudget(30 * BLOCK, block=BLOCK, growth=4)
        holder, other = Holder(budget, size=30 * BLOCK, least=9 * BLOCK), Holder(budget, size=21 * BLOCK)
        await holder.take(8)
        await other.take()
        await holder.take()
        assert [len(block) // BLOCK for block in holder.blocks] == [1] * 9
        assert budget.in_use == 10 * BLOCK

    run_in_virtual_time(scenario())


def test_a_block_of_any_size_is_used_again() -> None:
    async def scenario() -> None:
        budget = ByteBudget(100 * BLOCK, block=BLOCK, growth=4)
        holder = Holder(budget, size=10 * BLOCK)
        await holder.take(9)
        before = list(holder.blocks)
        holder.send()
        holder.returned()
        assert budget.idle == 10 * BLOCK
        await holder.take(9)
        assert {id(block) for block in holder.blocks} == {id(block) for block in before}

    run_in_virtual_time(scenario())


# -- eviction ------------------------------------------------------------------------------------------------------


async def held_by(budget: ByteBudget, *sizes: int) -> list[Holder]:
    """Holders of so many blocks each, one second after another; none of their parts can be sent."""
    holders = []
    for size in sizes:
        holder = Holder(budget, size=(size + 1) * BLOCK)
        await holder.take(size)
        holders.append(holder)
        await asyncio.sleep(1)
    return holders


def test_the_upload_that_has_been_silent_for_longest_is_evicted_when_somebody_has_waited_for_too_long() -> None:
    async def scenario() -> None:
        budget = ByteBudget(18 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        holders = await held_by(budget, 4, 4, 4, 4)
        await asyncio.sleep(100)
        assert not any(holder.is_evicted for holder in holders)
        began = asyncio.get_running_loop().time()
        await Holder(budget).take(4)
        assert [holder.is_evicted for holder in holders] == [True, False, False, False]
        waited = asyncio.get_running_loop().time() - began
        assert PATIENCE <= waited <= PATIENCE * 1.2
        assert budget.in_use == 16 * BLOCK
        assert budget.waiting == 0

    run_in_virtual_time(scenario())


async def is_evicted(holder: Holder, budget: ByteBudget, *, blocks: int) -> bool:
    """Whether a holder loses its memory to somebody who has waited for it for long."""
    waits = Holder(budget, size=blocks * BLOCK).waits(blocks)
    await asyncio.sleep(4 * PATIENCE)
    assert waits.done() == holder.is_evicted
    waits.cancel()
    return holder.is_evicted


@pytest.mark.parametrize("sealed", [True, False])
def test_an_upload_whose_bytes_have_all_come_is_not_evicted(sealed: bool) -> None:
    async def scenario() -> None:
        budget = ByteBudget(16 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        (holder,) = await held_by(budget, 8)
        if sealed:
            holder.account.seal()
        assert await is_evicted(holder, budget, blocks=12) is not sealed

    run_in_virtual_time(scenario())


@pytest.mark.parametrize("sending", [True, False])
def test_an_upload_with_parts_on_their_way_is_not_evicted(sending: bool) -> None:
    async def scenario() -> None:
        budget = ByteBudget(16 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        other = Holder(budget)
        holder = Holder(budget, size=8 * BLOCK)
        await (holder if sending else other).take(2)
        (holder if sending else other).send()
        await holder.take(7)
        assert await is_evicted(holder, budget, blocks=8) is not sending

    run_in_virtual_time(scenario())


def test_an_upload_that_waits_for_memory_itself_is_not_evicted() -> None:
    async def scenario() -> None:
        budget = ByteBudget(17 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        waiting, silent = Holder(budget, size=7 * BLOCK), Holder(budget, size=7 * BLOCK)
        await waiting.take(5)
        await asyncio.sleep(1)
        await silent.take(5)
        await asyncio.sleep(1)
        assert budget.try_acquire(5 * BLOCK)
        await silent.take()
        began = asyncio.get_running_loop().time()
        await waiting.take(2)
        assert asyncio.get_running_loop().time() - began >= PATIENCE
        assert (waiting.is_evicted, silent.is_evicted) == (False, True)

    run_in_virtual_time(scenario())


@pytest.mark.parametrize("pause", [PATIENCE / 2, 3 * PATIENCE])
def test_an_upload_that_takes_a_block_now_and_then_is_not_evicted(pause: float) -> None:
    async def scenario() -> None:
        budget = ByteBudget(16 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        holder = Holder(budget, size=14 * BLOCK)
        await holder.take(3)

        async def slowly() -> None:
            for _ in range(10):
                await asyncio.sleep(pause)
                await holder.take()

        taking = asyncio.create_task(slowly())
        assert await is_evicted(holder, budget, blocks=15) is (pause > PATIENCE)
        taking.cancel()

    run_in_virtual_time(scenario())


@pytest.mark.parametrize("comes", [BLOCK, BLOCK - 1])
def test_an_upload_that_fills_a_large_block_slowly_is_not_evicted(comes: int) -> None:
    async def scenario() -> None:
        budget = ByteBudget(16 * BLOCK, block=BLOCK, growth=4, patience=PATIENCE)
        holder = Holder(budget, size=14 * BLOCK)
        await holder.take(9)
        assert len(holder.blocks[-1]) == 2 * BLOCK

        async def slowly() -> None:
            for _ in range(4):
                await asyncio.sleep(PATIENCE * 0.9)
                holder.came += comes

        coming = asyncio.create_task(slowly())
        assert await is_evicted(holder, budget, blocks=15) is (comes < BLOCK)
        coming.cancel()

    run_in_virtual_time(scenario())


def test_silent_uploads_that_hold_little_are_left_alone_while_it_is_s3_that_is_slow() -> None:
    async def scenario() -> None:
        budget = ByteBudget(16 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        (silent,) = await held_by(budget, 4)
        slow = [Holder(budget, size=5 * BLOCK) for _ in range(2)]
        for holder in slow:
            await holder.take(5)
            holder.send()
        waits = Holder(budget).waits(4)
        await asyncio.sleep(10 * PATIENCE)
        assert not waits.done()
        assert not silent.is_evicted
        slow[0].returned()
        await waits
        slow[1].returned()

    run_in_virtual_time(scenario())


def test_a_silent_upload_that_holds_little_is_evicted_when_nothing_else_can_help() -> None:
    async def scenario() -> None:
        budget = ByteBudget(16 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        (silent,) = await held_by(budget, 1)
        await Holder(budget, size=16 * BLOCK).take(16)
        assert silent.is_evicted

    run_in_virtual_time(scenario())


def test_nobody_is_looked_at_while_nobody_waits() -> None:
    async def scenario() -> None:
        budget = ByteBudget(16 * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)
        holders = await held_by(budget, 8, 5)
        waits = Holder(budget).waits()
        await asyncio.sleep(1)
        waits.cancel()
        await asyncio.sleep(100)
        assert not any(holder.is_evicted for holder in holders)

    run_in_virtual_time(scenario())


async def test_memory_that_was_lent_wakes_who_waits_when_it_comes_back() -> None:
    budget = ByteBudget(4 * BLOCK, block=BLOCK, growth=1)
    assert budget.try_acquire(4 * BLOCK)
    holder = Holder(budget)
    waiting = holder.waits()
    await settle()
    assert not waiting.done()
    budget.release(4 * BLOCK)
    await settle()
    assert waiting.done()
    holder.drop()
    assert is_whole(budget)


async def test_who_stands_behind_a_waiter_that_gives_up_goes_on_at_once() -> None:
    budget = ByteBudget(4 * BLOCK, block=BLOCK, growth=1)
    first, large, small = Holder(budget, size=2 * BLOCK), Holder(budget), Holder(budget, size=2 * BLOCK)
    await first.take(2)
    waiting, behind = large.waits(), small.waits()
    await settle()
    assert not behind.done()
    large.account.close()
    with pytest.raises(UploadEnded):
        await waiting
    await settle()
    assert behind.done()
    first.drop()
    small.drop()
    assert is_whole(budget)


async def test_kept_blocks_and_bytes_in_use_together_are_at_most_the_total() -> None:
    budget = ByteBudget(4 * BLOCK, block=BLOCK, growth=2)
    holder = Holder(budget, size=4 * BLOCK, least=BLOCK)
    await holder.take(4)
    holder.drop()
    assert budget.idle == 4 * BLOCK
    odd = Holder(budget, size=BLOCK // 2)
    await odd.take()
    assert budget.idle + budget.in_use <= budget.total
    odd.drop()
    assert budget.try_acquire(2 * BLOCK)
    assert budget.idle + budget.in_use <= budget.total
    budget.release(2 * BLOCK)
    assert is_whole(budget)

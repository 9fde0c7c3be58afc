"""The process-wide limit on upload memory."""

import asyncio

import pytest

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.errors import RequestInvalid
from tests.unit.s3.fakes import settle


async def test_bytes_are_granted_at_once_while_there_is_room() -> None:
    budget = ByteBudget(10)
    await budget.acquire(6)
    await budget.acquire(4)
    assert budget.in_use == 10
    budget.release(10)
    assert budget.in_use == 0


async def test_waiters_are_served_in_order_and_small_ones_do_not_overtake() -> None:
    budget = ByteBudget(10)
    await budget.acquire(8)
    order: list[str] = []

    async def take(name: str, amount: int) -> None:
        await budget.acquire(amount)
        order.append(name)

    tasks = [asyncio.create_task(take("large", 10)), asyncio.create_task(take("small", 1))]
    await settle()
    assert order == []
    assert budget.waiting == 2
    budget.release(8)
    await settle()
    assert order == ["large"]
    budget.release(10)
    await asyncio.gather(*tasks)
    assert order == ["large", "small"]


async def test_cancelled_waiter_lets_the_next_one_through() -> None:
    budget = ByteBudget(10)
    await budget.acquire(5)
    large = asyncio.create_task(budget.acquire(10))
    small = asyncio.create_task(budget.acquire(5))
    await settle()
    large.cancel()
    await asyncio.wait({large})
    await small
    assert budget.in_use == 10
    assert budget.waiting == 0


async def test_waiter_cancelled_in_the_turn_of_its_grant_gives_it_back() -> None:
    budget = ByteBudget(10)
    await budget.acquire(10)
    waiter = asyncio.create_task(budget.acquire(7))
    await settle()
    budget.release(10)
    waiter.cancel()
    await asyncio.wait({waiter})
    assert waiter.cancelled()
    assert budget.in_use == 0


async def test_waiter_cancelled_in_the_turn_of_another_release_is_forgotten() -> None:
    budget = ByteBudget(10)
    await budget.acquire(10)
    first = asyncio.create_task(budget.acquire(7))
    second = asyncio.create_task(budget.acquire(8))
    await settle()
    first.cancel()
    budget.release(10)
    await asyncio.wait({first, second})
    assert first.cancelled()
    assert budget.in_use == 8
    assert budget.waiting == 0


async def test_nobody_overtakes_a_waiter_by_trying() -> None:
    budget = ByteBudget(10)
    assert budget.try_acquire(5)
    waiter = asyncio.create_task(budget.acquire(8))
    await settle()
    assert not budget.try_acquire(1)
    budget.release(5)
    await waiter
    assert budget.try_acquire(2)
    assert not budget.try_acquire(1)


async def test_block_gives_back_what_it_held() -> None:
    budget = ByteBudget(10)
    async with budget.reserved(4):
        assert budget.in_use == 4
    assert budget.in_use == 0


async def test_impossible_requests_are_refused() -> None:
    budget = ByteBudget(10)
    with pytest.raises(RequestInvalid):
        await budget.acquire(11)
    with pytest.raises(RequestInvalid):
        budget.release(1)
    with pytest.raises(RequestInvalid):
        ByteBudget(0)


async def test_buffers_are_used_again() -> None:
    budget = ByteBudget(64)
    buffer = budget.take_buffer(16)
    budget.give_buffer(buffer)
    assert budget.take_buffer(8) is not buffer
    assert budget.take_buffer(16) is buffer
    assert len(buffer) == 16
    assert budget.take_buffer(16) is not buffer


async def test_buffer_that_is_still_looked_at_is_not_used_again() -> None:
    budget = ByteBudget(64)
    buffer = budget.take_buffer(16)
    view = memoryview(buffer)[3:5]
    budget.give_buffer(buffer)
    assert budget.take_buffer(16) is not buffer
    view.release()
    budget.give_buffer(buffer)
    assert budget.take_buffer(16) is buffer


async def test_idle_buffers_make_room_for_bytes_in_use() -> None:
    budget = ByteBudget(32)
    buffer = bytearray(16)
    await budget.acquire(32)
    budget.give_buffer(buffer)
    budget.release(32)
    assert budget.take_buffer(16) is not buffer
    budget.give_buffer(buffer)
    await budget.acquire(17)
    assert budget.take_buffer(16) is not buffer

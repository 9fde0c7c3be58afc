from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, suppress

import pytest

from aioftps3.storage.locks import PathLocks


class Holder:
    """A task that holds locks until it is told to let go."""

    def __init__(self, locks: PathLocks, order: list[str], name: str, *paths: str) -> None:
        self.name = name
        self.holding = False
        self._let_go = asyncio.Event()
        self._locks = locks
        self._order = order
        self._paths = paths
        self.task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        async with self._locks.exclusive(*self._paths):
            self.holding = True
            self._order.append(self.name)
            try:
                await self._let_go.wait()
            finally:
                self.holding = False

    async def release(self) -> None:
        self._let_go.set()
        await self.task

    async def cancel(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


class Scene:
    def __init__(self) -> None:
        self.locks = PathLocks()
        self.order: list[str] = []

    async def holder(self, name: str, *paths: str) -> Holder:
        holder = Holder(self.locks, self.order, name, *paths)
        await settle()
        return holder


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_one_path_has_one_holder_at_a_time_in_order_of_arrival(scene: Scene) -> None:
    holders = [await scene.holder(name, "/a/f") for name in "123"]
    assert [holder.holding for holder in holders] == [True, False, False]

    for holder in holders:
        await settle()
        assert holder.holding
        await holder.release()
    assert scene.order == ["1", "2", "3"]
    assert len(scene.locks) == 0


async def test_different_files_of_a_directory_do_not_wait_for_each_other(scene: Scene) -> None:
    first, second = await scene.holder("1", "/a/f"), await scene.holder("2", "/a/g")
    assert first.holding
    assert second.holding
    await first.release()
    await second.release()


async def test_names_that_begin_alike_do_not_wait_for_each_other(scene: Scene) -> None:
    first, second = await scene.holder("1", "/a"), await scene.holder("2", "/ab/f")
    assert second.holding
    await first.release()
    await second.release()


async def test_a_directory_waits_for_what_is_below_it_and_keeps_newcomers_waiting(scene: Scene) -> None:
    below = await scene.holder("below", "/a/b/f")
    directory = await scene.holder("directory", "/a")
    newcomer = await scene.holder("newcomer", "/a/b/g")
    elsewhere = await scene.holder("elsewhere", "/c")
    assert not directory.holding
    assert not newcomer.holding
    assert elsewhere.holding

    await below.release()
    await settle()
    assert directory.holding
    assert not newcomer.holding

    await directory.release()
    await newcomer.release()
    await elsewhere.release()
    assert scene.order == ["below", "elsewhere", "directory", "newcomer"]


async def test_the_root_keeps_everything_away(scene: Scene) -> None:
    root = await scene.holder("root", "/")
    other = await scene.holder("other", "/x/y")
    assert not other.holding
    await root.release()
    await other.release()


async def test_opposite_orders_of_two_paths_cannot_deadlock(scene: Scene) -> None:
    holders = [await scene.holder(str(n), *(("/a", "/b") if n % 2 else ("/b", "/a"))) for n in range(6)]
    async with asyncio.timeout(5):
        for holder in holders:
            await holder.release()
    assert len(scene.locks) == 0


async def test_a_path_and_its_own_ancestor_are_one_acquisition(scene: Scene) -> None:
    both = await scene.holder("both", "/a", "/a/b", "/a")
    assert both.holding
    await both.release()
    assert len(scene.locks) == 0


async def test_a_cancelled_waiter_lets_the_ones_behind_it_pass(scene: Scene) -> None:
    first = await scene.holder("1", "/a/f")
    directory = await scene.holder("directory", "/a")
    behind = await scene.holder("behind", "/a/g")
    assert not behind.holding

    await directory.cancel()
    await settle()
    assert behind.holding
    await first.release()
    await behind.release()
    assert len(scene.locks) == 0


async def test_cancelled_just_after_the_grant_holds_nothing(scene: Scene) -> None:
    async with scene.locks.exclusive("/a"):
        second, third = await scene.holder("2", "/a"), await scene.holder("3", "/a")
    second.task.cancel()  # its lock is granted, and it has not run since
    await settle()

    assert scene.order == ["3"]
    assert third.holding
    await third.release()
    assert len(scene.locks) == 0


async def test_cancelled_in_the_turn_in_which_the_lock_gets_free_holds_nothing(scene: Scene) -> None:
    first, second = await scene.holder("1", "/a"), await scene.holder("2", "/a")

    second.task.cancel()
    first._let_go.set()
    await asyncio.gather(first.task, second.task, return_exceptions=True)
    assert second.task.cancelled()
    assert len(scene.locks) == 0


async def test_an_error_inside_releases_everything() -> None:
    locks = PathLocks()
    with pytest.raises(KeyError):
        async with locks.exclusive("/a/b", "/c"):
            raise KeyError
    assert len(locks) == 0


@pytest.mark.parametrize("seed", range(20))
async def test_many_tasks_with_random_cancellation_keep_the_rules(seed: int) -> None:
    chance = random.Random(seed)
    locks = PathLocks()
    paths = ["/", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f"]
    held: list[str] = []

    def conflict(path: str, other: str) -> bool:
        return path == other or path.startswith(other.rstrip("/") + "/") or other.startswith(path.rstrip("/") + "/")

    async def work(mine: list[str]) -> None:
        async with locks.exclusive(*mine):
            assert not [path for path in mine for other in held if conflict(path, other)]
            held.extend(mine)
            try:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                for path in mine:
                    held.remove(path)

    tasks: list[asyncio.Task[None]] = []
    for _ in range(200):
        tasks.append(asyncio.create_task(work(chance.sample(paths, chance.randint(1, 2)))))
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        for victim in chance.choices(tasks, k=chance.randrange(3)):
            victim.cancel()
    async with asyncio.timeout(10):
        results = await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
    assert any(result is None for result in results)
    assert len(locks) == 0


async def test_many_acquisitions_leave_nothing_behind() -> None:
    locks = PathLocks()
    async with AsyncExitStack() as stack:
        for number in range(100):
            await stack.enter_async_context(locks.exclusive(f"/d{number}/f"))
        assert len(locks) == 201
    assert len(locks) == 0


async def test_turns_come_in_order_and_keep_nobody_else_away() -> None:
    locks = PathLocks()
    first = await locks.take_turn("/d/f", 60)
    order: list[str] = []

    async def another(name: str) -> None:
        end = await locks.take_turn("/d/f", 60)
        order.append(name)
        end()

    waiting = [asyncio.create_task(another(name)) for name in ("second", "third")]
    await settle()
    async with locks.exclusive("/d/f", "/d"):
        (await locks.take_turn("/d/other", 60))()
        assert order == []
    first()
    first()
    await asyncio.gather(*waiting)
    assert order == ["second", "third"]
    assert len(locks) == 0


async def test_who_has_waited_for_long_goes_ahead() -> None:
    locks = PathLocks()
    first = await locks.take_turn("/f", 60)
    impatient = await locks.take_turn("/f", 0.01)
    later = asyncio.create_task(locks.take_turn("/f", 60))
    await settle()
    impatient()
    await settle()
    assert not later.done()
    first()
    (await later)()
    assert len(locks) == 0


@pytest.mark.parametrize("turns", range(4))
async def test_who_is_cancelled_while_he_waits_has_no_turn(turns: int) -> None:
    locks = PathLocks()
    first = await locks.take_turn("/f", 60)
    waiting = asyncio.create_task(locks.take_turn("/f", 60))
    await settle()
    if turns:
        first()
    for _ in range(turns - 1):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    if not waiting.cancelled():
        waiting.result()()
    first()
    assert len(locks) == 0

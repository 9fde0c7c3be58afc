"""Cancelled, or left alone, at every await: old or new, never between, and nothing is left.

Each test runs one operation once for each time that it suspends itself, and strikes at that place.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable

import pytest

from aioftps3.storage.paths import VirtualPath
from tests.support.faults import PART, Scene, at_step, fault_scene, noise, push, task_steps, until
from tests.support.ftp_session import FtpClient

OLD = noise(1000, seed=1)
FILE, OTHER = VirtualPath("/file"), VirtualPath("/other")
MOST_STEPS = 400
"""No operation of these tests suspends itself more often; a test that comes here does not end."""

sizes = pytest.mark.parametrize("size", [PART - 1, 4 * PART + 7], ids=["put", "multipart"])

TRANSFER = "Dispatcher._final_reply"
"""The coroutine function of the task that runs a command, a whole transfer included."""


async def cancelled_at_every_step(
    scene: Scene, work: Callable[[], Awaitable[object]], check: Callable[[], None]
) -> int:
    """Run it again and again, cancelled at step 1, 2, ... until it ends before the step; the number of steps."""
    for step in range(1, MOST_STEPS):
        reached = await _cancelled_at(step, work)
        await scene.assert_nothing_is_held()
        check()
        if not reached:
            return step - 1
    raise AssertionError("the operation does not end")


async def _cancelled_at(step: int, work: Callable[[], Awaitable[object]]) -> bool:
    """Run it in a task that is cancelled at a step; whether it came so far."""
    reached: list[int] = []

    def act() -> None:
        reached.append(step)
        task.cancel()

    async def run() -> None:
        await work()

    async def stepped() -> None:
        await at_step(run(), step, act)

    task = asyncio.create_task(stepped())
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return bool(reached)


async def write(scene: Scene, content: bytes) -> None:
    async with scene.tree.open_write(FILE) as file:
        for start in range(0, len(content), PART // 2):
            await file.write(content[start : start + PART // 2])


@sizes
async def test_a_write_that_is_cancelled_anywhere_is_whole_or_not_at_all(size: int) -> None:
    content = noise(size, seed=2)
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)
        seen = set()

        def check() -> None:
            held = scene.content("file")
            assert held in (OLD, content)
            seen.add(held == OLD)
            scene.s3.put("file", OLD)

        steps = await cancelled_at_every_step(scene, lambda: write(scene, content), check)
        assert steps > 2
        assert seen == {True, False}


async def test_a_write_that_is_cancelled_while_it_waits_for_the_budget_takes_nothing_with_it() -> None:
    async with fault_scene(parts_in_budget=1) as scene:
        scene.s3.put("file", OLD)
        content = noise(3 * PART, seed=2)

        def check() -> None:
            assert scene.content("file") in (OLD, content)
            scene.s3.put("file", OLD)

        await cancelled_at_every_step(scene, lambda: write(scene, content), check)


async def test_a_rename_that_is_cancelled_anywhere_loses_no_file() -> None:
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)

        async def rename() -> None:
            await scene.tree.rename(await scene.tree.rename_source(FILE), OTHER)

        def check() -> None:
            assert scene.content("other") == OLD or scene.content("file") == OLD
            assert scene.content("other") in (None, OLD)
            scene.s3.put("file", OLD)
            scene.s3.delete("other")

        assert await cancelled_at_every_step(scene, rename, check) > 3


async def test_a_rename_of_a_directory_that_is_cancelled_anywhere_loses_no_file() -> None:
    names = [f"{number}" for number in range(10)]
    async with fault_scene() as scene:
        for name in names:
            scene.s3.put(f"dir/{name}", name.encode())

        async def rename() -> None:
            await scene.tree.rename(await scene.tree.rename_source(VirtualPath("/dir")), VirtualPath("/new"))

        def check() -> None:
            for name in names:
                assert name.encode() in (scene.content(f"dir/{name}"), scene.content(f"new/{name}"))
                scene.s3.put(f"dir/{name}", name.encode())
                scene.s3.delete(f"new/{name}")

        assert await cancelled_at_every_step(scene, rename, check) > 3


@pytest.mark.parametrize("name", ["unlink", "mkdir", "rmdir", "read", "list"])
async def test_other_operations_that_are_cancelled_anywhere_hold_nothing(name: str) -> None:
    async with fault_scene() as scene:

        async def work() -> None:
            match name:
                case "unlink":
                    await scene.tree.unlink(FILE)
                case "mkdir":
                    await scene.tree.mkdir(VirtualPath("/made"))
                case "rmdir":
                    await scene.tree.rmdir(VirtualPath("/dir"))
                case "read":
                    async with scene.tree.open_read(FILE) as file:
                        async for _ in file.chunks():
                            pass
                case "list":
                    async with contextlib.aclosing(scene.tree.list(VirtualPath("/"))) as pages:
                        async for _ in pages:
                            pass

        def seed() -> None:
            scene.s3.put("file", noise(4 * PART))
            scene.s3.put("dir/", b"")
            scene.s3.delete("made/")

        seed()
        # What RMD and DELE leave behind in memory must not change what the next round finds.
        assert await cancelled_at_every_step(scene, work, seed) > 1


@sizes
async def test_a_transfer_that_is_cancelled_anywhere_is_never_acknowledged_unless_it_is_whole(size: int) -> None:
    """The task of a STOR is cancelled at each of its steps, also where the server itself never does it."""
    content = noise(size, seed=2)
    async with fault_scene() as scene:
        client = await scene.client()
        for step in range(1, MOST_STEPS):
            scene.s3.put("file", OLD)
            with task_steps(TRANSFER, step, lambda task: task.cancel()) as happened:
                code = await upload(client, content)
            held = scene.content("file")
            assert held in (OLD, content), step
            assert (held == content) or code != 226, step
            assert code in (226, 426), step
            await scene.assert_nothing_is_held()
            if not happened:
                assert code == 226
                break
        assert step > 3


async def upload(client: FtpClient, content: bytes) -> int:
    """A STOR that may end before its 150; its final code."""
    wire = await client.connect_data()
    await client.send("STOR file")
    answer = await client.reply()
    if answer.code != 150:
        wire.close()
        return answer.code
    with contextlib.suppress(OSError, ssl.SSLError, AssertionError):
        await client.encrypt(wire)
    await push(wire, content, pieces=4)
    return (await client.reply()).code


@sizes
async def test_a_client_that_vanishes_at_any_step_of_its_upload_leaves_old_or_new(size: int) -> None:
    content = noise(size, seed=2)
    async with fault_scene() as scene:
        for step in range(1, MOST_STEPS):
            scene.s3.put("file", OLD)
            client = await scene.client()
            uploading = asyncio.create_task(upload(client, content))

            def vanish(_: object, client: FtpClient = client, uploading: asyncio.Task[int] = uploading) -> None:
                client.wire.reset()
                uploading.cancel()

            with task_steps(TRANSFER, step, vanish) as happened:
                await asyncio.wait({uploading})
                client.wire.close()
                await until(lambda: not scene.server.sessions, "the session has ended")
            assert scene.content("file") in (OLD, content), step
            await scene.assert_nothing_is_held()
            if not happened:
                assert uploading.result() == 226
                assert scene.content("file") == content
                break
        assert step > 3


@sizes
async def test_a_server_that_is_closed_at_any_step_of_an_upload_leaves_old_or_new(size: int) -> None:
    content = noise(size, seed=2)
    for step in range(1, MOST_STEPS):
        async with fault_scene(ends_by_itself=False) as scene:
            scene.s3.put("file", OLD)
            client = await scene.client()
            closings: list[asyncio.Task[None]] = []

            def close(_: object, scene: Scene = scene, closings: list[asyncio.Task[None]] = closings) -> None:
                closings.append(asyncio.create_task(scene.server.close()))

            uploading = asyncio.create_task(upload(client, content))
            with task_steps(TRANSFER, step, close) as happened:
                await asyncio.wait({uploading})
            client.wire.close()
            if closings:
                await asyncio.wait(closings)
                closings[0].result()
            held = scene.content("file")
            assert held in (OLD, content), step
            assert not scene.remains(), step
            if not uploading.cancelled() and uploading.exception() is None and uploading.result() == 226:
                assert held == content, step
        if not happened:
            assert held == content
            return
    raise AssertionError("the upload does not end")

"""Downloads by several GETs at a time through the whole gateway, while S3 or the client misbehaves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import pytest

from aioftps3.embedded import Answer, Call, Intercept, Proceed, faults
from aioftps3.embedded.answers import BodyStream
from aioftps3.storage.paths import VirtualPath
from tests.support.faults import PART, Scene, fault_scene, noise, push, until
from tests.support.ftp_session import FtpClient, Wire, settle

STREAMS = 4
FILE = noise(40 * PART + 77, seed=5)


@dataclass
class Tap:
    """Counts the bytes that S3 hands out, and remembers what was asked for; stands in front of the scene's script."""

    scene: Scene
    handed: int = 0
    reading: int = 0
    """Bodies under way."""

    def __post_init__(self) -> None:
        self.ranges: list[tuple[int, int | None]] = []
        self.scene.s3.intercept = self.intercept

    async def intercept(self, call: Call, proceed: Proceed) -> Answer:
        if call.operation == "GetObject":
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", call.header("range") or "bytes=0-")
            assert found is not None
            self.ranges.append((int(found[1]), int(found[2]) if found[2] else None))
            assert call.header("if-match") is not None or len(self.ranges) == 1
        answer = await self.scene.script(call, proceed)
        if not isinstance(answer.body, bytes):
            answer.body = self.counted(answer.body)
        return answer

    async def counted(self, body: BodyStream) -> AsyncGenerator[bytes, None]:
        self.reading += 1
        try:
            async for piece in body:
                for start in range(0, len(piece), 1024):
                    self.handed += len(piece[start : start + 1024])
                    yield piece[start : start + 1024]
                    await asyncio.sleep(0)
        finally:
            self.reading -= 1


async def test_a_large_file_is_one_get_and_one_for_each_range() -> None:
    async with fault_scene(parts_in_budget=16, download_streams=STREAMS) as scene:
        tap = Tap(scene)
        scene.s3.put("file", FILE)
        client = await scene.client()
        assert await scene.fetch(client, "RETR file") == (226, FILE)
        first = tap.ranges[1][0]
        starts = range(first, len(FILE), PART)
        assert tap.ranges == [(0, None), *((start, min(start + PART, len(FILE)) - 1) for start in starts)]
        await scene.assert_session_lives(client)


async def test_a_download_from_a_position_is_read_in_ranges_too() -> None:
    async with fault_scene(parts_in_budget=16, download_streams=STREAMS) as scene:
        scene.s3.put("file", FILE)
        client = await scene.client()
        await client.expect(350, "REST 1000")
        assert await scene.fetch(client, "RETR file") == (226, FILE[1000:])
        assert scene.s3.count("GetObject") > 10


async def test_a_file_that_is_not_large_is_one_get_whatever_is_allowed() -> None:
    async with fault_scene(parts_in_budget=16, download_streams=16) as scene:
        scene.s3.put("file", FILE[: 3 * PART - 1])
        client = await scene.client()
        assert await scene.fetch(client, "RETR file") == (226, FILE[: 3 * PART - 1])
        assert scene.s3.count("GetObject") == 1


PASSING: dict[str, Callable[[Scene], Intercept]] = {
    "500": lambda _: faults.internal_error(),
    "503": lambda _: faults.slow_down(),
    "reset-before": lambda _: faults.cut_before(),
    "lost-answer": lambda _: faults.cut_after(),
    "truncated": lambda _: faults.truncated_body(1000),
    "reset-in-answer": lambda _: faults.cut_body(1000),
    "stall": lambda scene: faults.stalled_body(scene.gate(), 1000),
    "stall-before": lambda scene: scene.gate().before,
}


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("at", [1, 2, 4, 20])
async def test_a_fault_of_a_range_that_passes_is_mended_and_nobody_hears_of_it(name: str, at: int) -> None:
    async with fault_scene(parts_in_budget=16, download_streams=STREAMS, read_timeout=0.25) as scene:
        scene.s3.put("file", FILE)
        rule = scene.script.add(PASSING[name](scene), "GetObject", at=at)
        client = await scene.client()
        assert await scene.fetch(client, "RETR file") == (226, FILE)
        assert rule.struck == 1
        scene.open_gates()
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


@pytest.mark.parametrize("name", ["500", "503", "reset-before", "truncated"])
async def test_a_fault_that_stays_is_451(name: str) -> None:
    async with fault_scene(parts_in_budget=16, download_streams=STREAMS) as scene:
        scene.s3.put("file", FILE)
        scene.script.add(PASSING[name](scene), "GetObject", at=5, times=None)
        client = await scene.client()
        code, data = await scene.fetch(client, "RETR file")
        assert code == 451 or (name == "truncated" and data == FILE)
        assert FILE.startswith(data)
        scene.script.clear()
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


@pytest.mark.parametrize("after", [noise(len(FILE), seed=6), b"short", None])
async def test_a_file_that_is_replaced_between_its_ranges_is_451_and_never_a_mixture(after: bytes | None) -> None:
    async with fault_scene(parts_in_budget=16, download_streams=STREAMS) as scene:
        scene.s3.put("file", FILE)
        gate = scene.gate()
        scene.script.add(gate.before, "GetObject", at=6)
        client = await scene.client()
        wire = await client.open_data("RETR file")
        await gate.reached.wait()
        if after is None:
            scene.s3.delete("file")
        else:
            scene.s3.put("file", after)
        scene.open_gates()
        data = await wire.receive_all()
        assert (await client.reply()).code == 451
        assert FILE.startswith(data)
        assert len(data) < len(FILE)
        assert wire.ended_by != "close_notify"
        wire.close()
        await scene.assert_session_lives(client)


async def reading(scene: Scene, client: FtpClient) -> Wire:
    """A client that takes next to nothing of a file, while ranges are fetched ahead for it."""
    scene.s3.put("file", FILE * 8)
    wire = await client.open_data("RETR file", receive_buffer=4096)
    assert FILE.startswith(await wire.receive(1000))
    await until(lambda: scene.budget.in_use == STREAMS * PART, "ranges are held for the client")
    return wire


@pytest.mark.parametrize("how", ["reset", "close", "abor", "control"])
async def test_a_client_that_is_gone_ends_every_request(how: str) -> None:
    async with fault_scene(parts_in_budget=16, download_streams=STREAMS) as scene:
        tap = Tap(scene)
        client = await scene.client()
        wire = await reading(scene, client)
        match how:
            case "abor":
                await client.send("ABOR")
                assert await client.replies(2) == [426, 226]
            case "control":
                client.wire.reset()
                await until(lambda: not scene.server.sessions, "the session has ended")
            case _:
                getattr(wire, how)()
                assert (await client.reply()).code == 426
        await scene.assert_nothing_is_held()
        await until(lambda: not tap.reading, "S3 has noticed that nobody reads")
        requests = len(tap.ranges)
        await scene.s3_client.head_bucket()
        assert len(tap.ranges) == requests
        wire.close()


@pytest.mark.parametrize("chunks", [1, 3, 10])
async def test_s3_hands_out_next_to_nothing_after_a_download_was_closed(chunks: int) -> None:
    async with fault_scene(parts_in_budget=16, download_streams=STREAMS) as scene:
        tap = Tap(scene)
        scene.s3.put("file", FILE * 8)
        tasks = asyncio.all_tasks()
        file = scene.tree.open_read(VirtualPath("/file"))
        await file.open()
        source = file.chunks()
        taken = 0
        for _ in range(chunks):
            taken += len(await anext(source))
        await file.close()
        handed = tap.handed
        assert scene.budget.in_use == 0
        await until(lambda: not tap.reading, "S3 has noticed that nobody reads")
        # A connection is found to be closed by writing to it, which the pieces of one turn do.
        assert tap.handed - handed <= STREAMS * PART
        assert tap.handed - taken <= (2 * STREAMS + 1) * PART + 2 * 1024 * 1024, "not more than fits the buffers"
        await settle()
        assert {task for task in asyncio.all_tasks() - tasks if "_fetch" in repr(task)} == set()


async def test_downloads_of_slow_clients_and_uploads_do_not_wait_for_each_other() -> None:
    async with fault_scene(parts_in_budget=12, parts_in_flight=2, download_streams=STREAMS) as scene:
        scene.s3.put("file", FILE * 8)
        readers = [await scene.client() for _ in range(3)]
        wires = [await reader.open_data("RETR file", receive_buffer=4096) for reader in readers]
        await until(lambda: scene.budget.in_use > 4 * PART, "ranges are held for clients that take nothing")
        assert scene.budget.in_use <= scene.budget.total // 2

        async def upload(name: str) -> None:
            client = await scene.client()
            wire = await client.open_data(f"STOR {name}")
            await push(wire, FILE)
            assert (await client.reply()).code == 226
            assert scene.content(name) == FILE

        await asyncio.gather(*(upload(f"upload-{number}") for number in range(3)))
        for wire, reader in zip(wires, readers, strict=True):
            assert await wire.receive_all() == FILE * 8
            assert (await reader.reply()).code == 226
            wire.close()

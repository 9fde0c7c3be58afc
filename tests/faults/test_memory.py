"""Many uploads and little memory: who stops, sends slowly or is served slowly by S3 costs the others nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from aioftps3.ftp.config import RequireTls
from tests.support.faults import BLOCK, PART, Scene, fault_scene, noise, push, until
from tests.support.ftp_session import FtpClient

CROWD: dict[str, Any] = {"require_tls": RequireTls.NONE, "max_sessions_per_address": 300, "data_ports": ()}


async def sip(client: FtpClient, name: str, content: bytes) -> None:
    """Upload what there is, and then one byte at a time for ever."""
    wire = await client.open_data(f"STOR {name}")
    with contextlib.suppress(OSError):
        await wire.send(content)
        while True:
            await asyncio.sleep(0.02)
            await wire.send(b"x")


async def one_upload(scene: Scene, number: int) -> int:
    client = await scene.client()
    try:
        wire = await client.open_data(f"STOR many/{number}")
        await push(wire, noise(3 * PART + number, seed=number), pieces=4)
        return (await client.reply()).code
    finally:
        client.wire.close()


async def until_held(scene: Scene, blocks: int, *, uploads: int) -> None:
    """Wait until uploads hold so many blocks, none of them on its way, and so many have sent parts."""
    await until(lambda: len(scene.s3.uploads_in_progress) == uploads, "parts have been sent")
    await until(lambda: scene.budget.in_use == blocks * BLOCK, "and come back")


async def test_stalled_senders_that_hold_nearly_all_of_the_budget_do_not_keep_others_from_finishing() -> None:
    """60 that have sent half of a part hold 30 parts of 32."""
    async with fault_scene(parts_in_budget=32, **CROWD) as scene:
        wires = []
        for number in range(60):
            client = await scene.client()
            wires.append(await client.open_data(f"STOR stalled/{number}"))
            await wires[-1].send(bytes(PART // 2))
        await until(lambda: scene.budget.in_use == 30 * PART, "they have sent what they send")
        content = noise(20 * PART, seed=3)
        working = await scene.client()
        assert (await scene.store(working, "working", content)).code == 226
        assert scene.content("working") == content
        assert scene.budget.in_use == 30 * PART
        for wire in wires:
            wire.reset()
        await scene.assert_nothing_is_held()
        assert set(scene.s3.objects()) == {"working"}


async def test_senders_of_a_byte_now_and_then_hold_what_has_come_and_others_go_on() -> None:
    async with fault_scene(parts_in_budget=16, **CROWD) as scene:
        slow = [await scene.client() for _ in range(40)]
        sipping = [asyncio.create_task(sip(client, f"slow/{number}", b"x")) for number, client in enumerate(slow)]
        await until(lambda: scene.budget.in_use == 40 * BLOCK, "each holds a block")
        codes = await asyncio.gather(*(one_upload(scene, number) for number in range(20)))
        assert codes == [226] * 20
        assert scene.budget.in_use == 40 * BLOCK
        for client in slow:
            client.wire.reset()
        await asyncio.gather(*sipping)
        await scene.assert_nothing_is_held()


async def test_an_upload_whose_parts_are_held_does_not_keep_forty_others_from_finishing() -> None:
    async with fault_scene(parts_in_budget=8, parts_in_flight=4, **CROWD) as scene:
        gate = scene.gate()
        scene.script.add(gate.before, "UploadPart", key="held", times=None)
        held = await scene.client()
        wire = await held.open_data("STOR held")
        content = noise(20 * PART, seed=1)
        sending = asyncio.create_task(push(wire, content))
        await until(lambda: scene.budget.in_use == scene.budget.total // 2, "it has all that it may have")
        codes = await asyncio.gather(*(one_upload(scene, number) for number in range(40)))
        assert codes == [226] * 40
        assert scene.content("held") is None
        gate.open()
        await sending
        assert (await held.reply()).code == 226
        assert scene.content("held") == content


@pytest.mark.parametrize("parts", [0, 2])
async def test_an_upload_that_loses_its_memory_is_451_and_leaves_nothing(parts: int) -> None:
    async with fault_scene(parts_in_budget=2, memory_patience=0.3, require_tls=RequireTls.NONE) as scene:
        scene.s3.put("slow/0", b"old")
        slow = [await scene.client() for _ in range(2)]
        sipping = []
        for number, client in enumerate(slow):
            sent = bytes(parts * PART + 3 * BLOCK - 100)
            sipping.append(asyncio.create_task(sip(client, f"slow/{number}", sent)))
            await until_held(scene, 3 * (number + 1), uploads=number + 1 if parts else 0)
        content = noise(6 * PART, seed=3)
        quick = await scene.client()
        assert (await scene.store(quick, "quick", content)).code == 226
        assert scene.content("quick") == content
        answer = await slow[0].reply()
        assert answer.code == 451
        assert "memory for uploads" in answer.text
        assert scene.budget.in_use == 3 * BLOCK
        await scene.assert_session_lives(slow[0])
        slow[1].wire.reset()
        await asyncio.gather(*sipping)
        await scene.assert_nothing_is_held()
        assert set(scene.s3.objects()) == {"quick", "slow/0"}
        assert scene.content("slow/0") == b"old"


@pytest.mark.parametrize("tls", [RequireTls.CONTROL_AND_DATA, RequireTls.NONE], ids=["tls", "clear"])
async def test_a_client_that_is_silent_hears_at_once_that_its_upload_lost_its_memory(tls: RequireTls) -> None:
    async with fault_scene(parts_in_budget=2, memory_patience=0.3, require_tls=tls) as scene:
        silent = [await scene.client() for _ in range(2)]
        for number, client in enumerate(silent):
            wire = await client.open_data(f"STOR silent/{number}")
            await wire.send(bytes(PART + 3 * BLOCK))
            await until_held(scene, 3 * (number + 1), uploads=number + 1)
        quick = await scene.client()
        content = noise(6 * PART, seed=3)
        assert (await scene.store(quick, "quick", content)).code == 226
        assert (await silent[0].reply()).code == 451
        await scene.assert_session_lives(silent[0])
        silent[1].wire.reset()
        await scene.assert_nothing_is_held()
        assert set(scene.s3.objects()) == {"quick"}

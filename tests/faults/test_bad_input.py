"""Clients that do strange things, and many at once: the right code in bounded time, at nobody else's cost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from aioftps3.ftp.config import RequireTls
from tests.support.faults import BLOCK, PART, Scene, fault_scene, noise, push, until
from tests.support.ftp_session import FtpClient

OLD = noise(1000, seed=1)
CLEAR = RequireTls.NONE


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("REST", 501),
        ("REST x", 501),
        ("REST -1", 501),
        ("REST 1.5", 501),
        ("REST 0x10", 501),
        ("REST 1 2", 501),
        ("REST \u0661\u0662", 501),
        ("REST " + "9" * 400, 501),
    ],
    ids=["nothing", "letter", "negative", "fraction", "hexadecimal", "two", "arabic-digits", "too-long"],
)
async def test_rest_with_garbage_is_refused_and_forgotten(line: str, code: int) -> None:
    async with fault_scene(require_tls=CLEAR) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        assert (await client.command(line)).code == code
        assert await scene.fetch(client, "RETR file") == (226, OLD)


@pytest.mark.parametrize("offset", [1001, 2**31, 2**63 - 1, 2**63, 2**64, 10**18])
async def test_rest_past_the_end_is_554_or_refused_at_once_and_the_next_download_is_whole(offset: int) -> None:
    async with fault_scene(require_tls=CLEAR) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        answer = await client.command(f"REST {offset}")
        assert answer.code in (350, 501)
        if answer.code == 350:
            assert (await scene.fetch(client, "RETR file"))[0] == 554
        assert await scene.fetch(client, "RETR file") == (226, OLD)


async def test_data_ports_that_nobody_uses_are_given_back() -> None:
    async with fault_scene(require_tls=CLEAR, data_connect_timeout=0.1) as scene:
        client = await scene.client()
        for _ in range(30):
            await client.passive_port()
        assert len(scene.server.config.data_ports) - scene.server.free_data_ports == 1, "one for each session"
        await until(lambda: not scene.remains(), "the last one is given back when its time is over")
        assert (await client.command("STOR file")).code in (150, 425)
        await until(lambda: not scene.remains(), "nothing is held")


async def test_a_data_connection_that_is_never_opened_is_425_in_bounded_time() -> None:
    async with fault_scene(data_connect_timeout=0.2) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        for line in ("STOR file", "RETR file", "LIST"):
            await client.passive_port()
            await client.expect(150, line)
            assert (await client.reply()).code == 425
        assert scene.content("file") == OLD
        await scene.assert_session_lives(client)


async def test_a_data_connection_that_is_opened_and_says_nothing_is_425_in_bounded_time() -> None:
    """Its TLS handshake never begins."""
    async with fault_scene(tls_handshake_timeout=0.2) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        for line in ("STOR file", "RETR file", "LIST"):
            await client.connect_data()
            await client.expect(150, line)
            assert (await client.reply()).code == 425
        assert scene.content("file") == OLD


@pytest.mark.parametrize("tls", [RequireTls.CONTROL_AND_DATA, CLEAR], ids=["tls", "clear"])
async def test_an_upload_that_sends_nothing_is_426_in_bounded_time(tls: RequireTls) -> None:
    async with fault_scene(require_tls=tls, stall_timeout=0.3) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        await client.open_data("STOR file")
        assert (await client.reply()).code == 426
        assert scene.content("file") == OLD


async def test_many_data_connections_without_a_command_cost_nothing_but_their_port() -> None:
    async with fault_scene(require_tls=CLEAR, data_connect_timeout=0.2, max_sessions_per_address=50) as scene:
        clients = [await scene.client() for _ in range(5)]
        for client in clients:
            await client.connect_data()
        assert not scene.budget.in_use
        for client in clients:
            await scene.assert_session_lives(client)


async def sip(client: FtpClient, name: str) -> None:
    """Upload one byte at a time for ever."""
    wire = await client.open_data(f"STOR {name}")
    with contextlib.suppress(OSError):
        while True:
            await wire.send(b"x")
            await asyncio.sleep(0.02)


async def test_senders_of_a_byte_now_and_then_are_ended_and_cost_the_others_nothing() -> None:
    """A window of the stall timeout in which less than 1 KiB comes is a stall."""
    async with fault_scene(parts_in_budget=8, stall_timeout=0.5) as scene:
        slow = [await scene.client() for _ in range(4)]
        sipping = [asyncio.create_task(sip(client, f"slow{number}")) for number, client in enumerate(slow)]
        await until(lambda: scene.budget.in_use == 4 * BLOCK, "each holds the block that it fills")
        quick = await scene.client()
        content = noise(6 * PART, seed=3)
        assert (await scene.store(quick, "quick", content)).code == 226
        assert scene.content("quick") == content
        assert [(await client.reply()).code for client in slow] == [426] * 4
        await asyncio.gather(*sipping)
        assert set(scene.s3.objects()) == {"quick"}
        await scene.assert_nothing_is_held()


async def test_slow_senders_hold_what_has_come_and_leave_the_rest_of_a_small_budget() -> None:
    async with fault_scene(parts_in_budget=2, stall_timeout=1) as scene:
        slow = [await scene.client() for _ in range(2)]
        sipping = [asyncio.create_task(sip(client, f"slow{number}")) for number, client in enumerate(slow)]
        await until(lambda: scene.budget.in_use == 2 * BLOCK, "each holds the block that it fills")
        quick = await scene.client()
        content = noise(6 * PART, seed=3)
        assert (await scene.store(quick, "quick", content)).code == 226
        assert scene.content("quick") == content
        assert [(await client.reply()).code for client in slow] == [426] * 2
        await asyncio.gather(*sipping)


async def one_upload(scene: Scene, number: int) -> int:
    client = await scene.client()
    try:
        wire = await client.open_data(f"STOR many/{number}")
        await push(wire, noise(3 * PART + number, seed=number), pieces=4)
        return (await client.reply()).code
    finally:
        client.wire.close()


async def test_200_uploads_with_a_budget_for_16_parts_all_finish() -> None:
    async with fault_scene(parts_in_budget=16, require_tls=CLEAR, max_sessions_per_address=300, data_ports=()) as scene:
        peak = 0

        async def watch() -> None:
            nonlocal peak
            while True:
                peak = max(peak, scene.budget.in_use)
                await asyncio.sleep(0.001)

        watching = asyncio.create_task(watch())
        codes = await asyncio.gather(*(one_upload(scene, number) for number in range(200)))
        watching.cancel()
        assert codes == [226] * 200
        for number in range(200):
            assert scene.content(f"many/{number}") == noise(3 * PART + number, seed=number)
        assert 0 < peak <= 16 * PART


async def test_a_slow_s3_for_one_upload_does_not_starve_the_others() -> None:
    """Its parts hang; it holds what it may have in flight and one part more, and the others go on with the rest."""
    async with fault_scene(parts_in_budget=8, parts_in_flight=3) as scene:
        gate = scene.gate()
        scene.script.add(gate.before, "UploadPart", key="slow", times=None)
        slow = await scene.client()
        wire = await slow.open_data("STOR slow")
        content = noise(20 * PART, seed=1)
        sending = asyncio.create_task(push(wire, content))
        await gate.reached.wait()
        others = [await scene.client() for _ in range(3)]
        for round_ in range(3):
            codes = await asyncio.gather(
                *(
                    scene.store(client, f"{number}", noise(5 * PART + round_, seed=number))
                    for number, client in enumerate(others)
                )
            )
            assert [answer.code for answer in codes] == [226] * 3
        assert scene.budget.in_use <= 4 * PART
        assert scene.content("slow") is None
        gate.open()
        await sending
        assert (await slow.reply()).code == 226
        assert scene.content("slow") == content


@pytest.mark.parametrize("parts", [1, 2])
async def test_uploads_get_through_the_smallest_budgets(parts: int) -> None:
    async with fault_scene(parts_in_budget=parts, require_tls=CLEAR) as scene:
        codes = await asyncio.gather(*(one_upload(scene, number) for number in range(6)))
        assert codes == [226] * 6


async def test_fifty_uploads_whose_clients_all_vanish_leave_nothing() -> None:
    async with fault_scene(parts_in_budget=16, require_tls=CLEAR, max_sessions_per_address=100, data_ports=()) as scene:
        clients = [await scene.client() for _ in range(50)]
        wires = [await client.open_data(f"STOR {number}") for number, client in enumerate(clients)]
        sending = [asyncio.create_task(push(wire, noise(40 * PART))) for wire in wires]
        await until(lambda: scene.budget.waiting > 10, "the budget is spent")
        for client in clients:
            client.wire.reset()
        await asyncio.gather(*sending)
        await until(lambda: not scene.server.sessions, "the sessions have ended")
        await scene.assert_nothing_is_held()
        assert scene.s3.objects() == {}


async def test_further_transfers_during_an_upload_wait_and_have_no_data_connection() -> None:
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        wire = await client.open_data("STOR new")
        await client.send("STOR other", "RETR file", "REST 3")
        await wire.send(OLD)
        await wire.end_in_order()
        assert await client.replies(4) == [226, 425, 425, 350]
        assert scene.content("new") == OLD
        assert scene.content("other") is None

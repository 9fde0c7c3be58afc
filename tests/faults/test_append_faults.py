"""Uploads that go on with a file, cut at every place: what there was stays, or what was acknowledged is there."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

import pytest

from aioftps3.embedded.faults import cut_body
from aioftps3.ftp.config import RequireTls, UploadEnd
from aioftps3.storage.paths import VirtualPath
from tests.faults.test_cancellation import MOST_STEPS, TRANSFER, cancelled_at_every_step
from tests.support.faults import PART, Scene, fault_scene, noise, push, task_steps, until
from tests.support.ftp_session import FtpClient, Wire, settle
from tests.support.proxy import Act, Direction, Harm

FILE = VirtualPath("/file")


@dataclass(frozen=True, slots=True)
class Case:
    """What there is, what is added, and behind how much of it."""

    old: bytes
    new: bytes
    offset: int | None = None

    @property
    def whole(self) -> bytes:
        return self.old[: self.offset] + self.new


CASES = {
    "read, one put": Case(noise(1000, seed=1), noise(100, seed=2)),
    "read, multipart": Case(noise(1000, seed=1), noise(3 * PART + 7, seed=2)),
    "copied": Case(noise(3 * PART + 7, seed=1), noise(100, seed=2)),
    "copied, multipart": Case(noise(3 * PART + 7, seed=1), noise(3 * PART, seed=2)),
    "from a position": Case(noise(3 * PART + 7, seed=1), noise(2 * PART, seed=2), 2 * PART + 1),
    "shortened": Case(noise(3 * PART + 7, seed=1), b"", 2 * PART + 1),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(", ", "-") for name in CASES])
few_cases = pytest.mark.parametrize(
    "case", [CASES["read, multipart"], CASES["copied, multipart"]], ids=["read", "copied"]
)


async def append(scene: Scene, case: Case) -> None:
    async with await scene.tree.open_append(FILE, case.offset) as file:
        for start in range(0, len(case.new), PART // 2):
            await file.write(case.new[start : start + PART // 2])


async def begin(client: FtpClient, case: Case) -> Wire | None:
    """A data connection of the upload; None when it was refused, and then its reply has been read."""
    if case.offset is not None:
        await client.expect(350, f"REST {case.offset}")
    wire = await client.connect_data()
    await client.send("APPE file" if case.offset is None else "STOR file")
    answer = await client.reply()
    if answer.code != 150:
        wire.close()
        return None
    with contextlib.suppress(OSError, ssl.SSLError, AssertionError):
        await client.encrypt(wire)
    return wire


async def upload(client: FtpClient, case: Case) -> int:
    """The whole of it; the final code, 0 when it was refused at once."""
    wire = await begin(client, case)
    if wire is None:
        return 0
    await push(wire, case.new, pieces=4)
    return (await client.reply()).code


# -- at every await -------------------------------------------------------------------------------------------------


@cases
@pytest.mark.parametrize("parts_in_budget", [1, 8])
async def test_an_append_that_is_cancelled_anywhere_is_whole_or_not_at_all(case: Case, parts_in_budget: int) -> None:
    async with fault_scene(parts_in_budget=parts_in_budget) as scene:
        scene.s3.put("file", case.old)
        seen = set()

        def check() -> None:
            held = scene.content("file")
            assert held in (case.old, case.whole)
            seen.add(held == case.old)
            scene.s3.put("file", case.old)

        assert await cancelled_at_every_step(scene, lambda: append(scene, case), check) > 3
        assert seen == {True, False}


@few_cases
async def test_a_transfer_that_is_cancelled_anywhere_is_never_acknowledged_unless_it_is_whole(case: Case) -> None:
    async with fault_scene() as scene:
        client = await scene.client()
        for step in range(1, MOST_STEPS):
            scene.s3.put("file", case.old)
            with task_steps(TRANSFER, step, lambda task: task.cancel()) as happened:
                code = await upload(client, case)
            held = scene.content("file")
            assert held in (case.old, case.whole), step
            assert (held == case.whole) or code != 226, step
            assert code in (0, 226, 426), step
            await scene.assert_nothing_is_held()
            if not happened:
                assert code == 226
                break
        assert step > 3


@few_cases
async def test_a_server_that_is_closed_at_any_step_leaves_old_or_new(case: Case) -> None:
    """The second signal: transfers are cut, and nothing of them is left."""
    for step in range(1, MOST_STEPS):
        async with fault_scene(ends_by_itself=False) as scene:
            scene.s3.put("file", case.old)
            client = await scene.client()
            closings: list[asyncio.Task[None]] = []

            def close(_: object, scene: Scene = scene, closings: list[asyncio.Task[None]] = closings) -> None:
                closings.append(asyncio.create_task(scene.server.close()))

            uploading = asyncio.create_task(upload(client, case))
            with task_steps(TRANSFER, step, close) as happened:
                await asyncio.wait({uploading})
            client.wire.close()
            if closings:
                await asyncio.wait(closings)
                closings[0].result()
            held = scene.content("file")
            assert held in (case.old, case.whole), step
            assert not scene.remains(), step
            if not uploading.cancelled() and uploading.exception() is None and uploading.result() == 226:
                assert held == case.whole, step
        if not happened:
            assert held == case.whole
            return
    raise AssertionError("the upload does not end")


# -- at chosen places -----------------------------------------------------------------------------------------------


PLACES = {
    "read-head": (CASES["read, multipart"], "HeadObject"),
    "read-get": (CASES["read, multipart"], "GetObject"),
    "copied-head": (CASES["copied, multipart"], "HeadObject"),
    "copied-create": (CASES["copied, multipart"], "CreateMultipartUpload"),
    "copied-copy": (CASES["copied, multipart"], "UploadPartCopy"),
}


@pytest.mark.parametrize(
    ("place", "how"),
    [
        (place, how)
        for place in PLACES
        for how in ("abor", "control", "reset", "stall")
        if how in ("abor", "control") or not place.endswith("head")  # which comes before there is any data connection
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_client_that_leaves_while_s3_is_at_it_leaves_the_file_as_it_was(
    place: str, how: str, when: str
) -> None:
    """Copies that S3 carries out afterwards come to nothing."""
    case, request_name = PLACES[place]
    async with fault_scene(stall_timeout=0.3) as scene:
        scene.s3.put("file", case.old)
        gate = scene.gate()
        scene.script.add(gate.before if when == "before" else gate.after, request_name, times=None)
        client = await scene.client()
        wire = await client.connect_data()
        await client.send("APPE file")
        if request_name != "HeadObject":
            assert (await client.reply()).code == 150
            await client.encrypt(wire)
            await wire.send(case.new[:1000])
        await gate.reached.wait()
        match how:
            case "abor":
                await client.send("ABOR")
            case "control":
                client.wire.reset()
            case "reset":
                wire.reset()
        if request_name == "CreateMultipartUpload" or how == "stall":
            # The answer to the one is waited for, as it tells what to abort; a client that S3 keeps waiting stalls not.
            await settle()
            gate.open()
        if how != "control":
            assert await client.replies(2 if how == "abor" else 1) == [426, 226][: 1 + (how == "abor")]
        scene.open_gates()
        wire.close()
        await scene.assert_nothing_is_held()
        assert scene.content("file") == case.old
        scene.script.clear()
        if how != "control":
            await scene.assert_session_lives(client)


@few_cases
async def test_a_drain_lets_an_append_end(case: Case) -> None:
    async with fault_scene() as scene:
        scene.s3.put("file", case.old)
        client = await scene.client()
        wire = await begin(client, case)
        assert wire is not None
        await wire.send(case.new[:1000])
        draining = asyncio.create_task(scene.server.drain(10))
        await asyncio.sleep(0)
        await push(wire, case.new[1000:])
        assert (await client.reply()).code == 226
        assert scene.content("file") == case.whole
        await draining


@few_cases
@pytest.mark.parametrize(
    ("tls", "policy"),
    [
        (RequireTls.CONTROL_AND_DATA, UploadEnd.STRICT),
        (RequireTls.CONTROL_AND_DATA, UploadEnd.GUARDED),
        (RequireTls.NONE, UploadEnd.GUARDED),
    ],
)
async def test_a_client_that_is_killed_leaves_the_file_as_it_was(
    case: Case, tls: RequireTls, policy: UploadEnd
) -> None:
    async with fault_scene(require_tls=tls, upload_end=policy) as scene:
        scene.s3.put("file", case.old)
        client = await scene.client()
        wire = await begin(client, case)
        assert wire is not None
        await wire.send(case.new)
        wire.close()
        client.wire.close()
        await until(lambda: not scene.server.sessions, "the session has ended")
        assert scene.content("file") == case.old


HARMS = [
    pytest.param(Harm(act, direction, place), id=f"{act.value}-{direction.value}-{place}")
    for act in (Act.RESET, Act.CLOSE, Act.STALL)
    for direction in Direction
    for place in (0, 300, 2000)
]


@few_cases
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("connection", [0, 1])
async def test_an_append_survives_a_connection_to_s3_that_breaks_anywhere(
    case: Case, harm: Harm, connection: int
) -> None:
    async with fault_scene(through_proxy=True, read_timeout=0.3) as scene:
        scene.s3.put("file", case.old)
        scene.proxy.plan(*[None] * connection, harm)
        client = await scene.client()
        assert await upload(client, case) == 226
        assert scene.content("file") == case.whole
        await scene.assert_session_lives(client)
        scene.proxy.release()
        for key, upload_id in scene.s3.uploads_in_progress:  # its creation was not heard of: see test_s3_faults.py
            assert not (await scene.s3_client.list_parts(key, upload_id)).parts
            await scene.s3_client.abort_multipart_upload(key, upload_id)


async def test_a_base_that_cannot_be_read_to_its_end_is_451_and_nothing_is_stored() -> None:
    case = CASES["read, one put"]
    async with fault_scene() as scene:
        scene.s3.put("file", case.old)
        scene.script.add(cut_body(100), "GetObject", times=None)
        client = await scene.client()
        assert await upload(client, case) == 451
        assert scene.content("file") == case.old
        scene.script.clear()
        await scene.assert_session_lives(client)


async def test_a_copy_that_fails_is_told_to_a_client_that_is_silent() -> None:
    case = CASES["copied"]
    async with fault_scene() as scene:
        scene.s3.put("file", case.old)
        gate = scene.gate()
        scene.script.add(gate.before, "UploadPartCopy", at=2)
        client = await scene.client()
        wire = await begin(client, case)
        assert wire is not None
        await wire.send(case.new[:50])
        await gate.reached.wait()
        scene.s3.put("file", b"foreign")
        gate.open()
        assert (await client.reply()).code == 451
        assert scene.content("file") == b"foreign"
        wire.close()
        await scene.assert_session_lives(client)

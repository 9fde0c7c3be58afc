"""Each kind of S3 fault at each request of each operation: acknowledged means done, anything else means nothing done.

A fault that strikes once is mended by a retry, and the client hears of nothing. One that stays is told with the right
code, leaves what was there before, and the session lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from aioftps3.embedded import Answer, Call, Intercept, Proceed, faults
from aioftps3.embedded.faults import Gate
from tests.support.faults import PART, Scene, fault_scene, noise, push, until
from tests.support.ftp_session import FtpClient

OLD = noise(1000, seed=1)
SMALL = noise(PART - 1, seed=2)
LARGE = noise(3 * PART + 77, seed=3)
ADDED = noise(PART + 5, seed=4)
LISTED = {f"dir/{number:02d}": OLD for number in range(20)}

Contents = Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Flow:
    """One FTP operation on S3: what is there before and after, its requests, and the reply that acknowledges it."""

    name: str
    before: Contents
    after: Contents
    """What is there when it is done; None for what is gone."""
    requests: tuple[tuple[str, int], ...]
    """Operation and occurrence of each request at which a fault is tried."""
    run: Callable[[Scene, FtpClient], object]
    good: int
    bad: int = 451
    """The reply when S3 fails for good."""

    @property
    def before_or_copied(self) -> Contents:
        """What is there when a rename has copied everything and deleted nothing."""
        return {**self.before, **{name: data for name, data in self.after.items() if data is not None}}


async def _small(scene: Scene, client: FtpClient) -> int:
    return (await scene.store(client, "file", SMALL)).code


async def _large(scene: Scene, client: FtpClient) -> int:
    return (await scene.store(client, "file", LARGE)).code


async def _append(scene: Scene, client: FtpClient) -> int:
    """APPE, which may be refused before its 150."""
    wire = await client.connect_data()
    await client.send("APPE file")
    answer = await client.reply()
    if answer.code != 150:
        wire.close()
        return answer.code
    await client.encrypt(wire)
    await push(wire, ADDED)
    return (await client.reply()).code


async def _download(scene: Scene, client: FtpClient) -> int:
    code, data = await scene.fetch(client, "RETR file")
    assert code != 226 or data == LARGE, "226 for a file that is not whole"
    assert LARGE.startswith(data), "other bytes than the file's"
    return code


async def _list(scene: Scene, client: FtpClient) -> int:
    code, data = await scene.fetch(client, "NLST dir")
    names = [f"{number:02d}" for number in range(20)]
    assert code != 226 or data.decode().split() == names, "226 for a listing that is not whole"
    return code


async def _rename(_: Scene, client: FtpClient) -> int:
    answer = await client.command("RNFR file")
    return (await client.command("RNTO other")).code if answer.code == 350 else answer.code


async def _rename_directory(_: Scene, client: FtpClient) -> int:
    answer = await client.command("RNFR dir")
    return (await client.command("RNTO new")).code if answer.code == 350 else answer.code


def _plain(line: str) -> Callable[[Scene, FtpClient], object]:
    async def run(_: Scene, client: FtpClient) -> int:
        return (await client.command(line)).code

    return run


FLOWS = (
    Flow("small upload", {"file": OLD}, {"file": SMALL}, (("PutObject", 1),), _small, 226),
    Flow(
        "multipart upload",
        {"file": OLD},
        {"file": LARGE},
        (("CreateMultipartUpload", 1), ("UploadPart", 1), ("UploadPart", 4), ("CompleteMultipartUpload", 1)),
        _large,
        226,
    ),
    Flow(
        "append to a small file",
        {"file": OLD},
        {"file": OLD + ADDED},
        (
            ("HeadObject", 1),
            ("GetObject", 1),
            ("CreateMultipartUpload", 1),
            ("UploadPart", 2),
            ("HeadObject", 2),
            ("CompleteMultipartUpload", 1),
        ),
        _append,
        226,
    ),
    Flow(
        "append to a large file",
        {"file": LARGE},
        {"file": LARGE + ADDED},
        (
            ("HeadObject", 1),
            ("CreateMultipartUpload", 1),
            ("UploadPartCopy", 1),
            ("UploadPartCopy", 3),
            ("UploadPart", 1),
            ("HeadObject", 2),
            ("CompleteMultipartUpload", 1),
        ),
        _append,
        226,
    ),
    Flow("append to no file", {}, {"file": ADDED}, (("HeadObject", 1),), _append, 226),
    Flow("download", {"file": LARGE}, {"file": LARGE}, (("GetObject", 1),), _download, 226),
    Flow("listing", LISTED, LISTED, (("ListObjectsV2", 1),), _list, 226),
    Flow(
        "rename of a file",
        {"file": SMALL, "other": OLD},
        {"file": None, "other": SMALL},
        (("ListObjectsV2", 1), ("CopyObject", 1), ("DeleteObject", 1)),
        _rename,
        250,
    ),
    Flow(
        "rename of a directory",
        LISTED,
        dict.fromkeys(LISTED) | {key.replace("dir", "new"): OLD for key in LISTED},
        (
            ("ListObjectsV2", 1),
            ("ListObjectsV2", 2),
            ("ListObjectsV2", 3),
            ("CopyObject", 1),
            ("CopyObject", 20),
            ("ListObjectsV2", 4),
            ("ListObjectsV2", 5),
            ("DeleteObjects", 1),
        ),
        _rename_directory,
        250,
    ),
    Flow(
        "delete",
        {"file": OLD},
        {"file": None},
        (("HeadObject", 1), ("DeleteObject", 1)),
        _plain("DELE file"),
        250,
    ),
    Flow("mkdir", {}, {"made/": b""}, (("ListObjectsV2", 1), ("PutObject", 1)), _plain("MKD made"), 257),
    Flow(
        "rmdir",
        {"made/": b""},
        {"made/": None},
        (("ListObjectsV2", 1), ("DeleteObject", 1)),
        _plain("RMD made"),
        250,
    ),
)

CASES = [
    pytest.param(flow, operation, at, id=f"{flow.name}-{operation}-{at}".replace(" ", "-"))
    for flow in FLOWS
    for operation, at in flow.requests
]
WRITES = {"PutObject", "CompleteMultipartUpload", "CopyObject", "DeleteObject", "DeleteObjects"}
"""Requests that change what clients see."""
BODIED = {"PutObject", "UploadPart"}
SLOW = {"CompleteMultipartUpload", "CopyObject", "UploadPartCopy"}
DOCUMENTED = {*SLOW, "CreateMultipartUpload", "ListObjectsV2", "DeleteObjects"}


def _once(operation: str) -> dict[str, Intercept]:
    """Faults that one retry mends, by name."""
    found = {
        "500": faults.internal_error(),
        "503": faults.slow_down(),
        "409": faults.conflict(),
        "OperationAborted": faults.conflict("OperationAborted"),
        "reset-before": faults.cut_before(),
        "lost-answer": faults.cut_after(),
    }
    if operation in BODIED:
        found["reset-inside"] = faults.cut_intake(1000)
    if operation in SLOW:
        found["error-in-200"] = faults.error_in_success()
        found["error-in-200-acted"] = faults.error_in_success(acted=True)
    if operation in DOCUMENTED:
        found["broken-xml"] = faults.broken_document()
        found["no-xml"] = faults.broken_document(b"<html><body>It works!</body></html>")
        found["truncated"] = faults.truncated_body(40)
        found["reset-in-answer"] = faults.cut_body(40)
    if operation == "GetObject":
        found["truncated"] = faults.truncated_body(PART + 5)
        found["reset-in-answer"] = faults.cut_body(2 * PART)
        found["truncated-early"] = faults.truncated_body(500)
        found["reset-early"] = faults.cut_body(900)
    return found


ONCE = [
    pytest.param(*case.values, fault, id=f"{case.id}-{name}")
    for case in CASES
    for name, fault in _once(str(case.values[1])).items()
]


def seed(scene: Scene, flow: Flow) -> None:
    for name, content in flow.before.items():
        assert content is not None
        scene.s3.put(name, content)


def holds(scene: Scene, contents: Contents) -> bool:
    return all(scene.content(name) == content for name, content in contents.items())


async def run(scene: Scene, client: FtpClient, flow: Flow) -> int:
    code = await flow.run(scene, client)  # type: ignore[misc]  # a Flow's run is a coroutine function
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(("flow", "operation", "at", "fault"), ONCE)
async def test_a_fault_that_passes_is_mended_and_nobody_hears_of_it(
    flow: Flow, operation: str, at: int, fault: Intercept
) -> None:
    async with fault_scene() as scene:
        seed(scene, flow)
        rule = scene.script.add(fault, operation, at=at)
        client = await scene.client()
        assert await run(scene, client, flow) == flow.good
        assert rule.struck == 1
        assert holds(scene, flow.after)
        lost_create = operation == "CreateMultipartUpload" and scene.s3.uploads_in_progress
        if lost_create:
            # S3 has made an upload whose id nobody was told: there is nothing to abort it by. `sweep` finds it.
            await forget_lost_uploads(scene)
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


async def forget_lost_uploads(scene: Scene) -> None:
    """Uploads without parts whose creation was answered, but not heard."""
    for key, upload_id in scene.s3.uploads_in_progress:
        assert not (await scene.s3_client.list_parts(key, upload_id)).parts
        await scene.s3_client.abort_multipart_upload(key, upload_id)


REFUSALS = {
    "500": (faults.internal_error(), None),
    "503": (faults.slow_down(), None),
    "409": (faults.conflict(), 450),
    "reset-before": (faults.cut_before(), None),
    "expired-token": (faults.expired_token(), None),
    "wrong-region": (faults.wrong_region("us-east-1"), None),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize(("flow", "operation", "at"), CASES)
async def test_a_fault_that_stays_is_told_and_nothing_has_changed(
    flow: Flow, operation: str, at: int, name: str
) -> None:
    fault, other_code = REFUSALS[name]
    code = other_code if other_code is not None and flow.good != 226 else flow.bad
    async with fault_scene() as scene:
        seed(scene, flow)
        rule = scene.script.add(fault, operation, at=at, times=None)
        client = await scene.client()
        assert await run(scene, client, flow) == code
        assert rule.struck >= 1
        copied = flow.name.startswith("rename") and operation in ("DeleteObject", "DeleteObjects")
        assert holds(scene, flow.before_or_copied if copied else flow.before)
        scene.script.clear()
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)
        assert await run(scene, client, flow) == flow.good, "the same works when S3 does"
        assert holds(scene, flow.after)


LOST = [case for case in CASES if case.values[1] in WRITES]


@pytest.mark.parametrize(("flow", "operation", "at"), LOST)
async def test_an_answer_that_stays_lost_is_never_taken_for_a_good_one(flow: Flow, operation: str, at: int) -> None:
    """The request was carried out and every answer to it lost, and S3 tells nothing else either.

    Either state is then allowed, old or new, but none between; and the client is told that it failed.
    """
    async with fault_scene() as scene:
        seed(scene, flow)
        first = scene.script.add(faults.cut_after(), operation, at=at, times=None)
        client = await scene.client()

        heads = scene.script.add(_silent_after(first), "HeadObject", times=None)
        assert await run(scene, client, flow) == flow.bad
        assert first.struck >= 3
        assert heads.seen == heads.struck
        for key in {**flow.before, **flow.after}:
            assert scene.content(key) in (flow.before.get(key), flow.after.get(key)), key
        scene.script.clear()
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


def _silent_after(rule: faults.Rule) -> Intercept:
    """Lose the answers to requests that come after the rule has struck."""
    silent = faults.cut_after()

    async def fault(call: Call, proceed: Proceed) -> Answer:
        return await (silent(call, proceed) if rule.struck else proceed())

    return fault


async def test_a_lost_answer_to_complete_is_resolved_by_the_write_token() -> None:
    """Every answer to Complete is lost, and HEAD shows the token: that is proof, and the client hears 226."""
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)
        scene.script.add(faults.cut_after(), "CompleteMultipartUpload", times=None)
        client = await scene.client()
        assert (await scene.store(client, "file", LARGE)).code == 226
        assert scene.content("file") == LARGE
        assert scene.s3.count("HeadObject") == 1


async def test_a_complete_that_never_acted_is_not_taken_for_done_because_an_object_of_that_size_is_there() -> None:
    """The old object has the same size and even the same content; only the token tells whose it is."""
    async with fault_scene() as scene:
        scene.s3.put("file", LARGE)
        scene.script.add(faults.cut_before(), "CompleteMultipartUpload", times=None)
        client = await scene.client()
        assert (await scene.store(client, "file", LARGE)).code == 451
        await scene.assert_nothing_is_held()


GATES: dict[str, Callable[[Gate], Intercept]] = {
    "before": lambda gate: gate.before,
    "intake": lambda gate: gate.intake,
    "after": lambda gate: gate.after,
}


@pytest.mark.parametrize("when", GATES)
@pytest.mark.parametrize(("flow", "operation", "at"), CASES)
async def test_a_request_that_stalls_is_given_up_and_tried_again(
    flow: Flow, operation: str, at: int, when: str
) -> None:
    async with fault_scene(read_timeout=0.25) as scene:
        seed(scene, flow)
        rule = scene.script.add(GATES[when](scene.gate()), operation, at=at)
        client = await scene.client()
        assert await run(scene, client, flow) == flow.good
        assert rule.struck == 1
        assert holds(scene, flow.after)
        scene.open_gates()
        if operation == "CreateMultipartUpload":
            await until(lambda: scene.s3.count(operation) == 2, "the request that was given up is carried out late")
            await forget_lost_uploads(scene)
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


async def test_an_upload_that_s3_refuses_does_not_wait_for_a_silent_client() -> None:
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)
        scene.script.add(faults.internal_error(), "UploadPart", times=None)
        client = await scene.client()
        wire = await client.open_data("STOR file")
        await wire.send(LARGE[: 2 * PART])
        assert (await client.reply()).code == 451
        wire.close()
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()
        scene.script.clear()
        await scene.assert_session_lives(client)


async def test_a_download_goes_on_where_its_stream_stalled() -> None:
    async with fault_scene(read_timeout=0.25) as scene:
        scene.s3.put("file", LARGE)
        scene.script.add(faults.stalled_body(scene.gate(), PART + 3), "GetObject")
        client = await scene.client()
        assert await scene.fetch(client, "RETR file") == (226, LARGE)
        assert scene.s3.count("GetObject") == 2


async def test_a_download_whose_stream_breaks_again_and_again_is_451() -> None:
    async with fault_scene() as scene:
        scene.s3.put("file", LARGE)
        scene.script.add(faults.cut_body(10), "GetObject", times=None)
        client = await scene.client()
        code, data = await scene.fetch(client, "RETR file")
        assert code == 451
        assert LARGE.startswith(data)
        scene.script.clear()
        await scene.assert_session_lives(client)


async def test_a_download_of_a_file_that_is_replaced_meanwhile_is_451_and_never_a_mixture() -> None:
    async with fault_scene(read_timeout=0.25) as scene:
        scene.s3.put("file", LARGE)
        gate = scene.gate()
        scene.script.add(faults.stalled_body(gate, PART), "GetObject")
        client = await scene.client()
        wire = await client.open_data("RETR file")
        await gate.reached.wait()
        scene.s3.put("file", noise(len(LARGE), seed=8))
        data = await wire.receive_all()
        assert (await client.reply()).code == 451
        assert LARGE.startswith(data)
        assert wire.ended_by != "close_notify"
        wire.close()
        await scene.assert_session_lives(client)


async def test_a_clock_of_s3_that_jumps_in_the_middle_of_an_upload_is_followed() -> None:
    async with fault_scene() as scene:
        client = await scene.client()
        wire = await client.open_data("STOR file")
        await wire.send(LARGE[: 2 * PART])
        scene.clock_offset = 3600.0
        await wire.send(LARGE[2 * PART :])
        await wire.end_in_order()
        assert (await client.reply()).code == 226
        assert scene.content("file") == LARGE


async def test_a_lie_about_the_clock_costs_one_command_and_is_forgotten() -> None:
    async with fault_scene() as scene:
        scene.script.add(faults.clock_skew(86_400.0), "PutObject")
        client = await scene.client()
        assert (await scene.store(client, "file", SMALL)).code == 451
        assert scene.content("file") is None
        await scene.assert_session_lives(client)


async def test_a_lie_about_the_region_costs_one_command_and_is_forgotten() -> None:
    async with fault_scene() as scene:
        scene.script.add(faults.wrong_region("eu-north-1"), "PutObject")
        client = await scene.client()
        assert (await scene.store(client, "file", SMALL)).code == 451
        assert scene.content("file") is None
        await scene.assert_session_lives(client)


async def test_an_early_refusal_of_a_part_ends_a_long_upload_at_once() -> None:
    """The client is told while it is still sending, and not after the whole file."""
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)
        scene.script.add(faults.expired_token(), "UploadPart", times=None)
        client = await scene.client()
        wire = await client.open_data("STOR file")
        with pytest.raises(ConnectionError):
            await wire.send(noise(100 * len(LARGE)))
        assert (await client.reply()).code == 451
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()
        scene.script.clear()
        await scene.assert_session_lives(client)

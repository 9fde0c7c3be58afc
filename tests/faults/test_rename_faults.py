"""Renames of directories while S3, the client or the daemon fails: every file is whole under its old or its new name at
every moment, and the same rename, sent again, goes on and ends well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from aioftps3.embedded import Answer, Call, Intercept, Proceed, faults
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.s3store import S3Store
from aioftps3.storage.tree import Tree
from tests.support.faults import PART, Scene, fault_scene, noise, until
from tests.support.ftp_session import PATIENCE_SECONDS, FtpClient

LARGE = 2 * PART + 5
FILES = {
    "": b"",
    "empty": b"",
    "sub/": b"",
    "sub/deep": noise(100, seed=1),
    "/hidden": noise(100, seed=2),
    "../hidden": noise(100, seed=3),
    "large": noise(LARGE, seed=4),
    **{f"{number:02}": noise(10 + number, seed=5) for number in range(30)},
}
"""What is below the directory, by the rest of the key: more than are copied at once, and one in parts."""

OLD, NEW = VirtualPath("/old"), VirtualPath("/new")


def seed(scene: Scene) -> None:
    for name, data in FILES.items():
        scene.s3.put(f"old/{name}", data)


def assert_nothing_is_lost(scene: Scene) -> None:
    for name, data in FILES.items():
        held = {scene.content(f"{directory}/{name}") for directory in ("old", "new")} - {None}
        assert held == {data}, name


def assert_done(scene: Scene) -> None:
    assert scene.s3.objects() == {f"new/{name}": len(data) for name, data in sorted(FILES.items())}
    assert_nothing_is_lost(scene)


def watched(scene: Scene) -> None:
    """Look at every moment at which something may have changed."""
    script = scene.script

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        assert_nothing_is_lost(scene)
        answer = await script(call, proceed)
        assert_nothing_is_lost(scene)
        return answer

    scene.s3.intercept = intercept


async def rename(client: FtpClient) -> int:
    answer = await client.command("RNFR old")
    return (await client.command("RNTO new")).code if answer.code == 350 else answer.code


def copying(scene: Scene) -> S3Store:
    store = scene.tree._store
    assert isinstance(store, S3Store)
    return store


FAULTS: dict[str, Callable[[Scene], Intercept]] = {
    "500": lambda _: faults.internal_error(),
    "503": lambda _: faults.slow_down(),
    "reset-before": lambda _: faults.cut_before(),
    "lost-answer": lambda _: faults.cut_after(),
    "error-in-200-acted": lambda _: faults.error_in_success(acted=True),
    "timeout-before": lambda scene: scene.gate().before,
    "timeout-after": lambda scene: scene.gate().after,
}

REQUESTS = (
    ("ListObjectsV2", 5),
    ("HeadObject", 1),
    ("CreateMultipartUpload", 1),
    ("UploadPartCopy", 3),
    ("CompleteMultipartUpload", 1),
    ("CopyObject", len(FILES) - 1),
    ("DeleteObjects", 1),
)
"""What the rename asks of S3, and how often."""


CASES = [
    (operation, at, restarted, name)
    for operation, count in REQUESTS
    for at in sorted({1, count, *range(1, min(count, 5) + 1)})
    for restarted in ((False, True) if count == 1 else (at % 2 == 0,))
    for name in FAULTS
    if not name.startswith("timeout") or at in (1, 5)  # they take their time
]
"""Each request, or so many of one kind as differ, and whether the second try is another daemon's."""


@pytest.mark.parametrize(("operation", "at", "restarted", "name"), CASES)
async def test_a_directory_rename_that_fails_at_any_request_is_repeated_and_ends_well(
    operation: str, at: int, restarted: bool, name: str
) -> None:
    patience = 0.25 if name.startswith("timeout") else PATIENCE_SECONDS
    async with fault_scene(read_timeout=patience, single_copy_bytes=LARGE - 1) as scene:
        seed(scene)
        watched(scene)
        rule = scene.script.add(FAULTS[name](scene), operation, at=at, times=None)
        client = await scene.client()
        first = await rename(client)
        assert rule.struck
        scene.script.clear()
        scene.open_gates()
        if operation == "CreateMultipartUpload":
            await drop_lost_uploads(scene)
        await scene.assert_nothing_is_held()
        if restarted:
            scene.tree = Tree(copying(scene), locks=scene.locks)
            client = await scene.client()
        again = await rename(client)
        # A deletion that was carried out unheard leaves nothing to rename.
        gone = operation == "DeleteObjects" and name in ("lost-answer", "error-in-200-acted", "timeout-after")
        assert (first, again) in ((451, 250), (250, 550), *(((451, 550),) if gone else ()))
        assert_done(scene)
        await scene.assert_nothing_is_held()


async def drop_lost_uploads(scene: Scene) -> None:
    """Uploads whose creation nobody has heard of are `aioftps3 sweep`'s business; they may come late."""
    for _ in range(3):
        for key, upload_id in scene.s3.uploads_in_progress:
            await scene.s3_client.abort_multipart_upload(key, upload_id)
        await scene.s3_client.list_objects(prefix="new/large")


async def test_a_client_that_leaves_in_the_middle_has_its_rename_done() -> None:
    async with fault_scene() as scene:
        seed(scene)
        watched(scene)
        gate = scene.gate()
        scene.script.add(gate.after, "CopyObject", at=20)
        client = await scene.client()
        await client.expect(350, "RNFR old")
        await client.send("RNTO new")
        await gate.reached.wait()
        client.wire.reset()
        gate.open()
        await until(lambda: scene.s3.objects().keys() == {f"new/{name}" for name in FILES}, "the rename goes on")
        assert_done(scene)


async def test_a_client_that_lost_patience_and_asks_again_is_told_when_it_is_done() -> None:
    async with fault_scene() as scene:
        seed(scene)
        gate = scene.gate()
        scene.script.add(gate.after, "CopyObject", at=20)
        first, second = await scene.client(), await scene.client()
        await first.expect(350, "RNFR old")
        await first.send("RNTO new")
        await gate.reached.wait()
        first.wire.reset()
        await second.expect(350, "RNFR old")
        await second.send("RNTO new")
        gate.open()
        assert (await second.reply()).code == 250
        assert_done(scene)


async def test_a_drain_lets_a_rename_end() -> None:
    async with fault_scene() as scene:
        seed(scene)
        watched(scene)
        gate = scene.gate()
        scene.script.add(gate.after, "CopyObject", at=20)
        client = await scene.client()
        await client.expect(350, "RNFR old")
        await client.send("RNTO new")
        await gate.reached.wait()
        drain = asyncio.create_task(scene.server.drain(10))
        await asyncio.sleep(0)
        gate.open()
        assert (await client.reply()).code == 250
        assert (await client.reply()).code == 421
        await drain
        assert_done(scene)


@pytest.mark.parametrize(
    ("operation", "at"), [("CopyObject", 1), ("CopyObject", 20), ("UploadPartCopy", 2), ("DeleteObjects", 1)]
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_rename_that_the_end_of_the_daemon_cuts_off_goes_on_in_the_next_one(
    operation: str, at: int, when: str
) -> None:
    async with fault_scene(ends_by_itself=False, single_copy_bytes=LARGE - 1) as scene:
        seed(scene)
        watched(scene)
        gate = scene.gate()
        scene.script.add(gate.before if when == "before" else gate.after, operation, at=at)
        client = await scene.client()
        await client.expect(350, "RNFR old")
        await client.send("RNTO new")
        await gate.reached.wait()
        await scene.server.drain(0)
        await scene.server.close()
        assert (await client.reply()).code == 421
        gate.open()
        await scene.assert_nothing_is_held()
        assert_nothing_is_lost(scene)
        tree = Tree(copying(scene), locks=PathLocks())
        if any(key.startswith("old/") for key in scene.s3.objects()):
            await tree.rename(await tree.rename_source(OLD), NEW)
        assert_done(scene)


async def test_a_copy_of_a_directory_that_fails_is_repeated_and_ends_well() -> None:
    async with fault_scene(single_copy_bytes=LARGE - 1) as scene:
        seed(scene)
        rule = scene.script.add(faults.internal_error(), "CopyObject", at=20, times=None)
        source = await scene.tree.rename_source(OLD)
        with pytest.raises(Exception, match="storage unavailable"):
            await scene.tree.copy(source, NEW)
        assert rule.struck
        scene.script.clear()
        scene.s3.clear()
        await scene.tree.copy(source, NEW)
        assert scene.s3.count("CopyObject") < len(FILES) - 15
        assert len(scene.s3.objects()) == 2 * len(FILES)
        assert_nothing_is_lost(scene)

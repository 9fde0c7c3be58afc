"""What clients do to uploads and downloads, at each stage: nothing that did not end well is seen, nothing is left.

Stages of an upload of several parts, in their order: announced (150, no data connection yet), connected, in the middle
of a part, at a boundary of parts, with all bytes sent but no end, and committing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from unittest import mock

import pytest

from aioftps3.ftp.config import RequireTls, UploadEnd
from aioftps3.storage.files import WriteFile
from tests.support.faults import PART, Scene, fault_scene, noise, until
from tests.support.ftp_session import PATIENCE_SECONDS, FtpClient, Wire, moves, settle

OLD = noise(1000, seed=1)
NEW = noise(3 * PART + 77, seed=3)

STAGES: dict[str, int | None] = {
    "announced": None,
    "connected": 0,
    "in-the-first-part": 1000,
    "one-part": PART,
    "one-part-and-a-byte": PART + 1,
    "three-parts": 3 * PART,
    "all-sent": len(NEW),
}
"""Bytes sent before the fault; None: there is no data connection."""

CLEAR, TLS = RequireTls.NONE, RequireTls.CONTROL_AND_DATA
protections = pytest.mark.parametrize("tls", [TLS, CLEAR], ids=["tls", "clear"])
stages = pytest.mark.parametrize("stage", STAGES)

TELNET_INTERRUPT = b"\xff\xf4\xff\xf2"
"""IAC IP IAC DM, which RFC 959 section 4.1.3 wants in front of ABOR."""


async def at_stage(scene: Scene, client: FtpClient, stage: str) -> Wire | None:
    """Begin an upload of `file` and bring it to a stage; everything that was sent has arrived."""
    scene.s3.put("file", OLD)
    sent = STAGES[stage]
    if sent is None:
        await client.passive_port()
        await client.expect(150, "STOR file")
        return None
    wire = await client.open_data("STOR file")
    await wire.send(NEW[:sent])
    await arrived(scene, sent)
    return wire


async def arrived(scene: Scene, sent: int) -> None:
    """Until the parts that are full have reached S3 (the first one goes when there is a byte beyond it)."""
    full = sent // PART if sent > PART else 0
    await until(lambda: scene.s3.count("UploadPart") == full, f"{full} parts in S3")


async def reset(client: FtpClient, wire: Wire | None) -> None:
    if wire is not None:
        wire.reset()


async def abor(client: FtpClient, _: Wire | None) -> None:
    await client.wire.send(b"ABOR\r\n")


async def abor_behind_telnet_signals(client: FtpClient, _: Wire | None) -> None:
    await client.wire.send(TELNET_INTERRUPT + b"ABOR\r\n")


async def abor_byte_by_byte(client: FtpClient, _: Wire | None) -> None:
    for byte in TELNET_INTERRUPT + b"ABOR\r\n":
        await client.wire.send(bytes([byte]))


async def abor_as_urgent_data(client: FtpClient, _: Wire | None) -> None:
    await client.wire.send_urgent(TELNET_INTERRUPT)
    await client.wire.send(b"ABOR\r\n")


async def abor_whole_as_urgent_data(client: FtpClient, _: Wire | None) -> None:
    await client.wire.send_urgent(TELNET_INTERRUPT + b"ABOR\r\n")


Act = Callable[[FtpClient, Wire | None], Awaitable[None]]

ABORS: list[Act] = [
    abor,
    abor_behind_telnet_signals,
    abor_byte_by_byte,
    abor_as_urgent_data,
    abor_whole_as_urgent_data,
]


@protections
@stages
@pytest.mark.parametrize("act", ABORS, ids=lambda act: act.__name__.replace("_", "-"))
async def test_abor_before_the_end_is_426_and_226_and_nothing_is_stored(stage: str, act: Act, tls: RequireTls) -> None:
    async with fault_scene(require_tls=tls) as scene:
        client = await scene.client()
        wire = await at_stage(scene, client, stage)
        await act(client, wire)
        assert await client.replies(2) == [426, 226]
        if wire is not None:
            assert await wire.receive() == b""
            wire.close()
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


@pytest.mark.parametrize(
    ("policy", "tls"),
    [
        (UploadEnd.STRICT, TLS),
        *((policy, tls) for policy in (UploadEnd.GUARDED, UploadEnd.TRUSTING) for tls in (TLS, CLEAR)),
    ],
)
@pytest.mark.parametrize("sent", [1, PART // 2, 2 * PART + 1])
async def test_abor_that_arrives_with_an_orderly_end_still_aborts(
    sent: int, policy: UploadEnd, tls: RequireTls
) -> None:
    """Clients that abort end their data connection in order, too."""
    async with fault_scene(require_tls=tls, upload_end=policy) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        for _ in range(5):
            wire = await client.open_data("STOR file")
            await wire.send(NEW[:sent])
            await settle()
            await client.wire.send(b"ABOR\r\n")  # neither this nor the end waits for a turn of the loop
            await wire.end_in_order()
            assert await client.replies(2) == [426, 226]
            assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


@protections
@stages
async def test_a_reset_data_connection_is_426_and_nothing_is_stored(stage: str, tls: RequireTls) -> None:
    async with fault_scene(require_tls=tls, data_connect_timeout=0.2) as scene:
        client = await scene.client()
        await reset(client, await at_stage(scene, client, stage))
        assert (await client.reply()).code == (425 if stage == "announced" else 426)
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


@protections
async def test_a_reset_is_noticed_while_s3_is_slow_and_the_client_is_held_back(tls: RequireTls) -> None:
    """Nobody reads the data connection then."""
    async with fault_scene(require_tls=tls) as scene:
        gate = scene.gate()
        scene.script.add(gate.before, "UploadPart", times=None)
        client = await scene.client()
        wire = await client.open_data("STOR file")
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await wire.send(noise(PART))
                sent += PART

        sending = asyncio.create_task(send())
        await gate.reached.wait()
        while await moves(lambda: sent):
            pass
        sending.cancel()
        await asyncio.wait({sending})
        wire.reset()
        assert (await client.reply()).code == 426
        scene.open_gates()
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


@protections
@stages
async def test_a_stalled_sender_is_426_and_nothing_is_stored(stage: str, tls: RequireTls) -> None:
    async with fault_scene(require_tls=tls, stall_timeout=0.3, data_connect_timeout=0.3) as scene:
        client = await scene.client()
        wire = await at_stage(scene, client, stage)
        assert (await client.reply()).code == (425 if stage == "announced" else 426)
        if wire is not None:
            assert await wire.receive() == b""
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()


def control_reset(client: FtpClient, _: Wire | None) -> None:
    client.wire.reset()


def control_closed(client: FtpClient, _: Wire | None) -> None:
    client.wire.close()


def control_half_closed(client: FtpClient, _: Wire | None) -> None:
    client.wire.fin()


def killed(client: FtpClient, wire: Wire | None) -> None:
    """As the kernel does it for a process that is gone: FIN on both, and no close_notify."""
    if wire is not None:
        wire.close()
    client.wire.close()


def killed_the_other_way_round(client: FtpClient, wire: Wire | None) -> None:
    client.wire.close()
    if wire is not None:
        wire.close()


LOSSES = [control_reset, control_closed, control_half_closed, killed, killed_the_other_way_round]


@protections
@stages
@pytest.mark.parametrize("lose", LOSSES, ids=lambda act: act.__name__.replace("_", "-"))
async def test_a_lost_control_connection_before_the_end_stores_nothing(
    stage: str, lose: Callable[[FtpClient, Wire | None], None], tls: RequireTls
) -> None:
    async with fault_scene(require_tls=tls) as scene:
        client = await scene.client()
        wire = await at_stage(scene, client, stage)
        lose(client, wire)
        await until(lambda: not scene.server.sessions, "the session has ended")
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()


@pytest.mark.parametrize("policy", [UploadEnd.GUARDED, UploadEnd.STRICT])
@pytest.mark.parametrize("lose", [control_reset, control_closed], ids=lambda act: act.__name__)
async def test_a_control_connection_that_is_lost_between_fin_and_commit_stores_nothing(
    lose: Callable[[FtpClient, Wire | None], None], policy: UploadEnd
) -> None:
    """The FIN has arrived and the grace runs."""
    async with fault_scene(upload_end=policy) as scene:
        client = await scene.client()
        wire = await at_stage(scene, client, "all-sent")
        assert wire is not None
        wire.fin()
        lose(client, wire)
        await until(lambda: not scene.server.sessions, "the session has ended")
        assert scene.content("file") == OLD


async def test_abor_between_fin_and_commit_stores_nothing() -> None:
    async with fault_scene() as scene:
        client = await scene.client()
        wire = await at_stage(scene, client, "all-sent")
        assert wire is not None
        wire.fin()
        await client.send("ABOR")
        assert await client.replies(2) == [426, 226]
        assert scene.content("file") == OLD


COMMITS = pytest.mark.parametrize(
    ("size", "request_name"), [(PART, "PutObject"), (4 * PART, "CompleteMultipartUpload")]
)


@COMMITS
@pytest.mark.parametrize("when", ["before", "after"])
async def test_abor_during_the_commit_comes_too_late_and_the_file_is_there(
    size: int, request_name: str, when: str
) -> None:
    async with fault_scene() as scene:
        gate = scene.gate()
        scene.script.add(gate.before if when == "before" else gate.after, request_name)
        client = await scene.client()
        content = await committing(client, size)
        await gate.reached.wait()
        await client.send("ABOR")
        gate.open()
        assert await client.replies(2) == [226, 226]
        assert scene.content("file") == content
        await scene.assert_session_lives(client)


async def committing(client: FtpClient, size: int) -> bytes:
    """Send a whole file and end it in order."""
    content = noise(size, seed=5)
    wire = await client.open_data("STOR file")
    await wire.send(content)
    await wire.end_in_order()
    return content


LIMIT_SECONDS = 0.3


@COMMITS
async def test_a_commit_that_takes_longer_than_every_limit_keeps_the_session(size: int, request_name: str) -> None:
    """S3 may take minutes. Nothing is sent meanwhile unless the client asks, and it may ask and wait in turns."""
    limit = LIMIT_SECONDS
    async with fault_scene(idle_timeout=limit, stall_timeout=limit, data_connect_timeout=limit) as scene:
        gate = scene.gate()
        scene.script.add(gate.before, request_name)
        client = await scene.client()
        content = await committing(client, size)
        await gate.reached.wait()
        hearing = asyncio.create_task(client.reply())
        assert await asyncio.wait({hearing}, timeout=3 * limit) == (set(), {hearing}), "nothing before its time"
        await client.send("NOOP")
        assert (await hearing).code == 200
        assert await client.codes("STAT", "NOOP") == [211, 200]
        await client.send("PWD", "NOOP")
        gate.open()
        assert await client.replies(3) == [226, 257, 200], "what has to wait is answered behind it, in order"
        assert scene.content("file") == content
        await scene.assert_session_lives(client)


@COMMITS
async def test_the_end_of_the_data_connection_is_answered_before_the_commit(size: int, request_name: str) -> None:
    """ftplib reads nothing of the reply before."""
    async with fault_scene() as scene:
        gate = scene.gate()
        scene.script.add(gate.before, request_name)
        client = await scene.client()
        wire = await client.open_data("STOR file")
        await wire.send(noise(size))
        await wire.close_notify()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await asyncio.get_running_loop().sock_recv(wire.sock, 1000), "a last record, and then FIN"
            assert await asyncio.get_running_loop().sock_recv(wire.sock, 1000) == b""
        await gate.reached.wait()
        gate.open()
        assert (await client.reply()).code == 226


@COMMITS
@pytest.mark.parametrize("lose", [control_reset, control_closed], ids=lambda act: act.__name__)
async def test_a_control_connection_that_is_lost_during_the_commit_does_not_undo_it(
    size: int, request_name: str, lose: Callable[[FtpClient, Wire | None], None]
) -> None:
    async with fault_scene() as scene:
        gate = scene.gate()
        scene.script.add(gate.before, request_name)
        client = await scene.client()
        content = await committing(client, size)
        await gate.reached.wait()
        lose(client, None)
        gate.open()
        await until(lambda: not scene.server.sessions, "the session has ended")
        assert scene.content("file") == content


@COMMITS
async def test_a_data_connection_that_is_reset_after_its_good_end_changes_nothing(size: int, request_name: str) -> None:
    async with fault_scene() as scene:
        gate = scene.gate()
        scene.script.add(gate.before, request_name)
        client = await scene.client()
        content = noise(size, seed=5)
        wire = await client.open_data("STOR file")
        await wire.send(content)
        await wire.close_notify()
        await gate.reached.wait()
        wire.reset()
        gate.open()
        assert (await client.reply()).code == 226
        assert scene.content("file") == content


@stages
async def test_a_second_stor_during_an_upload_waits_its_turn_and_has_no_data_port(stage: str) -> None:
    async with fault_scene() as scene:
        client = await scene.client()
        wire = await at_stage(scene, client, stage)
        await client.send("STOR other", "NOOP")
        if wire is None:
            await client.send("ABOR")
            assert await client.replies(4) == [426, 226, 425, 200]
            return
        await wire.send(NEW[STAGES[stage] :])
        await wire.end_in_order()
        assert await client.replies(3) == [226, 425, 200]
        assert scene.content("file") == NEW
        assert scene.content("other") is None


@stages
async def test_a_drain_lets_an_upload_end_within_the_grace(stage: str) -> None:
    async with fault_scene() as scene:
        client = await scene.client()
        wire = await at_stage(scene, client, stage)
        draining = asyncio.create_task(scene.server.drain(PATIENCE_SECONDS))
        await asyncio.sleep(0)
        if wire is None:
            await client.send("ABOR")
            assert await client.replies(3) == [426, 226, 421]
            assert scene.content("file") == OLD
        else:
            await wire.send(NEW[STAGES[stage] :])
            await wire.end_in_order()
            assert await client.replies(2) == [226, 421]
            assert scene.content("file") == NEW
        assert await client.at_end()
        await draining


@stages
async def test_a_stop_after_the_grace_leaves_nothing_of_an_upload(stage: str) -> None:
    """What SIGTERM, its grace and then the close of the server do."""
    async with fault_scene(ends_by_itself=False) as scene:
        client = await scene.client()
        await at_stage(scene, client, stage)
        await scene.server.drain(0.05)
        assert scene.server.sessions == 1
        await scene.server.close()
        assert scene.content("file") == OLD
        assert not scene.remains()
        assert await client.replies(2) == [426, 421]
        assert await client.at_end()


@COMMITS
async def test_a_stop_during_the_commit_waits_for_it(size: int, request_name: str) -> None:
    async with fault_scene(ends_by_itself=False) as scene:
        gate = scene.gate()
        scene.script.add(gate.before, request_name)
        client = await scene.client()
        content = await committing(client, size)
        await gate.reached.wait()
        closing = asyncio.create_task(scene.server.close())
        await asyncio.sleep(0)
        gate.open()
        await closing
        assert scene.content("file") == content
        assert not scene.remains()


# -- downloads -----------------------------------------------------------------------------------------------------

BIG = noise(256 * PART, seed=6)
"""More than a client with a small receive buffer takes without reading."""


async def half_read(scene: Scene, client: FtpClient) -> Wire:
    scene.s3.put("file", BIG)
    wire = await client.open_data("RETR file", receive_buffer=4096)
    assert BIG.startswith(await wire.receive(1000))
    return wire


@protections
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_download_that_the_client_drops_is_426(how: str, tls: RequireTls) -> None:
    async with fault_scene(require_tls=tls) as scene:
        client = await scene.client()
        getattr(await half_read(scene, client), how)()
        assert (await client.reply()).code == 426
        await scene.assert_session_lives(client)


@protections
@pytest.mark.parametrize("act", ABORS, ids=lambda act: act.__name__.replace("_", "-"))
async def test_abor_during_a_download_is_426_and_226(act: Act, tls: RequireTls) -> None:
    async with fault_scene(require_tls=tls) as scene:
        client = await scene.client()
        wire = await half_read(scene, client)
        await act(client, wire)
        assert await client.replies(2) == [426, 226]
        await wire.receive_all()
        assert wire.ended_by != "close_notify"
        wire.close()
        await scene.assert_session_lives(client)


@protections
async def test_a_download_that_nobody_reads_is_426(tls: RequireTls) -> None:
    async with fault_scene(require_tls=tls, stall_timeout=0.3) as scene:
        scene.s3.put("file", BIG * 2)
        client = await scene.client()
        wire = await client.open_data("RETR file", receive_buffer=4096)
        assert (await client.reply()).code == 426
        wire.close()


@pytest.mark.parametrize("lose", LOSSES, ids=lambda act: act.__name__.replace("_", "-"))
async def test_a_lost_control_connection_ends_a_download(lose: Callable[[FtpClient, Wire | None], None]) -> None:
    async with fault_scene() as scene:
        client = await scene.client()
        wire = await half_read(scene, client)
        lose(client, wire)
        await until(lambda: not scene.server.sessions, "the session has ended")


@pytest.mark.parametrize("line", ["RETR file", "LIST", "MLSD", "NLST"])
async def test_a_client_that_leaves_while_s3_is_asked_ends_the_request(line: str) -> None:
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)
        gate = scene.gate()
        scene.script.add(gate.before)
        client = await scene.client()
        await client.connect_data()
        await client.send(line)
        await gate.reached.wait()
        client.wire.reset()
        await until(lambda: not scene.server.sessions, "the session has ended, although S3 has not answered")


@pytest.mark.parametrize(
    ("prepare", "line"),
    [([], "DELE file"), ([], "MKD made"), ([], "RMD dir"), (["RNFR file"], "RNTO other"), (["RNFR dir"], "RNTO new")],
    ids=["delete", "mkdir", "rmdir", "rename", "rename-directory"],
)
async def test_a_client_that_leaves_during_a_change_leaves_it_whole(prepare: list[str], line: str) -> None:
    """The change is carried out or not, as S3 has it; no lock is left, and no file is lost."""
    async with fault_scene() as scene:
        scene.s3.put("file", OLD)
        scene.s3.put("dir/", b"")
        gate = scene.gate()
        client = await scene.client()
        for each in prepare:
            await client.expect(350, each)
        scene.script.add(gate.after)
        await client.send(line)
        await gate.reached.wait()
        client.wire.reset()
        gate.open()
        await until(lambda: not scene.server.sessions, "the session has ended")
        await scene.assert_nothing_is_held()
        if "DELE" not in line:
            assert OLD in (scene.content("file"), scene.content("other"))


# -- aborts that S3 makes wait -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "AbortMultipartUpload"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_abort_that_s3_keeps_waiting_lets_the_session_go_and_is_carried_out_later(
    operation: str, when: str
) -> None:
    """The session waits for a limited time only; the upload is not forgotten."""
    limits = WriteFile.__init__.__kwdefaults__
    assert limits is not None
    with mock.patch.dict(limits, abort_seconds=0.1):
        async with fault_scene() as scene:
            gate = scene.gate()
            scene.script.add(gate.before if when == "before" else gate.after, operation)
            client = await scene.client()
            wire = await client.open_data("STOR file")
            await wire.send(NEW)
            if operation == "CreateMultipartUpload":
                await gate.reached.wait()
            else:
                await arrived(scene, len(NEW))
            await client.send("ABOR")
            assert await client.replies(2) == [426, 226]
            assert not scene.budget.in_use
            assert scene.content("file") is None
            assert await client.codes("NOOP") == [200]
            gate.open()
            await scene.assert_nothing_is_held()
            await scene.assert_session_lives(client)

"""The network between the daemon and S3, and between a client and the daemon, hurt by a proxy at chosen bytes."""

from __future__ import annotations

import contextlib

import pytest

from aioftps3.ftp.config import RequireTls, UploadEnd
from tests.support.faults import PART, fault_scene, noise, push, until
from tests.support.ftp_session import Wire
from tests.support.proxy import Act, Direction, Harm, Proxy

OLD = noise(1000, seed=1)

PLACES = (0, 1, 300, 2000, PART // 2)
"""Bytes: nothing, inside the head of a request or answer, behind it, inside a body."""

HARMS = [
    pytest.param(Harm(act, direction, place), id=f"{act.value}-{direction.value}-{place}")
    for act in (Act.RESET, Act.CLOSE, Act.HALF_CLOSE, Act.STALL)
    for direction in Direction
    for place in (PLACES if act is not Act.STALL else (0, 2000))
]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("size", [PART - 1, 3 * PART + 7], ids=["put", "multipart"])
async def test_an_upload_survives_a_connection_to_s3_that_breaks_anywhere(size: int, harm: Harm) -> None:
    content = noise(size, seed=2)
    async with fault_scene(through_proxy=True, read_timeout=0.3) as scene:
        scene.s3.put("file", OLD)
        scene.proxy.plan(harm)
        client = await scene.client()
        assert (await scene.store(client, "file", content)).code == 226
        assert scene.content("file") == content
        await scene.assert_session_lives(client)
        scene.proxy.release()
        for key, upload_id in scene.s3.uploads_in_progress:  # its creation was not heard of: see test_s3_faults.py
            assert not (await scene.s3_client.list_parts(key, upload_id)).parts
            await scene.s3_client.abort_multipart_upload(key, upload_id)


@pytest.mark.parametrize("harm", HARMS)
async def test_a_download_survives_a_connection_to_s3_that_breaks_anywhere(harm: Harm) -> None:
    content = noise(3 * PART + 7, seed=2)
    async with fault_scene(through_proxy=True, read_timeout=0.3) as scene:
        scene.s3.put("file", content)
        scene.proxy.plan(harm)
        client = await scene.client()
        assert await scene.fetch(client, "RETR file") == (226, content)


@pytest.mark.parametrize("act", [Act.RESET, Act.CLOSE, Act.STALL])
@pytest.mark.parametrize("size", [PART - 1, 3 * PART + 7], ids=["put", "multipart"])
async def test_an_s3_that_cannot_be_reached_is_451_in_bounded_time_and_nothing_is_stored(size: int, act: Act) -> None:
    async with fault_scene(through_proxy=True, read_timeout=0.2) as scene:
        scene.s3.put("file", OLD)
        scene.proxy.script = lambda _: Harm(act, Direction.UP)
        client = await scene.client()
        assert (await scene.store(client, "file", noise(size))).code == 451
        assert (await scene.fetch(client, "RETR file")) == (451, b"")
        assert (await scene.fetch(client, "LIST")) == (451, b"")
        assert await client.codes("DELE file", "MKD made", "SIZE file") == [451, 451, 451]
        assert scene.content("file") == OLD
        scene.proxy.script = lambda _: None
        scene.proxy.release()
        await scene.assert_nothing_is_held()
        await scene.assert_session_lives(client)


# -- between client and daemon -------------------------------------------------------------------------------------

POLICIES = [UploadEnd.STRICT, UploadEnd.GUARDED]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("act", [Act.RESET, Act.STALL])
async def test_an_upload_that_the_network_cuts_is_426_and_nothing_is_stored(act: Act, policy: UploadEnd) -> None:
    async with fault_scene(upload_end=policy, stall_timeout=0.3) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        async with Proxy(await client.passive_port()) as network:
            network.plan(Harm(act, Direction.UP, 2 * PART + 5))
            wire = await client.connect_data(network.port)
            await client.expect(150, "STOR file")
            await client.encrypt(wire)
            await push(wire, noise(4 * PART))
            assert (await client.reply()).code == 426
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_fin_of_the_network_inside_a_tls_record_is_no_end_of_a_file(policy: UploadEnd) -> None:
    """P1: a client that forgets close_notify still sends whole records: half of one proves that the stream was cut."""
    async with fault_scene(upload_end=policy) as scene:
        scene.s3.put("file", OLD)
        client = await scene.client()
        async with Proxy(await client.passive_port()) as network:
            network.plan(Harm(Act.HALF_CLOSE, Direction.UP, 2 * PART + 5))
            wire = await client.connect_data(network.port)
            await client.expect(150, "STOR file")
            await client.encrypt(wire)
            await push(wire, noise(4 * PART))
            assert (await client.reply()).code == 426
        assert scene.content("file") == OLD
        await scene.assert_nothing_is_held()


RECORD_EXTRA = 5 + 1 + 16
"""Bytes of a TLS 1.3 record that are no content: header, content type, tag (RFC 8446 section 5.2)."""


@pytest.mark.parametrize("missing", [0, 1, 16, 17, 100, 100 + RECORD_EXTRA - 5, 100 + RECORD_EXTRA - 1])
@pytest.mark.parametrize("policy", [UploadEnd.GUARDED, UploadEnd.TRUSTING])
async def test_a_fin_is_an_end_only_where_a_tls_record_ends(policy: UploadEnd, missing: int) -> None:
    async with fault_scene(upload_end=policy) as scene:
        client = await scene.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"a")
        await wire.send_cut(b"b" * 100, missing)
        wire.fin()
        assert (await client.reply()).code == (426 if missing else 226)
        assert scene.content("file") == (None if missing else b"a" + b"b" * 100)


@pytest.mark.parametrize("tls", [RequireTls.CONTROL_AND_DATA, RequireTls.NONE], ids=["tls", "clear"])
async def test_a_network_that_passes_one_byte_at_a_time_changes_nothing(tls: RequireTls) -> None:
    content = noise(3000, seed=4)
    async with fault_scene(require_tls=tls) as scene:
        client = await scene.client()
        async with Proxy(await client.passive_port()) as network:
            network.plan(Harm(Act.TRICKLE, Direction.UP))
            wire = await client.connect_data(network.port)
            await client.expect(150, "STOR file")
            await client.encrypt(wire)
            await push(wire, content)
            assert (await client.reply()).code == 226
        assert scene.content("file") == content


@pytest.mark.parametrize("act", [Act.RESET, Act.CLOSE])
@pytest.mark.parametrize("after", [0, 1, 5, 10])
async def test_a_control_connection_that_the_network_cuts_inside_a_command_ends_the_session(
    act: Act, after: int
) -> None:
    async with fault_scene(require_tls=RequireTls.NONE) as scene, Proxy(scene.running.port()) as network:
        network.plan(Harm(act, Direction.UP, after))
        wire = await Wire.connect(network.port)
        scene.running.wires.append(wire)
        with contextlib.suppress(OSError):
            await wire.send(b"USER somebody\r\n")
        await wire.receive_all()
        await until(lambda: not scene.server.sessions, "the session has ended")

"""Listeners, limits, TLS at the doors, draining and closing."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

import pytest

from aioftps3.auth.users import EnvironmentUser
from aioftps3.ftp.config import FtpConfig, RequireTls
from aioftps3.ftp.server import FtpsServer
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.tree import Tree
from tests.support.ftp_session import (
    FOREIGN_HOST,
    HOST,
    LOGIN,
    PASSWORD,
    FtpClient,
    FtpStore,
    Wire,
    clear_text,
    client_context,
    encrypted,
    open_sockets,
    running_server,
    server_tls,
    settle,
    until,
)

CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)


def a_server(config: FtpConfig) -> FtpsServer:
    tree = Tree(FtpStore(), locks=PathLocks())
    return FtpsServer(
        config,
        tls=server_tls(),
        authenticator=EnvironmentUser(LOGIN, PASSWORD),
        open_tree=lambda _: tree,
    )


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- listening -----------------------------------------------------------------------------------------------------


async def test_the_addresses_are_known_after_the_start() -> None:
    async with running_server() as running:
        kinds = [(kind, host) for kind, host, port in running.server.addresses if port]
        assert kinds == [("explicit", HOST), ("implicit", HOST)]
        assert running.server.address == (HOST, running.port())


async def test_the_implicit_port_can_be_off() -> None:
    async with running_server(clear_text(implicit=False)) as running:
        assert [kind for kind, _, _ in running.server.addresses] == ["explicit"]


async def test_every_configured_address_is_listened_on() -> None:
    async with running_server(clear_text(hosts=(HOST, FOREIGN_HOST), implicit=False)) as running:
        for _, host, port in running.server.addresses:
            wire = await Wire.connect(port, host=host)
            running.wires.append(wire)
            assert (await FtpClient(wire, running).reply()).code == 220


async def test_a_taken_port_fails_the_start_and_leaves_nothing_listening() -> None:
    sockets = open_sockets()
    with socket.create_server((HOST, 0)) as holder:
        server = a_server(encrypted(implicit_port=holder.getsockname()[1]))
        with pytest.raises(OSError, match="in use"):
            await server.start()
    await settle()
    assert open_sockets() == sockets


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
async def test_ipv6_has_epsv_and_no_pasv() -> None:
    async with running_server(clear_text(hosts=("::1",))) as running:
        client = await running.client(host="::1")
        assert await client.codes("PASV", "EPSV 1", "EPSV 2") == [425, 522, 229]
        wire = await client.open_data("STOR file", host="::1")
        await wire.send(b"data")
        await wire.end_in_order()
        assert (await client.reply()).code == 226


# -- TLS at the doors ----------------------------------------------------------------------------------------------


async def test_implicit_tls_is_encrypted_from_the_first_byte_and_protects_data() -> None:
    """P13."""
    async with running_server(encrypted()) as running:
        client = await running.connect("implicit")
        assert (await client.reply()).code == 220
        await client.log_in()
        client.protected = True  # without PBSZ and PROT
        assert (await client.upload("file", b"data")).code == 226
        # Many clients send them all the same, before the login or after it, and leave when they are refused.
        assert await client.codes("PBSZ 0", "PROT P", "AUTH TLS") == [200, 200, 503]
        assert await client.download("RETR file") == b"data"
        early = await running.connect("implicit")
        assert (await early.reply()).code == 220
        assert await early.codes("PBSZ 0", "PROT P") == [200, 200]


async def test_a_tls_hello_on_the_explicit_port_is_closed_and_the_log_says_which_port_to_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        await client.wire.send(CLIENT_HELLO)
        assert await client.at_end()
        ports = running.port("explicit"), running.port("implicit")
    (message,) = warnings_of(caplog)
    assert f"explicit-TLS port {ports[0]}" in message
    assert f"on port {ports[1]}" in message


async def test_the_hint_for_a_tls_hello_names_the_setting_when_the_implicit_port_is_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server(encrypted(implicit=False)) as running:
        client = await running.greeted()
        await client.wire.send(CLIENT_HELLO)
        assert await client.at_end()
    assert "AIOFTPS3_IMPLICIT_PORT" in warnings_of(caplog)[0]


@pytest.mark.parametrize("sent", [b"USER x\r\n", b"AUTH TLS\r\n", b"GET / HTTP/1.1\r\n\r\n"])
async def test_clear_text_on_the_implicit_port_is_closed_and_the_log_says_which_port_to_use(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server(encrypted()) as running:
        wire = await Wire.connect(running.port("implicit"))
        running.wires.append(wire)
        await wire.send(sent)
        while await wire.receive():
            pass
        ports = running.port("explicit"), running.port("implicit")
    (message,) = warnings_of(caplog)
    assert f"implicit-TLS port {ports[1]}" in message
    assert f"on port {ports[0]}" in message


async def test_a_silent_client_of_the_implicit_port_is_dropped_and_the_log_says_which_port_to_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What real clients of explicit TLS do there: they wait for a greeting."""
    async with running_server(encrypted(tls_handshake_timeout=0.05)) as running:
        wire = await Wire.connect(running.port("implicit"))
        running.wires.append(wire)
        assert await wire.receive() == b""
        (message,) = warnings_of(caplog)
        assert f"explicit TLS is on port {running.port('explicit')}" in message
        await running.server.drain(5)
        assert running.server.sessions == 0


async def test_a_handshake_that_fails_after_auth_ends_the_session_quietly(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        assert await client.codes("AUTH TLS") == [234]
        await client.wire.send(b"NOOP\r\n")
        while await client.wire.receive():
            pass
        await running.server.drain(5)
    assert not warnings_of(caplog)


async def test_a_scanner_that_resets_during_the_handshake_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """D43."""
    async with running_server(encrypted()) as running:
        for _ in range(3):
            wire = await Wire.connect(running.port("implicit"))
            wire.reset()
        await running.server.drain(5)
    assert not warnings_of(caplog)


async def test_old_tls_is_refused() -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context = client_context(ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with running_server(encrypted()) as running:
        client = await running.greeted()
        assert await client.codes("AUTH TLS") == [234]
        with pytest.raises(ssl.SSLError):
            await client.wire.start_tls(context)


# -- limits --------------------------------------------------------------------------------------------------------


async def test_more_sessions_than_allowed_get_421_and_a_place_is_free_again_later() -> None:
    """P21."""
    async with running_server(clear_text(max_sessions=2)) as running:
        first, _second = await running.greeted(), await running.greeted()
        third = await running.connect()
        assert (await third.reply()).code == 421
        assert await third.at_end()
        assert await first.codes("QUIT") == [221]
        assert await first.at_end()
        first.wire.close()
        while running.server.sessions > 1:
            await settle()
        await running.greeted()


async def test_one_address_cannot_take_all_sessions() -> None:
    """P21."""
    async with running_server(clear_text(max_sessions_per_address=2)) as running:
        await running.greeted()
        await running.greeted()
        third = await running.connect()
        answer = await third.reply()
        assert answer.code == 421
        assert "your address" in answer.text
        await running.greeted(source=FOREIGN_HOST)


async def test_a_refused_tls_client_is_closed_without_clear_text() -> None:
    async with running_server(clear_text(max_sessions=1)) as running:
        await running.greeted()
        wire = await Wire.connect(running.port("implicit"))
        running.wires.append(wire)
        assert await wire.receive() == b""


async def test_all_data_ports_in_use_is_425_and_the_session_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """D13: not 421 and a closed session."""
    monkeypatch.setattr("aioftps3.ftp.passive._PORT_WAIT_SECONDS", 0.01)
    with socket.create_server((HOST, 0)) as holder:
        port = holder.getsockname()[1]
    async with running_server(clear_text(data_ports=(port,))) as running:
        one, other = await running.client(), await running.client()
        assert await one.passive_port() == port
        assert running.server.free_data_ports == 0
        assert await other.codes("EPSV", "PASV", "NOOP") == [425, 425, 200]
        wire = await one.connect_data(port)
        await one.send("STOR file")
        assert (await one.reply()).code == 150
        assert (await other.upload("other", b"x")).code == 226, "the port is free while the first transfer runs"
        await wire.end_in_order()
        assert (await one.reply()).code == 226


async def test_a_session_that_asks_again_gives_its_first_port_back() -> None:
    """D13: a port is not held for the length of a session."""
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as other:
        ports = (one.getsockname()[1], other.getsockname()[1])
    async with running_server(clear_text(data_ports=ports)) as running:
        client = await running.client()
        for _ in range(6):
            await client.passive_port()
            assert running.server.free_data_ports == 1
        first = await client.passive_port()
        second = await client.passive_port()
        if first != second:
            with pytest.raises(ConnectionRefusedError):
                await Wire.connect(first)
        assert await client.codes("QUIT") == [221]
        assert await client.at_end()
        assert running.server.free_data_ports == 2


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_vanishes_gives_its_port_back(how: str) -> None:
    with socket.create_server((HOST, 0)) as holder:
        port = holder.getsockname()[1]
    async with running_server(clear_text(data_ports=(port,))) as running:
        client = await running.client()
        await client.passive_port()
        getattr(client.wire, how)()
        await running.server.drain(5)
        assert running.server.free_data_ports == 1


# -- the end -------------------------------------------------------------------------------------------------------


async def test_drain_sends_idle_sessions_away_and_lets_transfers_end() -> None:
    async with running_server() as running:
        idle, working, greeted = await running.client(), await running.client(), await running.greeted()
        wire = await working.open_data("STOR file")
        draining = asyncio.create_task(running.server.drain(10))
        assert (await idle.reply()).code == 421
        assert await idle.at_end()
        assert (await greeted.reply()).code == 421
        with pytest.raises(ConnectionRefusedError):
            await Wire.connect(running.port())
        assert not draining.done()
        await wire.send(b"data")
        await wire.end_in_order()
        assert await working.replies(2) == [226, 421]
        assert await working.at_end()
        for client in (idle, working, greeted):
            client.wire.close()
        await draining
        assert running.server.sessions == 0
        assert running.store.contents == {"file": b"data"}


async def test_drain_ends_a_session_after_the_command_that_it_is_at() -> None:
    async with running_server() as running:
        client = await running.client()
        held = running.store.hold("PutObject")
        await client.send("MKD dir", "MKD other")
        await running.store.reached["PutObject"].wait()
        draining = asyncio.create_task(running.server.drain(10))
        await settle()
        held.set()
        assert await client.replies(2) == [257, 421]
        client.wire.close()
        await draining
        assert running.store.contents == {"dir/": b""}


async def test_drain_returns_when_its_grace_is_over() -> None:
    async with running_server() as running:
        client = await running.client()
        await client.open_data("STOR file")
        await running.server.drain(0.01)
        assert running.server.sessions == 1


async def test_close_aborts_a_running_upload_and_stores_nothing() -> None:
    async with running_server(store=FtpStore({"file": b"old"})) as running:
        client = await running.client()
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        await running.server.close()
        assert running.server.sessions == 0
        assert await wire.receive() == b""
        assert await client.replies(2) == [426, 421]
        assert await client.at_end()
        assert running.store.contents == {"file": b"old"}
        assert not running.store.open_writers


async def test_close_during_a_commit_waits_for_it() -> None:
    async with running_server() as running:
        client = await running.client()
        held = running.store.hold("PutObject")
        wire = await client.open_data("STOR file")
        await wire.send(b"data")
        await wire.end_in_order()
        await running.store.reached["PutObject"].wait()
        closing = asyncio.create_task(running.server.close())
        await settle()
        assert not closing.done()
        held.set()
        await closing
        assert running.store.contents == {"file": b"data"}


@pytest.mark.parametrize("require", [RequireTls.NONE, RequireTls.CONTROL_AND_DATA])
async def test_close_does_not_wait_for_clients_that_do_not_react(require: RequireTls) -> None:
    async with running_server(encrypted(require_tls=require)) as running:
        for _ in range(3):
            await running.client()
        async with asyncio.timeout(3):
            await running.server.close()
        assert running.server.sessions == 0


async def test_close_before_start_and_twice_is_harmless() -> None:
    server = a_server(encrypted())
    await server.close()
    await server.start()
    await server.close()
    await server.close()


@pytest.mark.parametrize("kind", ["implicit", "explicit"])
async def test_a_silent_peer_in_a_handshake_does_not_hold_up_a_drain(kind: str) -> None:
    async with running_server(encrypted(tls_handshake_timeout=60)) as running:
        wire = await Wire.connect(running.port(kind))
        running.wires.append(wire)
        if kind == "explicit":
            client = FtpClient(wire, running)
            assert (await client.reply()).code == 220
            await client.expect(234, "AUTH TLS")
        await until(lambda: running.server.sessions == 1)
        async with asyncio.timeout(5):
            await running.server.drain(60)
        assert running.server.sessions == 0

"""Connections that are silent: the kernel keeps them known to the network, and finds out when the client is gone."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from aioftps3.ftp import keepalive
from aioftps3.ftp.keepalive import keep_alive
from tests.support.ftp_session import Wire, serving, settle

SHORTEST_MEMORY_SECONDS = 240
"""Azure's load balancers; AWS's NAT gateways remember for 350 s."""

CHOSEN = {
    "SO_KEEPALIVE": 1,
    "TCP_KEEPIDLE": keepalive.IDLE_SECONDS,
    "TCP_KEEPINTVL": keepalive.INTERVAL_SECONDS,
    "TCP_KEEPCNT": keepalive.PROBES,
}


def options(sock: socket.socket) -> dict[str, int]:
    """What is set on a socket."""
    found = {"SO_KEEPALIVE": sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
        found[name] = sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
    return found


def other_end(wire: Wire) -> dict[str, int]:
    """What is set on the server's end of a connection, which is one of this process's sockets."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as sock:
            if sock.getpeername() == wire.sock.getsockname() and sock.getsockname() == wire.sock.getpeername():
                return options(sock)
    raise AssertionError("no socket of this process is the other end")


def test_a_silent_connection_is_probed_before_anybody_forgets_it_and_given_up_after_three_minutes() -> None:
    with socket.socket() as sock:
        keep_alive(sock)
        assert options(sock) == CHOSEN
    assert 2 * keepalive.IDLE_SECONDS < SHORTEST_MEMORY_SECONDS
    assert keepalive.IDLE_SECONDS + keepalive.PROBES * keepalive.INTERVAL_SECONDS == 180


def test_a_system_that_lacks_an_option_is_asked_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    with socket.socket() as sock:
        keep_alive(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == keepalive.PROBES


@pytest.mark.parametrize("kind", ["clear", "tls1.3"])
@pytest.mark.parametrize("active", [False, True], ids=["passive", "active"])
async def test_control_and_data_connections_of_a_live_session_are_kept_alive(kind: str, active: bool) -> None:
    async with serving(kind, active_mode=True) as running:
        client = await running.client()
        assert other_end(client.wire) == CHOSEN
        wire = await (client.open_active if active else client.open_data)("STOR file")
        await settle()  # in active mode the server hears of its connection after us
        assert other_end(wire) == CHOSEN
        await wire.send(b"data")
        await wire.end_in_order()
        assert (await client.reply()).code == 226


async def test_the_implicit_port_keeps_its_connections_alive_too() -> None:
    async with serving("tls1.3") as running:
        client = await running.connect("implicit")
        assert (await client.reply()).code == 220
        assert other_end(client.wire) == CHOSEN

"""One TLS context for control and data: resumption and tickets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aioftps3.certificates import make_self_signed
from aioftps3.tls import server_context as context_from
from tests.support.ftp_session import HOST, Wire, client_context, counting_tickets, server_context

NOW = datetime.datetime.now(datetime.UTC)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
TLS12, TLS13 = VERSIONS


class Peer(asyncio.Protocol):
    """The server's side of one connection: says hello, and knows whether the session was resumed."""

    def __init__(self) -> None:
        self.resumed: bool | None = None
        self.connected = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connected = True
        self.tls = transport.get_extra_info("ssl_object")
        self.resumed = self.tls.session_reused
        transport.write(b"hello")


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[Peer]]]:
    peers: list[Peer] = []

    def make() -> Peer:
        peers.append(Peer())
        return peers[-1]

    server = await asyncio.get_running_loop().create_server(make, HOST, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], peers
    finally:
        server.close()
        for peer in peers:
            if peer.connected:
                peer.transport.abort()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def connected(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> AsyncIterator[Wire]:
    wire = await Wire.connect(port)
    try:
        await wire.start_tls(context, session=session)
        assert await wire.receive() == b"hello"  # tickets come before it
        yield wire
    finally:
        wire.close()


async def test_a_new_session_gives_two_tickets_and_a_resumed_one_gives_one() -> None:
    context = client_context(TLS13)
    tickets = counting_tickets(context)
    async with listening(server_context()) as (port, _), connected(port, context) as first:
        assert first.tls is not None
        assert first.tls.session is not None
        assert len(tickets) == 2
        async with connected(port, context, first.tls.session):
            pass
    assert len(tickets) == 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_data_connections_resume_the_session_of_the_control_connection(version: ssl.TLSVersion) -> None:
    """D1: one context, or FileZilla asks its user."""
    context = client_context(version)
    async with (
        listening(server_context()) as (control_port, _),
        listening(server_context()) as (data_port, peers),
        connected(control_port, context) as control,
    ):
        assert control.tls is not None
        for _ in range(3):
            async with connected(data_port, context, control.tls.session) as data:
                assert data.tls is not None
                assert data.tls.session_reused
        assert [peer.resumed for peer in peers] == [True, True, True]


async def test_tls_older_than_1_2_is_refused() -> None:
    """RFC 8996."""
    assert server_context().minimum_version is TLS12
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context = client_context(ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with listening(server_context()) as (port, peers):
        wire = await Wire.connect(port)
        with pytest.raises(ssl.SSLError):
            await wire.start_tls(context)
        wire.close()
        assert not any(peer.connected for peer in peers)


def test_renegotiation_is_off() -> None:
    assert server_context().options & ssl.OP_NO_RENEGOTIATION


def test_certificate_and_key_may_be_two_files_or_one(tmp_path: Path) -> None:
    made = make_self_signed(["localhost"], now=NOW)
    both, certificate, key = (tmp_path / name for name in ("both.pem", "cert.pem", "key.pem"))
    both.write_bytes(made.pem)
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    context_from(both)
    context_from(str(certificate), key)


def test_a_missing_file_and_a_pair_that_does_not_match_are_errors(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(make_self_signed(["localhost"], now=NOW).certificate)
    key.write_bytes(make_self_signed(["localhost"], now=NOW).key)
    with pytest.raises(FileNotFoundError):
        context_from(tmp_path / "none.pem")
    with pytest.raises(ssl.SSLError):
        context_from(certificate, key)

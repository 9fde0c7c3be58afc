"""One TLS context for control and data: resumption and tickets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives import serialization

from aioftps3.certificates import make_self_signed
from aioftps3.keypair import KeyPair
from aioftps3.tls import ServerTls
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


def test_the_highest_version_is_chosen() -> None:
    pair = make_self_signed(["localhost"], now=NOW)
    assert ServerTls(pair).session_context().maximum_version is TLS13
    for apart in (False, True):
        assert ServerTls(pair, highest=TLS12).session_context(apart=apart).maximum_version is TLS12


def test_a_pair_that_does_not_match_or_is_encrypted_is_an_error_and_changes_nothing() -> None:
    one, other = (make_self_signed(["localhost"], now=NOW) for _ in range(2))
    tls = ServerTls(one)
    context = tls.session_context()
    key = serialization.load_pem_private_key(one.key, None)
    passphrase = serialization.BestAvailableEncryption(b"passphrase")
    encrypted = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, passphrase)
    for bad in (KeyPair(one.certificate, other.key), KeyPair(one.certificate, encrypted), KeyPair(b"", b"")):
        with pytest.raises(ssl.SSLError):
            ServerTls(bad)
        with pytest.raises(ssl.SSLError):
            tls.renew(bad)
        assert tls.pair is one
        assert tls.session_context() is context


def presented(context: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """The client's side of a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, session=session)
    for side in (theirs, ours, theirs, ours):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    ours.write(b"hello")
    assert theirs.read() == b"hello"
    return theirs


def served(context: ssl.SSLContext) -> bytes:
    """The certificate that a client is shown."""
    der = presented(context, client_context()).getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()


@pytest.mark.parametrize("apart", [False, True])
def test_a_new_certificate_is_for_new_sessions(apart: bool) -> None:
    old, new = (make_self_signed(["localhost"], now=NOW) for _ in range(2))
    tls = ServerTls(old)
    running = tls.session_context(apart=apart)
    tls.renew(new)
    assert tls.pair is new
    assert served(running) == old.certificate
    assert served(tls.session_context(apart=apart)) == new.certificate


@pytest.mark.parametrize("version", VERSIONS)
def test_a_running_session_goes_on_resuming_after_a_new_certificate(version: ssl.TLSVersion) -> None:
    tls = ServerTls(make_self_signed(["localhost"], now=NOW))
    running, client = tls.session_context(), client_context(version)
    control = presented(running, client)
    tls.renew(make_self_signed(["localhost"], now=NOW))
    assert presented(running, client, control.session).session_reused
    assert not presented(tls.session_context(), client, control.session).session_reused


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_resumed_apart_was_begun_there(version: ssl.TLSVersion) -> None:
    tls, client = ServerTls(make_self_signed(["localhost"], now=NOW)), client_context(version)
    one, other = (tls.session_context(apart=True) for _ in range(2))
    session = presented(one, client).session
    assert presented(one, client, session).session_reused
    assert not presented(other, client, session).session_reused
    assert not presented(tls.session_context(), client, session).session_reused

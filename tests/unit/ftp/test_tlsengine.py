"""TLS without I/O: records, ends, and bytes that go where they are wanted."""

from __future__ import annotations

import itertools
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioftps3.ftp.tlsengine import ClearText, RecordBoundary, TlsEngine
from tests.support.ftp_session import client_context, counting_tickets, server_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
TLS12, TLS13 = VERSIONS
versions = pytest.mark.parametrize("version", VERSIONS)


class Client:
    """The other side, over memory BIOs too."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client_context(version)
        self.tickets = counting_tickets(context)
        self.tls = context.wrap_bio(self.incoming, self.outgoing)

    def shake_hands(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes:
        """What has come; b"" when it was no data."""
        try:
            return self.tls.read()
        except ssl.SSLWantReadError:
            return b""

    def close_notify(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    def sealed(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()


def connected(version: ssl.TLSVersion, *, hold_tickets: bool = False) -> tuple[TlsEngine, Client]:
    engine, client = TlsEngine(server_context(), hold_tickets=hold_tickets), Client(version)
    ours = theirs = False
    for _ in range(5):
        theirs = theirs or client.shake_hands()
        engine.receive(client.outgoing.read())
        ours = ours or engine.handshake()
        client.incoming.write(engine.to_send())
    assert ours
    assert theirs
    return engine, client


@versions
def test_bytes_are_decrypted_into_the_given_memory_across_records(version: ssl.TLSVersion) -> None:
    engine, client = connected(version)
    content = bytes(range(256)) * 200
    engine.receive(client.sealed(content))
    room = bytearray(60_000)
    with memoryview(room) as view:
        assert engine.read_into(view[:100]) == 100
        assert engine.read_into(view[100:]) == len(content) - 100
        assert engine.read_into(view) == 0
    assert room[: len(content)] == content
    assert not engine.close_notify_received


@versions
def test_close_notify_is_seen_behind_the_last_bytes_and_answered(version: ssl.TLSVersion) -> None:
    """D8: asyncio's own TLS reports it like a bare FIN."""
    engine, client = connected(version)
    engine.receive(client.sealed(b"last") + client.close_notify())
    assert engine.read(100) == b"last"
    assert not engine.close_notify_received
    assert engine.read(100) == b""
    assert engine.close_notify_received
    client.incoming.write(engine.end())
    client.tls.unwrap()


@versions
def test_read_into_sees_close_notify_too(version: ssl.TLSVersion) -> None:
    engine, client = connected(version)
    engine.receive(client.sealed(b"last") + client.close_notify())
    room = bytearray(10)
    assert engine.read_into(memoryview(room)) == 4
    assert engine.close_notify_received


@versions
def test_a_close_notify_that_crosses_ours_is_seen(version: ssl.TLSVersion) -> None:
    engine, client = connected(version)
    engine.end()
    engine.receive(client.close_notify())
    assert engine.read(100) == b""
    assert engine.close_notify_received


@versions
def test_nothing_at_hand_is_no_end(version: ssl.TLSVersion) -> None:
    engine, client = connected(version)
    engine.receive(client.sealed(b"record")[:-1])
    assert engine.read(100) == b""
    assert engine.read_into(memoryview(bytearray(10))) == 0
    assert not engine.close_notify_received
    assert engine.inside_record


@versions
def test_a_changed_record_is_an_error(version: ssl.TLSVersion) -> None:
    engine, client = connected(version)
    record = bytearray(client.sealed(b"record"))
    record[-1] ^= 1
    engine.receive(bytes(record))
    with pytest.raises(ssl.SSLError):
        engine.read_into(memoryview(bytearray(10)))
    assert engine.to_send(), "no alert for the peer"


def test_tickets_end_the_handshake() -> None:
    _, client = connected(TLS13)
    assert client.read() == b""
    assert len(client.tickets) == 2


def test_tickets_that_are_held_back_go_before_the_first_data() -> None:
    """D1: nothing is sent that an uploading client would have to read."""
    engine, client = connected(TLS13, hold_tickets=True)
    assert engine.to_send() == b""
    client.incoming.write(engine.write(b"data"))
    assert client.read() == b"data"
    assert len(client.tickets) == 2
    client.incoming.write(engine.write(b"more"))
    assert client.read() == b"more"


def test_tickets_that_are_held_back_go_before_close_notify() -> None:
    """D1."""
    engine, client = connected(TLS13, hold_tickets=True)
    engine.receive(client.close_notify())
    assert engine.read(100) == b""
    assert engine.to_send() == b""
    client.incoming.write(engine.end())
    client.tls.unwrap()
    assert len(client.tickets) == 2


def test_tickets_that_are_held_back_go_before_an_alert() -> None:
    engine, client = connected(TLS13, hold_tickets=True)
    engine.receive(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError):
        engine.read(100)
    client.incoming.write(engine.to_send())
    with pytest.raises(ssl.SSLError):
        client.tls.read()
    assert len(client.tickets) == 2


def test_the_last_flight_of_an_older_handshake_is_not_held_back() -> None:
    """In TLS 1.2 the server has the last word, and its ticket is a part of the handshake."""
    engine, client = connected(TLS12, hold_tickets=True)
    client.incoming.write(engine.write(b"data"))
    assert client.read() == b"data"


@given(
    records=st.lists(st.binary(max_size=40), max_size=6),
    cuts=st.lists(st.integers(min_value=0, max_value=300), max_size=8),
    missing=st.integers(min_value=0, max_value=10),
)
def test_record_boundaries_are_followed_however_the_stream_is_cut(
    records: list[bytes], cuts: list[int], missing: int
) -> None:
    stream = b"".join(b"\x17\x03\x03" + len(record).to_bytes(2) + record for record in records)
    ends = {0}
    for record in records:
        ends.add(max(ends) + 5 + len(record))
    stream = stream[: max(0, len(stream) - missing)]
    boundary = RecordBoundary()
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    for start, end in itertools.pairwise(places):
        boundary.follow(memoryview(stream)[start:end])
        assert boundary.inside is (end not in ends)
    assert boundary.inside is (len(stream) not in ends)


def test_clear_text_comes_out_as_it_went_in() -> None:
    clear = ClearText()
    clear.receive(memoryview(b"some bytes"))
    room = bytearray(4)
    assert clear.read_into(memoryview(room)) == 4
    assert bytes(room) == b"some"
    assert clear.read(100) == b" bytes"
    assert clear.read(100) == b""
    assert clear.write(b"out") == b"out"
    assert clear.end() == clear.to_send() == b""
    assert not (clear.close_notify_received)
    assert not (clear.inside_record)

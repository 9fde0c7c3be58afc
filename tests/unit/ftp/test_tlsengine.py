"""TLS without I/O: records, ends, and bytes that go where they are wanted."""

from __future__ import annotations

import itertools
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioftps3.ftp.tlsengine import ClearText, RecordBoundary, TlsEngine
from tests.support.ftp_session import client_context, server_contexts

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
versions = pytest.mark.parametrize("version", VERSIONS)


class Client:
    """The other side, over memory BIOs too."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context(version).wrap_bio(self.incoming, self.outgoing)

    def shake_hands(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def close_notify(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    def sealed(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()


def connected(version: ssl.TLSVersion) -> tuple[TlsEngine, Client]:
    engine, client = TlsEngine(server_contexts().data), Client(version)
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
    assert not clear.resumed

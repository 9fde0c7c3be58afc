"""Whatever bytes arrive, and however they are cut: no exception, the same commands."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from aioftps3.ftp.parsing import (
    MAX_RESTART_OFFSET,
    BadLine,
    ClientPort,
    CommandLine,
    LineSplitter,
    parse_eprt,
    parse_line,
    parse_port,
    parse_restart_offset,
    strip_telnet,
)

LIMIT = 24
PIECES = st.sampled_from(
    [b"NOOP", b"STOR a ", b" ", b"\r", b"\n", b"\r\n", b"\xff", b"\xff\xf4", b"\x00", b"\xef\xbb\xbf", b"x" * LIMIT]
)
STREAMS = st.lists(PIECES | st.binary(max_size=8), max_size=20).map(b"".join)


def commands_of(chunks: list[bytes]) -> list[CommandLine | BadLine]:
    splitter = LineSplitter(LIMIT)
    found: list[CommandLine | BadLine] = []
    for chunk in chunks:
        splitter.feed(chunk)
        while (line := splitter.next_line()) is not None:
            found.append(line if isinstance(line, BadLine) else parse_line(line))
        assert splitter.buffered <= LIMIT
    return found


@given(STREAMS)
def test_one_chunk_and_single_bytes_are_the_same_commands(stream: bytes) -> None:
    assert commands_of([stream]) == commands_of([stream[at : at + 1] for at in range(len(stream))])


@given(STREAMS, st.lists(st.integers(0, 200)))
def test_it_does_not_matter_where_the_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert commands_of(chunks) == commands_of([stream])


@given(STREAMS)
def test_there_is_one_answer_for_each_line_feed(stream: bytes) -> None:
    assert len(commands_of([stream])) == stream.count(b"\n")


@given(st.binary())
def test_a_line_becomes_a_command_with_a_clean_verb_or_a_bad_line(line: bytes) -> None:
    found = parse_line(line)
    if isinstance(found, CommandLine):
        assert found.verb.isalnum()
        assert found.verb.isascii()
        assert found.verb == found.verb.upper()
        assert (
            f"{found.verb} {found.argument}".encode("utf-8", "surrogateescape")
            .upper()
            .startswith(strip_telnet(line).upper())
        )


@given(st.binary())
def test_telnet_bytes_leave_nothing_but_what_was_there(line: bytes) -> None:
    kept = strip_telnet(line)
    assert len(kept) <= len(line)
    if b"\xff" not in line:
        assert kept == line
    assert strip_telnet(line.replace(b"\xff", b"\xff\xff")) == line


@given(st.text())
def test_rest_never_raises_and_stays_in_its_range(argument: str) -> None:
    offset = parse_restart_offset(argument)
    assert offset is None or 0 <= offset <= MAX_RESTART_OFFSET


@given(st.integers(0, MAX_RESTART_OFFSET))
def test_rest_reads_what_clients_write(offset: int) -> None:
    assert parse_restart_offset(str(offset)) == offset


@given(st.text() | st.from_regex(r"[|!1 ]{0,3}[0-9.:,|]*", fullmatch=True))
def test_addresses_of_clients_never_raise_and_stay_in_their_range(argument: str) -> None:
    for found in (parse_port(argument), parse_eprt(argument)):
        assert found is None or 0 <= found.port < 2**16


@given(st.ip_addresses(), st.integers(0, 2**16 - 1), st.sampled_from("|!,;/~"))
def test_eprt_reads_what_clients_write(address: IPv4Address | IPv6Address, port: int, delimiter: str) -> None:
    protocol = "1" if address.version == 4 else "2"
    written = delimiter.join(["", protocol, str(address), str(port), ""])
    assert parse_eprt(written) == ClientPort(address, port)


@given(st.ip_addresses(v=4), st.integers(0, 2**16 - 1))
def test_port_reads_what_clients_write(address: IPv4Address, port: int) -> None:
    numbers = (*address.packed, port >> 8, port & 255)
    assert parse_port(",".join(map(str, numbers))) == ClientPort(address, port)

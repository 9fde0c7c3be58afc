"""Bytes of the control connection become commands, whatever they are."""

from __future__ import annotations

import ipaddress

import pytest

from aioftps3.ftp.parsing import (
    LINE_LIMIT,
    MAX_RESTART_OFFSET,
    BadLine,
    ClientPort,
    CommandLine,
    LineSplitter,
    parse_eprt,
    parse_line,
    parse_port,
    parse_restart_offset,
    parse_type,
    strip_telnet,
)


def lines_of(data: bytes, limit: int = LINE_LIMIT) -> list[bytes | BadLine]:
    splitter = LineSplitter(limit)
    splitter.feed(data)
    lines = []
    while (line := splitter.next_line()) is not None:
        lines.append(line)
    return lines


def test_lines_end_with_crlf_or_lf_and_keep_all_other_bytes() -> None:
    assert lines_of(b"A\r\nB\nC \r\n\tD\r\r\n\n\r\nrest") == [b"A", b"B", b"C ", b"\tD\r", b"", b""]


def test_what_has_no_end_yet_is_counted_as_buffered() -> None:
    splitter = LineSplitter()
    splitter.feed(b"NOOP\r\nQU")
    assert splitter.next_line() == b"NOOP"
    assert splitter.next_line() is None
    assert splitter.buffered == 2


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_line_may_have_just_less_than_the_limit(end: bytes) -> None:
    longest = b"x" * (LINE_LIMIT - len(end))
    assert lines_of(longest + end) == [longest]


def test_a_line_over_the_limit_is_one_bad_line_and_the_next_one_is_read() -> None:
    """D26: a long line neither ends the session nor becomes several commands."""
    found = lines_of(b"x" * 70_000 + b"\r\nNOOP\r\n")
    assert [type(line) for line in found] == [BadLine, bytes]
    assert found[1] == b"NOOP"


def test_the_middle_of_a_long_line_is_forgotten_at_once() -> None:
    """P19: otherwise memory grows until the line ends."""
    splitter = LineSplitter(16)
    for _ in range(100):
        splitter.feed(b"x" * 20)
        assert splitter.next_line() is None
        assert splitter.buffered == 0
    splitter.feed(b"USER root\nNOOP\n")
    assert isinstance(splitter.next_line(), BadLine)
    assert splitter.next_line() == b"NOOP"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"plain", b"plain"),
        (b"\xff\xf4\xff\xf2ABOR", b"ABOR"),
        (b"\xff\xf4\xf2ABOR", b"\xf2ABOR"),
        (b"STOR a\xff\xffb", b"STOR a\xffb"),
        (b"\xff\xfb\x01USER x", b"USER x"),
        (b"\xff\xfd\x18\xff\xfe\x20NOOP", b"NOOP"),
        (b"NOOP\xff", b"NOOP"),
        (b"NOOP\xff\xfb", b"NOOP"),
        (b"\xff\xff\xff\xf4x", b"\xffx"),
    ],
)
def test_telnet_sequences_are_dropped_and_a_doubled_iac_is_a_byte(sent: bytes, kept: bytes) -> None:
    """D23, D24: RFC 854."""
    assert strip_telnet(sent) == kept


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"NOOP", "NOOP", ""),
        (b"noop", "NOOP", ""),
        (b"Stor a", "STOR", "a"),
        (b"STOR a ", "STOR", "a "),
        (b"STOR  a", "STOR", " a"),
        (b"STOR ", "STOR", ""),
        (b"STOR a b  c", "STOR", "a b  c"),
        (b"STOR caf\xc3\xa9", "STOR", "café"),
        (b"STOR caf\xe9", "STOR", "caf\udce9"),
        (b"STOR a\x00b", "STOR", "a\x00b"),
        (b"STOR a\rb", "STOR", "a\rb"),
        (b"\xff\xf4\xff\xf2abor", "ABOR", ""),
        (b"OPTS UTF8 ON", "OPTS", "UTF8 ON"),
    ],
)
def test_one_blank_parts_the_verb_from_the_argument_which_stays_as_it_is(line: bytes, verb: str, argument: str) -> None:
    """D27: a name may end in blanks; D23: bytes that are not UTF-8 survive."""
    assert parse_line(line) == CommandLine(verb, argument)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b" NOOP",
        b"\xef\xbb\xbfPWD",
        b"\x00USER x",
        b"NO\x00OP",
        b"N",
        b"1NOOP",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET/HTTP",
        b"caf\xe9 x",
        b"\tNOOP",
        b"X" * 17,
        b"\xff",
    ],
)
def test_what_is_no_command_is_a_bad_line_with_printable_words(line: bytes) -> None:
    """D25: NUL and a byte order mark."""
    found = parse_line(line)
    assert isinstance(found, BadLine)
    assert found.problem.isprintable()


@pytest.mark.parametrize(
    ("argument", "offset"),
    [
        ("0", 0),
        (" 5 ", 5),
        ("00012", 12),
        (str(MAX_RESTART_OFFSET), MAX_RESTART_OFFSET),
        (str(MAX_RESTART_OFFSET + 1), None),
        ("9" * 5000, None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1_0", None),
        ("0x10", None),
        ("\u0661", None),
        ("1 2", None),
        ("", None),
        ("x", None),
    ],
)
def test_rest_takes_plain_decimal_positions_only(argument: str, offset: int | None) -> None:
    assert parse_restart_offset(argument) == offset


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("127,0,0,1,4,1", ("127.0.0.1", 1025)),
        ("192,168,001,002,255,255", ("192.168.1.2", 65535)),
        (" 1, 2,3,4,5,6 ", ("1.2.3.4", 5 * 256 + 6)),
        ("0,0,0,0,0,0", ("0.0.0.0", 0)),
        ("127,0,0,1,4", None),
        ("127,0,0,1,4,1,1", None),
        ("127,0,0,1,4,256", None),
        ("127,0,0,1,-4,1", None),
        ("127,0,0,1,4,", None),
        ("127.0.0.1,4,1", None),
        ("127,0,0,1,\u0664,1", None),
        ("127,0,0,1,0004,1", None),
        ("", None),
    ],
)
def test_port_is_six_numbers_of_a_byte(argument: str, found: tuple[str, int] | None) -> None:
    assert parse_port(argument) == (None if found is None else ClientPort(ipaddress.IPv4Address(found[0]), found[1]))


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("|1|127.0.0.1|1025|", ("127.0.0.1", 1025)),
        ("!1!127.0.0.1!65535!", ("127.0.0.1", 65535)),
        ("|2|::1|1025|", ("::1", 1025)),
        ("|2|2001:db8::7|5282|", ("2001:db8::7", 5282)),
        ("|3|what is this|5|", (None, 5)),
        ("|1|::1|1025|", None),
        ("|2|127.0.0.1|1025|", None),
        ("|1|127.1|1025|", None),
        ("|1|localhost|1025|", None),
        ("|1|127.0.0.1|65536|", None),
        ("|1|127.0.0.1|-1|", None),
        ("|1|127.0.0.1|1025", None),
        ("|1|127.0.0.1|1025|x|", None),
        ("|||1025|", None),
        ("1|127.0.0.1|1025|", None),
        ("||", None),
        ("|", None),
        ("", None),
    ],
)
def test_eprt_is_protocol_address_and_port_between_delimiters(
    argument: str, found: tuple[str | None, int] | None
) -> None:
    """RFC 2428 section 2."""
    expected = None
    if found is not None:
        expected = ClientPort(None if found[0] is None else ipaddress.ip_address(found[0]), found[1])
    assert parse_eprt(argument) == expected


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        *[(text, "A") for text in ("A", "a", "A N", " a  n ")],
        *[(text, "I") for text in ("I", "i", "L 8", "l 8", "L8")],
        *[(text, None) for text in ("", "E", "A T", "A C", "L", "L 9", "L 8 8", "AN", "I N", "X")],
    ],
)
def test_type_is_text_or_bytes(argument: str, found: str | None) -> None:
    """D32."""
    assert parse_type(argument) == found

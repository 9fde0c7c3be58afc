"""Bytes of the control connection to commands. Pure: no await, no socket, no clock.

RFC 959 section 5.3 gives the grammar, RFC 854 the telnet sequences, RFC 2640 the UTF-8 names. What real clients send
is wider: bare LF, lower case, telnet interrupts in the middle of TLS, Latin-1 names. Nothing here raises on input:
each line becomes a `CommandLine` or a `BadLine` with the words for its reply.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

__all__ = (
    "LINE_LIMIT",
    "BadLine",
    "ClientPort",
    "CommandLine",
    "LineSplitter",
    "parse_eprt",
    "parse_line",
    "parse_port",
    "parse_restart_offset",
    "parse_type",
    "strip_telnet",
)

LINE_LIMIT = 4096
"""Bytes of a command line with its end: a 1,024-byte key in any escaping fits several times."""

MAX_RESTART_OFFSET = 2**63 - 1
"""The largest position that REST takes: what every store and client can count in a signed 64-bit number."""

_IAC = 0xFF
_TELNET_NEGOTIATION = frozenset((0xFB, 0xFC, 0xFD, 0xFE))  # WILL WONT DO DONT, each followed by an option byte
_VERB = re.compile(r"[A-Za-z][A-Za-z0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """One command: ``verb`` in upper case, ``argument`` exactly as sent (undecodable bytes as lone surrogates)."""

    verb: str
    argument: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no command; ``problem`` is fit for a 500 reply."""

    problem: str


@dataclass(frozen=True, slots=True)
class ClientPort:
    """Where a client in active mode waits for the data connection; ``address`` is None in an unknown protocol."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
    port: int


class LineSplitter:
    """Cuts a byte stream into lines and forgets the rest of a line that is too long.

    Memory is bounded by ``limit`` plus the largest chunk that is fed.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._skipping = False

    @property
    def buffered(self) -> int:
        """Bytes that are held and not yet returned as a line."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes as they came from the network."""
        self._buffer += data

    def next_line(self) -> bytes | BadLine | None:
        """The next line without its CRLF or LF; BadLine at the end of one that was too long; None: more is needed."""
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > self._limit:
                self._skipping = True
                self._buffer.clear()
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if self._skipping or end >= self._limit:
            self._skipping = False
            return BadLine(f"Command line longer than {self._limit} bytes.")
        return line.removesuffix(b"\r")


def strip_telnet(line: bytes) -> bytes:
    """Remove telnet commands (RFC 854); a doubled IAC is the byte 255 itself. IP and DM come before an urgent ABOR."""
    if _IAC not in line:
        return line
    kept = bytearray()
    position = 0
    while position < len(line):
        byte = line[position]
        if byte != _IAC:
            kept.append(byte)
            position += 1
            continue
        follower = line[position + 1] if position + 1 < len(line) else None
        if follower == _IAC:
            kept.append(_IAC)
        position += 3 if follower in _TELNET_NEGOTIATION else 2
    return bytes(kept)


def parse_line(line: bytes) -> CommandLine | BadLine:
    """Split a line at its first blank. Trailing blanks belong to the argument: ``STOR a `` is not ``STOR a``."""
    text = strip_telnet(line).decode("utf-8", "surrogateescape")
    verb, _, argument = text.partition(" ")
    if not verb:
        return BadLine("Empty command.")
    if _VERB.fullmatch(verb) is None:
        return BadLine("This is not an FTP command.")
    return CommandLine(verb.upper(), argument)


def parse_restart_offset(argument: str) -> int | None:
    """The byte position of REST (RFC 3659 section 5); None when it is no number or too large."""
    return _number(argument.strip(" "), MAX_RESTART_OFFSET)


def parse_port(argument: str) -> ClientPort | None:
    """PORT's six numbers, an IPv4 address and a port (RFC 959 section 4.1.2); None when they are none."""
    numbers = [_number(field.strip(" "), 255) for field in argument.split(",")]
    known = [number for number in numbers if number is not None]
    if len(numbers) != 6 or len(known) != 6:
        return None
    return ClientPort(ipaddress.IPv4Address(bytes(known[:4])), known[4] * 256 + known[5])


def parse_eprt(argument: str) -> ClientPort | None:
    """EPRT's protocol, address and port between any delimiters (RFC 2428 section 2); None when they are none."""
    text = argument.strip(" ")
    fields = text[1:-1].split(text[0]) if len(text) > 2 and text[0] == text[-1] else []
    if len(fields) != 3 or not "!" <= text[0] <= "~":
        return None
    protocol, port = _number(fields[0], 2**16 - 1), _number(fields[2], 2**16 - 1)
    if protocol is None or port is None:
        return None
    try:
        if protocol == 1:
            return ClientPort(ipaddress.IPv4Address(fields[1]), port)
        return ClientPort(ipaddress.IPv6Address(fields[1]) if protocol == 2 else None, port)
    except ValueError:
        return None


def _number(text: str, largest: int) -> int | None:
    """A plain decimal number without needless digits, else None."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(largest)):
        return None
    number = int(text)
    return number if number <= largest else None


def parse_type(argument: str) -> str | None:
    """What TYPE asks for: ``A`` (also ``A N``) or ``I`` (also ``L 8``); None for all that RFC 959 has besides."""
    words = argument.upper().split()
    if words in (["A"], ["A", "N"]):
        return "A"
    return "I" if words in (["I"], ["L", "8"], ["L8"]) else None

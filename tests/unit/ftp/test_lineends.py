"""Text between the wire and the store, in pieces."""

from __future__ import annotations

import pytest

from aioftps3.ftp.lineends import FromWire, ToWire


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        (b"", b""),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"a\r\nb", b"a\r\nb"),
        (b"a\rb\r", b"a\rb\r"),
        (b"\r\r\n", b"\r\r\n"),
        (b"\n\r", b"\r\n\r"),
        (b"\x00\xff\n", b"\x00\xff\r\n"),
    ],
)
def test_line_feeds_get_a_carriage_return_unless_they_have_one(stored: bytes, sent: bytes) -> None:
    assert ToWire().convert(stored) == sent
    lines = ToWire()
    assert b"".join(lines.convert(bytes([byte])) for byte in stored) == sent


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"", b""),
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"a\nb", b"a\nb"),
        (b"a\rb\r", b"a\rb\r"),
        (b"\r\r\n", b"\r\n"),
        (b"\r\n\r", b"\n\r"),
        (b"\r\r", b"\r\r"),
        (b"\x00\xff\r\n", b"\x00\xff\n"),
    ],
)
def test_carriage_returns_go_before_line_feeds_alone(sent: bytes, stored: bytes) -> None:
    lines = FromWire()
    assert lines.convert(sent) + lines.rest() == stored
    assert b"".join([*(lines.convert(bytes([byte])) for byte in sent), lines.rest()]) == stored

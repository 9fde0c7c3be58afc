"""Line ends: it does not matter where a text is cut, and text comes back as it was."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from aioftps3.ftp.lineends import FromWire, ToWire

TEXTS = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\x00", b"\xff"]), max_size=30).map(b"".join)
CUTS = st.lists(st.integers(0, 40), max_size=8)


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def to_wire(chunks: list[bytes]) -> bytes:
    lines = ToWire()
    return b"".join(lines.convert(chunk) for chunk in chunks)


def from_wire(chunks: list[bytes]) -> bytes:
    lines = FromWire()
    return b"".join([*(lines.convert(chunk) for chunk in chunks), lines.rest()])


@given(TEXTS, CUTS)
def test_it_does_not_matter_where_a_text_is_cut(text: bytes, cuts: list[int]) -> None:
    assert to_wire(pieces(text, cuts)) == to_wire([text])
    assert from_wire(pieces(text, cuts)) == from_wire([text])


@given(TEXTS)
def test_text_with_line_feeds_alone_comes_back_as_it_was(text: bytes) -> None:
    plain = text.replace(b"\r", b"")
    assert from_wire([to_wire([plain])]) == plain


@given(TEXTS)
def test_on_the_wire_every_line_feed_has_its_carriage_return(text: bytes) -> None:
    sent = to_wire([text])
    assert sent.count(b"\n") == sent.count(b"\r\n") == text.count(b"\n")
    assert to_wire([sent]) == sent

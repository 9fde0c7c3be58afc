from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioftps3.embedded.conditions import etag_matches, parse_range
from aioftps3.embedded.errors import Refusal


@pytest.mark.parametrize("header", ['"a"', "a", "*", '"x", "a"', ' "a" ', "x,a", 'W/"a"'])
def test_headers_that_name_the_etag_match(header: str) -> None:
    assert etag_matches(header, "a")


@pytest.mark.parametrize("header", ["", '"b"', '"aa"', '"b", "c"', '"*a"'])
def test_headers_that_name_another_etag_do_not_match(header: str) -> None:
    assert not etag_matches(header, "a")


@given(first=st.integers(0, 30), last=st.integers(0, 30) | st.none(), size=st.integers(0, 20))
def test_range_selects_what_slicing_selects(first: int, last: int | None, size: int) -> None:
    body = bytes(range(size))
    header = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert parse_range(header, size) is None
        return
    expected = body[first:] if last is None else body[first : last + 1]
    if not expected:
        with pytest.raises(Refusal, match="InvalidRange"):
            parse_range(header, size)
        return
    selected = parse_range(header, size)
    assert selected is not None
    start, length = selected
    assert body[start : start + length] == expected
    assert length == len(expected)


@given(count=st.integers(0, 30), size=st.integers(0, 20))
def test_suffix_range_selects_the_end(count: int, size: int) -> None:
    if not count or not size:
        with pytest.raises(Refusal, match="InvalidRange"):
            parse_range(f"bytes=-{count}", size)
        return
    length = min(count, size)
    assert parse_range(f"bytes=-{count}", size) == (size - length, length)

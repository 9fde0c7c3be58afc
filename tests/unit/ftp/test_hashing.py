"""Arguments of XCRC and its like."""

from __future__ import annotations

import pytest

from aioftps3.ftp.hashing import HashRequest, hash_requests


@pytest.mark.parametrize(
    ("argument", "others"),
    [
        ("file", []),
        ("two words", []),
        ('"two words"', [HashRequest("two words")]),
        ('"two words" 0 100', [HashRequest("two words", 0, 100), HashRequest('"two words"', 0, 100)]),
        ('"a" 5', [HashRequest("a", 5), HashRequest('"a"', 5)]),
        ("file 0 100", [HashRequest("file", 0, 100)]),
        ("file 7", [HashRequest("file", 7)]),
        ("a 1 2 3", [HashRequest("a 1", 2, 3)]),
        ("file 99999999999999999999", []),
        ('"', []),
        ("1", []),
    ],
)
def test_an_argument_is_a_path_before_it_is_anything_else(argument: str, others: list[HashRequest]) -> None:
    first, *rest = hash_requests(argument)
    assert first == HashRequest(argument)
    assert rest == others


@pytest.mark.parametrize(
    ("start", "end", "whole"),
    [
        (None, None, True),
        (0, None, True),
        (0, 10, True),
        (0, 9, False),
        (0, 11, False),
        (1, None, False),
        (1, 10, False),
        (10, 10, False),
    ],
)
def test_a_range_is_whole_when_it_is_all_of_the_file(start: int | None, end: int | None, whole: bool) -> None:
    assert HashRequest("file", start, end).is_whole(10) is whole

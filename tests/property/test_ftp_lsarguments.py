"""Arguments of listings: whatever they are, they mean something, and patterns match what the shell's would."""

from __future__ import annotations

import fnmatch

from hypothesis import example, given
from hypothesis import strategies as st

from aioftps3.ftp.lsarguments import MAX_PATTERN, is_pattern, list_requests, literal_prefix, name_filter

ARGUMENTS = st.text(alphabet="-alRdx1 ./*\u00e9", max_size=24)
NAMES = st.text(alphabet="ab.[]!-*? \u00e9", min_size=1, max_size=12)


@given(ARGUMENTS | st.text())
def test_every_argument_means_something_and_takes_options_from_words_with_dashes_only(argument: str) -> None:
    requests = list_requests(argument)
    assert requests
    assert len(set(requests)) == len(requests)
    for request in requests:
        assert request.path in argument
        words = argument.split(" ")
        assert set(request.options) <= set("".join(word for word in words if word.startswith("-")))


@given(ARGUMENTS)
def test_an_argument_without_a_dash_is_a_path_alone(argument: str) -> None:
    bare = argument.replace("-", "")
    assert [(request.options, request.path) for request in list_requests(bare)] == [("", bare)]


@given(ARGUMENTS)
def test_any_name_can_be_listed_behind_a_double_dash(name: str) -> None:
    assert [(request.options, request.path) for request in list_requests(f"-- {name}")] == [("", name)]


@given(NAMES, NAMES)
@example("[z-a]", "z")
@example("[", "[")
@example("[!]", "x")
def test_patterns_match_what_the_shells_do_and_themselves(pattern: str, name: str) -> None:
    matches = name_filter(pattern)
    assert matches(name) == (fnmatch.fnmatchcase(name, pattern) or name == pattern)
    assert matches(pattern)
    if matches(name):
        assert name.startswith(literal_prefix(pattern))
    assert is_pattern(pattern) == any(letter in pattern for letter in "*?[")


@given(NAMES)
def test_names_without_wildcards_match_themselves_alone(name: str) -> None:
    plain = "".join(letter for letter in name if letter not in "*?[")
    assert not is_pattern(plain)
    assert literal_prefix(plain) == ("" if plain in (".", "..") else plain)
    assert name_filter(plain)(plain)
    assert not name_filter(plain)(plain + "x")


def test_very_long_patterns_are_names() -> None:
    """Matching a long pattern with many long names would keep the others waiting."""
    assert is_pattern("*" * MAX_PATTERN)
    assert not is_pattern("*" * (MAX_PATTERN + 1))

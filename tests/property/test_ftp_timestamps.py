"""Times on the wire: whatever comes is a time or none, and what is told is what was given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aioftps3.ftp.hashing import hash_requests
from aioftps3.ftp.listing import mdtm
from aioftps3.ftp.timestamps import parse_facts, parse_time, parse_time_and_path, parse_utime
from aioftps3.s3.mtime import FIRST_SECOND, LAST_SECOND, kept_time, with_time

SECONDS = st.integers(FIRST_SECOND, LAST_SECOND)
PATHS = st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), min_size=1)
ARGUMENTS = st.text(st.sampled_from("0123456789 .;=modifyUTC\"'x\u0661\u00e9")) | st.text()


@given(SECONDS)
def test_what_is_told_is_what_was_given(seconds: int) -> None:
    assert parse_time(mdtm(seconds)) == seconds


@given(st.integers(-(10**10), 10**11), st.integers(0, 999))
def test_what_is_kept_is_what_was_given_to_the_millisecond(seconds: int, thousandths: int) -> None:
    given_time = seconds + thousandths / 1000
    kept = kept_time(with_time({}, given_time))
    assert kept is not None
    assert abs(kept - given_time) < 0.0006
    assert kept_time(with_time({}, kept)) == kept


@given(SECONDS, PATHS)
def test_any_path_stands_behind_a_time(seconds: int, path: str) -> None:
    assert parse_time_and_path(f"{mdtm(seconds)} {path}") == (seconds, path)
    assert parse_facts(f"modify={mdtm(seconds)}; {path}") == ({"modify": mdtm(seconds)}, path)
    stamp = mdtm(seconds)
    assert parse_utime(f"{path} {stamp} {stamp} {stamp} UTC") == (seconds, path)


@given(ARGUMENTS)
def test_whatever_comes_is_read_without_an_error(argument: str) -> None:
    for parse in (parse_time, parse_time_and_path, parse_utime, parse_facts):
        parse(argument)
    requests = hash_requests(argument)
    assert requests[0].path == argument
    assert len(set(requests)) == len(requests)

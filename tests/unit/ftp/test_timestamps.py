"""Times as clients send them."""

from __future__ import annotations

import calendar

import pytest

from aioftps3.ftp.timestamps import parse_facts, parse_time, parse_time_and_path, parse_utime

NEW_YEAR = float(calendar.timegm((2026, 1, 1, 0, 0, 0)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20260101000000", NEW_YEAR),
        ("20260101000000.5", NEW_YEAR + 0.5),
        ("20260101000000.125", NEW_YEAR + 0.125),
        ("20251231235959", NEW_YEAR - 1),
        ("20251231235960", NEW_YEAR),
        ("19700101000000", 0.0),
        ("19691231235959", -1.0),
        ("00010101000000", -62135596800.0),
        ("99991231235959", 253402300799.0),
        ("20240229120000", float(calendar.timegm((2024, 2, 29, 12, 0, 0)))),
    ],
)
def test_a_time_is_fourteen_digits_of_utc(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026", "202601010000", "2026010100000", "202601010000000", "20261301000000", "20260001000000"),
        *("20260132000000", "20250229000000", "20260101240000", "20260101006000", "20260101000061", "00000101000000"),
        *("20260101000000.", "20260101000000.x", "-0260101000000", "20260101000000 ", " 20260101000000"),
        "\u0662\u0660\u0662\u066620101000000"[:14],
        "2026010100000\u0660",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("20260101000000 file", (NEW_YEAR, "file")),
        ("20260101000000.25 file", (NEW_YEAR + 0.25, "file")),
        ("20260101000000  two  blanks ", (NEW_YEAR, " two  blanks ")),
        ("20260101000000 20260101000000 x", (NEW_YEAR, "20260101000000 x")),
        ("20260101000000", None),
        ("20260101000000 ", None),
        ("20261301000000 file", None),
        ("202601010000 file", None),
        ("file", None),
        ("", None),
    ],
)
def test_mfmt_takes_a_time_a_blank_and_a_path(argument: str, expected: tuple[float, str] | None) -> None:
    assert parse_time_and_path(argument) == expected


T = "20260101000000"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (f"{T} file", (NEW_YEAR, "file")),
        ("202601010000 file", (NEW_YEAR, "file")),
        (f"{T} two words", (NEW_YEAR, "two words")),
        (f"file 20200101000000 {T} 20210101000000 UTC", (NEW_YEAR, "file")),
        (f"two words {T} {T} {T} utc", (NEW_YEAR, "two words")),
        (f"{T} {T} {T} {T} UTC", (NEW_YEAR, T)),
        (f"{T} file {T} UTC", (NEW_YEAR, f"file {T} UTC")),
        (f"file {T} {T} {T}", None),
        (f"file {T} 20261301000000 {T} UTC", None),
        ("file", None),
        (T, None),
        ("", None),
    ],
)
def test_site_utime_has_two_forms(argument: str, expected: tuple[float, str] | None) -> None:
    assert parse_utime(argument) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("modify=1; file", ({"modify": "1"}, "file")),
        ("Modify=1;UNIX.mode=644; two; words", ({"modify": "1", "unix.mode": "644"}, "two; words")),
        ("modify=; file", ({"modify": ""}, "file")),
        ("modify=1 file", None),
        ("modify=1;", None),
        ("modify=1; ", None),
        ("modify; file", None),
        ("=1; file", None),
        ("modify=1;modify=2; file", None),
        ("; file", None),
        ("", None),
    ],
)
def test_mff_takes_facts_and_a_path(argument: str, expected: tuple[dict[str, str], str] | None) -> None:
    assert parse_facts(argument) == expected

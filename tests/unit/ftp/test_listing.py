"""Listings as the clients' parsers want them."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterator

import pytest

from aioftps3.ftp.listing import (
    DEFAULT_FACTS,
    FACTS,
    Section,
    facts_line,
    list_lines,
    mdtm,
    mlsd_lines,
    nlst_lines,
    section_lines,
    select_facts,
)
from aioftps3.storage.entries import Entry
from aioftps3.storage.paths import VirtualPath

DAY = 86400
NOW = float(calendar.timegm((2026, 6, 15, 12, 0, 0)))


def a_file(name: str = "a.txt", *, size: int = 5, modified: float = NOW) -> Entry:
    return Entry(name=name, path=VirtualPath(f"/{name}"), is_dir=False, size=size, modified=modified, etag='"1"')


def a_directory(name: str = "dir", *, modified: float = 0.0) -> Entry:
    return Entry(name=name, path=VirtualPath(f"/{name}"), is_dir=True, modified=modified)


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kathmandu"])
def _anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_file_is_one_line_of_ls() -> None:
    assert list_lines([a_file()], now=NOW) == (b"-rw-r--r--   1 ftp      ftp                 5 Jun 15 12:00 a.txt\r\n")


def test_a_directory_begins_with_d_and_has_links() -> None:
    """rclone takes no link count of 0."""
    assert list_lines([a_directory(modified=NOW)], now=NOW) == (
        b"drwxr-xr-x   2 ftp      ftp                 0 Jun 15 12:00 dir\r\n"
    )


def test_the_day_of_the_month_is_two_columns_wide() -> None:
    line = list_lines([a_file(modified=calendar.timegm((2026, 6, 1, 3, 4, 5)))], now=NOW).decode()
    assert " Jun  1 03:04 a.txt" in line


@pytest.mark.parametrize(
    ("age", "stamp"),
    [
        (180 * DAY - 60, "12:01"),
        (180 * DAY, " 2025"),
        (181 * DAY, " 2025"),
        (0, "12:00"),
        (-DAY + 60, "11:59"),
        (-DAY, " 2026"),
        (-40 * DAY, " 2026"),
    ],
)
def test_a_year_takes_the_place_of_the_time_after_180_days_and_in_the_future(age: int, stamp: str) -> None:
    line = list_lines([a_file(modified=NOW - age)], now=NOW).decode()
    assert line.endswith(f"{stamp} a.txt\r\n")


@pytest.mark.usefixtures("_anywhere")
def test_all_times_are_utc_wherever_the_server_stands() -> None:
    """D38, P14."""
    assert b"Jun 15 12:00" in list_lines([a_file()], now=NOW)
    assert mdtm(NOW) == "20260615120000"
    assert b"modify=20260615120000;" in mlsd_lines([a_file()])


def test_months_are_english_in_any_locale() -> None:
    stamps = [calendar.timegm((2026, month, 1, 0, 0, 0)) for month in range(1, 13)]
    lines = list_lines([a_file(modified=stamp) for stamp in stamps], now=NOW).decode().splitlines()
    assert " ".join(line.split()[5] for line in lines) == "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"


def test_a_directory_without_a_known_time_is_old_in_list_and_has_no_modify_fact() -> None:
    """Clients hide or drop entries of 1970."""
    assert b" Jan  1  1980 dir\r\n" in list_lines([a_directory()], now=NOW)
    assert mlsd_lines([a_directory()]) == b"type=dir;perm=cdeflmp; dir\r\n"


def test_large_sizes_move_the_columns_but_stay_whole() -> None:
    assert b" 5497558138880 Jun" in list_lines([a_file(size=5 * 2**40)], now=NOW)


def test_no_entries_are_no_bytes() -> None:
    assert list_lines([], now=NOW) == mlsd_lines([]) == nlst_lines([]) == b""


def test_names_are_sent_in_utf8_with_their_blanks() -> None:
    assert list_lines([a_file(" é 日本 ")], now=NOW).endswith(" 12:00  é 日本 \r\n".encode())
    assert nlst_lines([a_file(" é ")]) == " é \r\n".encode()


def test_nlst_is_names_alone_behind_a_prefix() -> None:
    assert nlst_lines([a_file(), a_directory()]) == b"a.txt\r\ndir\r\n"
    assert nlst_lines([a_file()], prefix="sub/") == b"sub/a.txt\r\n"


def test_mlsd_is_facts_one_blank_and_the_name() -> None:
    assert mlsd_lines([a_file(" x;y=z ")]) == b"type=file;size=5;modify=20260615120000;perm=adfrw;  x;y=z \r\n"
    assert mlsd_lines([a_directory(modified=NOW)]) == b"type=dir;modify=20260615120000;perm=cdeflmp; dir\r\n"


def test_unix_mode_comes_on_request() -> None:
    assert mlsd_lines([a_file()], facts=FACTS).endswith(b"UNIX.mode=0644; a.txt\r\n")
    assert mlsd_lines([a_directory()], facts=FACTS).endswith(b"UNIX.mode=0755; dir\r\n")


def test_a_line_without_facts_still_has_its_blank() -> None:
    """RFC 3659 section 7.2."""
    assert facts_line(a_file(), (), "/a.txt") == " /a.txt"


@pytest.mark.parametrize(
    ("argument", "facts"),
    [
        ("type;size;", ("type", "size")),
        ("SIZE;Type;", ("type", "size")),
        ("size;unix.mode;nonsense;", ("type", "size", "UNIX.mode")),
        ("type;modify", ("type", "modify")),
        ("", ("type",)),
        (";;;", ("type",)),
    ],
)
def test_opts_mlst_selects_the_known_facts_in_our_order(argument: str, facts: tuple[str, ...]) -> None:
    assert select_facts(argument) == facts


def test_type_is_among_the_default_facts() -> None:
    """Cyberduck and FileZilla need it on every line."""
    assert "type" in DEFAULT_FACTS
    assert set(DEFAULT_FACTS) <= set(FACTS)


def test_a_section_is_its_entries_below_its_heading() -> None:
    line = list_lines([a_file()], now=NOW)
    assert section_lines(Section([a_file()]), now=NOW, first=False) == line
    assert section_lines(Section([a_file()], heading="./dir"), now=NOW, first=True) == b"./dir:\r\n" + line
    assert section_lines(Section([], heading="a b"), now=NOW, first=False) == b"\r\na b:\r\n"


def test_a_section_with_nothing_but_a_heading_is_still_to_be_written() -> None:
    assert not Section([])
    assert Section([], heading=".")
    assert len(Section([], heading=".")) == 0
    assert list(Section([a_file()])) == [a_file()]

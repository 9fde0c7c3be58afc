"""Listing lines can be read back, and no name can break one."""

from __future__ import annotations

import calendar
import re
import time

from hypothesis import given
from hypothesis import strategies as st

from aioftps3.ftp.listing import FACTS, list_lines, mlsd_lines, nlst_lines
from aioftps3.ftp.replies import Reply
from aioftps3.storage.entries import Entry
from aioftps3.storage.paths import VirtualPath, join, valid_name

NOW = 1_800_000_000.0
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(" ;=\"'"), min_size=1).filter(
    valid_name
)
ENTRIES = st.lists(
    st.builds(
        lambda name, is_dir, size, modified: Entry(
            name=name,
            path=join(VirtualPath("/"), name),
            is_dir=is_dir,
            size=0 if is_dir else size,
            modified=float(modified),
        ),
        NAMES,
        st.booleans(),
        st.integers(0, 2**50),
        st.integers(1, 4_000_000_000),
    ),
    max_size=6,
)
LS_LINE = re.compile(
    r"(?P<mode>[d-][rwx-]{9}) +(?P<links>\d+) \S+ +\S+ +(?P<size>\d+) (?P<when>\w{3} [ \d]\d (?:\d\d:\d\d| \d{4})) "
    r"(?P<name>.+)",
    re.DOTALL,
)


def read_ls_time(stamp: str) -> tuple[int, ...]:
    kind = "%b %d %H:%M" if ":" in stamp else "%b %d  %Y"
    if ":" in stamp:
        return tuple(time.strptime(f"2000 {stamp}", f"%Y {kind}")[1:5])
    return tuple(time.strptime(stamp, kind)[0:3])


@given(ENTRIES)
def test_list_lines_can_be_read_back(entries: list[Entry]) -> None:
    lines = list_lines(entries, now=NOW).decode().split("\r\n")
    assert lines.pop() == ""
    assert len(lines) == len(entries)
    for line, entry in zip(lines, entries, strict=True):
        found = LS_LINE.fullmatch(line)
        assert found is not None, line
        assert found["name"] == entry.name
        assert int(found["size"]) == entry.size
        assert int(found["links"]) >= 1
        assert found["mode"].startswith("d") == entry.is_dir
        parts = time.gmtime(entry.modified)
        wanted = parts[1:5] if ":" in found["when"] else parts[0:3]
        assert read_ls_time(found["when"]) == tuple(wanted)


@given(ENTRIES)
def test_mlsd_lines_can_be_read_back(entries: list[Entry]) -> None:
    """P14."""
    lines = mlsd_lines(entries, facts=FACTS).decode().split("\r\n")
    assert lines.pop() == ""
    assert len(lines) == len(entries)
    for line, entry in zip(lines, entries, strict=True):
        written, _, name = line.partition(" ")
        assert written.endswith(";")
        facts = dict(fact.split("=") for fact in written[:-1].split(";"))
        assert name == entry.name
        assert facts["type"] == ("dir" if entry.is_dir else "file")
        assert facts.get("size") == (None if entry.is_dir else str(entry.size))
        assert calendar.timegm(time.strptime(facts["modify"], "%Y%m%d%H%M%S")) == entry.modified


@given(ENTRIES)
def test_nlst_lines_are_the_names(entries: list[Entry]) -> None:
    assert nlst_lines(entries).decode().split("\r\n") == [*(entry.name for entry in entries), ""]


@given(st.integers(100, 599), st.text(), st.lists(st.text(), max_size=4), st.text())
def test_no_text_changes_the_form_of_a_reply(code: int, text: str, body: list[str], end: str) -> None:
    encodable = [part.encode("utf-8", "replace").decode() for part in (text, *body, end)]
    encoded = Reply(code, encodable[0], tuple(encodable[1:-1]), end=encodable[-1]).encode()
    lines = encoded.split(b"\r\n")
    assert lines.pop() == b""
    assert len(lines) == (len(body) + 2 if body else 1)
    assert not any(byte < 32 or byte == 127 for line in lines for byte in line)
    assert lines[-1].startswith(b"%d " % code)
    for middle in lines[1:-1]:
        assert middle.startswith(b" ")

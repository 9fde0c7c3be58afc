"""docs/semantics.md promises nothing without a test: every section names some, and all of them are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "semantics.md").read_text()


def _defined() -> set[str]:
    sources = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for source in sources for name in re.findall(r"def (test_\w+)\(", source)}


def test_every_section_of_the_semantics_names_its_tests() -> None:
    sections = re.split(r"(?m)^## ", PAGE)[1:]
    assert sections
    assert not [section.splitlines()[0] for section in sections if "\nTests: `test_" not in section]


def test_every_test_that_the_semantics_name_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert not named - _defined()

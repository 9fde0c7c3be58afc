"""Medians, tables, and how targets fare."""

from __future__ import annotations

import dataclasses

import pytest

from bench.record import FULL, QUICK, Scale
from bench.report import Figure, Target, judge, tables
from bench.targets import targets

OWN = Figure(part="large", case="up", subject="a", store="s", quantity="CPU", unit="s", values=(3.0, 1.0, 2.0))
OTHER = dataclasses.replace(OWN, subject="b", values=(4.0,))
TARGET = Target(text="CPU", part="large", case="up", quantity="CPU", subject="a", store="s", limit=2.0)


def test_a_figure_shows_its_median_and_its_extremes() -> None:
    assert OWN.text == "2 (1-3)"


@pytest.mark.parametrize(("limit", "word"), [(2.0, "pass"), (1.9, "MISS")])
def test_the_median_is_held_against_the_limit(limit: float, word: str) -> None:
    (verdict,) = judge([dataclasses.replace(TARGET, limit=limit)], [OWN])
    assert verdict.word == word


@pytest.mark.parametrize(("limit", "word"), [(0.5, "pass"), (0.4, "MISS")])
def test_a_ratio_is_to_the_other_server_on_the_same_store(limit: float, word: str) -> None:
    elsewhere = dataclasses.replace(OTHER, store="elsewhere", values=(100.0,))
    (verdict,) = judge([dataclasses.replace(TARGET, limit=limit, beside="b")], [OWN, elsewhere, OTHER])
    assert verdict.word == word


def test_a_target_without_its_figure_is_not_measured() -> None:
    (verdict,) = judge([dataclasses.replace(TARGET, beside="b")], [OWN])
    assert verdict.word == "not measured"


def test_a_table_has_a_column_for_each_server_when_there_is_one_quantity() -> None:
    assert "| up | 2 (1-3) | 4      |" in tables([OWN, OTHER])


@pytest.mark.parametrize("scale", [FULL, QUICK])
def test_every_target_names_another_figure_or_limit(scale: Scale) -> None:
    found = targets(scale)
    assert len({dataclasses.replace(target, text="") for target in found}) == len(found)

"""Part sizes: the table that the documentation promises."""

import re
from pathlib import Path

import pytest

from aioftps3.s3.parts import EARLY_PARTS, LARGEST_PART_BYTES, MIB, PARTS, plan_parts

GIB = 1024 * MIB
TIB = 1024 * GIB
SEMANTICS = Path(__file__).parents[3] / "docs" / "semantics.md"
ROW = re.compile(r"\| ([0-9.]+ [GM]iB).* \| ([0-9.]+ [GM]iB) \| (\d+) \| ([0-9.]+ [GT]iB).* \| ([0-9.]+ [GT]iB).* \|")


def shown(size: int) -> str:
    """A size as the table shows it."""
    if size >= TIB:
        return f"{size / TIB:.1f} TiB"
    return f"{size / GIB:.0f} GiB" if size >= GIB else f"{size // MIB} MiB"


def test_parts_begin_with_8_mib_and_double_up_to_a_quarter_of_the_budget() -> None:
    plan = plan_parts(8 * MIB, 256 * MIB)
    sizes = {1: 8, 4: 8, 5: 16, 504: 16, 505: 32, 1004: 32, 1005: 64, PARTS: 64}
    assert {number: plan.size(number) // MIB for number in sizes} == sizes


@pytest.mark.parametrize(("first", "budget"), [(8 * MIB, 256 * MIB - 1), (16 * MIB, 256 * MIB), (8 * MIB, 64 * MIB)])
def test_parts_do_not_double_early_where_the_budget_would_not_hold_sixteen_of_them(first: int, budget: int) -> None:
    plan = plan_parts(first, budget)
    assert [plan.size(number) // first for number in (1, 500, 501)] == [1, 1, min(2, plan.largest // first)]


def test_a_stream_of_unknown_length_reaches_50_tb_if_memory_allows() -> None:
    """P24."""
    plan = plan_parts(8 * MIB, 4 * LARGEST_PART_BYTES)
    assert plan.size(1) == 8 * MIB
    assert plan.size(PARTS) == LARGEST_PART_BYTES
    assert plan.capacity >= 50 * 10**12


def test_an_announced_size_reaches_s3s_limit() -> None:
    limit = PARTS * LARGEST_PART_BYTES
    assert plan_parts(8 * MIB, 4 * LARGEST_PART_BYTES, expected_size=limit).capacity == limit
    assert plan_parts(8 * MIB, 256 * MIB, expected_size=500 * GIB).first == 8 * MIB
    assert plan_parts(8 * MIB, 256 * MIB, expected_size=600 * GIB).first > 8 * MIB


@pytest.mark.parametrize(("budget", "capacity"), [(256 * MIB, 550 * GIB), (GIB, 1.9 * TIB), (20 * GIB, 45.8 * TIB)])
def test_a_budget_allows_about_2000_times_itself(budget: int, capacity: float) -> None:
    assert plan_parts(8 * MIB, budget).capacity >= capacity


def test_the_table_of_large_files_in_the_documentation_is_true() -> None:
    section = SEMANTICS.read_text().partition("\n## Large files\n")[2].partition("\n## ")[0]
    rows = ROW.findall(section)
    expected = []
    for budget in (256 * MIB, GIB, 4 * GIB, 20 * GIB):
        plan = plan_parts(8 * MIB, budget)
        steps = [number for number in range(1, PARTS) if plan.size(number + 1) > plan.size(number)]
        assert steps == [EARLY_PARTS + plan.step * number for number in range(len(steps))]
        told = plan_parts(8 * MIB, budget, expected_size=PARTS * plan.largest)
        expected.append(
            (shown(budget), shown(plan.largest), f"{plan.step}", shown(plan.capacity), shown(told.capacity))
        )
    assert rows == expected
    assert section.count("\n|") == 2 + len(rows)


def test_a_part_may_be_sent_from_half_of_its_size_or_s3s_minimum_on() -> None:
    plan = plan_parts(8 * MIB, 256 * MIB - 1)
    assert [plan.least(number) // MIB for number in (1, 501, 1001)] == [5, 8, 16]
    assert plan_parts(3 * MIB, 256 * MIB).least(1) == 3 * MIB


def test_parts_that_double_early_cost_nothing_when_memory_is_short() -> None:
    """Each may be sent with what it would have been sent with, and the object becomes as large."""
    plan, in_time = plan_parts(8 * MIB, 256 * MIB), plan_parts(8 * MIB, 256 * MIB - 1)
    assert [plan.least(number) for number in range(1, 1501)] == [in_time.least(number) for number in range(1, 1501)]
    assert plan.capacity // GIB == 554
    sent = [plan.least(number, plan.slack) for number in (1, 5)]
    assert sent == [8 * MIB, 16 * MIB], "what is lost is lost once"


def test_what_parts_that_are_sent_early_may_lose_is_limited() -> None:
    plan = plan_parts(8 * MIB, 256 * MIB)
    assert plan.least(1, plan.slack - 3 * MIB) == 5 * MIB
    assert plan.least(1, plan.slack - 2 * MIB) == 6 * MIB
    assert plan.least(1, plan.slack) == plan.least(1, 2 * plan.slack) == 8 * MIB


def test_where_every_byte_is_needed_parts_are_sent_full() -> None:
    plan = plan_parts(8 * MIB, 256 * MIB, expected_size=PARTS * 64 * MIB)
    assert plan.capacity == PARTS * 64 * MIB
    assert plan.least(1) == plan.size(1) == 64 * MIB


def test_equal_parts_stay_equal() -> None:
    plan = plan_parts(8 * MIB, 256 * MIB, equal_parts=True)
    assert {plan.size(number) for number in range(1, PARTS + 1)} == {8 * MIB}
    assert plan.capacity == 8 * MIB * PARTS
    assert plan.least(1) == 8 * MIB
    announced = plan_parts(8 * MIB, 256 * MIB, expected_size=500 * GIB, equal_parts=True)
    assert {announced.size(number) for number in range(1, PARTS + 1)} == {52 * MIB}

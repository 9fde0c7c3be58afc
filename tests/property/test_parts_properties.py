"""Part sizes keep S3's limits whatever the budget, the wish and the announcement are."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from aioftps3.s3.continuation import copied_ranges
from aioftps3.s3.parts import BUDGET_SHARE, LARGEST_PART_BYTES, LEAST_PART_BYTES, MIB, PARTS, plan_parts

sizes = st.integers(5 * MIB, LARGEST_PART_BYTES)
budgets = st.integers(5 * MIB, 40 * 1024**3)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    wanted=sizes,
    budget=budgets,
    expected=st.none() | st.integers(0, 60 * 1024**4),
    equal=st.booleans(),
    parts=st.just(PARTS) | st.integers(1, PARTS),
)
def test_parts_keep_s3s_limits(wanted: int, budget: int, expected: int | None, equal: bool, parts: int) -> None:
    wanted = min(wanted, budget)
    plan = plan_parts(wanted, budget, expected_size=expected, equal_parts=equal, parts=parts)
    every = [plan.size(number) for number in range(1, parts + 1)]

    assert every == sorted(every)
    assert every[0] == plan.first >= wanted
    assert every[-1] <= LARGEST_PART_BYTES
    assert every[-1] <= max(wanted, budget // BUDGET_SHARE)
    assert sum(every) - plan.slack == plan.capacity
    if expected is None:
        assert plan.first == wanted
    if equal:
        assert len(set(every)) == 1
    if expected is not None and expected <= parts * plan.largest and not equal:
        assert plan.capacity >= expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    wanted=sizes,
    budget=budgets,
    expected=st.none() | st.integers(0, 60 * 1024**4),
    equal=st.booleans(),
    early=st.lists(st.integers(0, PARTS - 1), max_size=20),
)
def test_parts_suffice_however_many_of_them_are_sent_early(
    wanted: int, budget: int, expected: int | None, equal: bool, early: list[int]
) -> None:
    plan = plan_parts(min(wanted, budget), budget, expected_size=expected, equal_parts=equal)
    full = set(early)
    total = lost = 0
    for number in range(1, PARTS + 1):
        size, least = plan.size(number), plan.least(number, lost)
        assert min(size, LEAST_PART_BYTES) <= least <= size
        sent = size if number in full else least
        total, lost = total + sent, lost + size - sent
    assert total >= plan.capacity
    assert lost <= plan.slack
    assert not equal or not lost


@settings(max_examples=100, deadline=None, derandomize=True)
@given(budget=budgets, more=st.integers(1, 8))
def test_more_memory_never_makes_less_room(budget: int, more: int) -> None:
    first = min(8 * MIB, budget)
    assert plan_parts(first, budget * 2**more).capacity >= plan_parts(first, budget).capacity


@settings(max_examples=100, deadline=None, derandomize=True)
@given(budget=st.integers(4 * LARGEST_PART_BYTES, 16 * LARGEST_PART_BYTES))
def test_streams_of_unknown_length_reach_50_tb_with_enough_memory(budget: int) -> None:
    plan = plan_parts(8 * MIB, budget)
    assert plan.first == 8 * MIB
    assert plan.capacity >= 50 * 10**12


@settings(max_examples=300, deadline=None, derandomize=True)
@given(length=st.integers(0, (PARTS - 1) * LARGEST_PART_BYTES), equal=st.none() | sizes)
def test_ranges_that_s3_copies_are_parts_and_what_is_behind_them_is_small(length: int, equal: int | None) -> None:
    ranges = copied_ranges(length, equal_bytes=equal) if equal is None or length // equal < PARTS else []
    every = [last - first + 1 for first, last in ranges]
    assert all(LEAST_PART_BYTES <= size <= LARGEST_PART_BYTES for size in every)
    assert not equal or set(every) <= {equal}
    assert len(ranges) < PARTS
    assert all(one[1] + 1 == following[0] for one, following in pairwise(((0, -1), *ranges)))
    if ranges:
        assert length - sum(every) < (equal or 1)
    elif not equal:
        assert length < LEAST_PART_BYTES

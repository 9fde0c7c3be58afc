"""Randomised trials: ``--trials N`` says how many, ``--first-seed N`` where they begin, ``--seed N`` repeats one."""

from __future__ import annotations

import pytest

from tests.faults.trial import run_trial


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("--seed")
        first = metafunc.config.getoption("--first-seed")
        seeds = range(first, first + metafunc.config.getoption("--trials")) if one is None else [one]
        metafunc.parametrize("seed", seeds, ids=lambda seed: f"seed-{seed}")


async def test_whatever_goes_wrong_acknowledged_is_whole_and_the_rest_is_old_or_absent(seed: int) -> None:
    await run_trial(seed)

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the randomised trials in tests/faults."""
    group = parser.getgroup("randomised trials")
    group.addoption("--trials", type=int, default=100, help="how many trials are run (100)")
    group.addoption("--first-seed", type=int, default=1, help="seed of the first one; the others count on (1)")
    group.addoption("--seed", type=int, default=None, help="run the one trial of this seed again")

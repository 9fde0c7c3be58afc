from __future__ import annotations

import pytest

from tests.integration.clients.matrix import MatrixPages, MatrixReporter


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the randomised trials in tests/faults, and of the client matrix in tests/integration/clients."""
    group = parser.getgroup("randomised trials")
    group.addoption("--trials", type=int, default=100, help="how many trials are run (100)")
    group.addoption("--first-seed", type=int, default=1, help="seed of the first one; the others count on (1)")
    group.addoption("--seed", type=int, default=None, help="run the one trial of this seed again")
    group.addoption("--fuzz-lines", type=int, default=2000, help="how many command lines are made up (2000)")
    group = parser.getgroup("FTP clients")
    group.addoption("--clients", default="core", help="which are driven: core (default), all, or names with commas")
    group.addoption("--write-matrix", action="store_true", help="write what was measured to docs/clients.*")


def pytest_configure(config: pytest.Config) -> None:
    """Report which FTP clients were driven, where the session is led."""
    if not hasattr(config, "workerinput"):
        pages = MatrixPages() if config.getoption("--write-matrix") else None
        config.pluginmanager.register(MatrixReporter(config.getoption("--clients"), pages))

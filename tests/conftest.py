from __future__ import annotations

import functools
from collections.abc import Iterator
from unittest import mock

import pytest

from aioftps3.s3 import transport
from tests.integration.clients.matrix import MatrixPages, MatrixReporter
from tests.support import rules


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
    """Have the rules of every run kept, and report which FTP clients were driven, where the session is led."""
    config.pluginmanager.register(rules)
    if not hasattr(config, "workerinput"):
        pages = MatrixPages() if config.getoption("--write-matrix") else None
        config.pluginmanager.register(MatrixReporter(config.getoption("--clients"), pages))


@pytest.fixture(autouse=True, scope="session")
def system_authorities_are_read_once() -> Iterator[None]:
    """Reading them takes 20 ms of CPU, and a thousand tests make an S3 client that never uses them."""
    read = transport.client_ssl_context
    trusting_the_system = functools.cache(lambda: read(None))
    with mock.patch.object(
        transport, "client_ssl_context", lambda ca_file: trusting_the_system() if ca_file is None else read(ca_file)
    ):
        yield

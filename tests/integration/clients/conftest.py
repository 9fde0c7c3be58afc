from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.clients.cells import Cell, cells_by_name
from tests.integration.clients.client import Client
from tests.integration.clients.matrix import CELL
from tests.integration.clients.registry import CLIENTS, chosen
from tests.integration.clients.scene import Contents, Scene
from tests.support.backends import MINIO, Backend, EmbeddedBackend, embedded_backend, minio_backend
from tests.support.daemon import Daemon

ON_MINIO_TOO = {
    (client, cell)
    for client in ("curl", "lftp", "rclone", "FileZilla")
    for cell in ("put 40 MiB", "get 40 MiB", "rename over", "name: quote", "name: NFD", "mirror up")
}
"""Cells that also run on a real MinIO, where tests.sh has started one: the large and the odd."""

CROWD = 2500


@dataclass(frozen=True, slots=True)
class Run:
    """One test: a client, a cell, and the S3 below."""

    driver: type[Client]
    cell: Cell
    backend: str

    def __str__(self) -> str:
        return f"{self.driver.name}: {self.cell.name}{'' if self.backend == 'embedded' else ' on MinIO'}"


# -- what is run ----------------------------------------------------------------------------------------------------


def _chosen(config: pytest.Config) -> tuple[type[Client], ...]:
    names = config.getoption("--clients")
    try:
        return chosen(names)
    except KeyError as error:
        raise pytest.UsageError(f"--clients={names}: there is no driver for {error}") from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each cell once for each client that is installed and can do it; the others are declared, not skipped."""
    if "driver" in metafunc.fixturenames:
        metafunc.parametrize("driver", CLIENTS, ids=[client.name for client in CLIENTS])
    marker = metafunc.definition.get_closest_marker("cell")
    if marker is None:
        return
    runs = []
    cells = [cells_by_name()[name] for name in marker.args]
    for driver in _chosen(metafunc.config):
        for cell in cells:
            if driver.runs(cell) and driver.missing() is None:
                runs.append(Run(driver, cell, "embedded"))
                if os.environ.get(MINIO) and (driver.name, cell.name) in ON_MINIO_TOO:
                    runs.append(Run(driver, cell, "minio"))
    if runs:
        metafunc.parametrize("run", runs, ids=str)
    else:
        why = _why_nobody(metafunc.config, cells)
        metafunc.parametrize("run", [pytest.param(None, marks=pytest.mark.skip(reason=why))], ids=["nobody"])


def _why_nobody(config: pytest.Config, cells: Sequence[Cell]) -> str:
    """Why a test is run for no client."""
    able = [driver.name for driver in _chosen(config) if any(driver.runs(cell) for cell in cells)]
    if able:
        return f"of the clients that can none is installed: {', '.join(able)}"
    return f"none of --clients={config.getoption('--clients')} can"


# -- what it stands on ----------------------------------------------------------------------------------------------


class Stage:
    """The daemons of a test session, each started when the first test wants it."""

    def __init__(self, stack: ExitStack, factory: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._factory = factory
        self._backends: dict[str, Backend] = {}
        self._daemons: dict[tuple[str, str, str], Daemon] = {}

    def backend(self, kind: str) -> Backend:
        """The S3 of this kind, `embedded` or `minio`."""
        if kind not in self._backends:
            opened = embedded_backend(self._factory.mktemp("s3")) if kind == "embedded" else minio_backend(os.environ)
            self._backends[kind] = self._stack.enter_context(opened)
        return self._backends[kind]

    def daemon(self, kind: str, require_tls: str, times: str) -> Daemon:
        """A daemon in front of it, with these settings."""
        key = (kind, require_tls, times)
        if key not in self._daemons:
            settings = {"AIOFTPS3_REQUIRE_TLS": require_tls, "AIOFTPS3_TIMES": times}
            given = {**self.backend(kind).environment, **settings}
            self._daemons[key] = self._stack.enter_context(_running(self._factory.mktemp("daemon"), given))
        return self._daemons[key]


@contextmanager
def _running(directory: Path, given: dict[str, str]) -> Iterator[Daemon]:
    daemon = Daemon.start(directory, given)
    try:
        yield daemon
        assert daemon.running, "the daemon ended by itself"
        assert daemon.stop() == 0
        daemon.check_log()
        assert not re.findall(r"^\S+ ERROR .*", daemon.log(), re.MULTILINE)
    finally:
        daemon.kill()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All daemons; how they end is checked too."""
    with ExitStack() as stack:
        made = Stage(stack, tmp_path_factory)
        yield made
        embedded = made.backend("embedded")
        assert isinstance(embedded, EmbeddedBackend)
        assert embedded.all_uploads() == [], "multipart uploads are left"


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """Local files to send."""
    return Contents(tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="session")
def crowd(stage: Stage) -> list[str]:
    """A directory of 2,500 files, and then their names, sorted."""
    backend = stage.backend("embedded")
    assert isinstance(backend, EmbeddedBackend)
    names = [f"file {number:04}" for number in range(CROWD)]
    backend.put_many([f"crowd/{name}" for name in names])
    return ["crowd", *names]


@pytest.fixture
def scene(
    run: Run,
    stage: Stage,
    content: Contents,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
    tmp_path: Path,
) -> Scene:
    """A client in the mode of its cell, with an empty directory here and there."""
    if run.backend == "embedded":
        record_property(CELL, f"{run.driver.name}: {run.cell.name}")
    wanted = request.node.get_closest_marker("cell").kwargs
    mode = wanted.get("mode") or run.driver.mode_for(run.cell)
    in_clear = mode == "clear" and run.cell.name != "refused in clear"
    daemon = stage.daemon(run.backend, "none" if in_clear else "control+data", wanted.get("times", "uploaded"))
    backend = stage.backend(run.backend)
    folder = f"test-{secrets.token_hex(4)}"
    backend.put(f"{folder}/")
    home, local = tmp_path / "home", tmp_path / "local"
    home.mkdir()
    local.mkdir()
    return Scene(run.driver(daemon.access(mode), home), run.cell, daemon, backend, folder, local, content)


def pytest_configure(config: pytest.Config) -> None:
    """Register what the tests here use."""
    config.addinivalue_line("markers", "cell(*names, mode, times): the cells of docs/clients.md that a test is")

from __future__ import annotations

import contextlib
import ftplib
import os
import re
import secrets
from collections.abc import Iterator

import pytest

from tests.support.backends import MINIO, Backend, EmbeddedBackend, embedded_backend, minio_backend
from tests.support.clients import connect
from tests.support.daemon import Access, Daemon

BACKENDS = ("embedded", "minio") if os.environ.get(MINIO) else ("embedded",)
"""Where there is no MinIO, test_backends.py says so once, and not every test for itself."""


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """An S3 server; every test runs once on each."""
    if request.param == "embedded":
        with embedded_backend(tmp_path_factory.mktemp("embedded")) as embedded:
            yield embedded
    else:
        with minio_backend(os.environ) as minio:
            yield minio


@pytest.fixture(scope="session")
def daemon(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The daemon in front of the backend; how it ends is checked too."""
    running = Daemon.start(tmp_path_factory.mktemp("daemon"), backend.environment)
    try:
        yield running
        assert running.running, "the daemon ended by itself"
        assert running.stop() == 0
        running.check_log()
        assert not re.findall(r"^\S+ ERROR .*", running.log(), re.MULTILINE)
        if isinstance(backend, EmbeddedBackend):
            assert backend.all_uploads() == [], "multipart uploads are left"
    finally:
        running.kill()


@pytest.fixture
def embedded(backend: Backend) -> EmbeddedBackend:
    """The backend of tests that run on the embedded server only."""
    assert isinstance(backend, EmbeddedBackend)
    return backend


@pytest.fixture(params=["explicit", "implicit"])
def access(request: pytest.FixtureRequest, daemon: Daemon) -> Access:
    """The daemon's two ports."""
    return daemon.access(request.param)


@pytest.fixture
def folder(request: pytest.FixtureRequest, backend: Backend) -> str:
    """An empty directory of the test's own, without slashes: its name is its path from the clients' root."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40]
    folder = f"{name}-{secrets.token_hex(3)}"
    backend.put(f"{folder}/")
    return folder


@pytest.fixture
def ftp(access: Access, folder: str) -> Iterator[ftplib.FTP_TLS]:
    """A logged-in ftplib session whose current directory is the test's own."""
    with contextlib.closing(connect(access)) as session:
        session.cwd(folder)
        yield session
        session.quit()

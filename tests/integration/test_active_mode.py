"""Clients to which the daemon connects: curl, lftp and ftplib in active mode, over explicit and implicit TLS."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.clients import connect, curl, lftp, needs_lftp, read, store, url
from tests.support.daemon import HOST, Access, Daemon

pytestmark = pytest.mark.parametrize("backend", ["embedded"], indirect=True)

CONTENT = bytes(range(256)) * 40_000


@pytest.fixture(scope="module")
def active(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that connects to its clients."""
    environment = {**backend.environment, "AIOFTPS3_ACTIVE_MODE": "true"}
    running = Daemon.start(tmp_path_factory.mktemp("active"), environment)
    try:
        yield running
        assert running.stop() == 0
        running.check_log()
    finally:
        running.kill()


@pytest.fixture(params=["explicit", "implicit"])
def here(request: pytest.FixtureRequest, active: Daemon) -> Access:
    return active.access(request.param)


def test_ftplib_stores_reads_and_lists(here: Access, folder: str, backend: Backend) -> None:
    with contextlib.closing(connect(here)) as session:
        session.set_pasv(False)
        session.cwd(folder)
        store(session, "file", CONTENT)
        store(session, "empty", b"")
        assert backend.read(f"{folder}/file") == CONTENT
        assert read(session, "file") == CONTENT
        assert read(session, "file", rest=len(CONTENT) - 5) == CONTENT[-5:]
        assert session.nlst() == ["empty", "file"]
        assert [name for name, _ in session.mlsd()] == ["empty", "file"]
        session.quit()


def _curl_version() -> tuple[int, ...]:
    """(0,) where there is none."""
    if shutil.which("curl") is None:
        return (0,)
    told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", told.split()[1]))


@pytest.mark.skipif(_curl_version() < (8,), reason="curl before 8.0 starts no TLS on connections that it has accepted")
@pytest.mark.parametrize("how", [(), ("--disable-eprt",)], ids=["EPRT", "PORT"])
def test_curl_stores_reads_and_lists(
    here: Access, folder: str, backend: Backend, tmp_path: Path, how: tuple[str, ...]
) -> None:
    options = ("--ftp-port", HOST, *how)
    (tmp_path / "file").write_bytes(CONTENT)
    curl(here, *options, "-T", tmp_path / "file", url(here, f"{folder}/file"))
    assert backend.read(f"{folder}/file") == CONTENT
    assert curl(here, *options, url(here, f"{folder}/file")).stdout == CONTENT
    assert curl(here, *options, "--list-only", url(here, f"{folder}/")).stdout == b"file\r\n"


@needs_lftp
def test_lftp_mirrors_up_and_back(here: Access, folder: str, tmp_path: Path) -> None:
    for name in ("tree/a", "tree/sub/b", "tree/sub/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(CONTENT)
    active_mode = "set ftp:passive-mode no"
    lftp(here, tmp_path, active_mode, f"mirror -R --parallel=3 tree {folder}/tree", f"mirror {folder}/tree back")
    assert [(tmp_path / "back" / name).read_bytes() for name in ("a", "sub/b", "sub/c")] == [CONTENT] * 3


def test_the_daemon_connects_to_nobody_else(here: Access, active: Daemon) -> None:
    with contextlib.closing(connect(here)) as session:
        for command in ("PORT 192,0,2,1,100,1", "EPRT |1|192.0.2.1|5000|"):
            with pytest.raises(Exception, match="504 "):
                session.sendcmd(command)
        session.quit()
    assert len(re.findall(r"connection to 192\.0\.2\.1 refused", active.log())) >= 2

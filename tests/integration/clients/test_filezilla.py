"""What only FileZilla does, and what goes wrong with it on other servers."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients.drivers.filezilla import FileZilla
from tests.integration.clients.registry import chosen
from tests.integration.clients.traffic import TrafficMeter

if TYPE_CHECKING:
    from tests.integration.clients.conftest import Stage

SESSIONS = 8


def test_parallel_uploads_into_a_new_directory_all_arrive(
    stage: Stage, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Each session finds no directory and makes it; all but one are told that it already exists, and have to go on."""
    if FileZilla not in chosen(pytestconfig.getoption("--clients")):
        pytest.skip("FileZilla is left out by --clients")
    if missing := FileZilla.missing():
        pytest.skip(missing)
    daemon, backend = stage.daemon("embedded", "control+data", "uploaded"), stage.backend("embedded")
    meter = TrafficMeter(daemon)
    folder = f"test-{secrets.token_hex(4)}/new"
    files = {tmp_path / f"file {number}": bytes([number]) * 1000 for number in range(3 * SESSIONS)}
    for path, content in files.items():
        path.write_bytes(content)
    home = tmp_path / "home"
    home.mkdir()
    FileZilla(daemon.access("explicit"), home).put_several(
        {path: f"{folder}/{path.name}" for path in files}, parallel=SESSIONS
    )
    for path, content in files.items():
        assert backend.read(f"{folder}/{path.name}") == content
    did = meter.end()
    refusals = {text for code, text in did.replies if code == 550}
    assert did.control == SESSIONS
    assert all("already exists" in text or "no such" in text for text in refusals), refusals

"""The harness of the matrix itself: it sees hidden attempts, keeps what it did not run, and declares nothing stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.clients.cells import CELLS
from tests.integration.clients.client import Client, Cost
from tests.integration.clients.matrix import Matrix, MatrixPages, page
from tests.integration.clients.registry import CLIENTS
from tests.integration.clients.traffic import Traffic

LOG = """\
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: connected to the explicit-TLS port
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: < 220 aioftps3 ready.
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: > STOR a file
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: < 150 Ready to receive a file.
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: data connection with a resumed TLS session
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: < 426 Upload cut, nothing stored.
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: > STOR a file
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: < 150 Ready to receive a file.
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: data connection with a new TLS session
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: < 226 Stored 1 bytes.
2026-11-22T18:00:00.000Z DEBUG [aa] aioftps3.ftp.session: disconnected
2026-11-22T18:00:00.000Z INFO [-] aioftps3.ftp.server: TLS handshake with 127.0.0.1 failed: reset
"""


def test_the_log_tells_connections_commands_and_replies() -> None:
    traffic = Traffic.of(LOG)
    assert traffic.cost == Cost(control=2, data=2, refused=1, broken=1, commands=2)
    assert traffic.closed == traffic.control
    assert traffic.commands == [("STOR", "a file")] * 2
    assert traffic.data_tls == ["resumed", "new"]


@pytest.mark.parametrize(
    "limit",
    [
        Cost(control=1, data=2, refused=1, broken=1),
        Cost(control=2, data=1, refused=1, broken=1),
        Cost(control=2, data=2, refused=0, broken=1),
        Cost(control=2, data=2, refused=1, broken=0),
        Cost(control=2, data=2, refused=1, broken=1, commands=1),
    ],
)
def test_an_attempt_that_a_client_hides_by_another_one_is_seen(limit: Cost) -> None:
    with pytest.raises(AssertionError, match="STOR a file"):
        Traffic.of(LOG).check(limit)


def test_a_run_with_few_clients_takes_nothing_from_the_matrix(tmp_path: Path) -> None:
    pages = MatrixPages(tmp_path)
    matrix = Matrix()
    matrix.note("curl", "7", "put 1 B", failed=False)
    matrix.note("lftp", "4", "put 1 B", failed=False)
    pages.save(matrix)
    again = pages.load()
    again.note("lftp", "4", "get 1 B", failed=True)
    pages.save(again)
    rows = pages.load().rows
    assert rows["curl"].outcomes == {"put 1 B": "ok"}
    assert rows["lftp"].outcomes == {"put 1 B": "ok", "get 1 B": "failed"}
    assert "**failed**" in page(again)
    again.note("lftp", "5", "get 1 B", failed=False)
    assert again.rows["lftp"].outcomes == {"get 1 B": "ok"}, "what another version did is not known of this one"


def test_drivers_speak_only_of_cells_that_there_are(driver: type[Client]) -> None:
    known = {cell.name for cell in CELLS} | {cell.column for cell in CELLS}
    assert set(driver.cannot) <= known
    assert set(driver.only_in_clear) <= known - set(driver.cannot)
    assert "clear" in driver.modes or not driver.only_in_clear
    assert {client.name for client in CLIENTS if client.name == driver.name} == {driver.name}

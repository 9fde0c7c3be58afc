"""Pages that the code writes are as the code would write them now."""

from __future__ import annotations

from pathlib import Path

from aioftps3 import settings
from aioftps3.ftp import commands
from tests.integration.clients import matrix
from tests.integration.clients.cells import CELLS
from tests.integration.clients.registry import CLIENTS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_commands_is_the_command_table() -> None:
    assert (DOCS / "commands.md").read_text() == commands.page()


def test_the_page_of_settings_is_the_option_table() -> None:
    assert (DOCS / "settings.md").read_text() == settings.page()


def test_the_page_of_clients_is_what_was_measured_and_declared() -> None:
    assert (DOCS / "clients.md").read_text() == matrix.page(matrix.MatrixPages(DOCS).load())


def test_every_client_does_everything_that_it_can() -> None:
    rows = matrix.MatrixPages(DOCS).load().rows
    for client in CLIENTS:
        measured = {cell.name: rows[client.name].outcomes.get(cell.name) for cell in CELLS if client.runs(cell)}
        assert measured == dict.fromkeys(measured, "ok"), client.name

"""The matrix: outcomes as they were measured (docs/clients.json), and the page made of them (docs/clients.md).

A run with `--write-matrix` replaces the outcomes of the cells that it ran and keeps all others, so that a run with few
clients takes nothing away. What a client cannot do is no outcome: it is declared by its driver, and stands in the page
whatever was measured before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.clients.cells import CELLS, Cell
from tests.integration.clients.client import Client
from tests.integration.clients.registry import CLIENTS, chosen
from tests.support.daemon import ROOT

__all__ = ("CELL", "Matrix", "MatrixPages", "MatrixReporter", "page")

SUITE = "clients/test_matrix.py"
"""Its tests are those that drive clients."""

CELL = "client and cell"
"""The property of a test's report that names the cell it is."""


@dataclass(slots=True)
class Row:
    """What was measured of one client."""

    version: str
    outcomes: dict[str, str] = field(default_factory=dict)
    """Names of cells to `ok` or `failed`."""


@dataclass(slots=True)
class Matrix:
    """What was measured of all clients."""

    rows: dict[str, Row] = field(default_factory=dict)

    def note(self, client: str, version: str, cell: str, *, failed: bool) -> None:
        """Take over one outcome; one of another version replaces all of that client's."""
        row = self.rows.get(client)
        if row is None or row.version != version:
            row = self.rows[client] = Row(version)
        row.outcomes[cell] = "failed" if failed else "ok"

    def as_json(self) -> str:
        """In the order of the page, so that a second run of the same changes nothing."""
        order = {cell.name: at for at, cell in enumerate(CELLS)}
        found = {
            client.name: {
                "version": row.version,
                "outcomes": {name: row.outcomes[name] for name in sorted(row.outcomes, key=order.__getitem__)},
            }
            for client in CLIENTS
            if (row := self.rows.get(client.name)) is not None
        }
        return json.dumps(found, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Matrix:
        """Read it back; cells that are no more are left out."""
        known = {cell.name for cell in CELLS}
        rows = {}
        for name, row in json.loads(text).items():
            outcomes = {cell: outcome for cell, outcome in row["outcomes"].items() if cell in known}
            rows[name] = Row(row["version"], outcomes)
        return cls(rows)


class MatrixPages:
    """The two files."""

    def __init__(self, directory: Path = ROOT / "docs") -> None:
        self._measured = directory / "clients.json"
        self._page = directory / "clients.md"

    def load(self) -> Matrix:
        """What was measured so far."""
        return Matrix.from_json(self._measured.read_text()) if self._measured.exists() else Matrix()

    def save(self, matrix: Matrix) -> None:
        """Write both."""
        self._measured.write_text(matrix.as_json())
        self._page.write_text(page(matrix))


_HEAD = """\
# FTP clients

Real clients against the whole daemon. Made by the tests:

    ./tests.sh --install-clients
    ./tests.sh tests/integration/clients --clients=all --write-matrix

A normal run of `./tests.sh` drives the clients marked "each run", the nightly one all that can be installed. What each
operation takes on the wire (control connections, data connections, transfers that broke, refused commands, commands) is
compared with limits that the drivers in `tests/integration/clients/drivers` declare: an attempt that a client repeats
without saying so fails its cell.

- **ok**: every byte, name and time was compared with what S3 holds.
- **-**: the client itself cannot; the reasons are below the tables.
- **failed**: a defect.
- **?**: not run since the cell was added.

`put` and `get` are five sizes each, from nothing to 40 MiB; odd names are twelve (blanks at both ends and in a row,
quotes, a leading dash, an emoji, NFC and NFD, percent, hash, brackets). A number counts the cells that are ok. "clear"
needs `AIOFTPS3_REQUIRE_TLS=none`; clients without TLS are tested so. "data resumes TLS" says which of a client's data
connections resume an earlier [TLS session](#tls-sessions), in a session of several uploads, a listing and several
downloads over TLS 1.3.

Clients that do not run where the tests do are replayed (`tests/integration/clients/test_replayed.py`): sessions with
what they send, in their order, and with the replies that they insist on, made from their sources or from reports about
them. They are WinSCP, Cyberduck, FluentFTP, .NET's FtpWebRequest, Windows' ftp.exe and Explorer, Total Commander and
FlashFXP, scanners and cameras.
"""

_TLS_SESSIONS = """\
Whether a data connection resumes the TLS session of the control connection, or of the data connection before it, is the
client's choice:

{clients}

Those of the second kind use a ticket of TLS 1.3 once. The next one comes at the end of an upload, when they read no
more, so that the connection after an upload begins a new session; one after a download or a listing resumes. curl reads
to the end since 8.9 (tried with libcurl 8.12, 8.16 and 8.23: all resume; with 7.61 none does). In TLS 1.2 a session can
be resumed any number of times, and those of the first two kinds always do: `AIOFTPS3_TLS_MAX_VERSION=1.2`, or curl's
own `--tls-max 1.2`.

`AIOFTPS3_REQUIRE_TLS_RESUMPTION=true` refuses connections that do not resume, with `522`: clients of the last kind then
transfer nothing, and those of the second kind, over TLS 1.3, nothing after the first upload of a session. What is
resumed has to be a session of the same control connection; `curl --parallel` takes that of another one before 8.22.

A TLS session can be resumed for two hours. lftp and FileZilla know no other one than that of their control connection:
when that is older, lftp goes on with new ones, or, where resumption is required, is told to connect again (`421`), does
so and repeats the transfer. FileZilla does so by itself in both cases, and counts it as one of its retries.
"""


def _outcome(client: type[Client], cell: Cell, matrix: Matrix) -> str:
    if client.why_not(cell) is not None:
        return "-"
    row = matrix.rows.get(client.name)
    outcome = row.outcomes.get(cell.name, "?") if row else "?"
    return client.resumes if cell.name == "data resumes TLS" and outcome == "ok" else outcome


def _shown(outcomes: list[str]) -> str:
    """The outcomes of one column in one word."""
    for word in ("failed", "?"):
        if word in outcomes:
            return f"**{word}**" if word == "failed" else word
    if len(outcomes) == 1:
        return outcomes[0]
    done = outcomes.count("ok")
    return "-" if done == 0 else "ok" if done == len(outcomes) else f"{done} of {len(outcomes)}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def page(matrix: Matrix) -> str:
    """The page, as Markdown."""
    lines = [_HEAD, "## Versions", ""]
    rows = [
        (
            client.name,
            row.version if (row := matrix.rows.get(client.name)) else "?",
            client.source,
            " and ".join(mode for mode in client.modes if mode != "clear") or "none",
            "each run" if client.core else "nightly",
        )
        for client in CLIENTS
    ]
    lines += _table(("client", "version", "from", "TLS", "tested in"), rows)
    for family in dict.fromkeys(cell.family for cell in CELLS):
        columns: dict[str, list[Cell]] = {}
        for cell in CELLS:
            if cell.family == family:
                columns.setdefault(cell.column, []).append(cell)
        shown = [
            (client.name, *(_shown([_outcome(client, cell, matrix) for cell in cells]) for cells in columns.values()))
            for client in CLIENTS
        ]
        lines += ["", f"## {family}", "", *_table(("client", *columns), shown)]
    lines += ["", "## TLS sessions", "", _TLS_SESSIONS.format(clients="\n".join(_resuming()))]
    lines += ["## What clients cannot do", ""]
    for client in CLIENTS:
        reasons: dict[str, list[str]] = {}
        for cell in CELLS:
            if (why := client.why_not(cell)) is not None:
                reasons.setdefault(why, []).append(cell.name)
        lines += [f"- {client.name}, {', '.join(names)}: {why}." for why, names in reasons.items()]
    lines += ["", "## What clients can do in clear text only", ""]
    for client in CLIENTS:
        reasons = {}
        for name, why in client.only_in_clear.items():
            reasons.setdefault(why, []).append(name)
        lines += [f"- {client.name}, {', '.join(names)}: {why}." for why, names in reasons.items()]
    return "\n".join(lines) + "\n"


def _resuming() -> Iterator[str]:
    """The clients by what their data connections resume."""
    kinds: dict[str, list[str]] = {"all": [], "not after uploads": [], "none": []}
    for client in CLIENTS:
        if "explicit" in client.modes:
            kinds[client.resumes].append(client.name)
    for kind, names in kinds.items():
        yield f"- {kind}: {', '.join(names)}"


class MatrixReporter:
    """A plugin where a test session is led; with pytest-xdist the tests themselves run elsewhere.

    It says which clients were not driven, and why, and writes the matrix where that is wanted.
    """

    def __init__(self, clients: str, pages: MatrixPages | None) -> None:
        """``clients`` is the option `--clients`; without ``pages`` nothing is written."""
        self._clients = clients
        self._pages = pages
        self._failed: dict[tuple[str, str], bool] = {}
        self._wanted = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a cell's outcome; setup and teardown count as well."""
        self._wanted = self._wanted or SUITE in report.nodeid
        for name, value in report.user_properties:
            if name == CELL:
                client, cell = str(value).split(": ", 1)
                self._failed[client, cell] = report.failed or self._failed.get((client, cell), False)

    def pytest_sessionfinish(self) -> None:
        """Write the pages."""
        if self._pages is None:
            return
        matrix = self._pages.load()
        versions = {client.name: client.version() for client in CLIENTS if client.missing() is None}
        for (client, cell), failed in self._failed.items():
            matrix.note(client, versions[client], cell, failed=failed)
        self._pages.save(matrix)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left out, when any client was driven or was to be."""
        if not self._wanted:
            return
        terminalreporter.section("FTP clients")
        for line in self._left_out():
            terminalreporter.write_line(line)

    def _left_out(self) -> Iterator[str]:
        driven = {client for client, _ in self._failed}
        yield f"driven: {', '.join(client.name for client in CLIENTS if client.name in driven) or 'none'}"
        wanted = chosen(self._clients)
        for client in wanted:
            if (missing := client.missing()) is not None:
                yield f"not driven: {client.name}: {missing}"
        if others := ", ".join(client.name for client in CLIENTS if client not in wanted):
            yield f"not driven: {others}: left out by --clients={self._clients}"

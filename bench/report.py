"""Figures, the tables made of them, and the targets they are held against. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

__all__ = ("Figure", "Target", "Verdict", "as_json", "judge", "tables", "verdict_table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity of one case, measured once a round."""

    part: str
    case: str
    subject: str
    """Which FTP server."""
    store: str
    """Which S3 is behind it."""
    quantity: str
    unit: str
    values: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def text(self) -> str:
        """The median, and the lowest and highest when there are several."""
        shown = _number(self.median)
        if len(self.values) > 1:
            shown += f" ({_number(min(self.values))}-{_number(max(self.values))})"
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure has to reach: a limit, or a ratio to another subject's figure on the same store."""

    text: str
    part: str
    case: str
    quantity: str
    subject: str
    store: str
    limit: float
    beside: str | None = None
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A target, and what came out: None when it was not measured."""

    target: Target
    measured: float | None

    @property
    def passed(self) -> bool | None:
        if self.measured is None:
            return None
        if self.target.at_least:
            return self.measured >= self.target.limit
        return self.measured <= self.target.limit

    @property
    def word(self) -> str:
        return {True: "pass", False: "MISS", None: "not measured"}[self.passed]


def judge(targets: Iterable[Target], figures: Sequence[Figure]) -> list[Verdict]:
    """Hold the medians against the targets."""
    return [Verdict(target=target, measured=_measured(target, figures)) for target in targets]


def _measured(target: Target, figures: Sequence[Figure]) -> float | None:
    own = _find(target, target.subject, figures)
    if own is None or target.beside is None:
        return own
    other = _find(target, target.beside, figures)
    return own / other if other else None


def _find(target: Target, subject: str, figures: Sequence[Figure]) -> float | None:
    for figure in figures:
        place = (figure.part, figure.case, figure.quantity, figure.subject, figure.store)
        if place == (target.part, target.case, target.quantity, subject, target.store):
            return figure.median
    return None


def tables(figures: Sequence[Figure]) -> str:
    """One table a part: a line for each case, subject and store, a column for each quantity.

    A part of one quantity has a column for each subject instead.
    """
    parts = dict.fromkeys(figure.part for figure in figures)
    return "\n\n".join(_table(part, [figure for figure in figures if figure.part == part]) for part in parts)


def _table(part: str, figures: Sequence[Figure]) -> str:
    quantities = list(dict.fromkeys(f"{figure.quantity}, {figure.unit}" for figure in figures))
    if len(quantities) == 1:
        columns = list(dict.fromkeys(f"{figure.subject} on {figure.store}" for figure in figures))
        cells = {(figure.case, f"{figure.subject} on {figure.store}"): _with_note(figure) for figure in figures}
        cases = list(dict.fromkeys(figure.case for figure in figures))
        rows = [[case, *(cells.get((case, column), "-") for column in columns)] for case in cases]
        return f"{part}: {quantities[0]}\n\n{_markdown([['', *columns], *rows])}"
    cases = list(dict.fromkeys(figure.case for figure in figures))
    lines = sorted(
        dict.fromkeys((figure.case, figure.subject, figure.store) for figure in figures),
        key=lambda line: cases.index(line[0]),
    )
    values = {
        (figure.case, figure.subject, figure.store, f"{figure.quantity}, {figure.unit}"): _with_note(figure)
        for figure in figures
    }
    rows = [[*line, *(values.get((*line, quantity), "-") for quantity in quantities)] for line in lines]
    return f"{part}\n\n{_markdown([['', 'server', 'S3', *quantities], *rows])}"


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Target, limit, measured, and pass or MISS."""
    rows = [["target", "limit", "measured", ""]]
    for verdict in verdicts:
        sign = ">=" if verdict.target.at_least else "<="
        limit = f"{sign} {_number(verdict.target.limit)}"
        if verdict.target.beside is not None:
            limit += f" x {verdict.target.beside}"
        measured = "-" if verdict.measured is None else _number(verdict.measured)
        rows.append([verdict.target.text, limit, measured, verdict.word])
    return _markdown(rows)


def as_json(figures: Sequence[Figure], verdicts: Sequence[Verdict]) -> dict[str, object]:
    """All of it for a file."""
    return {
        "figures": [{**asdict(figure), "median": figure.median} for figure in figures],
        "targets": [
            {**asdict(verdict.target), "measured": verdict.measured, "passed": verdict.passed} for verdict in verdicts
        ],
    }


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _with_note(figure: Figure) -> str:
    return f"{figure.text} {figure.note}" if figure.note else figure.text


def _number(value: float) -> str:
    """Three digits that count, and no more than the value has."""
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

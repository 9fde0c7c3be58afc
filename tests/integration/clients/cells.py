"""What every client goes through: the cells of the matrix in docs/clients.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ("CELLS", "NAMES", "SIZES", "Cell", "cells_by_name")

MIB = 1024 * 1024

SIZES: Mapping[str, int] = MappingProxyType(
    {"0 B": 0, "1 B": 1, "1 MiB": MIB, "2,000,000 B": 2_000_000, "40 MiB": 40 * MIB}
)
"""Nothing, nearly nothing, a few chunks, what tickets on data connections would cut short, and several parts."""

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "blank first": " blank first",
        "blank last": "blank last ",
        "two blanks": "two  blanks",
        "quote": 'a "quoted" name',
        "apostrophe": "it's",
        "leading dash": "-dash",
        "emoji": "\N{SLIGHTLY SMILING FACE}",
        "NFC": "\N{LATIN SMALL LETTER U WITH DIAERESIS}ml",
        "NFD": "u\N{COMBINING DIAERESIS}ml",
        "percent": "100%25",
        "hash": "a#b",
        "brackets": "[a] {b}",
    }
)
"""Names that clients and servers get wrong; the keys are how drivers name those that their client cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One thing that a client does."""

    name: str
    family: str
    """The table of the page that it stands in."""
    column: str
    """Its column there; cells of one column are shown as one."""


def _family(family: str, *cells: str | tuple[str, str]) -> list[Cell]:
    made = []
    for cell in cells:
        name, column = (cell, cell) if isinstance(cell, str) else cell
        made.append(Cell(name=name, family=family, column=column))
    return made


CELLS: tuple[Cell, ...] = (
    *_family("Login", "refused in clear", "explicit TLS", "implicit TLS", "clear", "data resumes TLS"),
    *_family("Listings", "list empty", "list files", "list 2,500"),
    *_family(
        "Transfers",
        *((f"put {size}", "put") for size in SIZES),
        *((f"get {size}", "get") for size in SIZES),
        *("resume get", "resume put", "append"),
    ),
    *_family(
        "Files and directories",
        *("rename", "rename over", "mkdir", "mkdir again", "rmdir", "delete"),
        *((f"name: {name}", "odd names") for name in NAMES),
    ),
    *_family(
        "Times, interruptions, trees",
        *("time down", "time up"),
        *("abort get", "abort put", "mirror up", "mirror down", "mirror up again", "mirror down again"),
        *("mirror by times", "several at once"),
    ),
)


def cells_by_name() -> Mapping[str, Cell]:
    """All cells, by their names."""
    return {cell.name: cell for cell in CELLS}

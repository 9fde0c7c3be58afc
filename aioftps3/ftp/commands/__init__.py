"""The command table: one module a family, one row a command.

A command is added by writing its handler, a `Command` row in its family's ``COMMANDS``, and nothing else: dispatching,
FEAT, HELP and docs/commands.md follow from the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aioftps3.ftp.commands import auth, dataports, directories, facts, files, listings, transfers
from aioftps3.ftp.commands.table import Command

__all__ = ("FAMILIES", "command_table", "features", "manual", "page")

FAMILIES = (auth, facts, directories, listings, files, dataports, transfers)
"""The modules with commands, in the order of the documentation."""


def command_table() -> Mapping[str, Command]:
    """Each verb, aliases too, to its command."""
    table: dict[str, Command] = {}
    for family in FAMILIES:
        for command in family.COMMANDS:
            for verb in (command.verb, *command.aliases):
                table[verb] = command
    return MappingProxyType(table)


def features(table: Mapping[str, Command]) -> tuple[str, ...]:
    """The lines of FEAT: what works here and is no part of RFC 959 (RFC 2389 section 3)."""
    return tuple(sorted({command.feature for command in table.values() if command.feature is not None}))


def manual(table: Mapping[str, Command]) -> Mapping[str, str]:
    """What HELP says of each verb."""
    return {verb: f"{command.syntax}: {command.summary} ({command.reference})" for verb, command in table.items()}


def page() -> str:
    """The documentation of all commands, as Markdown."""
    lines = [
        "# FTP commands",
        "",
        "Made by `python -m aioftps3.ftp.commands > docs/commands.md`; a test compares the two. `HELP` tells the same.",
        "",
        "Commands are taken in any case, one at a time and in order; a client may send several without waiting. While",
        "a transfer runs, `ABOR` and the commands marked so are answered at once, all others after it.",
        "",
        "| command | what it does | defined in | before login | during a transfer | in FEAT |",
        "|---|---|---|---|---|---|",
    ]
    for family in FAMILIES:
        for command in family.COMMANDS:
            syntax = command.syntax.replace("|", "\\|")
            names = f"`{syntax}`" + "".join(f", `{alias}`" for alias in command.aliases)
            marks = (not command.login, command.during_transfer or command.verb == "ABOR")
            before, during = ("yes" if mark else "" for mark in marks)
            feature = f"`{command.feature}`" if command.feature else ""
            lines.append(f"| {names} | {command.summary} | {command.reference} | {before} | {during} | {feature} |")
    return "\n".join(lines) + "\n"

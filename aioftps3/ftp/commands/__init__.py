"""The command table: one module a family, one row a command.

A command is added by writing its handler, a `Command` row in its family's ``COMMANDS``, and nothing else: dispatching,
FEAT, HELP and docs/commands.md follow from the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aioftps3.ftp.commands import auth, directories, facts, files, listings, transfers
from aioftps3.ftp.commands.table import Command

__all__ = ("FAMILIES", "command_table", "features", "manual")

FAMILIES = (auth, facts, directories, listings, files, transfers)
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

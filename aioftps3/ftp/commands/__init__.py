"""The command table: one module a family, one row a command.

A command is added by writing its handler, a `Command` row in its family's ``COMMANDS``, and nothing else: dispatching,
FEAT, HELP and docs/commands.md follow from the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aioftps3.ftp.commands import (
    auth,
    dataports,
    directories,
    facts,
    files,
    hashes,
    listings,
    parameters,
    site,
    times,
    transfers,
)
from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.config import FtpConfig

__all__ = ("FAMILIES", "command_table", "features", "manual", "page")

FAMILIES = (auth, facts, directories, listings, files, times, hashes, parameters, dataports, transfers, site)
"""The modules with commands, in the order of the documentation."""


def command_table() -> Mapping[str, Command]:
    """Each verb, aliases too, to its command."""
    table: dict[str, Command] = {}
    for family in FAMILIES:
        for command in family.COMMANDS:
            for verb in (command.verb, *command.aliases):
                table[verb] = command
    return MappingProxyType(table)


def features(table: Mapping[str, Command], config: FtpConfig) -> tuple[str, ...]:
    """The lines of FEAT: what works here and is no part of RFC 959 (RFC 2389 section 3)."""
    offered = (command for command in (*table.values(), *site.SUBCOMMANDS.values()) if command.works(config))
    return tuple(sorted({command.feature for command in offered if command.feature is not None}))


def manual(table: Mapping[str, Command], config: FtpConfig) -> Mapping[str, str]:
    """What HELP says of each verb that works."""
    return {
        verb: f"{command.syntax}: {command.summary} ({command.reference})"
        for verb, command in table.items()
        if command.works(config)
    }


def page() -> str:
    """The documentation of all commands, as Markdown."""
    lines = [
        "# FTP commands",
        "",
        "Made by `python -m aioftps3.ftp.commands > docs/commands.md`; a test compares the two. `HELP` tells the same.",
        "",
        "Commands are taken in any case, one at a time and in order; a client may send several without waiting. While",
        "a transfer runs, `ABOR` is obeyed at once, and the commands marked so are answered between the `150` and the",
        "final reply. All others are answered after it, in their order, and so is what comes behind them. `QUIT` is",
        "one of these: the transfer ends first.",
        "",
        "| command | what it does | defined in | before login | during a transfer | in FEAT |",
        "|---|---|---|---|---|---|",
    ]
    for family in FAMILIES:
        lines += map(_row, family.COMMANDS)
    lines += map(_row, site.SUBCOMMANDS.values())
    return "\n".join(lines) + "\n"


def _row(command: Command) -> str:
    syntax = command.syntax.replace("|", "\\|")
    names = f"`{syntax}`" + "".join(f", `{alias}`" for alias in command.aliases)
    summary = command.summary
    if command.switch is not None:
        summary += f"; {command.switch.words} `{command.switch.setting}`"
    before = "" if command.login else "yes"
    during = "yes" if command.verb == "ABOR" else command.during_transfer.text
    feature = f"`{command.feature}`" if command.feature else ""
    return f"| {names} | {summary} | {command.reference} | {before} | {during} | {feature} |"

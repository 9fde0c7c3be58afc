"""What a command is: one row of the table that dispatching, FEAT, HELP and the documentation are made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session

__all__ = ("Command", "Handler")

Handler = Callable[[Session, str], Awaitable[Reply | None]]
"""Runs a command and returns its final reply, or None when it has sent that itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One FTP command."""

    verb: str
    handler: Handler
    syntax: str
    """As HELP shows it."""
    summary: str
    reference: str
    """Section of the RFC that defines it."""
    argument_required: bool = False
    login: bool = True
    """Whether the client has to be logged in."""
    transfer: bool = False
    """Whether it uses the data connection, and so can be interrupted by ABOR."""
    during_transfer: bool = False
    """Whether it is answered while a transfer runs."""
    makes_name: bool = False
    """Whether its argument names something new: such a name is refused with 553, an existing one with 550."""
    feature: str | None = None
    """Its line in FEAT (RFC 2389), if it has one."""
    aliases: tuple[str, ...] = ()
    """Other verbs for the same command: the X forms of RFC 775."""

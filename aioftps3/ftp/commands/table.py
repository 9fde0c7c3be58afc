"""What a command is: one row of the table that dispatching, FEAT, HELP and the documentation are made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aioftps3.ftp.config import FtpConfig
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session

__all__ = ("AFTERWARDS", "AT_ONCE", "WITHOUT_ARGUMENT", "Command", "During", "Handler", "Switch")

Handler = Callable[[Session, str], Awaitable[Reply | None]]
"""Runs a command and returns its final reply, or None when it has sent that itself."""


@dataclass(frozen=True, slots=True)
class During:
    """Whether a command that comes while a transfer runs is answered at once, or after it.

    Only what asks the store nothing and changes nothing can be answered at once. That should be little: its reply comes
    before the transfer's, which takes whoever sends commands ahead of their replies by surprise.
    """

    text: str
    """For the documentation; empty for never."""
    at_once: Callable[[str], bool]
    """Asked with the argument."""


AFTERWARDS = During("", lambda _: False)
AT_ONCE = During("yes", lambda _: True)
WITHOUT_ARGUMENT = During("without a path", lambda argument: not argument.strip(" "))


@dataclass(frozen=True, slots=True)
class Switch:
    """A setting without which a command does not exist."""

    setting: str
    """Its name for operators."""
    on: Callable[[FtpConfig], bool]
    words: str = "only with"
    """How the command stands to the setting, for the documentation."""


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
    secret: bool = False
    """Whether the argument must not be logged."""
    login: bool = True
    """Whether the client has to be logged in."""
    transfer: bool = False
    """Whether it uses the data connection, and so can be interrupted by ABOR."""
    during_transfer: During = AFTERWARDS
    """Whether it is answered while a transfer runs."""
    makes_name: bool = False
    """Whether its argument names something new: such a name is refused with 553, an existing one with 550."""
    feature: str | None = None
    """Its line in FEAT (RFC 2389), if it has one."""
    aliases: tuple[str, ...] = ()
    """Other verbs for the same command: the X forms of RFC 775."""
    switch: Switch | None = None
    """What has to be on; without it the command is answered with 502, a subcommand with 504, and shown neither by FEAT
    nor by HELP."""
    subcommands: Mapping[str, Command] = field(default_factory=dict)
    """Commands of their own that the first word of the argument names, in upper case."""

    def works(self, config: FtpConfig) -> bool:
        """Whether the server offers it."""
        return self.switch is None or self.switch.on(config)

    @property
    def is_subcommand(self) -> bool:
        """Whether it is named by the argument of another command. Clients know by 504 that another form of the argument
        will not do either (RFC 959 section 5.4); after 502, lftp tries it."""
        return " " in self.verb

    def meant_by(self, argument: str) -> tuple[Command, str]:
        """The subcommand that an argument names, with the argument behind it; else the command with all of it."""
        word, _, rest = argument.lstrip(" ").partition(" ")
        subcommand = self.subcommands.get(word.upper())
        return (self, argument) if subcommand is None else (subcommand, rest)

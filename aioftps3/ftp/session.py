"""The state of one client, and what its commands do with it. The loop that runs the commands is in dispatcher.py."""

from __future__ import annotations

import logging
import secrets
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Protocol, cast

import aioftp

from aioftps3.ftp.config import FtpConfig
from aioftps3.ftp.control import ControlChannel
from aioftps3.ftp.data import DataConnection
from aioftps3.ftp.listing import DEFAULT_FACTS
from aioftps3.ftp.parsing import BadLine, CommandLine
from aioftps3.ftp.passive import PortPool
from aioftps3.ftp.pathio import S3PathIO
from aioftps3.ftp.replies import Reply, ReplyError, printable
from aioftps3.storage import paths
from aioftps3.storage.errors import NameInvalid
from aioftps3.storage.tree import Entry
from aioftps3.tls import ServerTls

__all__ = ("MAX_LOGIN_TRIES", "MAX_WAITING_COMMANDS", "DataEndpoint", "Session", "SessionParts", "Transfer")

logger = logging.getLogger(__name__)

MAX_WAITING_COMMANDS = 64
"""Commands that may wait for the end of a transfer; the control connection is not read beyond them."""

MAX_LOGIN_TRIES = 5
"""Wrong passwords on one connection before it is closed."""


class DataEndpoint(Protocol):
    """Where the data connection of the next transfer comes from: a port of ours, or an address of the client's."""

    async def connection(self) -> DataConnection:
        """The connection, its TLS handshake done. Raises DataLost."""

    def close(self) -> None:
        """Give everything back and drop the connection. Safe to call at any time, and twice."""


_LOGIN_IN_LOG = 64  # characters


@dataclass(slots=True)
class Transfer:
    """What is known of a running transfer, for STAT, for ABOR and for the log."""

    verb: str
    name: str
    started: float = field(default_factory=time.monotonic)
    data: DataConnection | None = None
    announced: bool = False
    """True once the 150 has been sent: replies to other commands may follow it, but not come before it."""
    committing: bool = False
    """True once the whole file is here: from then on ABOR and a lost control connection come too late."""
    failure: Exception | None = None
    """Why an upload cannot succeed, known before its parts are removed: a client that leaves meanwhile is not why."""

    @property
    def bytes_moved(self) -> int:
        """Bytes so far, in either direction."""
        return 0 if self.data is None else self.data.bytes_received + self.data.bytes_sent

    def summary(self, by: str = "") -> str:
        """Name, bytes and speed, for the log and for STAT; ``by`` is put behind the name."""
        seconds = max(time.monotonic() - self.started, 1e-6)
        return (
            f"{self.verb} {self.name}{by}: {self.bytes_moved} bytes in {seconds:.3f} s"
            f" ({self.bytes_moved / seconds / 2**20:.1f} MiB/s)"
        )


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What all sessions of a server share."""

    config: FtpConfig
    tls: ServerTls
    users: aioftp.AbstractUserManager
    ports: PortPool
    features: tuple[str, ...]
    """The lines of FEAT, without the blank in front."""
    manual: Mapping[str, str]
    """Each verb and what HELP says of it."""


class Session:
    """The state of one control connection. Commands read and change it; nothing else does."""

    def __init__(
        self,
        parts: SessionParts,
        channel: ControlChannel,
        connection: aioftp.Connection,
        *,
        peer: str,
        local: str,
        implicit: bool,
    ) -> None:
        self.parts = parts
        self.config = parts.config
        self.channel = channel
        self.connection = connection
        self.path_io = cast("S3PathIO", connection.path_io)
        self.peer = peer
        self.local = local
        self.id = secrets.token_hex(4)
        self.since = time.monotonic()
        self.log = logging.LoggerAdapter(logger, {"session": self.id, "peer": peer})
        self.login: str | None = None
        """The login of the last USER."""
        self.authenticated = False
        self.failed_logins = 0
        self.cwd = paths.ROOT
        self.transfer_type = "A"
        self.protection = "P" if implicit else "C"
        self.protection_buffer_set = implicit
        self.restart_offset = 0
        self.allocated: int | None = None
        """Bytes that ALLO announced for the next STOR."""
        self.rename_source: Entry | None = None
        self.copy_source: Entry | None = None
        self.facts: tuple[str, ...] = DEFAULT_FACTS
        self.hash = next(iter(parts.config.hashes), "")
        """The hash that HASH tells; empty where none is known."""
        self.only_extended_passive = False
        self.listener: DataEndpoint | None = None
        self.transfer: Transfer | None = None
        self.waiting: deque[CommandLine | BadLine] = deque()
        """Lines that came during a transfer and are not answered yet."""
        self.closing = False
        """Set by QUIT: the session ends when the command has been answered."""

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The context for its control and its data connections, the same from its first connection to its last.

        Where resumption is required it is the session's own: else whoever has a session of his own could resume that.
        """
        return self.parts.tls.session_context(apart=self.config.require_tls_resumption)

    @property
    def watched(self) -> bool:
        """Whether the control connection is being read, so that its end would be noticed."""
        return len(self.waiting) < MAX_WAITING_COMMANDS

    @property
    def converts_text(self) -> bool:
        """Whether transfers convert line ends now."""
        return self.config.convert_text and self.transfer_type == "A"

    @property
    def shown_login(self) -> str:
        """The login that the client has sent, for the log."""
        return printable(str(self.login)[:_LOGIN_IN_LOG])

    async def send(self, reply: Reply) -> None:
        """Send a reply now; commands use it for preliminary replies, the final one they return."""
        self.log.debug("< %d %s", reply.code, reply.text)
        await self.channel.send(reply)

    def tell_transfer(self, end: str, *, level: int = logging.INFO, error: Exception | None = None) -> None:
        """Log how the running transfer has ended: one line, of the same form for success and failure, with the whole
        path, the client and the bytes. The traceback of ``error`` goes with it."""
        if self.transfer is not None:
            client = f" by {self.shown_login} from {self.peer}"
            self.log.log(level, "%s, %s", self.transfer.summary(client), end, exc_info=error)

    def resolve(self, argument: str) -> PurePosixPath:
        """The path that a client's argument means. Raises NameInvalid."""
        return PurePosixPath(paths.resolve(self.cwd, argument))

    def resolve_file(self, argument: str) -> PurePosixPath:
        """The path of a file that a client's argument means. Raises NameInvalid, also for a slash at the end: what it
        stands behind is a directory."""
        if paths.means_directory(argument):
            raise NameInvalid(reason="a file name does not end in a slash")
        return self.resolve(argument)

    def take_listener(self) -> DataEndpoint:
        """What the last PASV, EPSV, PORT or EPRT made, for one transfer. Raises ReplyError 425, or 521 for PROT C."""
        self.check_protection()
        listener, self.listener = self.listener, None
        if listener is None:
            raise ReplyError(425, "Say first how to connect: PASV or EPSV.")
        return listener

    def check_protection(self) -> None:
        """Raise ReplyError 521 when data must be encrypted and the client has not said so (RFC 4217 section 9)."""
        if self.config.require_tls.data and self.protection != "P":
            raise ReplyError(521, "Data connections must be encrypted here: send PBSZ 0 and PROT P first.")

    def set_listener(self, listener: DataEndpoint | None) -> None:
        """Replace the data port; one that nobody used is closed."""
        if self.listener is not None:
            self.listener.close()
        self.listener = listener

    def forget_login(self) -> None:
        """Back to the state before USER."""
        self.login = None
        self.authenticated = False
        self.cwd = paths.ROOT
        self.rename_source = None
        self.copy_source = None
        self.restart_offset = 0
        self.allocated = None
        self.set_listener(None)

    def begin_again(self) -> None:
        """As after the connection, but for what it did wrong so far."""
        self.forget_login()
        self.transfer_type = "A"
        self.facts = DEFAULT_FACTS
        self.hash = next(iter(self.config.hashes), "")
        self.only_extended_passive = False

    def tls_started(self) -> None:
        """What RFC 4217 section 4.2 wants forgotten when the control connection becomes encrypted."""
        self.forget_login()
        self.protection = "C"
        self.protection_buffer_set = False

"""One client: its state, its commands one at a time and in order, and the commands that may interrupt a transfer.

What must stay true:

- A command is read only when the one before it has been answered; while a transfer runs, commands are read on, ABOR and
  those marked `during_transfer` are answered at once, the rest wait in order.
- Each command gets exactly one final reply. No error ends the session; only QUIT, a lost control connection, a timeout
  or the end of the daemon do.
- A transfer never outlives its control connection, unless its file is already whole and being committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NoReturn, cast

import aioftp

from aioftps3.ftp.config import FtpConfig
from aioftps3.ftp.control import ControlChannel, ControlLost, LooksLikeTls
from aioftps3.ftp.listing import DEFAULT_FACTS
from aioftps3.ftp.parsing import BadLine, CommandLine
from aioftps3.ftp.passive import PassiveListener, PortPool
from aioftps3.ftp.pathio import S3PathIO
from aioftps3.ftp.replies import Reply, ReplyError, printable, storage_reply
from aioftps3.ftp.transfer import Transfer, TransferFailed
from aioftps3.storage import paths
from aioftps3.storage.errors import StorageError
from aioftps3.storage.tree import Entry
from aioftps3.tls import TlsContexts

if TYPE_CHECKING:
    from aioftps3.ftp.commands.table import Command

__all__ = ("Session", "SessionParts")

logger = logging.getLogger(__name__)

MAX_LOGIN_TRIES = 5
"""Wrong passwords on one connection before it is closed."""

MAX_WAITING_COMMANDS = 64
"""Commands that may wait for the end of a transfer; more is no client."""

_SECRET_VERBS = frozenset({"PASS", "ACCT"})
_ARGUMENT_IN_LOG = 300  # characters


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What all sessions of a server share."""

    config: FtpConfig
    contexts: TlsContexts
    users: aioftp.AbstractUserManager
    ports: PortPool
    commands: Mapping[str, Command]


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
        self.facts: tuple[str, ...] = DEFAULT_FACTS
        self.only_extended_passive = False
        self.listener: PassiveListener | None = None
        self.transfer: Transfer | None = None
        self.closing = False
        """Set by QUIT: the session ends when the command has been answered."""
        self._draining = False
        self._waiting: deque[CommandLine | BadLine] = deque()
        self._login_deadline = asyncio.get_running_loop().time() + self.config.login_timeout
        self._idle_reader: asyncio.Task[CommandLine | BadLine] | None = None

    # -- what commands use ------------------------------------------------------------------------------------------

    async def send(self, reply: Reply) -> None:
        """Send a reply now; commands use it for preliminary replies, the final one they return."""
        self.log.debug("< %s", reply.code, extra={"reply": reply.text})
        await self.channel.send(reply)

    def resolve(self, argument: str) -> PurePosixPath:
        """The path that a client's argument means. Raises NameInvalid."""
        return PurePosixPath(paths.resolve(self.cwd, argument))

    def take_listener(self) -> PassiveListener:
        """The data port of the last PASV or EPSV, for one transfer. Raises ReplyError 425, or 521 for PROT C."""
        self.check_protection()
        listener, self.listener = self.listener, None
        if listener is None:
            raise ReplyError(425, "Use PASV or EPSV first.")
        return listener

    def check_protection(self) -> None:
        """Raise ReplyError 521 when data must be encrypted and the client has not said so (RFC 4217 section 9)."""
        if self.config.require_tls.data and self.protection != "P":
            raise ReplyError(521, "Data connections must be encrypted here: send PBSZ 0 and PROT P first.")

    def set_listener(self, listener: PassiveListener | None) -> None:
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
        self.restart_offset = 0
        self.allocated = None
        self.set_listener(None)

    def tls_started(self) -> None:
        """What RFC 4217 section 4.2 wants forgotten when the control connection becomes encrypted."""
        self.forget_login()
        self.protection = "C"
        self.protection_buffer_set = False

    # -- the command loop -------------------------------------------------------------------------------------------

    async def run(self, greeting: Reply) -> None:
        """Serve the client until it leaves. Never raises but on cancellation."""
        try:
            await self.send(greeting)
            while not self.closing:
                await self._execute(await self._next_command())
        except LooksLikeTls:
            self.log.warning(
                "TLS handshake on the explicit-TLS port %d: this client wants implicit TLS, which is on port %s",
                self.config.port,
                self.config.implicit_port if self.config.implicit else "(AIOFTPS3_IMPLICIT_PORT, now off)",
            )
        except ControlLost as error:
            self.log.debug("control connection lost: %s", error)
        except TimeoutError:
            with contextlib.suppress(ControlLost):
                await self.send(Reply(421, "Timeout, closing the connection."))
        finally:
            self.set_listener(None)
            if self._idle_reader is not None:
                self._idle_reader.cancel()
            await self.channel.close()

    def drain(self) -> None:
        """End the session as soon as no transfer runs: an idle one at once, with 421."""
        self._draining = True
        if self._idle_reader is not None:
            self._idle_reader.cancel()

    async def _next_command(self) -> CommandLine | BadLine:
        if self._draining:
            await self._say_goodbye()
        if self._waiting:
            return self._waiting.popleft()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.config.idle_timeout
        if not self.authenticated:
            deadline = min(deadline, self._login_deadline)
        self._idle_reader = asyncio.create_task(self.channel.read_command())
        try:
            async with asyncio.timeout_at(deadline):
                return await self._idle_reader
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._draining or (task is not None and task.cancelling()):
                raise
            return await self._say_goodbye()
        finally:
            self._idle_reader.cancel()
            self._idle_reader = None

    async def _say_goodbye(self) -> NoReturn:
        await self.send(Reply(421, "The server is shutting down; please connect again."))
        raise ControlLost("drained")

    async def _execute(self, line: CommandLine | BadLine) -> None:
        if isinstance(line, BadLine):
            await self.send(Reply(500, line.problem))
            return
        shown = "***" if line.verb in _SECRET_VERBS else printable(line.argument[:_ARGUMENT_IN_LOG])
        self.log.debug("> %s %s", line.verb, shown)
        command = self.parts.commands.get(line.verb)
        refusal = self._refusal(line, command)
        if refusal is not None:
            await self.send(refusal)
        elif command is not None and command.transfer:
            await self._run_transfer(command, line)
        elif command is not None:
            reply = await self._final_reply(command, line)
            if reply is not None:
                await self.send(reply)

    def _refusal(self, line: CommandLine, command: Command | None) -> Reply | None:
        """Why a command is not even tried, or None."""
        if command is None:
            return Reply(502, f"Command {printable(line.verb)} is not implemented.")
        if command.login and not self.authenticated:
            return Reply(530, "Please log in with USER and PASS.")
        if command.argument_required and not line.argument:
            return Reply(501, f"{command.verb} needs an argument: {command.syntax}")
        return None

    async def _final_reply(self, command: Command, line: CommandLine) -> Reply | None:
        """Run one command; every failure becomes a reply."""
        try:
            return await command.handler(self, line.argument)
        except ReplyError as error:
            return error.reply
        except TransferFailed as error:
            self.log.info("%s failed: %s", line.verb, error)
            return error.reply
        except aioftp.PathIOError as error:
            if isinstance(error.__cause__, StorageError):
                return self._storage_failure(command, line, error.__cause__)
            return self._unforeseen(line, error)
        except StorageError as error:
            return self._storage_failure(command, line, error)
        except ControlLost:
            raise
        except Exception as error:  # noqa: BLE001  # promise 6: whatever happens, the session lives
            return self._unforeseen(line, error)

    def _storage_failure(self, command: Command, line: CommandLine, error: StorageError) -> Reply:
        reply = storage_reply(error, making=command.makes_name, streaming=command.transfer)
        level = logging.WARNING if reply.code in (450, 451, 452) else logging.INFO
        self.log.log(level, "%s %s: %d %s", line.verb, printable(line.argument[:_ARGUMENT_IN_LOG]), reply.code, error)
        text = f"{line.argument[:_ARGUMENT_IN_LOG]}: {reply.text}" if line.argument else reply.text
        if error.request_id is not None and reply.code in (450, 451, 452):
            text += f" (request {error.request_id})"
        return Reply(reply.code, f"{text}.")

    def _unforeseen(self, line: CommandLine, error: Exception) -> Reply:
        incident = secrets.token_hex(4)
        self.log.error("incident %s in %s: %r", incident, line.verb, error, exc_info=error)
        return Reply(451, f"Internal error; the log has more under incident {incident}.")

    # -- transfers --------------------------------------------------------------------------------------------------

    async def _run_transfer(self, command: Command, line: CommandLine) -> None:
        """Run a transfer while listening for ABOR and the like."""
        transfer = asyncio.create_task(self._final_reply(command, line), name=f"{line.verb} {self.id}")
        reading: asyncio.Task[CommandLine | BadLine] | None = None
        aborted = False
        try:
            while not transfer.done():
                if reading is None:
                    reading = asyncio.create_task(self.channel.read_command())
                await asyncio.wait({transfer, reading}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done() and not transfer.done():
                    aborted = await self._interrupt(reading.result())
                    reading = None
                    if aborted:
                        break
            if aborted:
                await self._stop(transfer)
        except BaseException:
            await self._stop(transfer)
            raise
        finally:
            self.transfer = None
            self.restart_offset = 0
            self.allocated = None
            if reading is not None:
                await self._keep_unanswered(reading)
        await self._report(transfer, line.verb, aborted=aborted)

    async def _interrupt(self, line: CommandLine | BadLine) -> bool:
        """Handle a line that came during a transfer. True: abort it."""
        if isinstance(line, CommandLine):
            if line.verb == "ABOR":
                return True
            command = self.parts.commands.get(line.verb)
            if command is not None and command.during_transfer:
                await self._execute(line)
                return False
        if len(self._waiting) >= MAX_WAITING_COMMANDS:
            await self.send(Reply(421, "Too many commands during a transfer."))
            raise ControlLost("too many commands during a transfer")
        self._waiting.append(line)
        return False

    async def _stop(self, transfer: asyncio.Task[Reply | None]) -> None:
        """Cancel a transfer, or wait for it when its file is whole and being committed."""
        if self.transfer is None or not self.transfer.committing:
            transfer.cancel()
        await asyncio.wait({transfer})

    async def _keep_unanswered(self, reading: asyncio.Task[CommandLine | BadLine]) -> None:
        """A line that arrived together with the end of the transfer comes next."""
        if not reading.done():
            reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled() and reading.exception() is None:
            self._waiting.append(reading.result())

    async def _report(self, transfer: asyncio.Task[Reply | None], verb: str, *, aborted: bool) -> None:
        if transfer.cancelled():
            self.log.info("%s aborted by the client", verb)
            await self.send(Reply(426, "Transfer aborted, connection closed."))
        else:
            reply = transfer.result()
            if reply is not None:
                await self.send(reply)
        if aborted:
            await self.send(Reply(226, "Abort successful." if transfer.cancelled() else "The transfer had ended."))

"""Runs one client's commands, one at a time and in order, and those that may interrupt a transfer.

What must stay true:

- A command is read only when the one before it has been answered; while a transfer runs, commands are read on, ABOR is
  obeyed at once, those that `during_transfer` allows are answered between 150 and the final reply unless others wait
  before them, and the rest wait in order.
- Each command gets exactly one final reply. No error ends the session; only QUIT, a lost control connection, a timeout,
  too many wrong passwords, bytes behind AUTH or the end of the daemon do.
- A transfer never outlives its control connection, unless its file is already whole and being committed.
- Each transfer leaves one line in the log (`Session.tell_transfer`), however it ends: its handler tells of success, and
  this module of all else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping
from typing import Any, NoReturn

import aioftp

from aioftps3.ftp.commands.table import Command
from aioftps3.ftp.control import ControlLost
from aioftps3.ftp.parsing import BadLine, CommandLine
from aioftps3.ftp.replies import Reply, ReplyError, printable, storage_reply
from aioftps3.ftp.session import Session, Transfer
from aioftps3.storage.errors import StorageError

__all__ = ("Dispatcher",)

_LAST_WORD_SECONDS = 0.5
"""How long a client may take to read its last replies when the daemon is being stopped."""

_ARGUMENT_IN_LOG = 300  # characters

_STOPPED = "the server was stopped"

_FIRST_REFUSAL = 400
"""Replies from here on say that a command has failed (RFC 959 section 4.2.1)."""


class Dispatcher:
    """The command loop of one session."""

    def __init__(self, session: Session, commands: Mapping[str, Command]) -> None:
        self._session = session
        self._commands = commands
        self._draining = False
        self._executing = False
        self._login_deadline = self._new_login_deadline()
        self._idle_reader: asyncio.Task[CommandLine | BadLine] | None = None
        self._starting_tls: asyncio.Task[object] | None = None

    async def run(self, greeting: Reply) -> None:
        """Serve the client until it leaves. Raises LooksLikeTls when it begins with a TLS handshake, else nothing."""
        try:
            await self._session.send(greeting)
            while not self._session.closing:
                line = await self._next_command()
                if self._session.authenticated:  # should this be a USER, its login has all the time of a first one
                    self._login_deadline = self._new_login_deadline()
                self._executing = True
                try:
                    await self._execute(line)
                finally:
                    self._executing = False
        except ControlLost as error:
            self._session.log.debug("control connection lost: %s", error)
        except TimeoutError:
            with contextlib.suppress(ControlLost):
                await self._session.send(Reply(421, "Timeout, closing the connection."))
        except asyncio.CancelledError:
            await self._last_word(Reply(421, "The server is shutting down."))
            raise
        finally:
            self._session.set_listener(None)
            if self._idle_reader is not None:
                self._idle_reader.cancel()
            await self._session.channel.close()

    @property
    def waiting(self) -> int:
        """Number of commands that wait for the end of the transfer."""
        return len(self._session.waiting)

    @property
    def executing(self) -> bool:
        """Whether a command runs, a transfer for instance."""
        return self._executing

    def drain(self) -> None:
        """End the session as soon as no transfer runs: an idle one at once with 421, in a TLS handshake without."""
        self._draining = True
        if self._idle_reader is not None:
            self._idle_reader.cancel()
        if self._starting_tls is not None:
            self._starting_tls.cancel()

    def _new_login_deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._session.config.login_timeout

    async def _next_command(self) -> CommandLine | BadLine:
        if self._draining:
            await self._say_goodbye()
        if self._session.waiting:
            return self._session.waiting.popleft()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._session.config.idle_timeout
        if not self._session.authenticated:
            deadline = min(deadline, self._login_deadline)
        self._idle_reader = asyncio.create_task(self._session.channel.read_command())
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

    async def _last_word(self, reply: Reply | None) -> None:
        """Send a reply at the end of the daemon, when nobody waits for a client that does not read."""
        if reply is None or self._starting_tls is not None:  # in the middle of a handshake there are no replies
            return
        with contextlib.suppress(ControlLost, TimeoutError):
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await self._session.send(reply)

    async def _say_goodbye(self) -> NoReturn:
        await self._session.send(Reply(421, "The server is shutting down; please connect again."))
        raise ControlLost("drained")

    async def _execute(self, line: CommandLine | BadLine) -> None:
        if isinstance(line, BadLine):
            await self._session.send(Reply(500, line.problem))
            return
        command = self._commands.get(line.verb)
        if command is not None and command.subcommands:
            command, argument = command.meant_by(line.argument)
            line = CommandLine(command.verb, argument)
        # Only what is known to be no secret is shown: a mistyped PASS has a password behind it, too.
        hidden = command is None or command.secret
        self._session.log.debug("> %s %s", line.verb, "***" if hidden else _shown(line))
        refusal = self._refusal(line, command)
        if refusal is not None:
            await self._session.send(refusal)
        elif command is not None and command.transfer:
            await self._run_transfer(command, line)
        elif command is not None:
            self._starting_tls = asyncio.current_task() if command.verb == "AUTH" else None
            reply = await self._final_reply(command, line)
            self._starting_tls = None
            if reply is not None:
                await self._session.send(reply)

    def _refusal(self, line: CommandLine, command: Command | None) -> Reply | None:
        """Why a command is not even tried, or None."""
        if command is None:
            return Reply(502, f"Command {printable(line.verb)} is not implemented.")
        if command.login and not self._session.authenticated:
            return Reply(530, "Please log in with USER and PASS.")
        if not command.works(self._session.config):
            return Reply(504 if command.is_subcommand else 502, f"Command {command.verb} is switched off here.")
        if command.argument_required and not line.argument:
            return Reply(501, f"{command.verb} needs an argument: {command.syntax}")
        return None

    async def _final_reply(self, command: Command, line: CommandLine) -> Reply | None:
        """Run one command; every failure becomes a reply."""
        try:
            reply = await command.handler(self._session, line.argument)
        except ControlLost:
            raise
        except Exception as error:  # noqa: BLE001  # promise 6: whatever happens, the session lives
            return self._failed(command, line, error)
        if command.transfer and reply is not None and reply.code >= _FIRST_REFUSAL:
            self._session.tell_transfer(f"failed: {reply.code} {reply.text}")
        return reply

    def _failed(self, command: Command, line: CommandLine, error: Exception) -> Reply:
        """The reply for what a handler has raised, which the log then has."""
        if isinstance(error, ReplyError):
            if command.transfer:
                self._session.tell_transfer(f"failed: {error}")
            return error.reply
        if isinstance(error, aioftp.PathIOError) and isinstance(error.__cause__, StorageError):
            error = error.__cause__
        if isinstance(error, StorageError):
            return self._storage_failure(command, line, error)
        return self._unforeseen(command, line, error)

    def _storage_failure(self, command: Command, line: CommandLine, error: StorageError) -> Reply:
        reply = storage_reply(error, making=command.makes_name, streaming=command.transfer)
        level = logging.WARNING if reply.code in (450, 451, 452) else logging.INFO
        if command.transfer:
            self._session.tell_transfer(f"failed: {reply.code} {error}", level=level)
        else:
            self._session.log.log(
                level, "%s %s (in %s): %d %s", line.verb, _shown(line), self._session.cwd, reply.code, error
            )
        text = f"{line.argument[:_ARGUMENT_IN_LOG]}: {reply.text}" if line.argument else reply.text
        if error.request_id is not None and reply.code in (450, 451, 452):
            text += f" (request {error.request_id})"
        return Reply(reply.code, f"{text}.")

    def _unforeseen(self, command: Command, line: CommandLine, error: Exception) -> Reply:
        incident = secrets.token_hex(4)
        if command.transfer:
            told = f"failed: incident {incident}: {error!r}"
            self._session.tell_transfer(told, level=logging.ERROR, error=error)
        else:
            self._session.log.error("incident %s in %s: %r", incident, line.verb, error, exc_info=error)
        return Reply(451, f"Internal error; the log has more under incident {incident}.")

    async def _run_transfer(self, command: Command, line: CommandLine) -> None:
        """Run a transfer while listening for ABOR and the like."""
        self._session.transfer = Transfer(line.verb, self._named(line))
        transfer = asyncio.create_task(self._final_reply(command, line), name=f"{line.verb} {self._session.id}")
        reading: asyncio.Task[CommandLine | BadLine] | None = None
        aborted = False
        cause = "aborted by the client"
        try:
            while not transfer.done():
                if reading is None and self._session.watched:
                    reading = asyncio.create_task(self._session.channel.read_command())
                pending: set[asyncio.Future[Any]] = {transfer} if reading is None else {transfer, reading}
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if reading is not None and reading.done() and not transfer.done():
                    aborted = await self._interrupt(reading.result())
                    reading = None
                    if aborted:
                        break
            if aborted:
                await self._stop(transfer)
        except BaseException as error:
            cause = f"control connection lost: {error}" if isinstance(error, ControlLost) else _STOPPED
            await self._stop(transfer)
            if isinstance(error, asyncio.CancelledError):
                with contextlib.suppress(ControlLost):
                    await self._last_word(_outcome(transfer))
            raise
        finally:
            self._tell_cut(command, line, transfer, cause)
            if self._session.transfer is not None:
                self._session.transfer.failure = None  # it refers to the frames that refer to it
            self._session.transfer = None
            self._session.set_listener(None)  # a transfer that failed before it took its port has no use for it later
            self._session.restart_offset = 0
            if command.makes_name:
                self._session.allocated = None
            if reading is not None:
                await self._keep_unanswered(reading)
        await self._report(transfer, aborted=aborted)

    async def _interrupt(self, line: CommandLine | BadLine) -> bool:
        """Handle a line that came during a transfer. True: abort it."""
        if isinstance(line, CommandLine):
            if line.verb == "ABOR":
                return True
            command = self._commands.get(line.verb)
            at_once = command is not None and command.during_transfer.at_once(line.argument)
            if at_once and self._answers_now():
                await self._execute(line)
                return False
        self._session.waiting.append(line)
        return False

    def _answers_now(self) -> bool:
        """Whether an answer now keeps the order of replies: after the 150 and with no command waiting."""
        return self._session.transfer is not None and self._session.transfer.announced and not self._session.waiting

    async def _stop(self, transfer: asyncio.Task[Reply | None]) -> None:
        """Cancel a transfer, or wait for it when its file is whole and being committed."""
        if self._session.transfer is None or not self._session.transfer.committing:
            transfer.cancel()
        await asyncio.wait({transfer})

    def _tell_cut(self, command: Command, line: CommandLine, task: asyncio.Task[Reply | None], cause: str) -> None:
        """Log a transfer that has come to no reply of its own; one that has was logged with it."""
        transfer = self._session.transfer
        failure = None if transfer is None else transfer.failure
        if not task.done():  # the daemon waits no longer
            late = " while S3 completed the file, which may be stored" if transfer and transfer.committing else ""
            self._session.tell_transfer(f"failed: {_STOPPED}{late}", level=logging.WARNING)
        elif task.cancelled() and failure is not None and not isinstance(failure, ControlLost):
            self._failed(command, line, failure)
        elif task.cancelled():
            level = logging.WARNING if cause is _STOPPED else logging.INFO
            self._session.tell_transfer(f"failed: {cause}", level=level)
        elif isinstance(lost := task.exception(), ControlLost):
            self._session.tell_transfer(f"failed: control connection lost: {lost}")

    def _named(self, line: CommandLine) -> str:
        """The path that a transfer's argument means, until the transfer itself knows better."""
        try:
            return str(self._session.resolve(line.argument))
        except StorageError:
            return _shown(line)

    async def _keep_unanswered(self, reading: asyncio.Task[CommandLine | BadLine]) -> None:
        """A line that arrived together with the end of the transfer comes next."""
        if not reading.done():
            reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled() and reading.exception() is None:
            self._session.waiting.append(reading.result())

    async def _report(self, transfer: asyncio.Task[Reply | None], *, aborted: bool) -> None:
        reply = _outcome(transfer)
        if reply is not None:
            await self._session.send(reply)
        if aborted:
            await self._session.send(
                Reply(226, "Abort successful." if transfer.cancelled() else "The transfer had ended.")
            )


def _shown(line: CommandLine) -> str:
    """An argument that is no secret, for the log."""
    return printable(line.argument[:_ARGUMENT_IN_LOG])


def _outcome(transfer: asyncio.Task[Reply | None]) -> Reply | None:
    """The reply of a transfer that has ended, or was cancelled. Raises ControlLost as the transfer did."""
    return Reply(426, "Transfer aborted, connection closed.") if transfer.cancelled() else transfer.result()

"""`FtpsServer`: aioftp's server with explicit and implicit TLS, whole-or-nothing uploads and bounded sessions.

Of aioftp it keeps the user manager, the path-io factory, the connection counter, the throttles' constructor and the
`dispatcher` seam; the dispatcher's body, its commands and its data ports are ours (tests/contract holds each seam).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import aioftp
from aioftp.common import Connection

from aioftps3.auth import users as accounts
from aioftps3.ftp.commands import command_table, features, manual
from aioftps3.ftp.config import FtpConfig
from aioftps3.ftp.control import ControlChannel, ControlLost, LooksLikeTls, tune_socket
from aioftps3.ftp.dispatcher import Dispatcher
from aioftps3.ftp.passive import PortPool
from aioftps3.ftp.pathio import S3PathIO
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.session import Session, SessionParts
from aioftps3.ftp.users import UserManager
from aioftps3.storage.tree import Tree
from aioftps3.tls import ServerTls

__all__ = ("FtpsServer",)

logger = logging.getLogger(__name__)

_STREAM_LIMIT_BYTES = 8192
"""asyncio's reader pauses the socket past twice this: what a client can make an idle session hold."""

_CLIENT_HELLO_HINTS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})
"""OpenSSL's reasons for a handshake that began with something else than TLS."""


class _ControlProtocol(asyncio.StreamReaderProtocol):
    """aioftp's reader and writer over one accepted control connection."""

    def __init__(self, handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]) -> None:
        super().__init__(asyncio.StreamReader(limit=_STREAM_LIMIT_BYTES), handle)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tune the socket."""
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # the client may be gone already
                tune_socket(sock)
        super().connection_made(transport)


class FtpsServer(aioftp.Server):
    """The FTP server; built by app.py, started once, closed once."""

    def __init__(
        self,
        config: FtpConfig,
        *,
        tls: ServerTls,
        authenticator: accounts.Authenticator,
        open_tree: Callable[[accounts.User], Tree],
        session_scope: Callable[[str], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """``session_scope`` is entered with each session's id while it is served: for log lines of other packages."""
        super().__init__(
            UserManager(authenticator, open_tree),
            path_io_factory=S3PathIO,  # type: ignore[arg-type]  # aioftp's annotation wants paths of a local disk
            maximum_connections=config.max_sessions,
            idle_timeout=config.idle_timeout,
            socket_timeout=config.stall_timeout,
        )
        self.config = config
        self._session_scope = session_scope
        self._commands = command_table()
        self._parts = SessionParts(
            config=config,
            tls=tls,
            users=self.user_manager,
            ports=PortPool(config.data_ports),
            features=features(self._commands, config),
            manual=manual(self._commands, config),
        )
        self._listeners: list[asyncio.Server] = []
        self._sessions: dict[asyncio.Task[None], Dispatcher | None] = {}
        self._per_address: Counter[str] = Counter()
        self._draining = False
        self.addresses: tuple[tuple[str, str, int], ...] = ()
        """What is listened on: ("explicit" or "implicit", host, port)."""

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self, host: str | None = None, port: int = 0, **kwargs: Any) -> None:
        """Listen on the configured addresses; a ``host`` and ``port`` given here replace those for explicit TLS.

        Raises OSError when an address cannot be used; then nothing listens.
        """
        hosts = self.config.hosts if host is None else (host,)
        try:
            await self._listen("explicit", hosts, port or self.config.port, self._accept_explicit, **kwargs)
            if self.config.implicit:
                await self._listen("implicit", hosts, self.config.implicit_port, self._accept_implicit, **kwargs)
        except BaseException:
            await self._stop_listening()
            raise
        self.server = self._listeners[0]
        _, self.server_host, self.server_port = self.addresses[0]

    async def _listen(
        self,
        kind: str,
        hosts: tuple[str, ...],
        port: int,
        handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None],
        **kwargs: Any,
    ) -> None:
        listener = await asyncio.get_running_loop().create_server(
            lambda: _ControlProtocol(handle), list(hosts) or None, port, **kwargs
        )
        self._listeners.append(listener)
        names = (sock.getsockname() for sock in listener.sockets)
        self.addresses += tuple((kind, str(name[0]), int(name[1])) for name in names)

    async def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()

    async def drain(self, grace_seconds: float) -> None:
        """Take no new clients, send idle ones away with 421, and give running transfers the grace to end.

        Returns when all sessions have ended or the grace is over.
        """
        self._draining = True
        await self._stop_listening()
        for task, dispatcher in self._sessions.items():
            if dispatcher is not None:
                dispatcher.drain()
            else:  # still in the handshake of implicit TLS
                task.cancel()
        if self._sessions:
            await asyncio.wait(set(self._sessions), timeout=grace_seconds)

    async def close(self) -> None:
        """Stop listening and end every session now; uploads that are not whole are aborted."""
        await self._stop_listening()
        tasks = set(self._sessions)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for listener in self._listeners:
            await listener.wait_closed()

    @property
    def waiting_commands(self) -> int:
        """Number of commands that wait for the end of their session's transfer."""
        return sum(dispatcher.waiting for dispatcher in self._sessions.values() if dispatcher is not None)

    @property
    def sessions(self) -> int:
        """Number of control connections that are served now."""
        return len(self._sessions)

    @property
    def running_commands(self) -> int:
        """Number of commands that run now, transfers among them."""
        return sum(dispatcher.executing for dispatcher in self._sessions.values() if dispatcher is not None)

    @property
    def free_data_ports(self) -> int:
        """Number of configured data ports that no transfer uses now."""
        return self._parts.ports.free

    # -- connections ------------------------------------------------------------------------------------------------

    def _accept_explicit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accept(reader, writer, implicit=False)

    def _accept_implicit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accept(reader, writer, implicit=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, implicit: bool) -> None:
        peer = str((writer.get_extra_info("peername") or ("",))[0])
        refusal = None
        if self.available_connections.locked():
            refusal = "Too many connections."
        elif self._per_address[peer] >= self.config.max_sessions_per_address:
            refusal = "Too many connections from your address."
        if refusal is not None:
            logger.warning("connection from %s refused: %s", peer, refusal)
            if not implicit:  # a TLS client could not read it
                writer.write(Reply(421, refusal).encode())
            writer.close()
            return
        self.available_connections.acquire()
        self._per_address[peer] += 1
        task = asyncio.create_task(self._serve(reader, writer, implicit=implicit), name=f"session of {peer}")
        self._sessions[task] = None
        task.add_done_callback(lambda done: self._ended(done, peer, writer))

    def _ended(self, task: asyncio.Task[None], peer: str, writer: asyncio.StreamWriter) -> None:
        self._sessions.pop(task, None)
        self.available_connections.release()
        self._per_address[peer] -= 1
        if not self._per_address[peer]:
            del self._per_address[peer]
        if task.cancelled():  # perhaps before its first step
            writer.transport.abort()
        elif (error := task.exception()) is not None:
            logger.error("session of %s ended by %r", peer, error, exc_info=error)

    async def dispatcher(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one control connection that begins in clear text: aioftp's entry to a session."""
        await self._serve(reader, writer, implicit=False)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, implicit: bool) -> None:
        channel = ControlChannel(reader, writer, write_timeout=self.config.stall_timeout)
        peer, local = (str((writer.get_extra_info(name) or ("", 0))[0]) for name in ("peername", "sockname"))
        try:
            connection = Connection(client_host=peer, server_host=local, socket_timeout=self.config.stall_timeout)
            connection.path_io = self.path_io_factory(timeout=None, connection=connection)
            session = Session(self._parts, channel, connection, peer=peer, local=local, implicit=implicit)
            if implicit:
                await self._start_implicit_tls(session)
            dispatcher = Dispatcher(session, self._commands)
            task = asyncio.current_task()
            if task in self._sessions:
                self._sessions[task] = dispatcher
            if self._draining:  # the TLS handshake began before
                dispatcher.drain()
            session.log.debug("connected to the %s-TLS port", "implicit" if implicit else "explicit")
            with self._session_scope(session.id):
                await dispatcher.run(Reply(220, "aioftps3 ready."))
            session.log.debug("disconnected")
        except LooksLikeTls:
            logger.warning(
                "TLS handshake from %s on the explicit-TLS port %d: implicit TLS, which it wants, is on port %s",
                peer,
                self._port("explicit"),
                self._port("implicit") or "(AIOFTPS3_IMPLICIT_PORT, now off)",
            )
        except ControlLost:
            channel.abort()
        except BaseException:
            channel.abort()
            raise

    def _port(self, kind: str) -> int:
        """The port that is listened on, 0 if none is."""
        return next((port for found, _, port in self.addresses if found == kind), 0)

    async def _start_implicit_tls(self, session: Session) -> None:
        """The handshake that opens an implicit-TLS connection. Raises ControlLost."""
        try:
            await session.channel.start_tls(session.tls, None, timeout=self.config.tls_handshake_timeout)
        except ControlLost as error:
            cause = error.__cause__
            if isinstance(cause, ssl.SSLError) and cause.reason in _CLIENT_HELLO_HINTS:
                logger.warning(
                    "clear text from %s on the implicit-TLS port %d: explicit TLS (AUTH TLS) is on port %d",
                    session.peer,
                    self._port("implicit"),
                    self._port("explicit"),
                )
            elif isinstance(cause, TimeoutError):  # what clients of explicit TLS do: they wait for a greeting
                logger.warning(
                    "no TLS handshake from %s on the implicit-TLS port %d in %g s: explicit TLS is on port %d",
                    session.peer,
                    self._port("implicit"),
                    self.config.tls_handshake_timeout,
                    self._port("explicit"),
                )
            else:
                logger.info("TLS handshake with %s failed: %s", session.peer, cause)
            raise

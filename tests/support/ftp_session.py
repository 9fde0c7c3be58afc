"""An FTP server over a memory store and a client that does exactly what a test says, down to each TCP and TLS event.

`running_server` also is the leak check: after its block no session, task, socket or data port may be left.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import hashlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aioftps3.auth.users import Authenticator, EnvironmentUser
from aioftps3.certificates import make_self_signed
from aioftps3.ftp.config import FtpConfig, RequireTls
from aioftps3.ftp.data import DataConnection
from aioftps3.ftp.server import FtpsServer
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.store import ObjectInfo
from aioftps3.storage.tree import Tree
from aioftps3.tls import ServerTls
from tests.support.memory_store import MemoryStore

HOST = "127.0.0.1"
FOREIGN_HOST = "127.0.0.2"
LOGIN, PASSWORD = "user", "a secret password"

PATIENCE_SECONDS = 10.0
"""How long a test waits for what has to come; never reached unless it fails."""

_CHUNK_BYTES = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@functools.cache
def server_tls() -> ServerTls:
    """The server's TLS with a certificate that all tests share."""
    return ServerTls(make_self_signed([HOST], now=datetime.datetime.now(datetime.UTC)))


def server_context() -> ssl.SSLContext:
    """What its sessions get."""
    return server_tls().session_context()


def client_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A client that speaks one version of TLS and trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


def counting_tickets(context: ssl.SSLContext) -> list[int]:
    """The sizes of the session tickets that the connections of a client's context have read, from now on."""
    tickets: list[int] = []

    def on_message(connection: Any, direction: str, version: Any, kind: Any, message: Any, data: bytes) -> None:
        if getattr(message, "name", "") == "NEWSESSION_TICKET" and direction == "read":
            tickets.append(len(data))

    context._msg_callback = on_message  # type: ignore[attr-defined]  # Python's only view on single messages
    return tickets


def sha256(data: bytes) -> str:
    """For comparing large contents: a failure shows two hashes and not two files."""
    return hashlib.sha256(data).hexdigest()


async def moves(value: Callable[[], int]) -> bool:
    """Whether a value still changes while the loop turns."""
    before = value()
    for _ in range(200):
        await asyncio.sleep(0)
    return value() != before


async def read_some(connection: DataConnection) -> bytes:
    """What has come on a data connection; b"" at the end of the stream."""
    if not await connection.ready():
        return b""
    room = bytearray(_CHUNK_BYTES)
    return bytes(room[: connection.read_into(memoryview(room))])


# -- the store -----------------------------------------------------------------------------------------------------


class _Body:
    def __init__(self, info: ObjectInfo, data: bytes, store: FtpStore) -> None:
        self.info = info
        self._data = memoryview(data)
        self._store = store

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), _CHUNK_BYTES):
            await asyncio.sleep(0)
            await self._store.passed("Body")
            self._store.point("read", self.info.key, "before")
            self._store.chunks_read += 1
            yield bytes(self._data[start : start + _CHUNK_BYTES])

    async def close(self) -> None:
        self._store.open_bodies -= 1


class FtpStore(MemoryStore):
    """A memory store with chunks of a real size, and operations that wait; "Body" is each chunk of a download."""

    def __init__(self, objects: Mapping[str, bytes] | None = None, **options: Any) -> None:
        super().__init__(objects, **options)
        self.held: dict[str, asyncio.Event] = {}
        self.reached: dict[str, asyncio.Event] = {}
        self.open_bodies = 0
        self.chunks_read = 0

    def hold(self, operation: str) -> asyncio.Event:
        """Let the operation wait until the event is set; `reached[operation]` is set when one is waiting."""
        self.reached[operation] = asyncio.Event()
        self.held[operation] = asyncio.Event()
        return self.held[operation]

    def fail(self, error: BaseException, *operations: str) -> None:
        """Raise the error from these operations, from all when none is named."""

        def point(operation: str, key: str, when: str) -> None:
            if when == "before" and (not operations or operation in operations):
                raise error

        self.point = point

    async def passed(self, operation: str) -> None:
        """Return when the operation is not held, or no more."""
        if operation in self.held:
            self.reached[operation].set()
            await self.held[operation].wait()

    async def request(self, operation: str, key: str, *args: Any, **options: Any) -> None:
        await self.passed(operation)
        await super().request(operation, key, *args, **options)

    async def open_read(self, key: str, *, offset: int = 0) -> Any:
        whole = await super().open_read(key, offset=offset)
        self.open_bodies += 1
        return _Body(whole.info, self.contents[key][offset:], self)


# -- one connection ------------------------------------------------------------------------------------------------


class Wire:
    """One TCP connection, clear or TLS, in which nothing happens by itself: no close_notify, no reading ahead."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.tls: ssl.SSLObject | None = None
        self.ended_by: str | None = None
        """After the end of the received stream: "close_notify", "fin" or "reset"."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()

    @classmethod
    async def connect(
        cls, port: int, *, host: str = HOST, source: str | None = None, receive_buffer: int | None = None
    ) -> Wire:
        """Connect from the address ``source``; a small ``receive_buffer`` makes a peer that reads little."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source is not None:
                sock.bind((source, 0))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def start_tls(self, context: ssl.SSLContext, *, session: ssl.SSLSession | None = None) -> None:
        """Do the client's side of a handshake, offering a session to resume."""
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost", session=session)
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        """Send all bytes."""
        if self.tls is None:
            await self._send_raw(data)
            return
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view[: 64 * 1024]) :]
            await self._flush()

    async def send_urgent(self, data: bytes) -> None:
        """Send bytes as TCP urgent data: the last one of them, or of the TLS record, is the urgent one."""
        if self.tls is not None:
            self.tls.write(data)
            data = self._outgoing.read()
        assert self.sock.send(data, socket.MSG_OOB) == len(data)

    async def send_spoilt(self, data: bytes) -> None:
        """Send bytes in TLS records at once, the last of which was changed on the way."""
        assert self.tls is not None
        self.tls.write(data)
        records = bytearray(self._outgoing.read())
        records[-1] ^= 1
        await self._send_raw(bytes(records))

    async def send_cut(self, data: bytes, missing: int) -> None:
        """Send bytes as one TLS record, all of it but the last ``missing`` bytes of what goes over the wire."""
        assert self.tls is not None
        self.tls.write(data)
        record = self._outgoing.read()
        await self._send_raw(record[: len(record) - missing])

    async def receive(self, limit: int = 256 * 1024) -> bytes:
        """The next bytes; b"" at the end, and `ended_by` says which."""
        while True:
            if self.ended_by in ("fin", "reset") and not self._incoming.pending:
                return b""
            if self.tls is None:
                return await self._receive_raw(limit)
            try:
                data = self.tls.read(limit)
            except ssl.SSLWantReadError:
                await self._fill()
                continue
            except ssl.SSLZeroReturnError:  # after a close_notify of our own
                data = b""
            except ssl.SSLError:
                self.ended_by = self.ended_by or "reset"
                return b""
            if not data:
                self.ended_by = "close_notify"
            return data

    async def receive_all(self) -> bytes:
        """Everything until the end of the stream."""
        parts = []
        while data := await self.receive():
            parts.append(data)
        return b"".join(parts)

    async def close_notify(self) -> None:
        """Send the alert that ends a TLS stream in order, and nothing else."""
        assert self.tls is not None
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        await self._flush()

    def fin(self) -> None:
        """End our direction of the TCP stream."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drop the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.sock.close()

    def close(self) -> None:
        """Close the socket; idempotent."""
        self.sock.close()

    async def end_in_order(self) -> None:
        """What a well-behaved client does after an upload: close_notify when encrypted, and FIN."""
        if self.tls is not None:
            await self.close_notify()
        self.close()

    async def _send_raw(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def _receive_raw(self, limit: int) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                data = await asyncio.get_running_loop().sock_recv(self.sock, limit)
        except ConnectionError:
            self.ended_by = "reset"
            return b""
        if not data:
            self.ended_by = "fin"
        return data

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._send_raw(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._receive_raw(64 * 1024)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


class ActivePort:
    """A port of the client's, to which a server in active mode connects."""

    def __init__(self, *, host: str = HOST, backlog: int = 8) -> None:
        self._sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self._sock.bind((host, 0))
        self._sock.listen(backlog)
        self._sock.setblocking(False)
        self.number: int = self._sock.getsockname()[1]
        self.command = (
            f"EPRT |{2 if ':' in host else 1}|{host}|{self.number}|",
            f"PORT {host.replace('.', ',')},{self.number >> 8},{self.number & 255}",
        )
        """EPRT and PORT."""

    async def accept(self) -> tuple[Wire, str]:
        """The next connection, not yet encrypted, and where it comes from."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            sock, address = await asyncio.get_running_loop().sock_accept(self._sock)
        return Wire(sock), str(address[0])

    def close(self) -> None:
        """Listen no more; idempotent."""
        self._sock.close()


# -- one session ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: its code and its lines as they came."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole reply."""
        return "\n".join(self.lines)


class FtpClient:
    """A control connection: lines out, replies in."""

    def __init__(self, wire: Wire, running: Running, *, context: ssl.SSLContext | None = None) -> None:
        self.wire = wire
        self.running = running
        self.context = context or running.context
        self.protected = False
        """Whether data connections are to be encrypted."""
        self._buffer = b""

    async def send(self, *lines: str) -> None:
        """Send lines in one segment."""
        await self.wire.send("".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape"))

    async def line(self) -> str | None:
        """The next line, None at the end of the stream."""
        while b"\r\n" not in self._buffer:
            data = await self.wire.receive()
            if not data:
                assert not self._buffer
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("utf-8", "surrogateescape")

    async def reply(self) -> Answer:
        """The next reply; code 0 at the end of the stream."""
        first = await self.line()
        if first is None:
            return Answer(0, ())
        assert re.match(r"\d{3}[ -]", first), first
        lines = [first]
        while lines[0][3] == "-" and not (len(lines) > 1 and lines[-1].startswith(first[:3] + " ")):
            following = await self.line()
            assert following is not None
            lines.append(following)
        return Answer(int(first[:3]), tuple(lines))

    async def replies(self, count: int) -> list[int]:
        """The codes of the next replies."""
        return [(await self.reply()).code for _ in range(count)]

    async def command(self, line: str) -> Answer:
        """Send one command and take one reply."""
        await self.send(line)
        return await self.reply()

    async def codes(self, *lines: str) -> list[int]:
        """Send commands one by one and take the code of one reply each."""
        return [(await self.command(line)).code for line in lines]

    async def expect(self, code: int, line: str) -> Answer:
        """Send a command that must be answered so."""
        answer = await self.command(line)
        assert answer.code == code, (line, answer)
        return answer

    async def start_tls(self) -> None:
        """AUTH TLS and the handshake."""
        await self.expect(234, "AUTH TLS")
        await self.wire.start_tls(self.context)

    async def protect(self) -> None:
        """PBSZ and PROT P."""
        await self.expect(200, "PBSZ 0")
        await self.expect(200, "PROT P")
        self.protected = True

    async def log_in(self, login: str = LOGIN, password: str = PASSWORD) -> None:
        """USER and PASS."""
        await self.expect(331, f"USER {login}")
        await self.expect(230, f"PASS {password}")

    async def passive_port(self) -> int:
        """EPSV."""
        found = re.search(r"\(\|\|\|(\d+)\|\)", (await self.expect(229, "EPSV")).text)
        assert found is not None
        return int(found[1])

    async def connect_data(self, port: int | None = None, **options: Any) -> Wire:
        """A data connection, not yet encrypted, to ``port`` or to a new one."""
        if port is None:
            port = await self.passive_port()
        wire = await Wire.connect(port, **options)
        self.running.wires.append(wire)
        return wire

    async def encrypt(self, wire: Wire) -> None:
        """Do the handshake of a data connection, resuming the session of the control connection, if one is wanted."""
        if self.protected:
            assert self.wire.tls is not None
            await wire.start_tls(self.context, session=self.wire.tls.session)

    async def open_data(self, line: str, **options: Any) -> Wire:
        """A data connection for a transfer command, up to its 150."""
        wire = await self.connect_data(**options)
        await self.send(line)
        answer = await self.reply()
        assert answer.code == 150, answer
        await self.encrypt(wire)
        return wire

    async def active_port(self, **options: Any) -> ActivePort:
        """A port that the server has been told by EPRT."""
        port = ActivePort(**options)
        self.running.wires.append(port)
        await self.expect(200, port.command[0])
        return port

    async def open_active(self, line: str, **options: Any) -> Wire:
        """The server's data connection for a transfer command, up to its handshake."""
        port = await self.active_port(**options)
        await self.expect(150, line)
        wire, _ = await port.accept()
        port.close()
        self.running.wires.append(wire)
        await self.encrypt(wire)
        return wire

    async def upload(self, name: str, data: bytes, verb: str = "STOR") -> Answer:
        """STOR as well-behaved clients do it; its final reply."""
        wire = await self.open_data(f"{verb} {name}")
        await wire.send(data)
        await wire.end_in_order()
        return await self.reply()

    async def download(self, line: str) -> bytes:
        """The data of RETR, LIST, NLST or MLSD, which must succeed."""
        wire = await self.open_data(line)
        data = await wire.receive_all()
        await wire.end_in_order()
        answer = await self.reply()
        assert answer.code == 226, answer
        return data

    async def at_end(self) -> bool:
        """Whether the server closes the connection now, without another reply."""
        return await self.line() is None


@dataclass(slots=True)
class Running:
    """A server that listens, its store, and the connections of the test."""

    server: FtpsServer
    store: FtpStore
    context: ssl.SSLContext
    wires: list[Wire | ActivePort]
    """What is closed at the end of the test."""

    def port(self, kind: str = "explicit") -> int:
        """The port that is listened on."""
        return next(port for found, _, port in self.server.addresses if found == kind)

    async def connect(
        self, kind: str = "explicit", *, context: ssl.SSLContext | None = None, **options: Any
    ) -> FtpClient:
        """A client before its greeting."""
        wire = await Wire.connect(self.port(kind), **options)
        self.wires.append(wire)
        client = FtpClient(wire, self, context=context)
        if kind == "implicit":
            await wire.start_tls(client.context)
        return client

    async def greeted(self, **options: Any) -> FtpClient:
        """A client in clear text, after its greeting."""
        client = await self.connect(**options)
        assert (await client.reply()).code == 220
        return client

    async def client(self, **options: Any) -> FtpClient:
        """A client that is logged in: encrypted where the server requires it."""
        client = await self.greeted(**options)
        if self.server.config.require_tls.control:
            await client.start_tls()
        await client.log_in()
        if self.server.config.require_tls.data:
            await client.protect()
        return client


def clear_text(**changes: Any) -> FtpConfig:
    """A configuration for tests of what TLS has nothing to do with."""
    return FtpConfig(**{"require_tls": RequireTls.NONE, **_ANY_PORTS, **changes})


def encrypted(**changes: Any) -> FtpConfig:
    """The default configuration on ports of the kernel's choice."""
    return FtpConfig(**{**_ANY_PORTS, **changes})


_ANY_PORTS: Mapping[str, Any] = {"hosts": (HOST,), "port": 0, "implicit_port": 0, "data_ports": ()}


@contextlib.asynccontextmanager
async def running_server(
    config: FtpConfig | None = None,
    *,
    store: FtpStore | None = None,
    authenticator: Authenticator | None = None,
    tls: ServerTls | None = None,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> AsyncIterator[Running]:
    """A server over a store; at the end every client vanishes, and nothing of the server may be left."""
    config = clear_text() if config is None else config
    store = FtpStore() if store is None else store
    tree = Tree(store, locks=PathLocks())
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    server = FtpsServer(
        config,
        tls=tls or server_tls(),
        authenticator=authenticator or EnvironmentUser(LOGIN, PASSWORD),
        open_tree=lambda _: tree,
    )
    await server.start()
    running = Running(server, store, client_context(version), [])
    try:
        yield running
    finally:
        for wire in running.wires:
            wire.close()
        for event in store.held.values():
            event.set()
        await server.drain(PATIENCE_SECONDS)
        left = server.sessions
        await server.close()
    assert left == 0, "sessions of clients that are gone"
    await settle()
    assert asyncio.all_tasks() - tasks == set()
    assert open_sockets() - sockets == set()
    assert server.free_data_ports == len(config.data_ports)
    assert not store.open_writers, "an upload that was neither completed nor aborted"
    assert store.open_bodies == 0, "a download that was not closed"


def serving(
    kind: str, *, store: FtpStore | None = None, **changes: Any
) -> contextlib.AbstractAsyncContextManager[Running]:
    """`running_server` for tests that run once in "clear" text and once in each version of TLS."""
    config = (clear_text if kind == "clear" else encrypted)(**changes)
    version = ssl.TLSVersion.TLSv1_2 if kind == "tls1.2" else ssl.TLSVersion.TLSv1_3
    return running_server(config, store=store, version=version)


KINDS = ("clear", "tls1.2", "tls1.3")


async def until(condition: Callable[[], bool]) -> None:
    """Let the server work until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  # what is looked at tells nobody when it changes
            await asyncio.sleep(0)


async def settle() -> None:
    """Let callbacks that are due run: transports close their sockets in the next round of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


def open_sockets() -> set[str]:
    """The sockets of this process, as the kernel names them."""
    names = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the directory's own descriptor is gone by now
            name = str(entry.readlink())
            if name.startswith("socket:"):
                names.add(name)
    return names

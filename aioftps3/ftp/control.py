"""The control connection: lines in, replies out, and the upgrade to TLS (RFC 959 section 4, RFC 4217 section 4)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct

from aioftps3.ftp.keepalive import keep_alive
from aioftps3.ftp.parsing import BadLine, CommandLine, LineSplitter, parse_line
from aioftps3.ftp.replies import Reply
from aioftps3.ftp.tlsstream import TlsStream

__all__ = ("ControlChannel", "ControlLost", "LooksLikeTls", "tune_socket")

_READ_BYTES = 4096
"""Bytes taken from the stream at once: a command is far shorter, and an idle session holds little."""

_TLS_HANDSHAKE_RECORD = b"\x16\x03"
"""The first bytes of a TLS ClientHello (RFC 8446 section 5.1): no FTP command starts so."""

_TCP_INFO_RTT_OFFSET = 68
"""Where Linux's struct tcp_info holds the smoothed round-trip time, an unsigned 32-bit number of microseconds."""

_CLOSE_SECONDS = 1.0
"""How long a client may take to answer our close of the connection."""


class ControlLost(ConnectionError):
    """The client closed or lost the control connection."""


class LooksLikeTls(ConnectionError):
    """A TLS handshake arrived where clear text was expected: implicit TLS spoken to the explicit port."""


def tune_socket(sock: socket.socket) -> None:
    """Options of a control socket: replies leave at once, urgent ABOR bytes stay in line, NAT keeps it open."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    keep_alive(sock)


class ControlChannel:
    """Reads commands and writes replies of one client over aioftp's reader and writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, write_timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self._write_timeout = write_timeout
        self._splitter = LineSplitter()
        self._first_bytes = True
        self._ended = False
        self._tls: TlsStream | None = None
        self._write_lock = asyncio.Lock()

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return self._tls is not None

    @property
    def lost(self) -> bool:
        """Whether the client's end is known to be closed. Only true once the bytes before it have been read."""
        return self._ended or self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing()

    @property
    def round_trip_seconds(self) -> float:
        """The kernel's estimate of the round-trip time to the client; 0.0 where it gives none."""
        sock = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError, struct.error, AttributeError):
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_RTT_OFFSET + 4)
            return float(struct.unpack_from("=I", info, _TCP_INFO_RTT_OFFSET)[0]) / 1e6
        return 0.0

    async def read_command(self) -> CommandLine | BadLine:
        """The next command. Cancelling loses nothing.

        Raises ControlLost at the end of the stream and LooksLikeTls when the first bytes are a TLS handshake.
        """
        while True:
            line = self._splitter.next_line()
            if isinstance(line, BadLine):
                return line
            if line is not None:
                return parse_line(line)
            try:
                data = await (self._reader.read(_READ_BYTES) if self._tls is None else self._tls.read())
            except OSError as error:  # also ssl.SSLError, and what an unreachable client is to the kernel
                self._ended = True
                error.__traceback__ = None  # see `close`
                raise ControlLost(str(error)) from error
            if not data:
                self._ended = True
                raise ControlLost("the client closed the connection")
            if self._first_bytes:
                self._first_bytes = False
                if data.startswith(_TLS_HANDSHAKE_RECORD) and not self.encrypted:
                    raise LooksLikeTls
            self._splitter.feed(data)

    async def send(self, reply: Reply) -> None:
        """Send one reply whole. Raises ControlLost when the client is gone or does not read for the stall timeout."""
        async with self._write_lock:
            try:
                (self._writer if self._tls is None else self._tls).write(reply.encode())
                async with asyncio.timeout(self._write_timeout):
                    await self._writer.drain()
            except OSError as error:  # ssl.SSLError and TimeoutError, which has no text when it is ours, are OSErrors
                raise ControlLost(str(error) or "the client does not read its replies") from error

    async def start_tls(self, context: ssl.SSLContext, reply: Reply | None, *, timeout: float) -> bool:
        """Send ``reply`` in clear text and go on in TLS.

        Returns False, with nothing sent, when the client has sent a command behind its AUTH: it would be taken as if it
        had come encrypted (command injection). What arrives later is read as TLS. Raises ControlLost when the handshake
        fails.
        """
        if self._splitter.buffered:
            return False
        try:
            if reply is not None:
                self._writer.write(reply.encode())
            tls = TlsStream(self._reader, self._writer, context)
            async with asyncio.timeout(timeout):
                await tls.handshake()
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise ControlLost(f"TLS handshake failed: {error}") from error
        self._tls = tls
        self._first_bytes = False
        return True

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection in order, or drop it when the client has not closed its end in a moment.

        Our end goes first and the client's is waited for: closing with bytes unread makes the kernel send RST, which
        can take the last reply away from a client that has not read it yet.
        """
        try:
            if self._tls is not None:
                self._tls.end()
            self._writer.write_eof()
            async with asyncio.timeout(_CLOSE_SECONDS):
                while await self._reader.read(_READ_BYTES):
                    pass
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError) as error:
            # asyncio's reader keeps the error of its connection: its frames would keep the whole session.
            error.__traceback__ = None
            self.abort()

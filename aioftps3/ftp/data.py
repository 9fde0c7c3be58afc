"""One data connection: bytes of a file or a listing, in one direction, clear or TLS (RFC 959 section 3, RFC 4217).

What must stay true:

- How the stream ended is known (`StreamEnd`): close_notify, a bare FIN, or a loss. Only the transfer decides what each
  one means for the file.
- Receiving is bounded: past `_RECEIVE_HIGH_WATER` bytes the socket is not read, and TCP slows the sender.
- `finish` returns when every byte is in the kernel's hands and close_notify has been sent, not earlier.
- Every wait for the peer ends after the stall timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import ssl
from collections import deque
from collections.abc import Callable

from aioftps3.tls import DataTlsObject, adopting

__all__ = ("DataConnection", "DataLost", "DataStalled", "StreamEnd")

_RECEIVE_HIGH_WATER = 512 * 1024
"""Bytes held before reading pauses: two of the chunks that asyncio's TLS hands over at once."""

_RECORD_HEADER_BYTES = 5
"""Of a TLS record: its type, a version, and in the last two bytes the length of the rest (RFC 8446 section 5.1)."""

_TLS_SHUTDOWN_SECONDS = 5.0
"""How long the peer may take to answer our close_notify; all data is in the kernel by then."""


LEAST_BYTES = 1024
"""Bytes that must move while the peer has been waited for during one stall timeout. A peer that moves a byte now and
then would otherwise hold its session, its part of the memory budget and its place in S3 for ever."""


class StreamEnd(enum.Enum):
    """How the peer ended its sending."""

    OPEN = "open"
    CLOSE_NOTIFY = "close_notify"
    FIN = "fin"
    LOST = "lost"


class DataLost(ConnectionError):
    """The data connection broke: reset, closed by the peer while we sent, or a failed TLS handshake."""


class DataStalled(DataLost):
    """The peer moved next to nothing for the stall timeout."""


class _Pace:
    """Bounds the waiting for a peer: `LEAST_BYTES` have to move in each ``seconds`` of it; other time is free."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = seconds
        self._mark = 0

    async def wait(self, waiter: asyncio.Future[None], moved: Callable[[], int]) -> None:
        """Wait until ``waiter`` is done, or for what is left of this window.

        ``moved`` tells the bytes that have moved so far. Raises DataStalled when they are too few.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._left):
                await waiter
        except TimeoutError as error:
            now = moved()
            if now - self._mark < LEAST_BYTES:
                raise DataStalled(f"{now - self._mark} bytes moved in {self._seconds:g} seconds") from error
            self._mark = now
            self._left = self._seconds
        else:
            self._left -= loop.time() - started


class _RecordLayer(asyncio.BufferedProtocol):
    """Stands between the socket and asyncio's TLS and knows whether the stream has stopped inside a record.

    A FIN there proves that the stream was cut: whoever means to end it, with or without close_notify, sends whole
    records (RFC 8446 section 5.1). OpenSSL reports both alike.
    """

    def __init__(self, tls: asyncio.BufferedProtocol) -> None:
        self._tls = tls
        self._buffer = memoryview(b"")
        self._header = b""
        self._left = 0

    @property
    def inside(self) -> bool:
        """Whether bytes of the last record are missing."""
        return self._left > 0 or self._header != b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tls.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tls.connection_lost(exc)

    def pause_writing(self) -> None:
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        self._tls.resume_writing()

    def eof_received(self) -> bool | None:
        return self._tls.eof_received()

    def get_buffer(self, sizehint: int) -> memoryview:
        self._buffer = memoryview(self._tls.get_buffer(sizehint))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._follow(self._buffer[:nbytes])
        self._tls.buffer_updated(nbytes)

    def _follow(self, data: memoryview) -> None:
        while data:
            if not self._left:
                missing = _RECORD_HEADER_BYTES - len(self._header)
                self._header += data[:missing]
                data = data[missing:]
                if len(self._header) < _RECORD_HEADER_BYTES:
                    return
                self._left = int.from_bytes(self._header[-2:])
                self._header = b""
            passed = min(self._left, len(data))
            self._left -= passed
            data = data[passed:]


class DataConnection(asyncio.Protocol):
    """A data connection after its accept; made by `open` only."""

    def __init__(self, *, encrypted: bool, stall_timeout: float) -> None:
        self._encrypted = encrypted
        self._receiving = _Pace(stall_timeout)
        self._sending = _Pace(stall_timeout)
        self._loop = asyncio.get_running_loop()
        self._raw: asyncio.Transport | None = None
        self._transport: asyncio.Transport | None = None
        self._tls: DataTlsObject | None = None
        self._records: _RecordLayer | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._reading_paused = False
        self._writing_paused = False
        self._end = StreamEnd.OPEN
        self._error: Exception | None = None
        self._closed = self._loop.create_future()
        self._reader_waiter: asyncio.Future[None] | None = None
        self._writer_waiter: asyncio.Future[None] | None = None
        self.bytes_received = 0
        self.bytes_sent = 0

    @classmethod
    async def open(
        cls, sock: socket.socket, *, context: ssl.SSLContext | None, stall_timeout: float, handshake_timeout: float
    ) -> DataConnection:
        """Take over an accepted socket and, with a context, do the server's side of the TLS handshake.

        Raises DataLost when the handshake fails or takes too long. The socket is closed on any failure.
        """
        loop = asyncio.get_running_loop()
        connection = cls(encrypted=context is not None, stall_timeout=stall_timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw, _ = await loop.connect_accepted_socket(lambda: connection, sock)
        except OSError as error:
            sock.close()
            raise DataLost(f"data connection: {error}") from error
        connection._transport = connection._raw = raw
        if context is None:
            return connection
        adopting.set(connection._adopt)
        try:
            transport = await loop.start_tls(
                raw,
                connection,
                context,
                server_side=True,
                ssl_handshake_timeout=handshake_timeout,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS,
            )
        except BaseException as error:
            raw.abort()
            if isinstance(error, OSError):  # ssl.SSLError, ConnectionError and TimeoutError are OSErrors
                raise DataLost(f"TLS handshake on the data connection failed: {error}") from error
            raise
        if transport is None:
            raise DataLost("the data connection was lost during the TLS handshake")
        connection._transport = transport
        connection._acknowledge_quickly()
        return connection

    def _adopt(self, tls: DataTlsObject) -> None:
        self._tls = tls
        # Called before the flight is written; an ACK mode that is set earlier would be undone by the writing.
        tls.on_flight = self._acknowledge_soon
        # Next in the loop asyncio's TLS is the socket's protocol, and reading has not been resumed.
        self._loop.call_soon(self._watch_records)

    def _watch_records(self) -> None:
        protocol = self._raw.get_protocol() if self._raw is not None else None
        if self._raw is not None and isinstance(protocol, asyncio.BufferedProtocol):
            self._records = _RecordLayer(protocol)
            self._raw.set_protocol(self._records)

    def _acknowledge_soon(self) -> None:
        self._loop.call_soon(self._acknowledge_quickly)

    # -- asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hold back reading until TLS is in place: the client may already have sent its ClientHello."""
        if self._encrypted and isinstance(transport, asyncio.ReadTransport):
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._held += len(data)
        self.bytes_received += len(data)
        if self._held >= _RECEIVE_HIGH_WATER and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        if self._end is StreamEnd.OPEN:
            if self._tls is not None and self._tls.close_notify_received:
                self._end = StreamEnd.CLOSE_NOTIFY
            elif self._records is not None and self._records.inside:
                self._end = StreamEnd.LOST
                self._error = ConnectionAbortedError("ended inside a TLS record")
            else:
                self._end = StreamEnd.FIN
        self._wake_reader()
        # A clear-text client may half-close and go on reading what we send.
        return not self._encrypted

    def connection_lost(self, exc: Exception | None) -> None:
        # After an end that was seen, a reset is only the peer's answer to our own close_notify.
        if self._end is StreamEnd.OPEN:
            self._end = StreamEnd.LOST
        self._error = exc
        if not self._closed.done():
            self._closed.set_result(None)
        self._wake_reader()
        self._wake_writer()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake_writer()

    def _wake_reader(self) -> None:
        if self._reader_waiter is not None and not self._reader_waiter.done():
            self._reader_waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer_waiter is not None and not self._writer_waiter.done():
            self._writer_waiter.set_result(None)

    # -- for the transfer -------------------------------------------------------------------------------------------

    @property
    def end(self) -> StreamEnd:
        """How the peer ended its sending, or OPEN."""
        return self._end

    @property
    def resumed(self) -> bool:
        """Whether the TLS handshake resumed the session of the control connection; False in clear text."""
        return self._tls is not None and bool(self._tls.session_reused)

    async def read(self) -> bytes:
        """The next bytes as they came, or b"" at the end of the stream (see `end`).

        Raises DataLost on a reset and DataStalled when the peer sends next to nothing for the stall timeout.
        """
        while not self._chunks:
            if self._end is StreamEnd.LOST:
                raise DataLost(f"data connection lost: {self._error or 'reset by the client'}") from self._error
            if self._end is not StreamEnd.OPEN:
                return b""
            self._reader_waiter = self._loop.create_future()
            try:
                await self._receiving.wait(self._reader_waiter, lambda: self.bytes_received)
            finally:
                self._reader_waiter = None
        chunk = self._chunks.popleft()
        self._held -= len(chunk)
        if self._reading_paused and self._held < _RECEIVE_HIGH_WATER // 2 and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        return chunk

    async def write(self, data: bytes | memoryview) -> None:
        """Send bytes; waits while asyncio's buffers are full.

        Raises DataLost when the peer is gone and DataStalled when it reads next to nothing for the stall timeout.
        """
        transport = self._require_open()
        transport.write(data)
        self.bytes_sent += len(data)
        await self._drain()

    async def finish(self) -> None:
        """End our sending in order: everything into the kernel, close_notify, close. Raises as `write` does."""
        transport = self._require_open()
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high=0)
        while self._unsent():
            # Pauses us until nothing is left. TLS may then hand the socket more at once, so that there is a next time.
            transport.set_write_buffer_limits(high=0)
            await self._drain()
        transport.close()

    async def wait_closed(self, timeout: float) -> None:
        """Wait until the connection is gone, at most ``timeout`` seconds."""
        await asyncio.wait([self._closed], timeout=timeout)

    def abort(self) -> None:
        """Drop the connection at once, so that the peer sees that the transfer failed."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close after a received stream; idempotent."""
        if self._transport is not None:
            self._transport.close()

    def _acknowledge_quickly(self) -> None:
        """Ask for immediate ACKs: Nagle and delayed ACKs would hold a handshake or a small upload back for 40 ms."""
        quickack = getattr(socket, "TCP_QUICKACK", None)
        sock = self._raw.get_extra_info("socket") if self._raw is not None else None
        if sock is not None and quickack is not None:
            with contextlib.suppress(OSError):  # the peer may be gone already
                sock.setsockopt(socket.IPPROTO_TCP, quickack, 1)

    def _require_open(self) -> asyncio.Transport:
        transport, raw = self._transport, self._raw
        # Over TLS only the raw transport knows at once that a send failed; the other one hears of it a round later.
        if transport is None or raw is None or transport.is_closing() or raw.is_closing() or self._closed.done():
            raise DataLost("the client closed the data connection")
        return transport

    async def _drain(self) -> None:
        while self._writing_paused and not self._closed.done():
            self._writer_waiter = self._loop.create_future()
            try:
                await self._sending.wait(self._writer_waiter, lambda: self.bytes_sent - self._unsent())
            finally:
                self._writer_waiter = None
        if self._closed.done():
            raise DataLost("the client closed the data connection")

    def _unsent(self) -> int:
        transports = {self._raw, self._transport} - {None}
        return sum(each.get_write_buffer_size() for each in transports if each is not None)

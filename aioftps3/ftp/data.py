"""One data connection: bytes of a file or a listing, in one direction, clear or TLS (RFC 959 section 3, RFC 4217).

What must stay true:

- How the stream ended is known (`StreamEnd`): close_notify, a bare FIN, or a loss. Only the transfer decides what each
  one means for the file.
- Receiving is bounded: while nobody waits for bytes the socket is not read, and TCP slows the sender.
- What is received is decrypted into the memory of whoever wants it, without a copy on the way.
- `finish` returns when every byte is in the kernel's hands and close_notify has been sent, not earlier.
- Every wait for the peer ends after the stall timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import ssl
import struct
from collections.abc import Callable

from aioftps3.ftp.keepalive import keep_alive
from aioftps3.ftp.pace import Pace
from aioftps3.ftp.receiving import received
from aioftps3.ftp.tlsengine import ClearText, TlsEngine

__all__ = ("DataConnection", "DataLost", "DataStalled", "StreamEnd")

_LEAST_AHEAD_BYTES = 16 * 1024
"""Taken although as much as may be held is held, because a socket that is not paused has to be read."""

_SURELY_DATA_BYTES = 32 * 1024
"""When more than this waits to be decrypted, there is data among it: TLS's own messages are smaller than a record, and
those that a client sends in a row fit into two."""

_LOOK_AHEAD_BYTES = 16 * 1024
"""Bytes decrypted to find out whether there are any: a TLS record's most."""

_PEER_CLOSE_SECONDS = 5.0
"""How long the peer may take to close its end after all has been sent; all data is in the kernel by then."""

_PROBE_SECONDS = 1.0
"""How often a connection that is not being read is looked at: its loss is not reported to who does not read."""

_TCP_CLOSED, _TCP_CLOSE_WAIT = 7, 8
"""Linux's numbers of these states, the first byte of struct tcp_info. CLOSED: the peer has reset the connection.
CLOSE-WAIT: it has sent its FIN."""


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


class DataConnection(asyncio.BufferedProtocol):
    """A data connection after its accept; made by `open` only."""

    def __init__(self, tls: TlsEngine | None, *, stall_timeout: float) -> None:
        self._tls = tls
        self._codec = ClearText() if tls is None else tls
        self._resumed = False
        self._receiving = Pace(stall_timeout, lambda: self.bytes_received, DataStalled)
        self._sending = Pace(stall_timeout, lambda: self.bytes_sent - self._unsent(), DataStalled)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._handshake: asyncio.Future[None] | None = None if tls is None else self._loop.create_future()
        if self._handshake is not None:
            # Whoever opens it may have been cancelled; then a failure is no news for asyncio's exception handler.
            self._handshake.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._ahead = b""
        self._receives = False
        self._sends = False
        self._finished = False
        self._reading_paused = False
        self._writing_paused = False
        self._fin_received = False
        self._end = StreamEnd.OPEN
        self._error: Exception | None = None
        self._closed = self._loop.create_future()
        self._on_lost: Callable[[], None] | None = None
        self._reader_waiter: asyncio.Future[None] | None = None
        self._writer_waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.bytes_received = 0
        self.bytes_sent = 0

    @classmethod
    async def open(
        cls, sock: socket.socket, *, context: ssl.SSLContext | None, stall_timeout: float, handshake_timeout: float
    ) -> DataConnection:
        """Take over an accepted socket and, with a context, do the server's side of the TLS handshake.

        Raises DataLost when the handshake fails or takes too long. The socket is closed on any failure.
        """
        tls = None if context is None else TlsEngine(context, hold_tickets=True)
        connection = cls(tls, stall_timeout=stall_timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_alive(sock)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock)
        except OSError as error:
            sock.close()
            raise DataLost(f"data connection: {error}") from error
        if connection._handshake is not None:
            try:
                async with asyncio.timeout(handshake_timeout):
                    await connection._handshake
            except BaseException as error:
                connection.abort()
                if isinstance(error, OSError):  # ssl.SSLError, ConnectionError and TimeoutError are OSErrors
                    raise DataLost(f"TLS handshake on the data connection failed: {error}") from error
                raise
        return connection

    # -- asyncio.BufferedProtocol -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._receives = True
            received.enter()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # the interface has it; a socket has no hint
        return received.room(max(received.share - self._codec.pending, _LEAST_AHEAD_BYTES))

    def buffer_updated(self, nbytes: int) -> None:
        self._codec.receive(received.room(nbytes))
        if self._handshake is not None and not self._handshake.done():
            self._go_on_with_handshake(self._handshake)
        elif self._sends:
            self._drop_received()
        elif self._reader_waiter is not None and not self._reader_waiter.done():
            self._reader_waiter.set_result(None)
        else:
            self._pause_reading()

    def eof_received(self) -> bool:
        self._fin_received = True
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(ConnectionResetError("the client closed the connection"))
        elif self._finished:
            self._close_transport()
        elif self._sends and self._tls is not None:
            # Over TLS nobody ends one direction and reads on in the other; clear-text clients do.
            self.abort()
        self._wake(self._reader_waiter)
        return True  # what is left to send, and the answer to close_notify, still go out

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            exc.__traceback__ = None  # its frames lead back to who wrote to this connection
        self._error = self._error or exc
        for pace in (self._receiving, self._sending):
            pace.stop()
        self._leave()
        if self._timer is not None:
            self._timer.cancel()
        if not self._closed.done():
            self._closed.set_result(None)
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(exc or ConnectionResetError("the connection was closed"))
        elif self._end is StreamEnd.OPEN and not self._sends:
            self._read_rest()
        self._wake(self._reader_waiter)
        self._wake(self._writer_waiter)
        if self._on_lost is not None and (self._sends or self._end is StreamEnd.LOST):
            self._on_lost()
        # All has been read. Who still refers to this connection, be it garbage that waits to be collected, does not
        # keep the memory of its TLS.
        self._tls, self._codec = None, ClearText()

    def pause_writing(self) -> None:
        self._writing_paused = True
        if not self._sends and self._end is StreamEnd.OPEN:
            # Each key update is answered (RFC 8446 section 4.6.3): who reads no answers would have us hold them all.
            self._lose(ConnectionAbortedError("the client does not read what TLS answers"))
            self.abort()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake(self._writer_waiter)

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- for the transfer -------------------------------------------------------------------------------------------

    @property
    def end(self) -> StreamEnd:
        """How the peer ended its sending, or OPEN."""
        return self._end

    @property
    def resumed(self) -> bool:
        """Whether the TLS handshake resumed the session of the control connection; False in clear text."""
        return self._resumed

    def on_lost(self, callback: Callable[[], None] | None) -> None:
        """Have ``callback`` called, from the loop, when the connection is lost: for who waits for something else.

        While the socket is not read because of backpressure that is found out within about a second.
        """
        self._on_lost = callback

    def check(self) -> None:
        """Raise DataLost when the connection is known to be lost."""
        if self._end is StreamEnd.LOST or (self._sends and self._closed.done()):
            raise DataLost(f"data connection lost: {self._error or 'reset by the client'}") from self._error

    async def ready(self) -> bool:
        """Wait until something has come for `read_into`; False at the end of the stream (see `end`).

        Raises DataLost on a reset and DataStalled when the peer sends next to nothing for the stall timeout.
        """
        while not self._ahead:
            if self._has_surely_data():
                break
            self.check()
            if self._end is not StreamEnd.OPEN:
                return False
            if self._look_ahead():
                continue
            self._resume_reading()
            self._reader_waiter = self._loop.create_future()
            try:
                await self._receiving.wait(self._reader_waiter)
            finally:
                self._reader_waiter = None
        return True

    def read_into(self, room: memoryview) -> int:
        """Put what has been received into ``room``, as far as it goes; the number of bytes, 0 when what has come is
        TLS's own.

        Raises DataLost when it is no valid TLS.
        """
        count = min(len(self._ahead), len(room))
        room[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        if not self._ahead and self._end is StreamEnd.OPEN:
            expects_data = self._has_surely_data()
            try:
                count += self._codec.read_into(room[count:] if count else room)
            except ssl.SSLError as error:
                raise self._broken_tls(error) from error
            self._flush()
            if expects_data and not count and not self._codec.close_notify_received:
                self._lose(ConnectionAbortedError("the client sends nothing but TLS's own messages"))
                self.check()
        self.bytes_received += count
        return count

    def begin_sending(self) -> None:
        """From now on bytes go out only, and a client that closes its end has gone. `write` does it too."""
        if not self._sends:
            self._sends = True
            self._leave()
            self._drop_received()
            self._resume_reading()

    async def write(self, data: bytes | memoryview) -> None:
        """Send bytes; waits while asyncio's buffers are full.

        Raises DataLost when the peer is gone and DataStalled when it reads next to nothing for the stall timeout.
        """
        self.begin_sending()
        transport = self._require_open()
        # What does not go out at once is copied as the rest of a view, not as the rest of bytes and then once more.
        transport.write(memoryview(self._codec.write(data)))
        self.bytes_sent += len(data)
        if self._writing_paused or self._closed.done():
            await self._drain()

    async def finish(self) -> None:
        """End our sending in order: everything into the kernel, close_notify, FIN. Raises as `write` does.

        The connection is closed when the peer has closed its end, or after `_PEER_CLOSE_SECONDS`.
        """
        self.begin_sending()
        transport = self._require_open()
        transport.write(self._codec.end())
        # Pauses us until nothing is left.
        transport.set_write_buffer_limits(high=0)
        await self._drain()
        self._finished = True
        with contextlib.suppress(OSError):  # a client that has all it wants does not wait for our end
            transport.write_eof()
        if self._fin_received:
            self._close_transport()
        else:
            self._timer = self._loop.call_later(_PEER_CLOSE_SECONDS, transport.abort)

    async def wait_closed(self, timeout: float) -> None:
        """Wait until the connection is gone, at most ``timeout`` seconds."""
        await asyncio.wait([self._closed], timeout=timeout)

    def abort(self) -> None:
        """Drop the connection at once, so that the peer sees that the transfer failed."""
        transport = self._transport
        if transport is None or self._closed.done():
            return
        if self._sends and not self._finished:
            # In clear text a FIN would look like the end of the file: reset instead.
            with contextlib.suppress(OSError):  # the peer may be gone already
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def close(self) -> None:
        """Close after a received stream, by close_notify where the peer has not had it; idempotent.

        What the peer does not take in `_PEER_CLOSE_SECONDS` is dropped.
        """
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if self._end is not StreamEnd.CLOSE_NOTIFY:
                transport.write(self._codec.end())
            self._close_transport()

    # -- receiving --------------------------------------------------------------------------------------------------

    def _has_surely_data(self) -> bool:
        """Whether so much waits to be decrypted that there is data among it. Behind close_notify nothing is."""
        return (
            self._end is StreamEnd.OPEN
            and self._codec.pending > _SURELY_DATA_BYTES
            and not self._codec.close_notify_received
        )

    def _look_ahead(self) -> bool:
        """Find out whether there are bytes, or how the stream ended; False when neither is known."""
        try:
            self._ahead = self._codec.read(_LOOK_AHEAD_BYTES)
        except ssl.SSLError as error:
            raise self._broken_tls(error) from error
        self._flush()
        if self._ahead or self._end is StreamEnd.LOST:
            return True
        if self._codec.close_notify_received:
            self._end = StreamEnd.CLOSE_NOTIFY
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(self._codec.end())  # some clients wait for it before they read the reply
            self._close_transport()
        elif self._fin_received:
            self._end = StreamEnd.FIN
            if self._codec.inside_record:
                self._lose(ConnectionAbortedError("ended inside a TLS record"))
        elif self._closed.done():
            self._lose(self._error or ConnectionResetError("reset by the client"))
        return self._end is not StreamEnd.OPEN

    def _read_rest(self) -> None:
        """Once the connection is gone, whether it ended well before is in the bytes that are already here."""
        rest = bytearray(self._ahead)
        with contextlib.suppress(DataLost):
            while self._end is StreamEnd.OPEN:
                self._look_ahead()
                rest += self._ahead
        self._ahead = bytes(rest)

    def _broken_tls(self, error: ssl.SSLError) -> DataLost:
        self._lose(error)
        self._flush()  # the alert that tells the peer
        return DataLost(f"data connection lost: {error}")

    def _lose(self, error: Exception) -> None:
        self._end = StreamEnd.LOST
        self._error = error

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
            self._timer = self._loop.call_later(_PROBE_SECONDS, self._probe)

    def _resume_reading(self) -> None:
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
            if self._timer is not None:
                self._timer.cancel()

    def _probe(self) -> None:
        """Look for a reset that nobody hears of, because the socket is not read."""
        transport = self._transport
        if transport is None:
            return
        with contextlib.suppress(OSError, AttributeError):  # other systems have no TCP_INFO
            state = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            if state == _TCP_CLOSE_WAIT:
                # The whole stream is here. The system of a peer that has closed forgets the connection after a minute
                # and answers keepalive with a reset, which takes nothing away.
                return
            if state == _TCP_CLOSED:
                self._error = ConnectionResetError("reset by the client")
                transport.abort()
                return
        self._timer = self._loop.call_later(_PROBE_SECONDS, self._probe)

    def _leave(self) -> None:
        """It takes no more of what there is to receive for all."""
        if self._receives:
            self._receives = False
            received.leave()

    def _drop_received(self) -> None:
        """While we send, the peer has nothing to say but TLS's own messages, and that it goes."""
        try:
            while self._codec.read(_LOOK_AHEAD_BYTES):
                pass
        except ssl.SSLError as error:
            self._lose(error)
            self.abort()
        else:
            self._flush()
            if self._codec.close_notify_received and not self._finished:
                self.abort()

    # -- sending ----------------------------------------------------------------------------------------------------

    def _require_open(self) -> asyncio.Transport:
        transport = self._transport
        if transport is None or transport.is_closing() or self._closed.done():
            raise DataLost("the client closed the data connection")
        return transport

    async def _drain(self) -> None:
        while self._writing_paused and not self._closed.done():
            self._writer_waiter = self._loop.create_future()
            try:
                await self._sending.wait(self._writer_waiter)
            finally:
                self._writer_waiter = None
        if self._closed.done():
            raise DataLost("the client closed the data connection")

    def _unsent(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        data = self._codec.to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close_transport(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.close()
        if self._unsent():  # asyncio would wait for the peer to take it, without a limit
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(_PEER_CLOSE_SECONDS, transport.abort)

    # -- the handshake ----------------------------------------------------------------------------------------------

    def _go_on_with_handshake(self, handshake: asyncio.Future[None]) -> None:
        if self._tls is None:
            return
        try:
            done = self._tls.handshake()
        except ssl.SSLError as error:
            handshake.set_exception(error)
            done = False
        self._flush()
        self._acknowledge_quickly()
        if done:
            self._resumed = self._tls.resumed
            handshake.set_result(None)

    def _acknowledge_quickly(self) -> None:
        """Ask for immediate ACKs: Nagle and delayed ACKs would hold a handshake or a small upload back for 40 ms."""
        quickack = getattr(socket, "TCP_QUICKACK", None)
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is not None and quickack is not None:
            with contextlib.suppress(OSError):  # the peer may be gone already
                sock.setsockopt(socket.IPPROTO_TCP, quickack, 1)

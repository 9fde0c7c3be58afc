"""The server's side of TLS without any I/O: what came from the peer goes in, what is for the peer comes out.

asyncio's own TLS takes a buffer of 256 KiB for every connection, hands every piece over as new bytes, and does not tell
close_notify from a bare FIN. Over memory BIOs a connection costs a few KiB, decrypts straight into the memory where the
bytes are wanted, and knows how the stream ended.
"""

from __future__ import annotations

import contextlib
import ssl

__all__ = ("ClearText", "RecordBoundary", "TlsEngine")

_HEADER_BYTES = 5
"""Of a TLS record: its type, a version, and in the last two bytes the length of the rest (RFC 8446 section 5.1)."""


class RecordBoundary:
    """Follows a stream of TLS records and knows whether it has stopped inside one.

    An end there proves that the stream was cut: whoever means to end it, with or without close_notify, sends whole
    records (RFC 8446 section 5.1). OpenSSL reports both alike.
    """

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    @property
    def inside(self) -> bool:
        """Whether bytes of the last record are missing."""
        return self._left > 0 or self._header != b""

    def follow(self, data: bytes | memoryview) -> None:
        """Go on with the next bytes of the stream."""
        end = len(data)
        if self._header:
            taken = min(_HEADER_BYTES - len(self._header), end)
            self._header += data[:taken]
            if len(self._header) < _HEADER_BYTES:
                return
            position = taken + int.from_bytes(self._header[-2:])
            self._header = b""
        else:
            position = self._left
        # A GiB is 65,536 records at least: nothing is sliced for a whole one.
        while position + _HEADER_BYTES <= end:
            position += _HEADER_BYTES + (data[position + 3] << 8 | data[position + 4])
        self._left = max(position - end, 0)
        if position < end:
            self._header = bytes(data[position:])


class TlsEngine:
    """One connection's TLS state. Everything but the constructor may raise ssl.SSLError."""

    def __init__(self, context: ssl.SSLContext, *, hold_tickets: bool = False) -> None:
        """``hold_tickets`` keeps the session tickets that end a TLS 1.3 handshake back (RFC 8446 section 4.6.1) until
        there is something else to send."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._boundary = RecordBoundary()
        self._hold_tickets = hold_tickets
        self._tickets = b""
        self.close_notify_received = False
        """True once the peer's close_notify alert (RFC 8446 section 6.1) has been read."""

    @property
    def resumed(self) -> bool:
        """Whether the handshake resumed an earlier session."""
        return bool(self._tls.session_reused)

    @property
    def inside_record(self) -> bool:
        """Whether what was received so far stops inside a TLS record."""
        return self._boundary.inside

    @property
    def pending(self) -> int:
        """Bytes received that nobody has read yet."""
        return self._incoming.pending

    def receive(self, data: bytes | memoryview) -> None:
        """Take bytes that came from the peer."""
        self._incoming.write(data)
        self._boundary.follow(data)

    def to_send(self) -> bytes:
        """Give the bytes that have to be sent to the peer now; b"" when there are none."""
        if not self._outgoing.pending:
            return b""
        tickets, self._tickets = self._tickets, b""
        return tickets + self._outgoing.read()

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is done, False while the peer has to answer."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        if self._hold_tickets and self._tls.version() == "TLSv1.3":
            self._tickets = self._outgoing.read()  # the client has had the last word: nothing else is left to send
        return True

    def read(self, limit: int) -> bytes:
        """Give at most ``limit`` bytes in clear; b"" when more has to come first, or after close_notify."""
        if not self._incoming.pending and not self._tls.pending():
            return b""  # asking OpenSSL would cost an exception
        try:
            data = self._tls.read(limit)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            data = b""
        self.close_notify_received = self.close_notify_received or not data
        return data

    def read_into(self, room: memoryview) -> int:
        """Fill ``room`` as far as what was received goes; the number of bytes. 0 means the same as b"" from `read`."""
        read, size, filled = self._tls.read, len(room), 0
        with contextlib.suppress(ssl.SSLWantReadError):
            try:
                while filled < size:
                    # A memoryview as the buffer makes `read` give the number of bytes.
                    count = int(read(size - filled, room[filled:]))
                    if not count:
                        self.close_notify_received = True
                        break
                    filled += count
            except ssl.SSLZeroReturnError:
                self.close_notify_received = True
        return filled

    def write(self, data: bytes | memoryview) -> bytes:
        """Encrypt; gives the bytes to send."""
        if data:
            self._tls.write(data)
        return self.to_send()

    def end(self) -> bytes:
        """End our direction by close_notify; gives the bytes to send."""
        with contextlib.suppress(ssl.SSLError):  # the peer's own is not waited for
            self._tls.unwrap()
        return self.to_send()


class ClearText:
    """What `TlsEngine` is for TLS, with the same methods: bytes go in and come out as they are."""

    close_notify_received = False
    inside_record = False

    def __init__(self) -> None:
        self._incoming = ssl.MemoryBIO()  # the standard library's queue of bytes that are written and read in pieces

    @property
    def pending(self) -> int:
        """Bytes received that nobody has read yet."""
        return self._incoming.pending

    def receive(self, data: memoryview) -> None:
        """Take bytes that came from the peer."""
        self._incoming.write(data)

    def to_send(self) -> bytes:
        """There is nothing but data to send."""
        return b""

    def read(self, limit: int) -> bytes:
        """Give at most ``limit`` bytes; b"" when there are none."""
        return self._incoming.read(limit)

    def read_into(self, room: memoryview) -> int:
        """Fill ``room`` as far as what was received goes; the number of bytes."""
        data = self._incoming.read(len(room))
        room[: len(data)] = data
        return len(data)

    def write(self, data: bytes | memoryview) -> bytes | memoryview:
        """Give the bytes to send: the same."""
        return data

    def end(self) -> bytes:
        """The end of clear text is told by FIN alone."""
        return b""

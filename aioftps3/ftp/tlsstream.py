"""The server's side of TLS on a control connection, over aioftp's reader and writer.

asyncio's own TLS takes a buffer of 256 KiB for every connection, which is most of what an idle session would cost; and
its upgrade of a running connection has to be kept from reading ahead. A control connection moves little, so that memory
BIOs and a few lines serve it better. Data connections use asyncio's (data.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

__all__ = ("TlsStream",)

_READ_BYTES = 4096
"""Bytes taken from the stream at once; a whole TLS record needs some turns, which is no matter for commands."""


class TlsStream:
    """An encrypted stream inside a clear one. Nothing else may use the reader and the writer afterwards."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        """Do the handshake. Raises ssl.SSLError, or ConnectionError when the client goes away."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                if not await self._receive():
                    raise ConnectionResetError("the client closed the connection during the TLS handshake") from None
            else:
                return
            finally:
                self._flush()

    async def read(self) -> bytes:
        """The next bytes in clear, b"" at the end, in whichever way it comes. Cancelling loses nothing.

        Raises ssl.SSLError and ConnectionError.
        """
        while True:
            try:
                return self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                if not await self._receive():
                    return b""
            finally:
                self._flush()  # answers of TLS itself: key updates, alerts

    def write(self, data: bytes) -> None:
        """Hand bytes to the writer, encrypted; the caller drains it. Raises ssl.SSLError after the end."""
        self._tls.write(data)
        self._flush()

    def end(self) -> None:
        """Send close_notify."""
        with contextlib.suppress(ssl.SSLError):  # the client's own is not waited for
            self._tls.unwrap()
        self._flush()

    async def _receive(self) -> bool:
        self._flush()
        data = await self._reader.read(_READ_BYTES)
        self._incoming.write(data)
        return bool(data)

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._writer.write(data)

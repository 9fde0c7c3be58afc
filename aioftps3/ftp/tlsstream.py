"""TLS on a control connection, over aioftp's reader and writer (RFC 4217 section 4)."""

from __future__ import annotations

import asyncio
import ssl

from aioftps3.ftp.tlsengine import TlsEngine

__all__ = ("TlsStream",)

_READ_BYTES = 4096
"""Bytes taken from the stream at once; a whole TLS record needs some turns, which is no matter for commands."""


class TlsStream:
    """An encrypted stream inside a clear one. Nothing else may use the reader and the writer afterwards."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._engine = TlsEngine(context)

    async def handshake(self) -> None:
        """Do the handshake. Raises ssl.SSLError, or ConnectionError when the client goes away."""
        try:
            while not self._engine.handshake():
                if not await self._receive():
                    raise ConnectionResetError("the client closed the connection during the TLS handshake")
        finally:
            self._flush()

    async def read(self) -> bytes:
        """The next bytes in clear, b"" at the end, in whichever way it comes. Cancelling loses nothing.

        Raises ssl.SSLError and ConnectionError.
        """
        try:
            while not (data := self._engine.read(_READ_BYTES)):
                if self._engine.close_notify_received or not await self._receive():
                    break
            return data
        finally:
            self._flush()  # answers of TLS itself: key updates, alerts

    def write(self, data: bytes) -> None:
        """Hand bytes to the writer, encrypted; the caller drains it. Raises ssl.SSLError after the end."""
        self._writer.write(self._engine.write(data))

    def end(self) -> None:
        """Send close_notify."""
        self._writer.write(self._engine.end())

    async def _receive(self) -> bool:
        self._flush()
        await self._writer.drain()  # each key update is answered: who does not read the answers is not read either
        data = await self._reader.read(_READ_BYTES)
        self._engine.receive(data)
        return bool(data)

    def _flush(self) -> None:
        data = self._engine.to_send()
        if data:
            self._writer.write(data)

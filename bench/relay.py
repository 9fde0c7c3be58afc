"""A proxy in front of an S3 that counts requests and holds each one back: `python -m bench.relay PORT S3_PORT`.

Heads are read to count and to delay; all else, signatures too, goes through as it is. Plain HTTP on loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from bench.wire import HEAD_END, Control, parse_head

__all__ = ("Relay",)

CHUNK_BYTES = 256 * 1024

HOST = "127.0.0.1"


class Relay:
    """Each connection of a client has one of its own to S3."""

    def __init__(self, s3_port: int) -> None:
        self._s3_port = s3_port
        self.control = Control()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it goes or S3 does."""
        back: asyncio.Task[None] | None = None
        forth: asyncio.StreamWriter | None = None
        try:
            from_s3, forth = await asyncio.open_connection(HOST, self._s3_port, limit=CHUNK_BYTES)
            back = asyncio.create_task(_copy(from_s3, writer))
            while True:
                await self._request(reader, writer, forth)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # either side has gone, or talks no HTTP
        finally:
            if back is not None:
                back.cancel()
            for end in (writer, forth):
                if end is not None:
                    end.close()

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, forth: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(HEAD_END)
        request = parse_head(head.removesuffix(HEAD_END))
        if "transfer-encoding" in request.headers:
            raise ValueError("a request without a length")
        if request.is_control:
            writer.write(self.control.answer(request))
            return
        self.control.counts[request.operation] += 1
        if self.control.delay_seconds:
            await asyncio.sleep(self.control.delay_seconds)
        forth.write(head)
        left = request.length
        while left:
            chunk = await reader.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise EOFError
            left -= len(chunk)
            forth.write(chunk)
            await forth.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _serve(port: int, s3_port: int) -> None:
    relay = Relay(s3_port)
    server = await asyncio.start_server(relay.serve, HOST, port, limit=CHUNK_BYTES, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))

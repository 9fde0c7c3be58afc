"""Objects of any size, read to their end whatever happens to the streams on the way.

What must stay true:

- What is given is one version of the object, in order and without a gap; it ends after the last byte, or by an error.
- One GET is enough while its stream lasts and nothing else was asked for: that way has nothing to pay for the others.
- After `close` nothing is read any more.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator

from aioftps3.s3.client import S3Client
from aioftps3.s3.errors import ChecksumMismatch, ObjectChanged, S3Error, S3TransportError
from aioftps3.s3.getobject import GetObject
from aioftps3.s3.models import ObjectInfo
from aioftps3.s3.parts import MIB
from aioftps3.s3.ranges import Pace, Parallel, Ranges
from aioftps3.s3.version import RESUMES, Version

RESUME_BYTES = 8 * MIB
"""After so many bytes without a break earlier ones are forgotten: what is read for hours may break now and then."""

_log = logging.getLogger(__name__)


class Download:
    """The object that `stream` is the beginning of, to its end or up to byte `end`. Leave it by `close`.

    With `parallel` a large one is read by several GETs at a time as soon as S3 is the slower side.
    """

    def __init__(
        self, client: S3Client, stream: GetObject, *, end: int | None = None, parallel: Parallel | None = None
    ) -> None:
        """`end` is where the stream ends, too; `parallel` always reads to the end of the object."""
        self._version = Version(client, stream.info)
        self._end = stream.info.size if end is None else end
        self._stream = stream
        self._ranges: Ranges | None = None
        """What reads in place of the stream."""
        self._position = self._break = stream.offset
        self._resumes = RESUMES
        self._parallel = parallel

    @property
    def info(self) -> ObjectInfo:
        """The whole object."""
        return self._version.info

    def chunks(self) -> AsyncIterator[bytes]:
        """Give the content to its end, up to 512 KiB at a time; can be used once.

        Raises:
            ObjectChanged: it has become another one.
            ChecksumMismatch: the whole object came, and is not what was stored; the last chunk is held back.
            S3Error: it cannot be read on.
        """
        left = self._end - self._position
        if self._parallel is None or left < self._parallel.least_bytes:
            return self._plain()
        return self._watched(self._parallel)

    async def close(self) -> None:
        """Stop. Idempotent; connections with unread content are closed."""
        if self._ranges is not None:
            await self._ranges.close()
        await self._stream.close()

    async def _plain(self) -> AsyncIterator[bytes]:
        stream = self._stream
        while True:
            try:
                async for chunk in stream.received():
                    stream.check(chunk)
                    self._position += len(chunk)
                    yield chunk
                stream.check_end()
                return
            except S3TransportError as error:
                if self._position == self._end:
                    return
                self._count_break(error)
            stream = await self._reopened()

    async def _watched(self, parallel: Parallel) -> AsyncIterator[bytes]:
        """The same, while S3 is compared with the client and the number of GETs adapted to that."""
        chunks = self._stream.chunks()
        pace = Pace()
        while True:
            asked = parallel.clock()
            try:
                chunk = await anext(chunks, b"")
            except S3Error as error:
                if self._position == self.info.size and isinstance(error, S3TransportError):
                    return
                chunks, pace = await self._mended(error), Pace()
                continue
            if not chunk:
                if self._position == self.info.size:
                    return
                chunks, pace = (await self._reopened()).chunks(), Pace()
                continue
            came = parallel.clock()
            self._position += len(chunk)
            yield chunk
            pace.add(len(chunk), waited=came - asked, taken=parallel.clock() - came)
            if pace.moved >= (parallel.measured_bytes if self._ranges is None else self._ranges.measured_bytes):
                chunks, pace = await self._adapted(chunks, pace), Pace()

    async def _adapted(self, chunks: AsyncGenerator[bytes, None], pace: Pace) -> AsyncGenerator[bytes, None]:
        """Where the next chunks come from."""
        if self._ranges is not None:
            self._ranges.adapt(pace)
            return chunks
        if self._parallel is None or not pace.is_held_up_by_s3:
            return chunks
        ranges = Ranges(self._version, self._parallel, self._position, self._stream.verification)
        if not ranges.begin():
            return chunks
        _log.debug(
            "S3 is slower than its client: going on from byte %d of %d in ranges", self._position, self.info.size
        )
        self._ranges = ranges
        await chunks.aclose()
        await self._stream.close()
        return ranges.chunks()

    async def _mended(self, error: S3Error) -> AsyncGenerator[bytes, None]:
        """The chunks after one of the streams has failed; raises the error when there is no way."""
        if isinstance(error, ObjectChanged | ChecksumMismatch):
            raise error
        if self._ranges is not None:
            _log.warning("a range failed, going on with one stream at byte %d: %s", self._position, error)
            self._parallel = None
        elif isinstance(error, S3TransportError):
            self._count_break(error)
        else:
            raise error
        return (await self._reopened()).chunks()

    async def _reopened(self) -> GetObject:
        """One stream, from the position on."""
        await self.close()
        self._ranges = None
        left = None if self._end == self.info.size else self._end - self._position
        self._stream = await self._version.open(self._position, left, verification=self._stream.verification)
        return self._stream

    def _count_break(self, error: S3TransportError) -> None:
        """Say that reading goes on; raises the error when that has been so too often."""
        if self._position - self._break >= RESUME_BYTES:
            self._resumes = RESUMES
        self._break = self._position
        if not self._resumes:
            raise error
        self._resumes -= 1
        _log.warning("download broke at byte %d of %d, going on: %s", self._position, self.info.size, error)

"""The content of an object while it arrives: one GetObject request and its one connection."""

from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Self

from aioftps3.s3 import responses
from aioftps3.s3.checksums import Verification
from aioftps3.s3.errors import BodyTruncated, S3ProtocolError
from aioftps3.s3.models import ObjectInfo
from aioftps3.s3.sender import Answer
from aioftps3.s3.transport import Response

PARTIAL_CONTENT = 206


class GetObject:
    """The content of an object, from `offset` on, while it arrives. Leave it by `close`, or use `async with`."""

    def __init__(
        self,
        response: Response,
        info: ObjectInfo,
        offset: int,
        length: int,
        verification: Verification | None = None,
    ) -> None:
        self._response = response
        self._left = length
        self.info = info
        """The whole object's; `info.size` is its full size."""
        self.offset = offset
        """Position in the object of the first byte of `chunks`."""
        self.length = length
        """Bytes that `chunks` gives."""
        self.verification = verification
        """Checks what `chunks` gives; hand it on to go on with the object after this stream has broken."""

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give the content as it comes, up to 512 KiB at a time; can be used once.

        Content that is not what its checksum says ends by an error in place of its last chunk, so that nobody has all
        of it and takes it for good.

        Raises:
            ChecksumMismatch: the whole object came, and is not what was stored.
            BodyTruncated: it ended early.
            S3TransportError: the connection was lost.
            S3ProtocolError: more came than was announced.
        """
        async for chunk in self.received():
            self.check(chunk)
            yield chunk
        self.check_end()

    def received(self) -> AsyncIterator[bytes]:
        """Give what comes, unchecked: for whoever calls `check` before he uses a chunk, and `check_end` after the last.
        It spares the way through one more generator."""
        return self._response.chunks()

    def check(self, chunk: bytes) -> None:
        """Take the next chunk into account; raises as `chunks` does."""
        self._left -= len(chunk)
        if self._left < 0:
            raise S3ProtocolError("the body of the answer is longer than announced")
        if self.verification is not None:
            self.verification.update(chunk)

    def check_end(self) -> None:
        """See that nothing is missing; raises BodyTruncated."""
        if self._left:
            raise BodyTruncated(f"the body of S3's answer ended {self._left} bytes early")

    async def close(self) -> None:
        """Stop. Idempotent; a connection with unread content is closed."""
        await self._response.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def opened_object(key: str, answer: Answer, offset: int, length: int | None) -> tuple[ObjectInfo, int]:
    """Read the headers of GetObject: the object's info, and the number of bytes that will come.

    Raises:
        S3ProtocolError: they are not an object's, or of another range than `offset` and `length` ask for.
    """
    if answer.status != PARTIAL_CONTENT:
        if offset:
            raise S3ProtocolError("a range was asked for, and the whole object came")
        info = responses.object_info(key, answer.headers)
        if length is not None and info.size > length:
            raise S3ProtocolError("a range was asked for, and the whole object came")
        return info, info.size
    first, last, size = responses.content_range(answer.headers)
    if first != offset or (length is not None and last - first >= length) or (length is None and last != size - 1):
        raise S3ProtocolError("another range came than was asked for")
    return responses.object_info(key, answer.headers, size=size), last - first + 1

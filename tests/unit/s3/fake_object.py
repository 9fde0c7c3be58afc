"""One object behind the Transport seam, that is only read: piece by piece, on a clock of its own, with faults."""

import asyncio
import base64
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from aioftps3.s3.errors import BodyTruncated, ConnectionBroken, RequestTimedOut
from aioftps3.s3.models import Body
from aioftps3.s3.transport import Request, Response
from tests.unit.s3.fakes import MODIFIED, Answered, etag, header


@dataclass(frozen=True)
class Broken:
    """Fault: the body breaks off after so many bytes."""

    after: int
    how: str = "reset"
    """reset, stall or end."""


@dataclass(frozen=True)
class Replaced:
    """Fault: before this request is answered somebody stores another object, or deletes this one."""

    by: bytes | None


ReadFault = Answered | Broken | Replaced


@dataclass
class Clock:
    """Seconds that pass only where the test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeObject:
    """A `Transport`. Each piece of a body takes S3 a second."""

    data: bytes | None
    piece: int = 7
    careful: bool = True
    """Whether it knows conditions."""
    damaged: int | None = None
    """Position of a byte that is given as another one than was stored."""
    clock: Clock = field(default_factory=Clock)
    faults: dict[int, ReadFault] = field(default_factory=dict)
    """By the number of the request, from 0."""
    requests: list[tuple[int, int | None]] = field(default_factory=list)
    """First and last byte that were asked for; no last one: to the end."""
    conditions: list[str | None] = field(default_factory=list)
    reading: int = 0
    """Bodies that are neither closed nor at their end."""
    most_reading: int = 0
    given: int = 0
    """Bytes of bodies."""

    async def close(self) -> None:
        pass

    async def send(self, request: Request, body: Body | None) -> Response:
        number = len(self.requests)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", header(request, "range") or "bytes=0-")
        assert wanted is not None
        first, last = int(wanted[1]), int(wanted[2]) if wanted[2] else None
        self.requests.append((first, last))
        self.conditions.append(header(request, "if-match"))
        await asyncio.sleep(0)
        fault = self.faults.get(number)
        if isinstance(fault, Replaced):
            self.data = fault.by
        if isinstance(fault, Answered):
            return _Response(self, fault.status, fault.headers, fault.content())
        return self._answer(first, last, request, fault if isinstance(fault, Broken) else None)

    def _answer(self, first: int, last: int | None, request: Request, broken: Broken | None) -> Response:
        data, condition = self.data, header(request, "if-match")
        if data is None:
            return _Response(self, 404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
        if self.careful and condition not in (None, etag(data)):
            return _Response(self, 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>")
        headers = {"etag": etag(data), "last-modified": MODIFIED}
        shown = bytearray(data)
        if self.damaged is not None:
            shown[self.damaged] ^= 1
        if header(request, "range") is None:
            if header(request, "x-amz-checksum-mode"):
                headers["x-amz-checksum-crc32"] = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
            return _Response(self, 200, {**headers, "content-length": str(len(data))}, bytes(shown), broken)
        if first >= len(data):
            return _Response(self, 416, {}, b"<Error><Code>InvalidRange</Code></Error>")
        end = len(data) if last is None else min(last + 1, len(data))
        headers |= {"content-length": str(end - first), "content-range": f"bytes {first}-{end - 1}/{len(data)}"}
        return _Response(self, 206, headers, bytes(shown[first:end]), broken)


class _Response:
    def __init__(
        self, fake: FakeObject, status: int, headers: Mapping[str, str], body: bytes, broken: Broken | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        self._fake = fake
        self._body = body
        self._broken = broken
        self._is_read = False
        fake.reading += 1
        fake.most_reading = max(fake.most_reading, fake.reading)

    async def chunks(self) -> AsyncIterator[bytes]:
        end = len(self._body) if self._broken is None else self._broken.after
        for start in range(0, min(end, len(self._body)), self._fake.piece):
            await asyncio.sleep(0)
            assert not self._is_read, "read after it was closed"
            chunk = self._body[start : min(start + self._fake.piece, end)]
            self._fake.clock.now += 1
            self._fake.given += len(chunk)
            yield chunk
        await asyncio.sleep(0)
        await self.close()
        if self._broken is not None:
            match self._broken.how:
                case "reset":
                    raise ConnectionBroken("reset", may_have_acted=True)
                case "stall":
                    raise RequestTimedOut("silent", may_have_acted=True)
                case _:
                    raise BodyTruncated("ended")

    async def read(self, limit: int) -> bytes:
        await asyncio.sleep(0)
        return self._body

    async def close(self) -> None:
        if not self._is_read:
            self._is_read = True
            self._fake.reading -= 1

"""Bodies on their way in: read in blocks, hashed as they come, checked against what the headers promise."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aioftps3.embedded.digests import ALGORITHMS, Hash, decode_digest, encode_digest, new_hash
from aioftps3.embedded.errors import Refusal, bad_digest, entity_too_large, invalid_request
from aioftps3.embedded.state import Blob, Checksum
from aioftps3.embedded.verifier import UNSIGNED_PAYLOAD

if TYPE_CHECKING:
    from aioftps3.embedded.state import BlobWriter, Store
    from aioftps3.embedded.wire import Call

BLOCK = 1024 * 1024
"""Bytes that are gathered before they are hashed and stored in one go."""

INLINE_BLOCK = 64 * 1024
"""Up to this many bytes are hashed and stored in the event loop: handing them to a thread costs more."""

MAX_DOCUMENT = 2 * 1024 * 1024
"""Longest XML document that is read: a CompleteMultipartUpload of 10,000 parts has about 1 MiB."""

MD5_BYTES = 16

_CHECKSUM_PREFIX = "x-amz-checksum-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A stored body."""

    blob: Blob
    etag: str
    """Hex MD5."""
    checksum: Checksum | None


class Expectations:
    """What the headers promise about a body, and the hashes that are needed to hold it against them."""

    def __init__(self, call: Call, *, algorithm: str | None = None, of_body: bool = True) -> None:
        """``algorithm`` is a checksum to compute even when the client sent none; without ``of_body`` the additional
        checksum in the headers is about something else than this body.

        Raises:
            Refusal: InvalidDigest, InvalidRequest
        """
        self.algorithm = algorithm
        self.md5: bytes | None = None
        self.checksum: bytes | None = None
        self._payload = call.payload
        if (content_md5 := call.header("content-md5")) is not None:
            self.md5 = decode_digest(content_md5, MD5_BYTES)
            if self.md5 is None:
                raise Refusal("InvalidDigest", 400, "The Content-MD5 you specified is not valid.")
        if of_body and (sent := sent_checksum(call)) is not None:
            self.algorithm, self.checksum = sent
        self._hashes: dict[str, Hash] = {"md5": new_hash("md5")}
        if self._payload != UNSIGNED_PAYLOAD:
            self._hashes["sha256"] = new_hash("sha256")
        if self.algorithm is not None and self.algorithm not in self._hashes:
            self._hashes[self.algorithm] = new_hash(self.algorithm)

    def update(self, data: bytes) -> None:
        for hashed in self._hashes.values():
            hashed.update(data)

    @property
    def etag(self) -> str:
        return self._hashes["md5"].digest().hex()

    def result(self) -> Checksum | None:
        """The additional checksum of the whole body, if one is wanted."""
        if self.algorithm is None:
            return None
        return Checksum(algorithm=self.algorithm, value=encode_digest(self._hashes[self.algorithm].digest()))

    def check(self) -> None:
        """Raises XAmzContentSHA256Mismatch or BadDigest when the body is not what was promised."""
        if self._payload != UNSIGNED_PAYLOAD and (computed := self._hashes["sha256"].digest().hex()) != self._payload:
            raise Refusal(
                "XAmzContentSHA256Mismatch",
                400,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                details={
                    "ClientComputedContentSHA256": self._payload,
                    "S3ComputedContentSHA256": computed,
                },
            )
        if self.md5 is not None and self._hashes["md5"].digest() != self.md5:
            raise bad_digest("Content-MD5")
        if self.algorithm is not None and self.checksum not in (None, self._hashes[self.algorithm].digest()):
            raise bad_digest(self.algorithm.upper())


def is_checksum(header: str) -> bool:
    """Whether a header (lower case) carries an additional checksum that is verified here."""
    return header.startswith(_CHECKSUM_PREFIX) and header[len(_CHECKSUM_PREFIX) :] in ALGORITHMS


def sent_checksum(call: Call) -> tuple[str, bytes] | None:
    """The additional checksum in the headers: algorithm and digest.

    Raises:
        Refusal: InvalidRequest when there are several, or the value cannot be one
    """
    sent = [(name[len(_CHECKSUM_PREFIX) :], value) for name, value in call.wire.headers if is_checksum(name)]
    if not sent:
        return None
    if len(sent) > 1:
        raise invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    algorithm, value = sent[0]
    digest = decode_digest(value, ALGORITHMS[algorithm])
    if digest is None:
        raise invalid_request(f"Value for x-amz-checksum-{algorithm} header is invalid.")
    return algorithm, digest


async def receive_blob(call: Call, store: Store, *, limit: int, algorithm: str | None = None) -> Received:
    """Store the body. On any failure, a lost connection included, nothing is kept.

    Raises:
        Refusal: MissingContentLength, EntityTooLarge, InvalidDigest, BadDigest, XAmzContentSHA256Mismatch
    """
    length = call.body.length
    if length is None:
        raise Refusal("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
    if length > limit:
        raise entity_too_large(length, limit)
    expected = Expectations(call, algorithm=algorithm)
    writer = store.writer()
    try:
        await _copy(call, writer, expected)
        expected.check()
    except BaseException:
        writer.abandon()
        raise
    return Received(blob=writer.finish(), etag=expected.etag, checksum=expected.result())


async def receive_document(call: Call, *, limit: int = MAX_DOCUMENT, of_body: bool = True) -> bytes:
    """Read a short body into memory, checked like any other; also for requests that should have none.

    ``of_body`` as in Expectations.

    Raises:
        Refusal: MaxMessageLengthExceeded, InvalidDigest, BadDigest, XAmzContentSHA256Mismatch
    """
    expected = Expectations(call, of_body=of_body)
    received = bytearray()
    while data := await call.body.read():
        received += data
        if len(received) > limit:
            raise Refusal("MaxMessageLengthExceeded", 400, "Your request was too large.")
    expected.update(bytes(received))
    expected.check()
    return bytes(received)


async def _copy(call: Call, writer: BlobWriter, expected: Expectations) -> None:
    """Read block after block; while a thread hashes and stores one, the next is read."""
    work: asyncio.Future[None] | None = None
    try:
        at_end = False
        while not at_end:
            block, at_end = await _read_block(call)
            if work is not None:
                await _finished(work)
                work = None
            if sum(map(len, block)) <= INLINE_BLOCK:
                _absorb(block, writer, expected)
            else:
                work = asyncio.ensure_future(asyncio.to_thread(_absorb, block, writer, expected))
    finally:
        if work is not None:
            await _finished(work)


async def _read_block(call: Call) -> tuple[list[bytes], bool]:
    """The next BLOCK bytes or more, and whether the body is at its end."""
    block: list[bytes] = []
    size = 0
    while size < BLOCK:
        data = await call.body.read()
        if not data:
            return block, True
        block.append(data)
        size += len(data)
    return block, False


async def _finished(work: asyncio.Future[None]) -> None:
    """Wait for a thread, past cancellation: nobody may abandon a writer that a thread is still writing to."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _absorb(block: list[bytes], writer: BlobWriter, expected: Expectations) -> None:
    for data in block:
        expected.update(data)
        writer.write(data)

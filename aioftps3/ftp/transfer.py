"""One transfer from its data port to its final reply: a file in, a file out, or a listing out.

What must stay true:

- 150 is sent when all is known that the session and the store can say against the transfer, and before the data
  connection is waited for: some clients connect only then, others have long done so. 425 can follow it, also when the
  time of the port is already over.
- An upload is committed only when its stream has provably ended well (`_check_end`); everything else leaves the `open`
  context by an exception, which aborts it.
- The final reply is made after the file is committed, or after the last byte has left for the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import PurePosixPath
from typing import NoReturn, Self

from aioftps3.ftp.config import UploadEnd
from aioftps3.ftp.data import DataConnection, DataLost, StreamEnd
from aioftps3.ftp.lineends import FromWire, ToWire
from aioftps3.ftp.pathio import S3File
from aioftps3.ftp.replies import Reply, ReplyError
from aioftps3.ftp.session import Session, Transfer
from aioftps3.storage.tree import Entry
from aioftps3.tls import SESSION_SECONDS

__all__ = ("receive_file", "send_file", "send_pages")

_GRACE_SECONDS = 0.05
"""The least time that the control connection must outlive an upload that ended without close_notify."""

_GRACE_ROUND_TRIPS = 4
"""The same in round trips: enough for the FIN of a killed client's control connection to arrive."""

_LINGER_SECONDS = 1.0
"""How long a finished download may wait for the client's end of the data connection, so that 226 does not overtake the
data, before 226 is sent anyway."""

_NO_POSITIONS = "Positions in text whose line ends are converted are not known: send TYPE I or REST 0."

_TEXT_BYTES = 64 * 1024
"""Bytes of text received at once, when their line ends are converted."""


_ABORT_TURNS = 6
"""Turns of the loop between the end of an upload and its commit. Clients that abort say ABOR and end their data in
order; both arrive together, and it takes so many turns until ABOR is read, wakes the dispatcher and cancels us."""


class _DataPort:
    """The listener of one transfer as a context: whatever happens, its port and its connection are given back."""

    def __init__(self, session: Session, verb: str, name: str) -> None:
        self._session = session
        self.transfer = session.transfer = Transfer(verb, name)
        self._listener = session.take_listener()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or self.transfer.data is None:
            self._listener.close()

    async def announce(self, opening: Reply) -> None:
        """Send the 150."""
        await self._session.send(opening)
        self.transfer.announced = True

    async def connection(self) -> DataConnection:
        """The data connection. Raises ReplyError 425 when it does not come up, 522 or 421 when its TLS is not as
        required."""
        try:
            self.transfer.data = await self._listener.connection()
        except DataLost as error:
            raise ReplyError(425, f"Cannot open the data connection: {error}.") from error
        if self._session.protection == "P":
            resumed = "resumed" if self.transfer.data.resumed else "new"
            self._session.log.debug("data connection with a %s TLS session", resumed)
            if self._session.config.require_tls_resumption and not self.transfer.data.resumed:
                self._refuse_new_tls_session()
        return self.transfer.data

    def _refuse_new_tls_session(self) -> NoReturn:
        if time.monotonic() - self._session.since < SESSION_SECONDS:
            raise ReplyError(522, "Data connections must resume the TLS session of the control connection.")
        # Many clients know no session but that of their control connection: with a new one they can go on.
        self._session.closing = True
        raise ReplyError(421, "The TLS session is too old to be resumed: please connect again.")


async def receive_file(
    session: Session, path: PurePosixPath, *, verb: str, mode: str = "wb", opening: Reply | None = None
) -> Reply:
    """STOR: the client's bytes to a file, whole or not at all; behind what there is for mode ``ab``, for ``r+b`` behind
    what there is up to the position of REST. ``opening`` is the 150 to send."""
    offset = session.restart_offset if mode == "r+b" else None
    if session.converts_text and offset:
        raise ReplyError(554, _NO_POSITIONS)
    async with _DataPort(session, verb, str(path)) as port:
        transfer = port.transfer
        async with session.path_io.open(path, mode=mode, offset=offset, expected_size=session.allocated) as file:
            where = f", behind {file.kept} bytes that are there" if file.kept else ""
            try:
                usual = Reply(150, f"Ready to receive {path.name}{where}.")
                data = await _take_file(session, port, file, opening or usual)
            except Exception as error:
                transfer.failure = error
                raise
            transfer.committing = True
        data.close()
    session.tell_transfer("stored")
    return Reply(226, f"Stored {transfer.bytes_moved} bytes.")


async def _take_file(session: Session, port: _DataPort, file: S3File, opening: Reply) -> DataConnection:
    """All bytes of the client to a file that may then be committed. Raises ReplyError, and PathIOError."""
    await port.announce(opening)
    data = await port.connection()
    try:
        await (_receive_text if session.converts_text else _receive)(data, file)
    except DataLost as error:
        raise ReplyError(426, f"Upload cut, nothing stored: {error}.") from error
    await _check_end(session, data, file.kept)
    for _ in range(_ABORT_TURNS):
        await asyncio.sleep(0)
    return data


async def _receive(data: DataConnection, file: S3File) -> None:
    """Move bytes from the connection to the file until the end of the stream.

    Raises DataLost, and PathIOError when the file cannot be stored.
    """
    async with _interruptible(data, file):
        while await data.ready():
            with await file.room() as room:
                file.filled(data.read_into(room))


async def _receive_text(data: DataConnection, file: S3File) -> None:
    """`_receive`, with the line ends that the store keeps."""
    room = memoryview(bytearray(_TEXT_BYTES))
    lines = FromWire()
    async with _interruptible(data, file):
        while await data.ready():
            await file.write(lines.convert(bytes(room[: data.read_into(room)])))
        await file.write(lines.rest())


@contextlib.asynccontextmanager
async def _interruptible(data: DataConnection, upload: S3File | None = None) -> AsyncGenerator[None, None]:
    """Whatever is waited for inside, raises DataLost when the connection is lost, and what has ended the upload when it
    can no longer succeed: nobody holds memory or reads S3 for a client that has gone, or waits for one in vain."""
    loop = asyncio.get_running_loop()
    inside = True
    try:
        async with asyncio.timeout(None) as waiting:

            def end() -> None:
                if inside and not waiting.expired():
                    waiting.reschedule(loop.time())

            data.on_lost(end)
            if upload is not None:
                upload.on_broken(end)
            try:
                data.check()
                yield
            finally:
                inside = False
                data.on_lost(None)
    except TimeoutError:
        data.check()
        if upload is not None:
            await upload.room()
        raise


async def _check_end(session: Session, data: DataConnection, kept: int) -> None:
    """Raise ReplyError unless the stream's end proves that the client sent all it wanted to.

    ``kept`` bytes were there before. Clients that go on from there announce either what they send, or the whole file.
    """
    if data.end is not StreamEnd.CLOSE_NOTIFY and session.config.upload_end is not UploadEnd.TRUSTING:
        if session.config.upload_end is UploadEnd.STRICT:
            raise ReplyError(426, "Upload ended without TLS close_notify and may be cut, nothing stored.")
        # A client that was killed closes its control connection too, and the session then cancels this transfer.
        await asyncio.sleep(max(_GRACE_SECONDS, _GRACE_ROUND_TRIPS * session.channel.round_trip_seconds))
        if session.channel.lost or not session.watched:
            raise ReplyError(426, "Upload cut, nothing stored.")
    announced = session.allocated
    came = data.bytes_received
    if announced is not None and session.transfer_type == "I" and announced not in (came, kept + came):
        raise ReplyError(426, f"ALLO announced {announced} bytes but {came} came, nothing stored.")


async def send_file(session: Session, path: PurePosixPath, *, verb: str) -> Reply:
    """RETR: a file from the REST position to its end. Raises PathIOError before 150 when there is none."""
    offset = session.restart_offset
    lines = ToWire() if session.converts_text else None
    if lines is not None and offset:
        raise ReplyError(554, _NO_POSITIONS)
    async with (
        _DataPort(session, verb, str(path)) as port,
        session.path_io.open(path, mode="rb", offset=offset) as file,
    ):
        mode, size = ("BINARY", f" ({file.entry.size} bytes)") if lines is None else ("ASCII", "")
        await port.announce(Reply(150, f"Opening {mode} mode data connection for {path.name}{size}."))
        data = await port.connection()
        data.begin_sending()
        try:
            async with _interruptible(data):
                while chunk := await file.next_chunk():
                    await data.write(chunk if lines is None else lines.convert(chunk))
                await data.finish()
            await data.wait_closed(_LINGER_SECONDS)
        except DataLost as error:
            raise ReplyError(426, f"Download cut: {error}.") from error
    session.tell_transfer("sent")
    return Reply(226, "Transfer complete.")


async def send_pages(
    session: Session,
    pages: AsyncGenerator[Sequence[Entry], None],
    lines: Callable[[Sequence[Entry]], bytes],
    *,
    verb: str,
    name: str,
) -> Reply:
    """LIST, NLST, MLSD: pages of entries through a formatter to the client, one page in memory."""
    async with contextlib.aclosing(pages), _DataPort(session, verb, name) as port:
        page: Sequence[Entry] | None = await anext(pages, None)
        await port.announce(Reply(150, f"Opening data connection for the listing of {name}."))
        data = await port.connection()
        data.begin_sending()
        entries = 0
        try:
            async with _interruptible(data):
                while page is not None:
                    if page:
                        entries += len(page)
                        await data.write(lines(page))
                    page = await anext(pages, None)
                await data.finish()
            await data.wait_closed(_LINGER_SECONDS)
        except DataLost as error:
            raise ReplyError(426, f"Listing cut: {error}.") from error
    session.tell_transfer(f"{entries} entries sent")
    return Reply(226, f"Listing complete, {entries} entries.")

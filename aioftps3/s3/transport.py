"""The way a signed request travels. The only module of the package that knows aiohttp.

What must stay true:

- the path, the query and the headers go out byte for byte as they were signed, and redirects are not followed;
- a body arrives as S3 stores it: nothing is decompressed;
- nothing is sent twice behind the caller's back;
- every wait has a limit: for a connection, connecting, each slice of a body, the answer, each chunk of its body;
- a connection whose answer was not read to its end is closed, not reused.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import yarl

from aioftps3.s3.errors import (
    BodyTruncated,
    ConnectFailed,
    ConnectionBroken,
    RequestTimedOut,
    S3ProtocolError,
    S3TransportError,
)
from aioftps3.s3.models import SLICE_BYTES, Body

CONNECT_TIMEOUT_SECONDS = 5.0

CONNECTION_WAIT_SECONDS = 60.0
"""Longest wait for a connection when all of them are in use, and for its making."""

READ_TIMEOUT_SECONDS = 60.0
"""Longest silence of S3; also the longest that one slice of a body may take."""

BODY_TIMEOUT_SECONDS = 15.0
"""Longest silence inside of a body that is read by `Response.chunks`. S3 thinks before it answers; a body that has
begun and does not go on is a lost connection, and FTP clients wait for 20 s (FileZilla) until they give up
themselves."""

RECEIVE_BYTES = 512 * 1024
"""Bytes of a body that are taken from its socket at once; with asyncio's 256 KiB a download costs 10 % more CPU."""

JOINED_BYTES = 64 * 1024
"""Pieces of a body that are smaller are joined with what came after them; to write each of them by itself costs more
than the copy. Larger ones are given as they are: `read(n)` would cut and join them again and again."""

CONNECTIONS = 256
"""Connections to S3; further requests wait for one, so this is more than a process full of transfers with several parts
in flight each uses."""

KEEPALIVE_SECONDS = 15.0
"""S3 closes idle connections after about 20 s; a request sent into that moment would fail."""

TURN_BYTES = 1024 * 1024
"""Bytes of one body that are sent before other tasks get their turn: about a millisecond's work over https."""

SLICE_TIMEOUT_SLACK = 0.02
"""The fraction by which a slice's time may come out shorter."""

SKIPPED_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One signed request, ready to be sent."""

    method: str
    scheme: str
    authority: str
    """Where to connect: `host[:port]`."""
    target: str
    """Encoded path and query, sent as they are."""
    headers: tuple[tuple[str, str], ...]
    """All headers, Host included, Content-Length not."""
    read_timeout: float | None = None
    """Seconds of silence allowed; None: the transport's own."""

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.target}"


class Response(Protocol):
    """An answer, whose body may still be on its way."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, names in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it comes: what one turn of the loop received, `RECEIVE_BYTES` at most over http and half
        of it over https. Can be used once.

        Raises:
            S3TransportError: it does not arrive whole.
        """

    async def read(self, limit: int) -> bytes:
        """Give the whole body, of at most `limit` bytes.

        Raises:
            S3TransportError: it does not arrive whole.
            S3ProtocolError: it is longer.
        """

    async def close(self) -> None:
        """Let go of the connection; closes it when the body was not read to its end. Idempotent."""


class Transport(Protocol):
    """Sends requests."""

    async def send(self, request: Request, body: Body | None) -> Response:
        """Send a request and wait for the headers of its answer. The caller closes the response.

        Raises:
            S3TransportError: no answer came.
        """

    async def close(self) -> None:
        """Close all connections. Idempotent."""


def receive_up_to(transport: asyncio.BaseTransport, size: int) -> None:
    """Have asyncio take up to so many bytes from a socket at once, where it can be told."""
    if hasattr(transport, "max_size"):
        transport.max_size = size


def client_ssl_context(ca_file: str | None) -> ssl.SSLContext:
    """Make a context that trusts the system's authorities and those in a PEM file. Blocking.

    Raises:
        OSError: the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


class AiohttpTransport:
    """A `Transport` over aiohttp. Connections are opened when the first request is sent."""

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
        connection_wait: float = CONNECTION_WAIT_SECONDS,
        read_timeout: float = READ_TIMEOUT_SECONDS,
        body_timeout: float = BODY_TIMEOUT_SECONDS,
        limit: int = CONNECTIONS,
    ) -> None:
        """Timeouts are in seconds; `body_timeout` counts only where it is the shorter one.

        Raises:
            OSError: `ca_file` cannot be read or holds no certificate.
        """
        self._ssl = client_ssl_context(ca_file)
        self._connect_timeout = connect_timeout
        self._connection_wait = connection_wait
        self._read_timeout = read_timeout
        self._body_timeout = body_timeout
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: Request, body: Body | None) -> Response:
        """Send a request and wait for the headers of its answer.

        Raises:
            ConnectFailed: nothing was sent.
            RequestTimedOut: a wait was over its limit.
            ConnectionBroken: the connection was lost.
        """
        read_timeout = self._read_timeout if request.read_timeout is None else request.read_timeout
        outgoing = _Outgoing(body, read_timeout)
        headers = list(request.headers)
        if outgoing.length is not None:
            headers.append(("Content-Length", str(outgoing.length)))
        try:
            async with outgoing.watched():
                response = await self._opened().request(
                    request.method,
                    yarl.URL(request.url, encoded=True),
                    headers=headers,
                    data=outgoing.slices() if outgoing.length else None,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None,
                        connect=self._connection_wait,
                        sock_connect=self._connect_timeout,
                        sock_read=read_timeout,
                    ),
                )
        except (aiohttp.ClientError, OSError) as error:
            raise _transport_error(error, may_have_acted=outgoing.all_handed_over) from error
        return _AiohttpResponse(response, min(read_timeout, self._body_timeout))

    async def close(self) -> None:
        """Close all connections; nothing can be sent afterwards."""
        self._closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ConnectFailed("the connections to S3 are closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._limit, limit_per_host=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=self._ssl
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=SKIPPED_HEADERS,
                read_bufsize=SLICE_BYTES,
            )
            # aiohttp sends PUT and DELETE a second time when a kept connection turns out to be closed; whether that
            # is harmless is known to `retry` alone, which also counts attempts.
            self._session._retry_connection = False
        return self._session


class _Outgoing:
    """A body on its way out; knows how far it got, and gives up on a peer that has stopped reading it, which aiohttp
    itself never does.
    """

    def __init__(self, body: Body | None, slice_timeout: float) -> None:
        self._body = body
        self._slice_timeout = slice_timeout
        self._watch: asyncio.Timeout | None = None
        self.length = None if body is None else body.length
        self.all_handed_over = not self.length
        """False while S3 cannot have received the whole body; without it S3 does not act."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Limit what happens inside; raises TimeoutError when a slice takes too long."""
        try:
            async with asyncio.timeout(None) as self._watch:
                yield
        finally:
            self._watch = None

    async def slices(self) -> AsyncIterator[memoryview]:
        """Give the body's slices."""
        if self._body is None:
            return
        left = self._body.length
        turn = TURN_BYTES
        for piece in self._body.chunks():
            left -= len(piece)
            self.all_handed_over = left <= 0
            self._allow(self._slice_timeout)
            yield piece
            turn -= len(piece)
            if turn <= 0:
                # A fast peer never fills the socket, and writing to it never yields to other tasks.
                turn = TURN_BYTES
                await asyncio.sleep(0)
        # From here on the session's own read timeout counts.
        self._allow(None)

    def _allow(self, seconds: float | None) -> None:
        # An early answer ends the watch while the body may still be on its way.
        if self._watch is None or self._watch.expired():
            return
        if seconds is None:
            self._watch.reschedule(None)
            return
        now = asyncio.get_running_loop().time()
        before = self._watch.when()
        # A new timer for each slice would cost more than sending it.
        if before is None or now + seconds - before > seconds * SLICE_TIMEOUT_SLACK:
            self._watch.reschedule(now + seconds)


class _AiohttpResponse:
    def __init__(self, response: aiohttp.ClientResponse, body_timeout: float) -> None:
        self._response = response
        self._body_timeout = body_timeout
        self._headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    async def chunks(self) -> AsyncIterator[bytes]:
        self._limit_silence()
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            receive_up_to(connection.transport, RECEIVE_BYTES)
        content = self._response.content
        while True:
            try:
                chunk, ends_http_chunk = await content.readchunk()
                if len(chunk) < JOINED_BYTES:
                    chunk += content.read_nowait(SLICE_BYTES - len(chunk))
            except (aiohttp.ClientError, OSError) as error:
                self._response.close()
                raise _body_error(error) from error
            if chunk:
                yield chunk
            elif not ends_http_chunk:
                return

    async def read(self, limit: int) -> bytes:
        content = self._response.content
        parts: list[bytes] = []
        size = 0
        try:
            while part := await content.readany():
                size += len(part)
                if size > limit:
                    self._response.close()
                    raise S3ProtocolError(f"an answer is longer than {limit} bytes")
                parts.append(part)
        except (aiohttp.ClientError, OSError) as error:
            self._response.close()
            raise _body_error(error) from error
        return b"".join(parts)

    async def close(self) -> None:
        self._response.close()

    def _limit_silence(self) -> None:
        """Let the body's timeout count from now on; aiohttp's for the answer still does until more comes."""
        connection, content = self._response.connection, self._response.content
        if connection is None or connection.protocol is None:  # all of the body is here
            return
        connection.protocol.read_timeout = self._body_timeout
        _, most = content.get_read_buffer_limits()
        if content.total_bytes <= most:  # else reading is paused, and the silence is ours
            connection.protocol.start_timeout()


def _transport_error(error: Exception, *, may_have_acted: bool) -> S3TransportError:
    """Only the class of the cause is told: its text can hold the URL, and so a key."""
    name = type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ConnectFailed("no connection to S3 in time")
        case aiohttp.ClientConnectorError() | aiohttp.ClientConnectorCertificateError():
            return ConnectFailed(f"no connection to S3: {name}")
        case TimeoutError():
            return RequestTimedOut("S3 did not take or answer the request in time", may_have_acted=may_have_acted)
        case _:
            return ConnectionBroken(f"the connection to S3 broke: {name}", may_have_acted=may_have_acted)


def _body_error(error: Exception) -> S3TransportError:
    match error:
        case aiohttp.ClientPayloadError():
            return BodyTruncated("the body of S3's answer ended early")
        case TimeoutError():
            return RequestTimedOut("the body of S3's answer stopped coming", may_have_acted=True)
        case _:
            return ConnectionBroken(f"the connection to S3 broke: {type(error).__name__}", may_have_acted=True)

"""The aiohttp transport against a real server on loopback."""

import asyncio
import gzip
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from aioftps3.s3.blocks import BlockPool, PartBody
from aioftps3.s3.errors import BodyTruncated, ConnectFailed, ConnectionBroken, RequestTimedOut, S3ProtocolError
from aioftps3.s3.models import SLICE_BYTES, BytesBody
from aioftps3.s3.transport import RECEIVE_BYTES, AiohttpTransport, Request, client_ssl_context, receive_up_to

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
RawHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_serving(handler: RawHandler) -> AsyncIterator[str]:
    """A server that says whatever the test wants it to say."""

    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(guarded(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def transport_of(
    *, ca_file: str | None = None, connect_timeout: float = 5.0, read_timeout: float = 5.0, body_timeout: float = 5.0
) -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport(
        ca_file=ca_file, connect_timeout=connect_timeout, read_timeout=read_timeout, body_timeout=body_timeout
    )
    try:
        yield transport
    finally:
        await transport.close()


def request(
    authority: str,
    target: str = "/",
    method: str = "GET",
    *,
    scheme: str = "http",
    headers: tuple[tuple[str, str], ...] = (),
) -> Request:
    return Request(
        method=method, scheme=scheme, authority=authority, target=target, headers=(("Host", authority), *headers)
    )


@pytest.mark.parametrize(
    "target",
    [
        "/bucket//a/../b/./c",
        "/bucket/%21%2A%27%28%29%2B%25%26%23%3F%22",
        "/bucket/a%2F..%2Fb?prefix=a%2Bb&uploads=",
        "//leading/",
        "/b/%E6%97%A5?x=%20&y=",
    ],
)
async def test_path_and_query_go_out_as_they_were_signed(target: str) -> None:
    seen: list[str] = []

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        seen.append(incoming.raw_path)
        return web.Response()

    async with serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority, target), None)
        await response.read(100)
        await response.close()
    assert seen == [target]


async def test_headers_are_those_given_and_no_others() -> None:
    seen: list[tuple[str, str]] = []

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        seen.extend((name.lower(), value) for name, value in incoming.headers.items())
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with serving(handler) as authority, transport_of() as transport:
        for method, body in (("GET", None), ("PUT", BytesBody(b"abc")), ("POST", BytesBody(b""))):
            seen.clear()
            response = await transport.send(request(authority, method=method, headers=(("x-amz-a", "1"),)), body)
            await response.read(100)
            await response.close()
            expected = [("host", authority), ("x-amz-a", "1")]
            if body is not None:
                expected.append(("content-length", str(body.length)))
            assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize("size", [0, 1, SLICE_BYTES, 3 * SLICE_BYTES + 17])
async def test_body_arrives_whole(size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(1000)) * (size // 1000 + 1)
    data = data[:size]

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=await incoming.read())

    async with serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority, method="PUT"), BytesBody(data))
        assert await response.read(size + 1) == data
        await response.close()


async def test_redirect_is_given_and_not_followed() -> None:
    count = 0

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        nonlocal count
        count += 1
        return web.Response(status=301, headers={"Location": "/elsewhere", "x-amz-bucket-region": "eu-west-1"})

    async with serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority), None)
        assert response.status == 301
        assert response.headers["x-amz-bucket-region"] == "eu-west-1"
        await response.close()
    assert count == 1


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="direct")

    with socket.create_server(("127.0.0.1", 0)) as unused:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused.getsockname()[1]}")
        async with serving(handler) as authority, transport_of(read_timeout=2.0) as transport:
            response = await transport.send(request(authority), None)
            assert await response.read(100) == b"direct"
            await response.close()


async def test_gzip_object_is_not_inflated() -> None:
    packed = gzip.compress(b"hello" * 100)

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority), None)
        assert await response.read(10_000) == packed
        await response.close()


async def read_head(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def test_truncated_body_is_an_error_of_its_own() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()

    async with raw_serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority), None)
        with pytest.raises(BodyTruncated):
            await response.read(100)
        await response.close()


async def test_refused_connection_has_not_acted() -> None:
    async with serving(lambda _: asyncio.sleep(0, web.Response())) as authority:
        pass
    async with transport_of() as transport:
        with pytest.raises(ConnectFailed) as caught:
            await transport.send(request(authority, method="PUT"), BytesBody(b"abc"))
    assert caught.value.may_have_acted is False


async def test_silent_server_times_out_and_may_have_acted() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_serving(handler) as authority, transport_of(read_timeout=0.1) as transport:
        for body in (None, BytesBody(b"abc")):
            with pytest.raises(RequestTimedOut) as caught:
                await transport.send(request(authority, method="PUT"), body)
            assert caught.value.may_have_acted is True


async def test_server_that_stops_reading_times_out_and_has_not_acted() -> None:
    released = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await released.wait()

    body = BytesBody(bytes(64 * 1024 * 1024))
    async with raw_serving(handler) as authority, transport_of(read_timeout=0.3) as transport:
        with pytest.raises(RequestTimedOut) as caught:
            await transport.send(request(authority, method="PUT"), body)
        assert caught.value.may_have_acted is False
        released.set()


async def test_body_that_stops_coming_times_out() -> None:
    released = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await released.wait()

    async with raw_serving(handler) as authority, transport_of(read_timeout=0.1) as transport:
        response = await transport.send(request(authority), None)
        with pytest.raises(RequestTimedOut):
            await response.read(100)
        await response.close()
        released.set()


@pytest.mark.parametrize("first", [b"", b"abc"])
async def test_a_body_that_is_streamed_may_be_silent_for_less_time_than_its_answer(first: bytes) -> None:
    released = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + first)
        await released.wait()

    async with raw_serving(handler) as authority, transport_of(read_timeout=60.0, body_timeout=0.1) as transport:
        response = await transport.send(request(authority), None)
        chunks = response.chunks()
        async with asyncio.timeout(5):
            if first:
                assert await anext(chunks) == first
            with pytest.raises(RequestTimedOut):
                await anext(chunks)
        await response.close()
        released.set()


async def test_a_reader_that_takes_its_time_is_no_silence_of_s3() -> None:
    """What waits for it fills the buffers, and then the reading is paused: that may last."""
    data = random.Random(1).randbytes(8 * 1024 * 1024)

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=data)

    async with serving(handler) as authority, transport_of(body_timeout=0.05) as transport:
        response = await transport.send(request(authority), None)
        got = bytearray()
        await asyncio.sleep(0.2)  # longer than the timeout, which must not count
        async for chunk in response.chunks():
            if len(got) < 4 * len(data) // 5 < len(got) + len(chunk):
                await asyncio.sleep(0.2)
            got += chunk
        assert got == data
        await response.close()


async def test_small_pieces_that_came_together_are_one_chunk_and_large_ones_stay_as_they_are() -> None:
    piece, count = bytes(range(256)) * 16, 200

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(count):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with raw_serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority), None)
        chunks = [chunk async for chunk in response.chunks()]
        assert b"".join(chunks) == piece * count
        assert all(chunks)
        assert max(map(len, chunks)) <= RECEIVE_BYTES
        assert len(chunks) < count // 2
        await response.close()


async def test_closed_kept_connection_is_not_retried_behind_our_back() -> None:
    heads = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heads
        await read_head(reader)
        heads += 1
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await read_head(reader)
        heads += 1

    async with raw_serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority, method="DELETE"), None)
        await response.read(10)
        await response.close()
        with pytest.raises(ConnectionBroken) as caught:
            await transport.send(request(authority, method="DELETE"), None)
    assert heads == 2
    assert caught.value.may_have_acted is True


async def test_answer_that_is_not_http_is_a_broken_connection() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"220 ftp ready\r\n")
        await writer.drain()

    async with raw_serving(handler) as authority, transport_of() as transport:
        with pytest.raises(ConnectionBroken):
            await transport.send(request(authority), None)


async def test_early_answer_ends_a_long_body() -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_head(reader)
        writer.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        while await reader.read(65536):
            pass

    body = BytesBody(bytes(32 * 1024 * 1024))
    async with raw_serving(handler) as authority, transport_of() as transport:
        for _ in range(2):
            response = await transport.send(request(authority, method="PUT"), body)
            assert response.status == 503
            assert await response.read(10) == b"no"
            await response.close()
    assert connections == 2


async def test_connection_of_an_unread_answer_is_not_used_again() -> None:
    peers: set[object] = set()

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        assert incoming.transport is not None
        peers.add(incoming.transport.get_extra_info("peername"))
        return web.Response(body=bytes(1024 * 1024))

    async with serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority), None)
        await response.close()
        await response.close()
        for _ in range(2):
            response = await transport.send(request(authority), None)
            await response.read(1024 * 1024)
            await response.close()
    assert len(peers) == 2


async def test_wait_for_a_free_connection_has_a_limit() -> None:
    go_on = asyncio.Event()

    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(incoming)
        await go_on.wait()
        return answer

    async with serving(handler) as authority:
        transport = AiohttpTransport(limit=1, connection_wait=0.1)
        held = await transport.send(request(authority), None)
        with pytest.raises(ConnectFailed, match="in time"):
            await transport.send(request(authority), None)
        go_on.set()
        await held.close()
        await transport.close()


async def test_answer_longer_than_the_limit_is_refused() -> None:
    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bytes(1001))

    async with serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority), None)
        with pytest.raises(S3ProtocolError):
            await response.read(1000)
        await response.close()


async def test_blocks_can_be_used_again_after_they_were_sent() -> None:
    async def handler(incoming: web.BaseRequest) -> web.StreamResponse:
        await incoming.read()
        return web.Response()

    pool = BlockPool(SLICE_BYTES)
    body = PartBody(1, 3 * SLICE_BYTES, ())
    for _ in range(3):
        body.add(pool.take(SLICE_BYTES))
        with body.room() as room:
            body.take(room)
    async with serving(handler) as authority, transport_of() as transport:
        response = await transport.send(request(authority, method="PUT"), body)
        await response.read(10)
        await response.close()
        for block in body.drop():
            pool.give(block)
    assert pool.idle_bytes == 3 * SLICE_BYTES


async def test_nothing_can_be_sent_after_close() -> None:
    transport = AiohttpTransport()
    await transport.close()
    await transport.close()
    with pytest.raises(ConnectFailed):
        await transport.send(request("127.0.0.1:1"), None)


async def test_server_without_tls_is_a_failed_connection() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_serving(handler) as authority, transport_of() as transport:
        with pytest.raises(ConnectFailed):
            await transport.send(request(authority, scheme="https"), None)


def test_tls_is_verified_and_at_least_1_2() -> None:
    context = client_ssl_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_missing_ca_file_is_told_at_once(tmp_path: object) -> None:
    with pytest.raises(FileNotFoundError):
        AiohttpTransport(ca_file=f"{tmp_path}/missing.pem")


async def test_more_is_received_at_once_than_asyncio_takes_by_itself() -> None:
    asked: list[int] = []

    class Recorded(socket.socket):
        def recv(self, size: int, flags: int = 0, /) -> bytes:
            asked.append(size)
            return super().recv(size, flags)

    theirs, ours = socket.socketpair()
    with theirs, Recorded(fileno=ours.detach()) as recorded:
        recorded.setblocking(False)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        connection, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, sock=recorded)
        theirs.send(b"a")
        assert await reader.readexactly(1) == b"a"
        receive_up_to(connection, 1_000_000)
        theirs.send(b"b")
        assert await reader.readexactly(1) == b"b"
        assert asked == [256 * 1024, 1_000_000]
        connection.close()

"""What happens around the TLS handshake of a data connection, seen from the wire."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from aioftps3.ftp.data import DataConnection, StreamEnd
from tests.support.ftp_session import read_some, server_context

SECONDS = 5.0


def _client() -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing), incoming, outgoing


async def test_a_file_and_its_close_notify_in_the_segment_that_ends_the_handshake_are_a_good_end() -> None:
    """lftp sends Finished, a small file and close_notify at once: the end is known before the handshake is reported."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with theirs:
        for each in (ours, theirs):
            each.setblocking(False)
        opening = asyncio.create_task(
            DataConnection.open(ours, context=server_context(), stall_timeout=SECONDS, handshake_timeout=SECONDS)
        )
        tls, incoming, outgoing = _client()
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        await loop.sock_sendall(theirs, outgoing.read())
        while True:
            incoming.write(await loop.sock_recv(theirs, 65536))
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            break
        tls.write(b"small")
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        await loop.sock_sendall(theirs, outgoing.read())
        theirs.shutdown(socket.SHUT_WR)
        connection = await opening
        assert await read_some(connection) == b"small"
        assert await read_some(connection) == b""
        assert connection.end is StreamEnd.CLOSE_NOTIFY
        connection.close()
        await connection.wait_closed(SECONDS)

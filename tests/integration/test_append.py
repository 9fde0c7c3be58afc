"""APPE, and STOR at a position, on real sizes: what S3 copies, what is read, and what either costs."""

from __future__ import annotations

import contextlib
import ftplib
import hashlib
import io
import random
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aioftps3.embedded import EmbeddedS3
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.models import Endpoint
from aioftps3.s3.transport import AiohttpTransport
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.s3store import S3Store
from aioftps3.storage.tree import Tree
from tests.support.backends import Backend
from tests.support.clients import connect, read
from tests.support.daemon import Access, Daemon
from tests.support.proxy import Direction, Proxy

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

CONTENT = random.Random(5).randbytes(12 * MIB)


def _same(found: bytes, wanted: bytes) -> bool:
    """A failure shows two hashes and not two files."""
    return hashlib.sha256(found).hexdigest() == hashlib.sha256(wanted).hexdigest()


def _send(session: ftplib.FTP_TLS, line: str, content: bytes, rest: int | None = None) -> None:
    session.storbinary(line, io.BytesIO(content), rest=rest)


@pytest.mark.parametrize("added", [1, 9 * MIB], ids=["a byte", "9 MiB"])
@pytest.mark.parametrize("size", [0, 1, 5 * MIB - 1, 5 * MIB, 12 * MIB])
def test_what_is_appended_stands_behind_what_was_there(
    ftp: ftplib.FTP_TLS, backend: Backend, folder: str, size: int, added: int
) -> None:
    backend.put(f"{folder}/file", CONTENT[:size])
    _send(ftp, "APPE file", CONTENT[-added:])
    assert _same(backend.read(f"{folder}/file"), CONTENT[:size] + CONTENT[-added:])
    assert backend.uploads(f"{folder}/file") == 0
    assert ftp.size("file") == size + added


@pytest.mark.parametrize("rest", [1, 5 * MIB - 1, 5 * MIB + 1, 12 * MIB])
def test_an_upload_goes_on_at_a_position(ftp: ftplib.FTP_TLS, backend: Backend, folder: str, rest: int) -> None:
    backend.put(f"{folder}/file", CONTENT[:rest])
    _send(ftp, "STOR file", CONTENT[rest:], rest)
    assert _same(backend.read(f"{folder}/file"), CONTENT)
    _send(ftp, "STOR file", b"shorter", rest)
    assert _same(backend.read(f"{folder}/file"), CONTENT[:rest] + b"shorter")
    assert backend.uploads(f"{folder}/file") == 0
    _send(ftp, "STOR file", b"whole")
    assert backend.read(f"{folder}/file") == b"whole", "REST is for one transfer"


def test_a_position_past_the_end_is_refused(ftp: ftplib.FTP_TLS, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", b"12345")
    for rest in (6, 6 * MIB):
        with pytest.raises(ftplib.error_perm, match=r"^554 "):
            _send(ftp, "STOR file", b"x", rest)
    assert backend.read(f"{folder}/file") == b"12345"


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_what_others_write_meanwhile_is_not_lost(ftp: ftplib.FTP_TLS, backend: Backend, folder: str, size: int) -> None:
    """Real servers check the condition themselves, at the latest."""
    backend.put(f"{folder}/file", CONTENT[:size])
    with contextlib.suppress(OSError), ftp.transfercmd("APPE file") as data:
        data.sendall(b"mine")
        backend.put(f"{folder}/file", b"foreign")
        assert isinstance(data, ssl.SSLSocket)
        data.unwrap()
    with pytest.raises(ftplib.error_temp, match=r"^451 file: file changed meanwhile\.$"):
        ftp.voidresp()
    assert backend.read(f"{folder}/file") == b"foreign"
    assert backend.uploads(f"{folder}/file") == 0


@pytest.mark.parametrize("checksum", ["crc32", "sha256", "md5"])
def test_checksums_hold_behind_an_append(backend: Backend, folder: str, tmp_path: Path, checksum: str) -> None:
    """S3 compares them with what it has put together, and the download with what S3 keeps; other stores than AWS keep
    none of what is copied in part."""
    running = Daemon.start(tmp_path, {**backend.environment, "AIOFTPS3_CHECKSUM": checksum})
    try:
        session = connect(running.access("explicit"))
        for size in (10, 6 * MIB):
            _send(session, f"STOR {folder}/file", CONTENT[:size])
            _send(session, f"APPE {folder}/file", CONTENT[size : size + 100])
            _send(session, f"APPE {folder}/file", CONTENT[size + 100 :])
            assert _same(read(session, f"{folder}/file"), CONTENT)
            if checksum == "crc32" and size == 10:
                assert session.sendcmd(f"XCRC {folder}/file") == f"250 {zlib.crc32(CONTENT):08x}"
            else:
                verb = {"crc32": "XCRC", "sha256": "XSHA256", "md5": "XMD5"}[checksum]
                with pytest.raises(ftplib.error_perm, match=r"^550 "):
                    session.sendcmd(f"{verb} {folder}/file")
        session.quit()
        assert running.stop() == 0
        running.check_log()
    finally:
        running.kill()


def test_a_client_that_is_cut_off_leaves_the_file_as_it_was(access: Access, backend: Backend, folder: str) -> None:
    backend.put(f"{folder}/file", CONTENT[: 6 * MIB])
    session = connect(access)
    data = session.transfercmd(f"APPE {folder}/file")
    data.sendall(CONTENT)
    data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    data.close()
    with pytest.raises(ftplib.error_temp, match=r"^426 "):
        session.voidresp()
    session.close()
    assert _same(backend.read(f"{folder}/file"), CONTENT[: 6 * MIB])
    assert backend.uploads(f"{folder}/file") == 0


@asynccontextmanager
async def _large_object(directory: Path) -> AsyncIterator[tuple[EmbeddedS3, Proxy, Tree]]:
    """A store with an object of 1 GiB, and what counts the bytes on the way to it."""
    async with (
        EmbeddedS3(bucket="bucket", access_key="key", secret_key="secret", directory=directory) as server,
        Proxy(server.port) as proxy,
    ):
        server.put("piece", CONTENT[: 8 * MIB] * 8)
        client = S3Client(
            AiohttpTransport(),
            Endpoint.for_bucket("bucket", "us-east-1", f"http://127.0.0.1:{proxy.port}"),
            StaticCredentials("key", "secret"),
        )
        try:
            upload_id = await client.create_multipart_upload("file")
            parts = [
                await client.upload_part_copy("file", upload_id, number, source_key="piece", first=0, last=64 * MIB - 1)
                for number in range(1, 17)
            ]
            await client.complete_multipart_upload("file", upload_id, parts)
            server.clear()
            yield server, proxy, Tree(S3Store(client, ByteBudget(64 * MIB)), locks=PathLocks())
        finally:
            await client.close()


@pytest.mark.large
@pytest.mark.patient(60, "1 GiB is hashed by the embedded server")
async def test_50_mib_appended_to_1_gib_bring_none_of_the_old_bytes_here(tmp_path: Path) -> None:
    async with _large_object(tmp_path) as (server, proxy, tree):
        before = dict(proxy.passed)
        async with await tree.open_append(VirtualPath("/file")) as file:
            for _ in range(50):
                await file.write(CONTENT[:MIB])
        assert server.objects()["file"] == GIB + 50 * MIB
        assert proxy.passed[Direction.DOWN] - before[Direction.DOWN] < 64 * KIB
        assert proxy.passed[Direction.UP] - before[Direction.UP] < 51 * MIB
        operations = [request.operation for request in server.requests]
        assert operations.count("UploadPartCopy") == 8
        assert operations.count("UploadPart") == 7
        assert len(operations) == 8 + 7 + 4

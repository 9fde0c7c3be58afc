"""Hashes of files, told without reading them: what each checksum makes known, on every S3 of the tests."""

from __future__ import annotations

import contextlib
import ftplib
import hashlib
import random
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.support.backends import Backend, EmbeddedBackend
from tests.support.clients import connect, store
from tests.support.daemon import Daemon

MIB = 1024 * 1024

CHECKSUMS = {"auto": {"SHA-256"}, "crc32": {"CRC32"}, "sha256": {"SHA-256"}, "md5": {"MD5"}, "none": set()}
"""Each setting and the hashes that it makes known over https; over http, each payload is signed by its SHA-256, too."""

HASHES: dict[str, Callable[[bytes], str]] = {
    "CRC32": lambda data: f"{zlib.crc32(data):08x}",
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
COMMANDS = {"CRC32": "XCRC", "SHA-256": "XSHA256", "MD5": "XMD5"}


@pytest.fixture(scope="module", params=CHECKSUMS)
def checksum(request: pytest.FixtureRequest) -> str:
    """A setting."""
    return str(request.param)


@pytest.fixture(scope="module")
def checking(backend: Backend, checksum: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with this setting."""
    environment = {**backend.environment, "AIOFTPS3_CHECKSUM": checksum}
    running = Daemon.start(tmp_path_factory.mktemp("checking"), environment)
    try:
        yield running
        assert running.stop() == 0
        running.check_log()
    finally:
        running.kill()


@pytest.fixture
def session(checking: Daemon) -> Iterator[ftplib.FTP_TLS]:
    """A session of ftplib."""
    with contextlib.closing(connect(checking.access("explicit"))) as opened:
        opened.voidcmd("TYPE I")
        yield opened
        opened.quit()


def _known(backend: Backend, checksum: str) -> set[str]:
    signed = backend.environment["AWS_S3_BUCKET_HOST"].startswith("http:")
    return CHECKSUMS[checksum] | ({"SHA-256"} if signed else set())


def _offered(session: ftplib.FTP_TLS) -> set[str]:
    lines = [line for line in session.sendcmd("FEAT").splitlines() if line.startswith(" HASH ")]
    return {name.rstrip("*") for line in lines for name in line.removeprefix(" HASH ").split(";") if name}


def test_feat_offers_what_the_checksum_makes_known(session: ftplib.FTP_TLS, backend: Backend, checksum: str) -> None:
    assert _offered(session) == _known(backend, checksum)


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_a_file_of_one_part_has_every_hash_that_is_offered(
    session: ftplib.FTP_TLS, backend: Backend, folder: str, size: int
) -> None:
    content = random.Random(size).randbytes(size)
    store(session, f"{folder}/a file", content)
    session.rename(f"{folder}/a file", f"{folder}/the file")
    for name in _offered(session):
        expected = HASHES[name](content)
        if isinstance(backend, EmbeddedBackend):
            backend.clear_requests()
        session.voidcmd(f"OPTS HASH {name}")
        told = session.sendcmd(f"HASH {folder}/the file")
        assert told == f"213 {name} 0-{size} {expected} {folder}/the file"
        if isinstance(backend, EmbeddedBackend):
            assert backend.operations() == ["HeadObject"]
        assert session.sendcmd(f'{COMMANDS[name]} "{folder}/the file" 0 {size}') == f"250 {expected}"


def test_a_file_in_parts_has_the_hash_that_s3_keeps_of_the_whole(session: ftplib.FTP_TLS, folder: str) -> None:
    content = random.Random(1).randbytes(9 * MIB)
    store(session, f"{folder}/file", content)
    for name in _offered(session):
        session.voidcmd(f"OPTS HASH {name}")
        if name == "CRC32":
            assert session.sendcmd(f"HASH {folder}/file").split()[3] == HASHES[name](content)
        else:
            with pytest.raises(ftplib.error_perm, match=r"^550 .*stored in parts"):
                session.sendcmd(f"HASH {folder}/file")


def test_files_of_other_programs_have_none_unless_s3_keeps_one(
    session: ftplib.FTP_TLS, backend: Backend, folder: str
) -> None:
    backend.put(f"{folder}/file", b"content")
    for name in _offered(session):
        session.voidcmd(f"OPTS HASH {name}")
        with pytest.raises(ftplib.error_perm, match=rf"^550 No {name} of this file is known"):
            session.sendcmd(f"HASH {folder}/file")

"""Files of hundreds of MiB and of GiB, within bounded memory. Their bytes are made and hashed as a stream."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CTR

from tests.support.backends import Backend
from tests.support.clients import curl_command, needs_curl, url
from tests.support.daemon import Access, Daemon

pytestmark = [pytest.mark.large, needs_curl]

MIB = 1024 * 1024
GIB = 1024 * MIB

MEMORY_LIMIT = 400 * MIB
"""What the daemon may take however large a file is."""

COPIES_ON_DISK = 3
"""A multipart upload may be on the disk as parts and as a whole, and something is to be left for the rest."""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


def _stream(size: int) -> Iterator[bytes]:
    """Bytes that cannot be compressed, the same each time: AES in counter mode over zeros."""
    encryptor = Cipher(AES128(bytes(16)), CTR(bytes(16))).encryptor()
    zeros = bytes(MIB)
    for start in range(0, size, MIB):
        yield encryptor.update(zeros[: min(MIB, size - start)])


def _upload(access: Access, path: str, size: int) -> str:
    """Upload a stream with curl; its SHA-256."""
    digest = hashlib.sha256()
    command = curl_command(access, "--upload-file", "-", url(access, path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert client.stdin is not None
        for chunk in _stream(size):
            digest.update(chunk)
            client.stdin.write(chunk)
        client.stdin.close()
        assert client.wait() == 0, _text(client.stderr)
    return digest.hexdigest()


def _download(access: Access, path: str) -> str:
    """Download with curl; the SHA-256 of what came."""
    digest = hashlib.sha256()
    with subprocess.Popen(
        curl_command(access, url(access, path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        while chunk := client.stdout.read(MIB):
            digest.update(chunk)
        assert client.wait() == 0, _text(client.stderr)
    return digest.hexdigest()


def _text(stream: IO[bytes] | None) -> str:
    return stream.read().decode() if stream is not None else ""


def _require_free_disk(directory: Path, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size * COPIES_ON_DISK:
        pytest.skip(f"{size * COPIES_ON_DISK // GIB} GiB of free disk are needed, there are {free // GIB}")


@pytest.mark.patient(180, "300 MiB")
def test_300_mib_come_back_as_they_were_sent(access: Access, backend: Backend, folder: str, tmp_path: Path) -> None:
    size = 300 * MIB
    _require_free_disk(tmp_path, size)
    path = f"{folder}/file"
    sent = _upload(access, path, size)
    assert backend.sizes(path) == {path: size}
    assert _download(access, path) == sent
    backend.remove(path)


@needs_proc
@pytest.mark.patient(900, "3 GiB")
def test_3_gib_go_up_and_down_within_400_mib_of_memory(backend: Backend, folder: str, tmp_path: Path) -> None:
    size = 3 * GIB
    _require_free_disk(tmp_path, size)
    running = Daemon.start(tmp_path, backend.environment)
    path = f"{folder}/file"
    try:
        sent = _upload(running.access("explicit"), path, size)
        assert backend.sizes(path) == {path: size}
        assert _download(running.access("implicit"), path) == sent
        assert running.peak_memory_bytes < MEMORY_LIMIT
        assert running.stop() == 0
        running.check_log()
    finally:
        running.kill()
        backend.remove(path)

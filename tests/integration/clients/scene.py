"""What a test of the matrix stands on: a client, a daemon, a directory of its own on both sides, and a meter."""

from __future__ import annotations

import contextlib
import ftplib
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.clients.cells import Cell
from tests.integration.clients.client import Client
from tests.integration.clients.traffic import Traffic, TrafficMeter
from tests.support.backends import Backend, EmbeddedBackend
from tests.support.clients import connect
from tests.support.daemon import Daemon

__all__ = ("Contents", "Scene")


class Contents:
    """Local files of the sizes that the tests move, made once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, size: int) -> Path:
        """A file of so many bytes, always the same ones."""
        path = self._directory / f"{size} bytes"
        if not path.exists():
            path.write_bytes(random.Random(size).randbytes(size))
        return path


class Scene:
    """One client in one test."""

    def __init__(
        self, client: Client, cell: Cell, daemon: Daemon, backend: Backend, folder: str, local: Path, content: Contents
    ) -> None:
        self.client = client
        self.cell = cell
        self.daemon = daemon
        self.backend = backend
        self.folder = folder
        """Its directory on the server."""
        self.local = local
        """Its directory here."""
        self.content = content
        self.meter = TrafficMeter(daemon)
        """All that has happened since the test began."""

    @property
    def embedded(self) -> EmbeddedBackend:
        """The backend, where only the embedded server will do."""
        assert isinstance(self.backend, EmbeddedBackend)
        return self.backend

    def do(self, operation: str, *arguments: Any) -> Any:
        """Let the client do something, and check what it took on the wire."""
        meter = TrafficMeter(self.daemon)
        done = getattr(self.client, operation)(*arguments)
        meter.end().check(self.client.cost(operation))
        return done

    def in_clear(self) -> Client:
        """The same client, told not to use TLS."""
        return type(self.client)(self.daemon.access("clear"), self.client.home)

    def read(self, name: str) -> bytes:
        """What is stored under a name in the test's directory."""
        return self.backend.read(f"{self.folder}/{name}")

    def stored(self) -> dict[str, bytes]:
        """Everything in the test's directory."""
        paths = [path for path in self.backend.sizes(f"{self.folder}/") if path != f"{self.folder}/"]
        return {path.removeprefix(f"{self.folder}/"): self.backend.read(path) for path in paths}

    @contextlib.contextmanager
    def watcher(self) -> Iterator[ftplib.FTP]:
        """A session of ftplib, to ask the server itself."""
        with contextlib.closing(connect(self.daemon.access("explicit"))) as ftp:
            yield ftp

    def check_resumption(self, traffic: Traffic) -> None:
        """Fail unless the data connections of a session resumed as the driver says."""
        transfers = [verb for verb, _ in traffic.commands if verb in ("STOR", "RETR", "LIST", "NLST", "MLSD")]
        seen = list(zip(transfers, traffic.data_tls, strict=True))
        match self.client.resumes:
            case "all":
                assert {kind for _, kind in seen} == {"resumed"}, seen
            case "none":
                assert {kind for _, kind in seen} == {"new"}, seen
            case "not after uploads":
                others = [kind for (before, _), (_, kind) in itertools.pairwise([("", ""), *seen]) if before != "STOR"]
                assert set(others) == {"resumed"}, seen
            case unknown:
                raise AssertionError(unknown)

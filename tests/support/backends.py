"""The S3 servers that the integration tests run on: the embedded one in a thread, and a real MinIO.

A backend gives the environment that points the daemon at it, and looks into the bucket past the daemon. Paths are
relative to the backend's own key prefix, which is the clients' `/`; everything below it is removed at the end.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from aioftps3.embedded import EmbeddedS3, RecordedRequest
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.errors import NoSuchKey
from aioftps3.s3.models import BytesBody, Endpoint
from aioftps3.s3.transport import AiohttpTransport

__all__ = ("MINIO", "Backend", "EmbeddedBackend", "MinioBackend", "embedded_backend", "minio_backend")

MINIO = "AIOFTPS3_TEST_MINIO"
"""Set by tests.sh: the address of a running MinIO; with _ACCESS_KEY, _SECRET_KEY, _BUCKET, _REGION and _CA."""

ANSWER_SECONDS = 30.0
"""Longest that looking into a bucket may take."""

T = TypeVar("T")


class _LoopThread:
    """An event loop in a thread of its own, for tests that are not asynchronous themselves."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event loop of the tests", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result, run in the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ANSWER_SECONDS)

    def call(self, function: Callable[[], T]) -> T:
        """The function's result, called in the loop, where nothing else changes what it looks at."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def act() -> None:
            try:
                future.set_result(function())
            except Exception as error:  # noqa: BLE001  # it is raised in the caller's thread
                future.set_exception(error)

        self._loop.call_soon_threadsafe(act)
        return future.result(ANSWER_SECONDS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_SECONDS)
        self._loop.close()


class Backend(ABC):
    """A bucket that the daemon serves."""

    name: str
    prefix: str
    """What the daemon's keys begin with; ends with a slash."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """The daemon's variables for this bucket."""

    @abstractmethod
    def put(self, path: str, data: bytes = b"") -> None:
        """Store an object as another S3 tool would."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove an object, if there is one."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """An object's content. Raises KeyError when there is none."""

    @abstractmethod
    def sizes(self, below: str = "") -> dict[str, int]:
        """Paths and sizes of all objects whose paths begin with `below`, sorted."""

    @abstractmethod
    def uploads(self, path: str) -> int:
        """How many multipart uploads of this path are neither completed nor aborted."""


class EmbeddedBackend(Backend):
    """The embedded server, with its requests."""

    name = "embedded"

    def __init__(self, loop: _LoopThread, server: EmbeddedS3, environment: Mapping[str, str], prefix: str) -> None:
        self._loop = loop
        self._server = server
        self._environment = environment
        self.prefix = prefix

    @property
    def environment(self) -> Mapping[str, str]:
        return self._environment

    def put(self, path: str, data: bytes = b"") -> None:
        self._loop.call(lambda: self._server.put(self.prefix + path, data))

    def put_old(self, path: str, data: bytes, modified: float, headers: Mapping[str, str] | None = None) -> None:
        """Store an object that says it was last modified then, in whole seconds since the epoch."""
        self._loop.call(lambda: self._server.put(self.prefix + path, data, headers=headers, modified=modified))

    def put_many(self, paths: list[str], modified: float | None = None) -> None:
        """Store empty objects, which say that they were last modified then."""

        def act() -> None:
            for path in paths:
                self._server.put(self.prefix + path, b"", modified=modified)

        self._loop.call(act)

    def remove(self, path: str) -> None:
        self._loop.call(lambda: self._server.delete(self.prefix + path))

    def read(self, path: str) -> bytes:
        return self._loop.call(lambda: self._server.read(self.prefix + path))

    def sizes(self, below: str = "") -> dict[str, int]:
        start = self.prefix + below
        objects = self._loop.call(self._server.objects)
        return {key.removeprefix(self.prefix): size for key, size in objects.items() if key.startswith(start)}

    def uploads(self, path: str) -> int:
        key = self.prefix + path
        return self._loop.call(lambda: sum(found == key for found, _ in self._server.uploads_in_progress))

    def all_uploads(self) -> list[tuple[str, str]]:
        """Keys and upload ids of everything that is neither completed nor aborted."""
        return self._loop.call(lambda: self._server.uploads_in_progress)

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self._loop.call(self._server.clear)

    def requests(self) -> list[RecordedRequest]:
        """The requests since `clear_requests`, oldest first."""
        return self._loop.call(lambda: list(self._server.requests))

    def operations(self) -> list[str]:
        """The operations of these requests."""
        return [request.operation for request in self.requests()]


class MinioBackend(Backend):
    """A real MinIO, looked into with this project's own S3 client."""

    name = "minio"

    def __init__(self, loop: _LoopThread, client: S3Client, environment: Mapping[str, str], prefix: str) -> None:
        self._loop = loop
        self._client = client
        self._environment = environment
        self.prefix = prefix

    @property
    def environment(self) -> Mapping[str, str]:
        return self._environment

    def put(self, path: str, data: bytes = b"") -> None:
        self._loop.run(self._put(self.prefix + path, data))

    async def _put(self, key: str, data: bytes) -> None:
        await self._client.put_object(key, BytesBody(data))

    def remove(self, path: str) -> None:
        self._loop.run(self._client.delete_object(self.prefix + path))

    def read(self, path: str) -> bytes:
        return self._loop.run(self._read(self.prefix + path))

    async def _read(self, key: str) -> bytes:
        try:
            body = await self._client.get_object(key)
        except NoSuchKey:
            raise KeyError(key) from None
        async with body:
            return b"".join([chunk async for chunk in body.chunks()])

    def sizes(self, below: str = "") -> dict[str, int]:
        found = self._loop.run(self._sizes(self.prefix + below))
        return {key.removeprefix(self.prefix): size for key, size in sorted(found.items())}

    async def _sizes(self, prefix: str) -> dict[str, int]:
        found: dict[str, int] = {}
        token = None
        while True:
            page = await self._client.list_objects(prefix=prefix, token=token)
            found.update((listed.key, listed.size) for listed in page.objects)
            token = page.next_token
            if token is None:
                return found

    def uploads(self, path: str) -> int:
        # MinIO lists unfinished uploads only for a prefix that is the whole key.
        page = self._loop.run(self._client.list_multipart_uploads(prefix=self.prefix + path))
        return sum(upload.key == self.prefix + path for upload in page.uploads)

    def remove_all(self) -> None:
        """Remove every object below the prefix."""
        self._loop.run(self._remove_all())

    async def _remove_all(self) -> None:
        if keys := list(await self._sizes(self.prefix)):
            await self._client.delete_objects(keys)


@contextlib.contextmanager
def embedded_backend(directory: Path) -> Iterator[EmbeddedBackend]:
    """A running embedded server whose objects are files, so that large ones need no memory of the tests."""
    loop = _LoopThread()
    access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
    server = EmbeddedS3(bucket="integration", access_key=access_key, secret_key=secret_key, directory=directory)
    loop.run(server.start())
    prefix = _new_prefix()
    environment = {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_S3_BUCKET_REGION": "us-east-1",
        "AWS_S3_BUCKET_HOST": server.url,
        "AWS_S3_BUCKET_NAME": "integration",
        "AIOFTPS3_PREFIX": prefix,
    }
    try:
        yield EmbeddedBackend(loop, server, environment, prefix)
    finally:
        loop.run(server.stop())
        loop.close()


@contextlib.contextmanager
def minio_backend(environ: Mapping[str, str]) -> Iterator[MinioBackend]:
    """The MinIO that the environment of the tests names; what the tests made there is removed at the end."""
    url, bucket, region = environ[MINIO], environ[f"{MINIO}_BUCKET"], environ.get(f"{MINIO}_REGION") or "us-east-1"
    access_key, secret_key = environ[f"{MINIO}_ACCESS_KEY"], environ[f"{MINIO}_SECRET_KEY"]
    ca_file = environ.get(f"{MINIO}_CA") or None
    prefix = _new_prefix()
    environment = {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_S3_BUCKET_REGION": region,
        "AWS_S3_BUCKET_HOST": url,
        "AWS_S3_BUCKET_NAME": bucket,
        "AIOFTPS3_PREFIX": prefix,
        **({"AWS_CA_BUNDLE": ca_file} if ca_file else {}),
    }
    loop = _LoopThread()
    transport = AiohttpTransport(ca_file=ca_file)
    client = S3Client(transport, Endpoint.for_bucket(bucket, region, url), StaticCredentials(access_key, secret_key))
    backend = MinioBackend(loop, client, environment, prefix)
    try:
        yield backend
    finally:
        try:
            backend.remove_all()
        finally:
            loop.run(transport.close())
            loop.close()


def _new_prefix() -> str:
    return f"test-{secrets.token_hex(6)}/"

"""Every object store keeps the same contract, and the tree costs the same requests on each of them."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from aioftps3.embedded import EmbeddedS3, Limits
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.models import Endpoint
from aioftps3.s3.transport import AiohttpTransport
from aioftps3.storage.errors import Changed, NotFound, RangeInvalid
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import ROOT, VirtualPath
from aioftps3.storage.s3store import MARKER_CONTENT_TYPE, S3Store
from aioftps3.storage.store import ListPage, ObjectInfo, ObjectStore, ObjectWriter
from aioftps3.storage.tree import Entry, Tree
from tests.support.memory_store import MemoryStore

KIB = 1024
PART_BYTES = 64 * KIB
ODD_KEYS = (
    "plain",
    "sp ace",
    "+",
    "%41",
    "a&b=c",
    "#?",
    "'\"",
    "é",
    "日本",
    "e\u0301",
    "-dash",
    "~",
    "a//b",
    "/lead",
    "🦊",
)


class Backend(ABC):
    """A store, and a view behind it."""

    store: ObjectStore

    @abstractmethod
    def seed(self, key: str, data: bytes = b"") -> None:
        """Put an object there without a request."""

    @abstractmethod
    def contents(self) -> dict[str, bytes]:
        """All objects, without a request."""

    @abstractmethod
    def operations(self) -> Sequence[str]:
        """S3's names of the requests since the last call."""


class MemoryBackend(Backend):
    def __init__(self) -> None:
        self._memory = MemoryStore()
        self.store = self._memory

    def seed(self, key: str, data: bytes = b"") -> None:
        self._memory.seed(key, data)

    def contents(self) -> dict[str, bytes]:
        return self._memory.contents

    def operations(self) -> Sequence[str]:
        return self._memory.operations()


class EmbeddedBackend(Backend):
    def __init__(self, server: EmbeddedS3, store: ObjectStore) -> None:
        self.server = server
        self.store = store

    def seed(self, key: str, data: bytes = b"") -> None:
        self.server.put(key, data)

    def contents(self) -> dict[str, bytes]:
        return {key: self.server.read(key) for key in self.server.objects()}

    def operations(self) -> Sequence[str]:
        operations = [request.operation for request in self.server.requests]
        self.server.clear()
        return operations


@pytest.fixture(params=["memory", "embedded"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield MemoryBackend()
        return
    limits = Limits(min_part=PART_BYTES)
    async with EmbeddedS3(bucket="bucket", access_key="key", secret_key="secret", limits=limits) as server:
        client = S3Client(
            AiohttpTransport(),
            Endpoint.for_bucket("bucket", "us-east-1", server.url),
            StaticCredentials("key", "secret"),
        )
        try:
            budget = ByteBudget(8 * PART_BYTES)
            store = S3Store(
                client, budget, part_size=PART_BYTES, least_part_bytes=PART_BYTES, copy_part_bytes=PART_BYTES
            )
            yield EmbeddedBackend(server, store)
            assert budget.in_use == 0
            assert server.uploads_in_progress == []
        finally:
            await client.close()


async def put(store: ObjectStore, key: str, *pieces: bytes) -> ObjectInfo:
    writer = store.open_write(key)
    for piece in pieces:
        await write(writer, piece)
    return await writer.complete()


async def write(writer: ObjectWriter, data: bytes) -> None:
    while data:
        room = await writer.room()
        assert len(room) > 0
        count = min(len(room), len(data))
        room[:count] = data[:count]
        writer.filled(count)
        data = data[count:]


async def head(store: ObjectStore, key: str) -> ObjectInfo:
    info = await store.head(key)
    assert info is not None
    return info


async def get(store: ObjectStore, key: str, offset: int = 0) -> bytes:
    body = await store.open_read(key, offset=offset)
    try:
        return b"".join([chunk async for chunk in body.chunks()])
    finally:
        await body.close()


async def pages(store: ObjectStore, prefix: str, *, delimiter: str | None = None, limit: int) -> list[ListPage]:
    found = [await store.list(prefix, delimiter=delimiter, limit=limit)]
    while (token := found[-1].next_token) is not None:
        found.append(await store.list(prefix, delimiter=delimiter, limit=limit, token=token))
    return found


def names(page: Sequence[Entry]) -> list[str]:
    return [entry.name for entry in page]


class TestStore:
    @pytest.mark.parametrize("key", ODD_KEYS)
    async def test_an_object_comes_back_under_its_key(self, backend: Backend, key: str) -> None:
        written = await put(backend.store, key, b"some", b" bytes")
        info = await backend.store.head(key)

        assert info is not None
        assert (info.key, info.size, info.etag) == (key, 10, written.etag)
        assert info.modified > 0
        assert await get(backend.store, key) == b"some bytes"
        assert (await backend.store.list(key)).objects == (info,)
        assert backend.contents() == {key: b"some bytes"}

    async def test_what_is_not_there_is_not_found(self, backend: Backend) -> None:
        assert await backend.store.head("none") is None
        with pytest.raises(NotFound):
            await backend.store.open_read("none")
        with pytest.raises(NotFound):
            await backend.store.open_read("none", offset=3)
        await backend.store.delete(("none",))

    @pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES])
    async def test_an_object_of_up_to_one_part_is_one_request(self, backend: Backend, size: int) -> None:
        await put(backend.store, "k", bytes(size))

        assert backend.operations() == ["PutObject"]
        assert backend.contents() == {"k": bytes(size)}

    async def test_a_large_object_arrives_whole(self, backend: Backend) -> None:
        data = bytes(range(256)) * KIB  # four parts
        info = await put(
            backend.store, "k", *(data[start : start + 1000] for start in range(0, len(data), 1000)), b"end"
        )

        assert info.size == len(data) + 3
        assert backend.contents() == {"k": data + b"end"}
        assert await get(backend.store, "k", offset=len(data)) == b"end"

    async def test_an_aborted_writer_leaves_the_old_object_and_nothing_else(self, backend: Backend) -> None:
        backend.seed("k", b"old")
        writer = backend.store.open_write("k")
        await write(writer, bytes(3 * PART_BYTES))
        await writer.abort()
        await writer.abort()

        assert backend.contents() == {"k": b"old"}
        if isinstance(backend, EmbeddedBackend):
            assert backend.server.uploads_in_progress == []

    @pytest.mark.parametrize("added", [1, 3 * PART_BYTES])
    @pytest.mark.parametrize("size", [None, 0, 10, PART_BYTES, 4 * PART_BYTES + 1])
    async def test_what_is_appended_stands_behind_what_was_there(
        self, backend: Backend, size: int | None, added: int
    ) -> None:
        if size is not None:
            backend.seed("k", b"o" * size)
        writer = await backend.store.open_append("k", expected_size=added)
        assert writer.kept == (size or 0)
        await write(writer, b"n" * added)
        writer.seal()
        info = await writer.complete()

        assert backend.contents() == {"k": b"o" * (size or 0) + b"n" * added}
        assert info == dataclasses.replace(await head(backend.store, "k"), modified=info.modified)

    @pytest.mark.parametrize("added", [0, 1, 3 * PART_BYTES])
    @pytest.mark.parametrize("offset", [1, 10, PART_BYTES, 3 * PART_BYTES])
    async def test_an_object_goes_on_from_an_offset(self, backend: Backend, offset: int, added: int) -> None:
        backend.seed("k", b"o" * 3 * PART_BYTES)
        writer = await backend.store.open_append("k", offset=offset)
        assert writer.kept == offset
        await write(writer, b"n" * added)
        assert (await writer.complete()).size == offset + added
        assert backend.contents() == {"k": b"o" * offset + b"n" * added}

    async def test_an_offset_needs_an_object_that_reaches_it(self, backend: Backend) -> None:
        with pytest.raises(NotFound):
            await backend.store.open_append("k", offset=1)
        backend.seed("k", b"0123456789")
        for offset in (11, PART_BYTES, 10**15):
            with pytest.raises(RangeInvalid):
                await backend.store.open_append("k", offset=offset)
        assert backend.contents() == {"k": b"0123456789"}

    @pytest.mark.parametrize("offset", [None, 10])
    async def test_nothing_is_written_where_nothing_changes(self, backend: Backend, offset: int | None) -> None:
        backend.seed("k", b"0123456789")
        before = await head(backend.store, "k")
        backend.operations()
        writer = await backend.store.open_append("k", offset=offset)
        writer.seal()
        assert await writer.complete() == before
        await writer.abort()
        assert len(backend.operations()) == 1
        assert backend.contents() == {"k": b"0123456789"}

    @pytest.mark.parametrize("size", [0, 10, 4 * PART_BYTES])
    async def test_an_aborted_append_leaves_the_object_as_it_is(self, backend: Backend, size: int) -> None:
        backend.seed("k", bytes(size))
        for added in (0, 1, 3 * PART_BYTES):
            writer = await backend.store.open_append("k")
            await write(writer, bytes(added))
            await writer.abort()
            await writer.abort()
            assert backend.contents() == {"k": bytes(size)}

    @pytest.mark.parametrize(
        ("size", "meanwhile"),
        [(None, b"foreign"), (10, b"foreign"), (10, None), (4 * PART_BYTES, b"foreign"), (4 * PART_BYTES, None)],
    )
    async def test_what_others_write_during_an_append_stays(
        self, backend: Backend, size: int | None, meanwhile: bytes | None
    ) -> None:
        if size is not None:
            backend.seed("k", bytes(size))
        writer = await backend.store.open_append("k")
        await write(writer, b"new")
        if meanwhile is None:
            await backend.store.delete(("k",))
        else:
            backend.seed("k", meanwhile)
        with pytest.raises(Changed):
            await writer.complete()
        await writer.abort()
        assert backend.contents() == ({} if meanwhile is None else {"k": meanwhile})

    async def test_nobody_sees_an_object_before_it_is_complete(self, backend: Backend) -> None:
        writer = backend.store.open_write("k")
        await write(writer, bytes(3 * PART_BYTES))
        assert await backend.store.head("k") is None
        await writer.complete()
        assert await backend.store.head("k") is not None

    @pytest.mark.parametrize(("offset", "expected"), [(0, b"0123456789"), (4, b"456789"), (9, b"9"), (10, b"")])
    async def test_reading_begins_at_the_offset(self, backend: Backend, offset: int, expected: bytes) -> None:
        backend.seed("k", b"0123456789")
        body = await backend.store.open_read("k", offset=offset)

        assert body.info.size == 10
        assert b"".join([chunk async for chunk in body.chunks()]) == expected
        await body.close()
        await body.close()

    async def test_reading_can_stop_early(self, backend: Backend) -> None:
        backend.seed("k", bytes(4 * 1024 * KIB))
        body = await backend.store.open_read("k")
        async for chunk in body.chunks():
            assert chunk
            break
        await body.close()
        assert await get(backend.store, "k", offset=4 * 1024 * KIB - 2) == bytes(2)

    async def test_an_offset_past_the_end_is_refused(self, backend: Backend) -> None:
        backend.seed("k", b"0123456789")
        with pytest.raises(RangeInvalid):
            await backend.store.open_read("k", offset=11)

    async def test_an_empty_object_has_no_bytes(self, backend: Backend) -> None:
        backend.seed("k")
        assert await get(backend.store, "k") == b""
        assert backend.operations() == ["GetObject"]

    async def test_listings_roll_up_in_order_and_page_by_page(self, backend: Backend) -> None:
        for key in ("d/", "d/a", "d/b!", "d/b/1", "d/b/2", "d/c", "da", "e"):
            backend.seed(key)
        whole = await backend.store.list("d/", delimiter="/")
        assert [info.key for info in whole.objects] == ["d/", "d/a", "d/b!", "d/c"]
        assert whole.prefixes == ("d/b/",)
        assert whole.next_token is None

        for limit in (1, 2, 3):
            parts = await pages(backend.store, "d/", delimiter="/", limit=limit)
            assert [info for page in parts for info in page.objects] == list(whole.objects)
            assert [prefix for page in parts for prefix in page.prefixes] == ["d/b/"]
            assert all(len(page.objects) + len(page.prefixes) <= limit for page in parts)
            everything = [info.key for page in await pages(backend.store, "", limit=limit) for info in page.objects]
            assert everything == sorted(backend.contents())

    async def test_nothing_is_an_empty_page(self, backend: Backend) -> None:
        assert await backend.store.list("none/", delimiter="/", limit=1) == ListPage()

    @pytest.mark.parametrize("key", ODD_KEYS)
    async def test_a_copy_is_the_same_bytes_under_another_key(self, backend: Backend, key: str) -> None:
        backend.seed(key, b"data")
        backend.seed("target " + key, b"old")
        source = await backend.store.head(key)
        assert source is not None
        await backend.store.copy(source, "target " + key)

        assert backend.contents() == {key: b"data", "target " + key: b"data"}

    async def test_a_copy_of_what_is_not_the_source_any_more_is_refused(self, backend: Backend) -> None:
        backend.seed("k", b"old")
        source = await backend.store.head("k")
        assert source is not None
        backend.seed("k", b"new")
        with pytest.raises(Changed):
            await backend.store.copy(source, "target")
        await backend.store.delete(("k",))
        with pytest.raises(NotFound):
            await backend.store.copy(source, "target")
        assert backend.contents() == {}

    @pytest.mark.parametrize("size", [0, 10, 4 * PART_BYTES])
    async def test_a_copy_of_what_was_written_is_known_as_such(self, backend: Backend, size: int) -> None:
        source = await put(backend.store, "k", bytes(size))
        told: list[int] = []
        etag = await backend.store.copy(source, "target", copied=told.append)
        target = await backend.store.head("target")

        assert target is not None
        assert (target.etag, sum(told)) == (etag, size)
        assert await backend.store.is_copy(source, target)
        other = await put(backend.store, "k", b"x" * size)
        assert await backend.store.is_copy(other, target) is (size == 0)

    async def test_a_marker_is_an_empty_object(self, backend: Backend) -> None:
        await backend.store.put_marker("d/")

        assert backend.contents() == {"d/": b""}
        assert backend.operations() == ["PutObject"]
        assert (await backend.store.list("", delimiter="/")).prefixes == ("d/",)
        if isinstance(backend, EmbeddedBackend):
            assert isinstance(backend.store, S3Store)
            info = await backend.store._client.head_object("d/")
            assert info.content_type == MARKER_CONTENT_TYPE

    async def test_many_keys_are_deleted_at_once(self, backend: Backend) -> None:
        for key in ODD_KEYS:
            backend.seed(key)
        backend.seed("kept")
        await backend.store.delete([*ODD_KEYS, "none"])

        assert backend.contents() == {"kept": b""}
        assert backend.operations() == ["DeleteObjects"]


class TestTree:
    """The tree's promises about the number of requests."""

    @pytest.fixture
    def tree(self, backend: Backend) -> Tree:
        return Tree(backend.store, locks=PathLocks(), prefix="home/")

    async def test_a_small_new_file_is_one_request(self, backend: Backend, tree: Tree) -> None:
        async with tree.open_write(VirtualPath("/d/f")) as file:
            await file.write(b"data")
        assert backend.operations() == ["PutObject"]
        assert backend.contents() == {"home/d/f": b"data"}

    async def test_appending_to_a_small_file_costs_what_is_promised(self, backend: Backend, tree: Tree) -> None:
        backend.seed("home/f", b"old")

        async def append() -> list[str]:
            async with await tree.open_append(VirtualPath("/f")) as file:
                await file.write(b"new")
            return list(backend.operations())

        first, second = await append(), await append()
        assert backend.contents() == {"home/f": b"oldnewnew"}
        if isinstance(backend, EmbeddedBackend):
            assert first == ["HeadObject", "GetObject", "HeadObject", "PutObject"]
            assert second == ["GetObject", "HeadObject", "PutObject"]

    async def test_appending_to_a_large_file_costs_what_is_promised(self, backend: Backend, tree: Tree) -> None:
        backend.seed("home/f", bytes(2 * PART_BYTES))
        async with await tree.open_append(VirtualPath("/f")) as file:
            await file.write(b"new")
        if isinstance(backend, EmbeddedBackend):
            assert backend.operations() == [
                *("HeadObject", "CreateMultipartUpload", "UploadPartCopy", "UploadPartCopy"),
                *("UploadPart", "HeadObject", "CompleteMultipartUpload"),
            ]
        assert backend.contents() == {"home/f": bytes(2 * PART_BYTES) + b"new"}

    async def test_a_download_is_one_request(self, backend: Backend, tree: Tree) -> None:
        backend.seed("home/f", b"data")
        async with tree.open_read(VirtualPath("/f"), offset=1) as file:
            assert file.entry.size == 4
            assert b"".join([chunk async for chunk in file.chunks()]) == b"ata"
        assert backend.operations() == ["GetObject"]

    @pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
    async def test_a_listing_is_one_request_a_thousand_names(self, backend: Backend, tree: Tree, count: int) -> None:
        for number in range(count):
            backend.seed(f"home/{number:05d}" + ("/deep" if number % 2 else ""))
        async with aclosing(tree.list(ROOT)) as listing:
            found = [names(page) async for page in listing]

        assert [name for page in found for name in page] == [f"{number:05d}" for number in range(count)]
        assert backend.operations() == ["ListObjectsV2"] * max(1, math.ceil(count / 1000))

    async def test_size_and_time_are_one_request(self, backend: Backend, tree: Tree) -> None:
        backend.seed("home/f", b"data")
        assert (await tree.stat_file(VirtualPath("/f"))).size == 4
        with pytest.raises(NotFound):
            await tree.stat_file(VirtualPath("/g"))
        assert backend.operations() == ["HeadObject", "HeadObject"]

    async def test_mkdir_and_rmdir_are_two_requests_each(self, backend: Backend, tree: Tree) -> None:
        await tree.mkdir(VirtualPath("/d"))
        assert backend.contents() == {"home/d/": b""}
        assert backend.operations() == ["ListObjectsV2", "PutObject"]

        await tree.rmdir(VirtualPath("/d"))
        assert backend.contents() == {}
        assert backend.operations() == ["ListObjectsV2", "DeleteObject"]

    async def test_a_delete_is_two_requests(self, backend: Backend, tree: Tree) -> None:
        backend.seed("home/d/f")
        await tree.unlink(VirtualPath("/d/f"))
        assert backend.contents() == {}
        assert backend.operations() == ["HeadObject", "DeleteObject"]

    async def test_a_rename_of_a_file_is_three_requests(self, backend: Backend, tree: Tree) -> None:
        backend.seed("home/f", b"data")
        await tree.rename(await tree.rename_source(VirtualPath("/f")), VirtualPath("/d/g"))
        assert backend.contents() == {"home/d/g": b"data"}
        assert backend.operations() == ["ListObjectsV2", "CopyObject", "DeleteObject"]

    async def test_a_copy_of_a_file_is_two_requests(self, backend: Backend, tree: Tree) -> None:
        backend.seed("home/f", b"data")
        await tree.copy(await tree.rename_source(VirtualPath("/f")), VirtualPath("/d/g"))
        assert backend.contents() == {"home/d/g": b"data", "home/f": b"data"}
        assert backend.operations() == ["ListObjectsV2", "CopyObject"]

    async def test_a_rename_of_a_directory_moves_every_key(self, backend: Backend, tree: Tree) -> None:
        inner = ("", "a", "b/", "b/c", "x//y", "z/../w", "sp ace+%")
        for key in inner:
            backend.seed("home/d/" + key, key.encode())
        backend.seed("home/d", b"a file of the same name")
        backend.seed("home/da", b"")
        source = Entry(name="d", path=VirtualPath("/d"), is_dir=True)
        await tree.rename(source, VirtualPath("/n/e"))

        assert backend.contents() == {
            "home/d": b"a file of the same name",
            "home/da": b"",
            **{"home/n/e/" + key: key.encode() for key in inner},
        }

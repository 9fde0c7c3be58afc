"""S3's side of clients' times and of digests: what is asked, what is kept, what is remembered."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from aioftps3.embedded import Answer, Call, ConnectionCut, EmbeddedS3, Limits, Proceed, Refusal
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.models import Endpoint
from aioftps3.s3.retry import RetryPolicy
from aioftps3.s3.transport import AiohttpTransport
from aioftps3.storage import errors
from aioftps3.storage.s3store import LOOKS_IN_FLIGHT, S3Store
from aioftps3.storage.store import ObjectInfo
from aioftps3.storage.times import LOOKS_OF_ONE, KnownTimes

KIB = 1024
LARGE = bytes(range(256)) * 2400
GIVEN = 1_500_000_000.0
DESCRIPTION = {
    "content-type": "text/x-odd",
    "cache-control": "no-cache",
    "content-disposition": "attachment",
    "x-amz-meta-other": "words",
    "x-amz-storage-class": "STANDARD_IA",
    "x-amz-tagging": "a=1&b%20c=%26",
}


@dataclass
class Scene:
    server: EmbeddedS3
    client: S3Client
    store: S3Store
    clock: list[float] = field(default_factory=lambda: [1_800_000_000.0])

    async def write(self, key: str, data: bytes = b"data") -> ObjectInfo:
        writer = self.store.open_write(key)
        view = memoryview(data)
        while view:
            room = await writer.room()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            writer.filled(count)
            view = view[count:]
        return await writer.complete()

    async def shown(self, prefix: str = "") -> dict[str, float]:
        """The times of a listing; the requests that they cost can be counted afterwards."""
        objects = (await self.store.list(prefix)).objects
        self.server.clear()
        return {info.key: time for info, time in zip(objects, await self.store.times(objects), strict=True)}

    def operations(self) -> list[str]:
        found = [request.operation for request in self.server.requests]
        self.server.clear()
        return found


@asynccontextmanager
async def running(*, times: bool = True, checksum: Algorithm | None = None) -> AsyncIterator[Scene]:
    clock = [1_800_000_000.0]
    async with EmbeddedS3(
        bucket="bucket",
        access_key="key",
        secret_key="secret",
        limits=Limits(min_part=64 * KIB),
        clock=lambda: clock[0],
    ) as server:
        client = S3Client(
            AiohttpTransport(),
            Endpoint.for_bucket("bucket", "us-east-1", server.url),
            StaticCredentials("key", "secret"),
            retry=RetryPolicy(attempts=2, base_seconds=0.001, throttling_base_seconds=0.001),
            clock=lambda: clock[0],
            checksum=checksum,
        )
        store = S3Store(
            client,
            ByteBudget(512 * KIB),
            part_size=64 * KIB,
            single_copy_bytes=300 * KIB,
            times=KnownTimes() if times else None,
            clock=lambda: clock[0],
        )
        try:
            yield Scene(server, client, store, clock)
        finally:
            await client.close()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with running() as scene:
        yield scene


@pytest.mark.parametrize("size", [5, len(LARGE)], ids=["single", "parts"])
async def test_a_time_is_set_and_all_else_is_kept(scene: Scene, size: int) -> None:
    scene.server.put("k", LARGE[:size], headers=DESCRIPTION)
    before = await scene.client.head_object("k")
    scene.clock[0] += 60
    info = await scene.store.set_time("k", GIVEN)

    assert info is not None
    after = await scene.client.head_object("k")
    assert (info.etag, info.client_time, info.size) == (after.etag, GIVEN, size)
    assert after.metadata.items() >= {"other": "words", "mtime": "1500000000"}.items()
    assert after.content_type == "text/x-odd"
    assert after.content_headers == before.content_headers
    assert after.storage_class == "STANDARD_IA"
    assert await scene.client.get_object_tagging("k") == {"a": "1", "b c": "&"}
    assert scene.server.read("k") == LARGE[:size]
    assert scene.server.uploads_in_progress == []


async def test_setting_a_time_is_two_requests_and_one_when_it_is_that_time(scene: Scene) -> None:
    await scene.write("k")
    scene.operations()
    await scene.store.set_time("k", GIVEN)
    assert scene.operations() == ["HeadObject", "CopyObject"]
    await scene.store.set_time("k", GIVEN)
    assert scene.operations() == ["HeadObject"]
    assert await scene.store.set_time("none", GIVEN) is None


async def test_the_write_token_survives_a_new_time(scene: Scene) -> None:
    await scene.write("k")
    before = (await scene.client.head_object("k")).metadata
    await scene.store.set_time("k", GIVEN)
    assert (await scene.client.head_object("k")).metadata == {**before, "mtime": "1500000000"}


async def test_head_and_get_tell_the_time(scene: Scene) -> None:
    scene.server.put("k", b"data", headers={"x-amz-meta-mtime": "1500000000.25"})
    info = await scene.store.head("k")
    assert info is not None
    assert info.client_time == 1_500_000_000.25
    for offset in (0, 2, 4):
        body = await scene.store.open_read("k", offset=offset)
        assert body.info == info
        await body.close()


async def test_a_listing_asks_for_what_is_not_remembered_and_only_once(scene: Scene) -> None:
    scene.server.put("a", b"1", headers={"x-amz-meta-mtime": "1500000000"})
    scene.server.put("b", b"2")
    scene.server.put("c", b"3", headers={"x-amz-meta-mtime": "nonsense"})
    expected = {"a": GIVEN, "b": scene.clock[0], "c": scene.clock[0]}
    scene.clock[0] += 5
    assert await scene.shown() == expected
    assert scene.operations() == ["HeadObject"] * 3
    assert await scene.shown() == expected
    assert scene.operations() == []


@pytest.mark.parametrize("size", [5, len(LARGE)], ids=["one part", "parts"])
async def test_what_was_written_here_is_remembered(scene: Scene, size: int) -> None:
    await scene.write("k", LARGE[:size])
    assert await scene.shown() == {"k": scene.clock[0]}
    scene.clock[0] += 5
    await scene.store.set_time("k", GIVEN)
    assert await scene.shown() == {"k": GIVEN}
    assert scene.operations() == []
    scene.clock[0] += 1000
    assert await scene.shown() == {"k": GIVEN}
    assert scene.operations() == []


@pytest.mark.parametrize("size", [5, len(LARGE)], ids=["single", "parts"])
async def test_a_copy_keeps_the_time_and_it_is_remembered(scene: Scene, size: int) -> None:
    await scene.write("k", LARGE[:size])
    source = await scene.store.set_time("k", GIVEN)
    assert source is not None
    await scene.store.copy(source, "target")
    await scene.store.delete(("k",))
    assert await scene.shown() == {"target": GIVEN}
    assert scene.operations() == []
    info = await scene.store.head("target")
    assert info is not None
    assert info.client_time == GIVEN


async def test_a_new_upload_has_no_time_of_a_clients(scene: Scene) -> None:
    await scene.write("k")
    await scene.store.set_time("k", GIVEN)
    scene.clock[0] += 100
    await scene.write("k")
    assert await scene.shown() == {"k": scene.clock[0]}


async def test_the_same_bytes_stored_by_somebody_else_are_looked_up_again(scene: Scene) -> None:
    await scene.write("k", b"data")
    await scene.store.set_time("k", GIVEN)
    assert await scene.shown() == {"k": GIVEN}
    scene.clock[0] += 100
    scene.server.put("k", b"data", headers={"x-amz-meta-mtime": "1400000000"})
    assert await scene.shown() == {"k": 1_400_000_000.0}
    assert scene.operations() == ["HeadObject"]


@pytest.mark.parametrize("look", ["a listing", "HeadObject"])
async def test_another_time_in_the_same_second_is_seen(scene: Scene, look: str) -> None:
    """By another daemon: same bytes, same ETag, same Last-Modified."""
    scene.server.put("k", b"data", headers={"x-amz-meta-mtime": "1400000000"})
    if look == "a listing":
        assert await scene.shown() == {"k": 1_400_000_000.0}
    else:
        await scene.store.head("k")
    scene.server.put("k", b"data", headers={"x-amz-meta-mtime": "1500000000"})
    scene.clock[0] += 5
    assert await scene.shown() == {"k": 1_500_000_000.0}
    assert scene.operations() == ["HeadObject"]
    assert await scene.shown() == {"k": 1_500_000_000.0}
    assert scene.operations() == []


async def test_what_goes_meanwhile_or_may_not_be_asked_for_shows_when_it_was_stored(scene: Scene) -> None:
    for key in ("gone", "secret", "there"):
        scene.server.put(key, b"1", headers={"x-amz-meta-mtime": "1500000000"})
    objects = (await scene.store.list("")).objects
    scene.server.delete("gone")

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "HeadObject" and call.key == "secret":
            raise Refusal("AccessDenied", 403, "")
        return await proceed()

    scene.server.intercept = intercept
    assert list(await scene.store.times(objects)) == [scene.clock[0], scene.clock[0], GIVEN]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("SlowDown", 503, errors.Unavailable),
        # HEAD is refused without a word then, as if the object were forbidden, which would be shown without its time.
        ("InvalidAccessKeyId", 403, errors.Misconfigured),
    ],
)
async def test_a_listing_whose_times_s3_does_not_tell_fails(
    scene: Scene, code: str, status: int, kind: type[errors.StorageError]
) -> None:
    """A time that is not the client's would let clients send the file again."""
    scene.server.put("k", b"1", headers={"x-amz-meta-mtime": "1500000000"})
    objects = (await scene.store.list("")).objects

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        raise Refusal(code, status, "")

    scene.server.intercept = intercept
    with pytest.raises(kind):
        await scene.store.times(objects)


async def test_listings_share_the_slots_for_looks(scene: Scene) -> None:
    under_way = peak = 0

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        nonlocal under_way, peak
        if call.operation != "HeadObject":
            return await proceed()
        under_way += 1
        peak = max(peak, under_way)
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        return await proceed()

    for number in range(150):
        scene.server.put(f"{number:03d}", b"1")
    objects = (await scene.store.list("")).objects
    scene.server.intercept = intercept
    await scene.store.times(objects[:60])
    assert 1 < peak <= LOOKS_OF_ONE
    store = S3Store(scene.client, ByteBudget(512 * KIB), part_size=64 * KIB, times=KnownTimes())
    peak = 0
    await asyncio.gather(*(store.times(objects[at::6]) for at in range(6)))
    assert LOOKS_OF_ONE < peak <= LOOKS_IN_FLIGHT


async def test_where_clients_times_are_not_kept_nothing_is_asked() -> None:
    async with running(times=False) as scene:
        scene.server.put("k", b"1", headers={"x-amz-meta-mtime": "1500000000"})
        assert await scene.shown() == {"k": scene.clock[0]}
        assert scene.operations() == []
        info = await scene.store.head("k")
        assert info is not None
        assert info.client_time is None


@pytest.mark.parametrize("code", [("PreconditionFailed", 412), ("NoSuchKey", 404)])
async def test_an_object_that_changes_while_its_time_is_set(scene: Scene, code: tuple[str, int]) -> None:
    scene.server.put("k", b"1")

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "CopyObject":
            raise Refusal(*code, "")
        return await proceed()

    scene.server.intercept = intercept
    if code[1] == 404:
        assert await scene.store.set_time("k", GIVEN) is None
    else:
        with pytest.raises(errors.Changed):
            await scene.store.set_time("k", GIVEN)


@pytest.mark.parametrize("size", [5, 200 * KIB, len(LARGE)], ids=["one part", "parts", "copied in parts"])
async def test_a_time_whose_answer_was_lost_is_set_all_the_same(scene: Scene, size: int) -> None:
    """The ETag of an object of parts is another one after the first attempt, which the condition of the second sees."""
    await scene.write("k", LARGE[:size])
    lost = 1

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        nonlocal lost
        answer = await proceed()
        if call.operation in ("CopyObject", "CompleteMultipartUpload") and lost:
            lost -= 1
            raise ConnectionCut
        return answer

    scene.server.intercept = intercept
    info = await scene.store.set_time("k", GIVEN)
    assert lost == 0
    there = await scene.store.head("k")
    assert info is not None
    assert there is not None
    assert (info.etag, info.client_time) == (there.etag, there.client_time) == (there.etag, GIVEN)
    assert scene.server.read("k") == LARGE[:size]


async def test_a_time_is_set_also_where_nothing_is_replaced(scene: Scene) -> None:
    store = S3Store(scene.client, ByteBudget(512 * KIB), part_size=64 * KIB, no_overwrite=True, times=KnownTimes())
    scene.server.put("k", b"data")
    assert await store.set_time("k", GIVEN) is not None
    assert (await scene.client.head_object("k")).metadata == {"mtime": "1500000000"}


@pytest.mark.parametrize("size", [0, 5, len(LARGE)])
@pytest.mark.parametrize("checksum", [None, Algorithm.CRC32, Algorithm.SHA256, Algorithm.MD5])
async def test_digests_are_those_of_the_content(checksum: Algorithm | None, size: int) -> None:
    """The embedded server is reached over http, where each payload is signed."""
    data = LARGE[:size]
    whole = {
        "crc32": zlib.crc32(data).to_bytes(4, "big"),
        "sha256": hashlib.sha256(data).digest(),
        "md5": hashlib.md5(data, usedforsecurity=False).digest(),
    }
    async with running(checksum=checksum) as scene:
        await scene.write("k", data)
        scene.operations()
        found = await scene.store.digests("k")
        assert scene.operations() == ["HeadObject"]
    assert found is not None
    assert found.info.size == size
    assert found.in_parts == (size > 64 * KIB)
    names = {"sha256"} | ({checksum.value} if checksum else set())
    if found.in_parts:
        names &= {"crc32"}
    assert found.known == {name: whole[name] for name in names}


async def test_digests_survive_a_rename_and_a_new_time(scene: Scene) -> None:
    await scene.write("k", b"data")
    source = await scene.store.set_time("k", GIVEN)
    assert source is not None
    await scene.store.copy(source, "target")
    found = await scene.store.digests("target")
    assert found is not None
    assert found.known == {"sha256": hashlib.sha256(b"data").digest()}
    assert await scene.store.digests("none") is None

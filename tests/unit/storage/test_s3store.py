from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from aioftps3.embedded import Answer, Call, ConnectionCut, EmbeddedS3, Limits, Proceed, Refusal
from aioftps3.s3 import errors as s3errors
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm, Verification
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.getobject import GetObject
from aioftps3.s3.models import Endpoint
from aioftps3.s3.retry import RetryPolicy
from aioftps3.s3.transport import AiohttpTransport
from aioftps3.s3.version import RESUMES
from aioftps3.storage import errors
from aioftps3.storage.s3store import S3Store, storage_error
from aioftps3.storage.store import ObjectWriter

KIB = 1024
DATA = random.Random(3).randbytes(600 * KIB)

EXPECTED: dict[str, type[errors.StorageError]] = {
    "NoCredentials": errors.Misconfigured,
    "S3ProtocolError": errors.Corrupt,
    "ChecksumMismatch": errors.Corrupt,
    "ObjectChanged": errors.Changed,
    "ConnectFailed": errors.Unavailable,
    "RequestTimedOut": errors.Unavailable,
    "ConnectionBroken": errors.Unavailable,
    "BodyTruncated": errors.Unavailable,
    "NoSuchKey": errors.NotFound,
    "NoSuchBucket": errors.Misconfigured,
    "NoSuchUpload": errors.Unavailable,
    "AccessDenied": errors.Denied,
    "CredentialsRejected": errors.Misconfigured,
    "ClockSkew": errors.Misconfigured,
    "WrongRegion": errors.Misconfigured,
    "PreconditionFailed": errors.Changed,
    "Conflict": errors.Busy,
    "UploadEvicted": errors.TooSlow,
    "InvalidRange": errors.RangeInvalid,
    "Throttled": errors.Unavailable,
    "ServerFault": errors.Unavailable,
    "DigestMismatch": errors.Corrupt,
    "TooLarge": errors.Quota,
    "MetadataTooLarge": errors.MetadataFull,
    "QuotaExceeded": errors.Quota,
    "StorageFull": errors.StorageFull,
    "KeyInvalid": errors.NameInvalid,
    "ArchivedObject": errors.Archived,
    "NotSupported": errors.NotSupported,
}
FAULTS_OF_OUR_OWN = {"S3Error", "RequestInvalid", "UploadEnded", "S3ResponseError", "RequestRejected"}


def an_error(kind: type[s3errors.S3Error]) -> s3errors.S3Error:
    if issubclass(kind, s3errors.S3ResponseError):
        return kind("TheCode", 400, operation="PutObject", request_id="R1", message="bucket secret-name")
    if issubclass(kind, s3errors.S3TransportError):
        return kind("broken", may_have_acted=True)
    if issubclass(kind, s3errors.DeleteFailed):
        return kind([s3errors.DeleteFailure("k", "AccessDenied", "secret-name")])
    return kind("broken")


KINDS = [kind for _, kind in inspect.getmembers(s3errors, inspect.isclass) if issubclass(kind, s3errors.S3Error)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_s3_error_has_its_storage_error(kind: type[s3errors.S3Error]) -> None:
    error = storage_error(an_error(kind))

    expected = {"DeleteFailed": errors.Denied, "S3TransportError": errors.Unavailable, **EXPECTED}
    if kind.__name__ in FAULTS_OF_OUR_OWN:
        assert type(error) is errors.StorageError
    else:
        assert type(error) is expected[kind.__name__]
    assert error.reason == type(error).words
    assert kind.__name__ in error.detail
    assert "secret-name" not in str(error)


def test_the_log_gets_code_status_and_request_id() -> None:
    error = storage_error(s3errors.Throttled("SlowDown", 503, operation="PutObject", request_id="R1"))
    assert error.request_id == "R1"
    assert all(word in error.detail for word in ("Throttled", "SlowDown", "503", "R1", "PutObject"))
    assert storage_error(s3errors.NoSuchKey("", 404)).request_id is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [("SlowDown", errors.Unavailable), ("InternalError", errors.Unavailable), ("Odd", errors.StorageError)],
)
def test_keys_that_could_not_be_deleted(code: str, kind: type[errors.StorageError]) -> None:
    error = storage_error(s3errors.DeleteFailed([s3errors.DeleteFailure("k", code, "words")]))
    assert type(error) is kind


@dataclass
class Scene:
    server: EmbeddedS3
    client: S3Client
    store: S3Store

    async def read(self, key: str, offset: int = 0) -> bytes:
        body = await self.store.open_read(key, offset=offset)
        try:
            return b"".join([chunk async for chunk in body.chunks()])
        finally:
            await body.close()

    def cut_downloads(self, times: int, after: Callable[[], None] = lambda: None) -> None:
        """Drop the connection in the middle of the next ``times`` downloads."""
        left = times

        async def intercept(call: Call, proceed: Proceed) -> Answer:
            nonlocal left
            answer = await proceed()
            if call.operation == "GetObject" and left and answer.status < 300:
                left -= 1
                whole = (
                    answer.body if isinstance(answer.body, bytes) else b"".join([part async for part in answer.body])
                )
                answer.length = len(whole)
                answer.body = half(whole)
            return answer

        async def half(whole: bytes) -> AsyncGenerator[bytes, None]:
            yield whole[: len(whole) // 2]
            after()
            raise ConnectionCut

        self.server.intercept = intercept

    def damage_downloads(self, position: int, *, breaks: int = 0) -> None:
        """Flip a bit of the content at a position, and drop the connection in the middle of the first ``breaks``."""
        left = breaks

        async def intercept(call: Call, proceed: Proceed) -> Answer:
            nonlocal left
            answer = await proceed()
            if call.operation == "GetObject":
                first = int((call.header("range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
                assert not isinstance(answer.body, bytes)
                whole = bytearray(b"".join([part async for part in answer.body]))
                if 0 <= position - first < len(whole):
                    whole[position - first] ^= 1
                answer.length = len(whole)
                answer.body = stream(bytes(whole), left > 0)
                left -= 1
            return answer

        async def stream(whole: bytes, cut: bool) -> AsyncGenerator[bytes, None]:
            yield whole[: len(whole) // 2]
            if cut:
                raise ConnectionCut
            yield whole[len(whole) // 2 :]

        self.server.intercept = intercept

    def refuse(self, operation: str, code: str, status: int) -> None:
        async def intercept(call: Call, proceed: Proceed) -> Answer:
            if call.operation == operation:
                raise Refusal(code, status, "secret-name")
            return await proceed()

        self.server.intercept = intercept


@asynccontextmanager
async def running_scene(*, checksum: Algorithm | None = None, no_overwrite: bool = False) -> AsyncIterator[Scene]:
    limits = Limits(min_part=64 * KIB)
    async with EmbeddedS3(bucket="bucket", access_key="key", secret_key="secret", limits=limits) as server:
        client = S3Client(
            AiohttpTransport(),
            Endpoint.for_bucket("bucket", "us-east-1", server.url),
            StaticCredentials("key", "secret"),
            retry=RetryPolicy(attempts=2, base_seconds=0.001, throttling_base_seconds=0.001),
            checksum=checksum,
        )
        store = S3Store(
            client,
            ByteBudget(512 * KIB),
            part_size=64 * KIB,
            single_copy_bytes=300 * KIB,
            no_overwrite=no_overwrite,
        )
        try:
            yield Scene(server, client, store)
        finally:
            await client.close()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with running_scene() as scene:
        yield scene


@pytest.fixture
async def checked() -> AsyncIterator[Scene]:
    """With checksums."""
    async with running_scene(checksum=Algorithm.CRC32) as scene:
        yield scene


async def test_an_announced_size_that_no_upload_can_reach_is_refused_before_it_begins(scene: Scene) -> None:
    most = 10_000 * 128 * KIB  # parts of a quarter of the budget
    writer = scene.store.open_write("k", expected_size=most)
    await writer.abort()
    with pytest.raises(errors.Quota, match=f"{most + 1} bytes were announced, {most} are possible"):
        scene.store.open_write("k", expected_size=most + 1)
    assert not scene.server.requests


@pytest.mark.parametrize("offset", [0, 1000])
async def test_a_download_goes_on_where_its_stream_broke(scene: Scene, offset: int) -> None:
    scene.server.put("k", DATA)
    scene.cut_downloads(RESUMES)
    assert await scene.read("k", offset) == DATA[offset:]
    assert scene.server.count("GetObject") == 1 + RESUMES


async def test_a_download_that_breaks_too_often_is_given_up(scene: Scene) -> None:
    scene.server.put("k", DATA)
    scene.cut_downloads(RESUMES + 1)
    with pytest.raises(errors.Unavailable):
        await scene.read("k")
    assert scene.server.count("GetObject") == 1 + RESUMES


async def test_an_object_that_changed_midway_is_never_mixed(scene: Scene) -> None:
    scene.server.put("k", DATA)
    scene.cut_downloads(1, after=lambda: scene.server.put("k", bytes(len(DATA))))
    with pytest.raises(errors.Changed):
        await scene.read("k")


async def test_another_version_is_not_mixed_in_where_conditions_are_ignored(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_object = scene.client.get_object

    async def careless(
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        if_match: str | None = None,
        verification: Verification | None = None,
    ) -> GetObject:
        return await get_object(key, offset=offset, length=length, verification=verification)

    monkeypatch.setattr(scene.client, "get_object", careless)
    scene.server.put("k", DATA)
    scene.cut_downloads(1, after=lambda: scene.server.put("k", bytes(len(DATA))))
    with pytest.raises(errors.Changed, match="another version"):
        await scene.read("k")


async def test_an_object_that_shrank_or_went_midway_has_changed(scene: Scene) -> None:
    scene.server.put("k", DATA)
    scene.cut_downloads(1, after=lambda: scene.server.put("k", b"short"))
    with pytest.raises(errors.Changed):
        await scene.read("k")

    scene.server.put("k", DATA)
    scene.cut_downloads(1, after=lambda: scene.server.delete("k"))
    with pytest.raises(errors.Changed):
        await scene.read("k")


@pytest.mark.parametrize("breaks", [0, 1, RESUMES])
async def test_a_download_is_verified_also_when_its_stream_broke(checked: Scene, breaks: int) -> None:
    await write_all(checked.store.open_write("k"), DATA)
    checked.cut_downloads(breaks)
    assert await checked.read("k") == DATA
    assert checked.server.count("GetObject") == 1 + breaks


@pytest.mark.parametrize("breaks", [0, 1])
@pytest.mark.parametrize("at", [0, len(DATA) // 2, len(DATA) - 1])
async def test_a_damaged_download_is_corrupt_before_its_end(checked: Scene, at: int, breaks: int) -> None:
    await write_all(checked.store.open_write("k"), DATA)
    checked.damage_downloads(at, breaks=breaks)
    body = await checked.store.open_read("k")
    got = bytearray()

    async def read() -> None:
        async for chunk in body.chunks():
            got.extend(chunk)

    with pytest.raises(errors.Corrupt):
        await read()
    assert len(got) < len(DATA)
    await body.close()


async def test_a_download_from_the_middle_is_not_verified(checked: Scene) -> None:
    await write_all(checked.store.open_write("k"), DATA)
    checked.damage_downloads(len(DATA) - 1)
    assert len(await checked.read("k", 1)) == len(DATA) - 1


async def test_without_checksums_none_is_asked_for(scene: Scene) -> None:
    asked: list[str | None] = []

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        asked.append(call.header("x-amz-checksum-mode"))
        return await proceed()

    scene.server.put("k", DATA)
    scene.server.intercept = intercept
    assert await scene.read("k") == DATA
    assert asked == [None]


@pytest.fixture
async def careful() -> AsyncIterator[Scene]:
    """Nothing is replaced."""
    async with running_scene(no_overwrite=True) as scene:
        yield scene


@pytest.mark.parametrize("size", [0, 5, 200 * KIB])
async def test_without_overwriting_a_file_is_written_once(careful: Scene, size: int) -> None:
    await write_all(careful.store.open_write("k"), DATA[:size])
    second = careful.store.open_write("k")
    with pytest.raises(errors.OverwriteRefused):
        await write_all(second, bytes(size))
    await second.abort()
    assert careful.server.read("k") == DATA[:size]
    assert careful.server.uploads_in_progress == []


async def test_without_overwriting_a_small_file_is_one_request_still(careful: Scene) -> None:
    await write_all(careful.store.open_write("k"), b"data")
    assert [request.operation for request in careful.server.requests] == ["PutObject"]


@pytest.mark.parametrize("size", [5, 400 * KIB])
async def test_without_overwriting_a_copy_replaces_nothing(careful: Scene, size: int) -> None:
    careful.server.put("k", DATA[:size])
    careful.server.put("target", b"old")
    source = await careful.store.head("k")
    assert source is not None
    with pytest.raises(errors.OverwriteRefused):
        await careful.store.copy(source, "target")
    assert careful.server.read("target") == b"old"
    await careful.store.copy(source, "other")
    assert careful.server.read("other") == DATA[:size]


@pytest.mark.parametrize("size", [5, 600 * KIB])
async def test_without_overwriting_what_is_a_copy_already_needs_no_other(careful: Scene, size: int) -> None:
    """A rename that could copy and not delete is repeated, and goes on."""
    await write_all(careful.store.open_write("k"), DATA[:size])
    source = await careful.store.head("k")
    assert source is not None
    etag = await careful.store.copy(source, "target")
    careful.server.clear()
    assert await careful.store.copy(source, "target") == etag
    assert {request.operation for request in careful.server.requests} == {"HeadObject"}
    careful.server.put("target", bytes(size))
    with pytest.raises(errors.OverwriteRefused):
        await careful.store.copy(source, "target")


@pytest.mark.parametrize("other", [{"x-amz-meta-owner": "bob"}, {"content-type": "text/x-theirs"}])
async def test_without_overwriting_the_same_bytes_with_another_description_are_no_copy(
    careful: Scene, other: dict[str, str]
) -> None:
    """A rename onto them would lose what is kept with the source."""
    careful.server.put("k", b"data")
    careful.server.put("target", b"data", headers=other)
    source = await careful.store.head("k")
    assert source is not None
    with pytest.raises(errors.OverwriteRefused):
        await careful.store.copy(source, "target")


async def test_without_overwriting_a_target_that_comes_meanwhile_is_kept(careful: Scene) -> None:
    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "CopyObject":
            careful.server.put("target", b"old")
        return await proceed()

    careful.server.put("k", b"data")
    source = await careful.store.head("k")
    assert source is not None
    careful.server.intercept = intercept
    with pytest.raises(errors.OverwriteRefused):
        await careful.store.copy(source, "target")
    assert careful.server.read("target") == b"old"


async def test_without_overwriting_a_source_that_changed_is_told_as_such(careful: Scene) -> None:
    careful.server.put("k", b"data")
    source = await careful.store.head("k")
    assert source is not None
    careful.server.put("k", b"new data")
    with pytest.raises(errors.Changed):
        await careful.store.copy(source, "target")


async def test_a_store_without_conditions_on_copies_is_looked_into_first(careful: Scene) -> None:
    async def intercept(call: Call, proceed: Proceed) -> Answer:
        if call.operation == "CopyObject" and call.header("if-none-match") is not None:
            raise Refusal("NotImplemented", 501, "no")
        return await proceed()

    careful.server.intercept = intercept
    careful.server.put("k", b"data")
    source = await careful.store.head("k")
    assert source is not None
    await careful.store.copy(source, "target")
    assert careful.server.read("target") == b"data"
    careful.server.put("target", b"old")
    with pytest.raises(errors.OverwriteRefused):
        await careful.store.copy(source, "target")


DESCRIPTION = {
    "content-type": "text/x-odd",
    "cache-control": "no-cache",
    "content-disposition": "inline",
    "content-encoding": "gzip",
    "content-language": "de",
    "expires": "never",
    "x-amz-meta-mtime": "12",
    "x-amz-storage-class": "STANDARD_IA",
    "x-amz-tagging": "a=1&b%20c=%26",
}


@pytest.mark.parametrize("size", [5, 600 * KIB], ids=["single", "parts"])
async def test_a_copy_keeps_what_is_kept_with_the_object(scene: Scene, size: int) -> None:
    scene.server.put("k", DATA[:size], headers=DESCRIPTION)
    source = await scene.store.head("k")
    assert source is not None
    assert (await scene.store.list("k")).objects == (source,)
    original = await scene.client.head_object("k")
    scene.server.clear()
    told: list[int] = []
    etag = await scene.store.copy(source, "target", copied=told.append)

    assert scene.server.read("target") == DATA[:size]
    assert sum(told) == size
    info = await scene.client.head_object("target")
    assert info.etag == etag
    assert info.content_type == "text/x-odd"
    assert info.metadata["mtime"] == "12"
    assert info.content_headers == original.content_headers
    assert len(info.content_headers) == 5
    assert info.storage_class == "STANDARD_IA"
    assert await scene.client.get_object_tagging("target") == {"a": "1", "b c": "&"}
    assert (scene.server.count("UploadPartCopy") >= 1) == (size > 5)


async def test_an_object_of_the_default_storage_class_looks_alike_in_head_and_listing(scene: Scene) -> None:
    scene.server.put("k", b"data")
    info = await scene.store.head("k")
    assert (await scene.store.list("k")).objects == (info,)
    assert info is not None
    assert info.storage_class is None


@pytest.mark.parametrize("size", [5, 600 * KIB], ids=["single", "parts"])
async def test_a_copy_is_known_by_what_is_kept_with_it(scene: Scene, size: int) -> None:
    """Multipart uploads, and copies of them, have ETags that tell nothing."""
    await write_all(scene.store.open_write("k"), DATA[:size])
    source = await scene.store.head("k")
    assert source is not None
    await scene.store.copy(source, "target")
    scene.server.put("other", bytes(size))
    target, other = await scene.store.head("target"), await scene.store.head("other")
    assert target is not None
    assert other is not None
    assert await scene.store.is_copy(source, target)
    assert not await scene.store.is_copy(source, other)
    scene.server.put("target", bytes(size))
    assert not await scene.store.is_copy(source, target)
    scene.server.delete("target")
    assert not await scene.store.is_copy(source, target)


async def test_copies_keep_to_their_slots_whoever_wants_them(scene: Scene) -> None:
    under_way = peak = 0

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        nonlocal under_way, peak
        if call.operation not in ("CopyObject", "UploadPartCopy"):
            return await proceed()
        under_way += 1
        peak = max(peak, under_way)
        for _ in range(50):
            await asyncio.sleep(0)
        try:
            return await proceed()
        finally:
            under_way -= 1

    scene.server.intercept = intercept
    store = S3Store(scene.client, ByteBudget(512 * KIB), part_size=64 * KIB, copies_in_flight=3)
    for number in range(10):
        scene.server.put(f"{number}", b"data")
    await asyncio.gather(*(store.copy(info, f"t{info.key}") for info in (await store.list("")).objects))
    assert peak == 3


@pytest.mark.parametrize("size", [5, 400 * KIB])
async def test_without_overwriting_a_copy_whose_answer_was_lost_is_ours(careful: Scene, size: int) -> None:
    """S3 refuses the second attempt because of the first one."""
    lost = False

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        nonlocal lost
        answer = await proceed()
        if call.operation in ("CopyObject", "CompleteMultipartUpload") and not lost:
            lost = True
            raise ConnectionCut
        return answer

    careful.server.put("k", DATA[:size])
    source = await careful.store.head("k")
    assert source is not None
    careful.server.intercept = intercept
    await careful.store.copy(source, "target")
    assert lost
    assert careful.server.read("target") == DATA[:size]
    assert careful.server.uploads_in_progress == []


async def test_a_large_object_that_changed_is_not_copied(scene: Scene) -> None:
    scene.server.put("k", DATA)
    source = await scene.store.head("k")
    assert source is not None
    scene.server.put("k", bytes(len(DATA)))
    with pytest.raises(errors.Changed):
        await scene.store.copy(source, "target")
    assert list(scene.server.objects()) == ["k"]


@pytest.mark.parametrize(
    ("operation", "code", "status", "kind"),
    [
        ("HeadObject", "", 403, errors.Denied),
        ("GetObject", "AccessDenied", 403, errors.Denied),
        ("GetObject", "InvalidObjectState", 403, errors.Archived),
        ("ListObjectsV2", "NoSuchBucket", 404, errors.Misconfigured),
        ("PutObject", "SlowDown", 503, errors.Unavailable),
        ("PutObject", "EntityTooLarge", 400, errors.Quota),
        ("PutObject", "MetadataTooLarge", 400, errors.MetadataFull),
        ("CopyObject", "InternalError", 500, errors.Unavailable),
        ("DeleteObject", "AccessDenied", 403, errors.Denied),
        ("DeleteObjects", "MethodNotAllowed", 405, errors.NotSupported),
    ],
)
async def test_no_s3_error_leaves_the_store(
    scene: Scene, operation: str, code: str, status: int, kind: type[errors.StorageError]
) -> None:
    scene.server.put("k", b"data")
    source = await scene.store.head("k")
    assert source is not None
    scene.refuse(operation, code, status)
    works: dict[str, Callable[[], Awaitable[object]]] = {
        "HeadObject": lambda: scene.store.head("k"),
        "GetObject": lambda: scene.store.open_read("k"),
        "ListObjectsV2": lambda: scene.store.list("k"),
        "PutObject": lambda: scene.store.open_write("k").complete(),
        "CopyObject": lambda: scene.store.copy(source, "target"),
        "DeleteObject": lambda: scene.store.delete(("k",)),
        "DeleteObjects": lambda: scene.store.delete(("k", "l")),
    }
    with pytest.raises(kind) as caught:
        await works[operation]()
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, s3errors.S3Error)
    assert "secret-name" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind"), [("InvalidAccessKeyId", errors.Misconfigured), ("AccessDenied", errors.Denied)]
)
async def test_a_refused_head_is_explained_by_a_listing(
    scene: Scene, code: str, kind: type[errors.StorageError]
) -> None:
    async def intercept(call: Call, proceed: Proceed) -> Answer:
        raise Refusal(code, 403, "")

    scene.server.intercept = intercept
    with pytest.raises(kind) as caught:
        await scene.store.head("k")
    assert type(caught.value) is kind
    assert [request.operation for request in scene.server.requests] == ["HeadObject", "ListObjectsV2"]


async def test_a_marker_is_written_again_when_its_answer_was_lost(scene: Scene) -> None:
    lost = False

    async def intercept(call: Call, proceed: Proceed) -> Answer:
        nonlocal lost
        answer = await proceed()
        if not lost:
            lost = True
            raise ConnectionCut
        return answer

    scene.server.intercept = intercept
    await scene.store.put_marker("d/")
    assert scene.server.count("PutObject") == 2


async def test_a_failed_upload_is_aborted_without_a_trace(scene: Scene) -> None:
    scene.refuse("UploadPart", "AccessDenied", 403)
    writer = scene.store.open_write("k")
    with pytest.raises(errors.Denied):
        await write_all(writer, DATA)
    scene.server.intercept = None
    await writer.abort()
    assert scene.server.uploads_in_progress == []
    assert scene.server.objects() == {}


async def test_an_upload_that_lost_its_memory_was_too_slow(scene: Scene) -> None:
    store = S3Store(scene.client, ByteBudget(64 * KIB, block=16 * KIB, growth=1, patience=0), part_size=64 * KIB)
    silent, other = store.open_write("silent"), store.open_write("other")
    told = asyncio.Event()
    silent.on_broken(told.set)
    with await silent.room() as room:
        room[:4] = b"data"
        silent.filled(4)
    await write_all(other, bytes(64 * KIB))
    await told.wait()
    with pytest.raises(errors.TooSlow, match="UploadEvicted"):
        await silent.room()
    await silent.abort()
    assert list(scene.server.objects()) == ["other"]


async def write_all(writer: ObjectWriter, data: bytes) -> None:
    while data:
        room = await writer.room()
        count = min(len(room), len(data), 16 * KIB)
        room[:count] = data[:count]
        writer.filled(count)
        data = data[count:]
    await writer.complete()


def test_an_upload_that_the_budget_cannot_hold_is_a_storage_error() -> None:
    client = S3Client(
        AiohttpTransport(), Endpoint.for_bucket("bucket", "us-east-1"), StaticCredentials("key", "secret")
    )
    with pytest.raises(errors.StorageError):
        S3Store(client, ByteBudget(10)).open_write("k")


async def test_a_listing_that_does_not_go_on_is_an_error() -> None:
    """A store that answers the same page for ever would keep a session busy without an end."""

    async def same_page(_call: Call, _proceed: Proceed) -> Answer:
        page = "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>"
        return Answer(status=200, body=f"<ListBucketResult>{page}</ListBucketResult>".encode())

    async with running_scene() as scene:
        scene.server.intercept = same_page
        page = await scene.store.list("x/")
        with pytest.raises(errors.Corrupt):
            await scene.store.list("x/", token=page.next_token)

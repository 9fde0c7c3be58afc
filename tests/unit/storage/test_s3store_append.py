"""Appending to objects in S3: what is kept with them, what is known of them, and what stores cannot do."""

from __future__ import annotations

import base64
import hashlib
import random
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from unittest import mock

import pytest

from aioftps3.embedded import Answer, Call, EmbeddedS3, Limits, Proceed, Refusal
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.models import Endpoint
from aioftps3.s3.retry import RetryPolicy
from aioftps3.s3.transport import AiohttpTransport
from aioftps3.storage import errors
from aioftps3.storage.s3store import S3Store
from aioftps3.storage.store import ObjectInfo
from aioftps3.storage.times import KnownTimes

KIB = 1024
PART = 64 * KIB
OLD = random.Random(1).randbytes(5 * PART + 7)
NEW = random.Random(2).randbytes(3 * PART + 5)
DESCRIPTION = {
    "content-type": "text/x-odd",
    "cache-control": "no-cache",
    "x-amz-meta-other": "words",
    "x-amz-meta-aioftps3-sha256": "00/1",
    "x-amz-meta-mtime": "1500000000",
    "x-amz-storage-class": "STANDARD_IA",
    "x-amz-tagging": "a=1&b%20c=%26",
}

sizes = pytest.mark.parametrize("size", [10, len(OLD)], ids=["read", "copied"])
added = pytest.mark.parametrize("new", [b"new", NEW], ids=["one part", "several parts"])


@dataclass
class Scene:
    server: EmbeddedS3
    client: S3Client
    store: S3Store
    budget: ByteBudget

    async def append(self, data: bytes, offset: int | None = None) -> ObjectInfo:
        writer = await self.store.open_append("k", offset=offset)
        try:
            view = memoryview(data)
            while view:
                room = await writer.room()
                count = min(len(room), len(view))
                room[:count] = view[:count]
                writer.filled(count)
                view = view[count:]
            writer.seal()
            return await writer.complete()
        except BaseException:
            await writer.abort()
            raise

    def record(self, *operations: str) -> list[dict[str, str]]:
        """The headers of the requests of these operations from now on."""
        found: list[dict[str, str]] = []

        async def intercept(call: Call, proceed: Proceed) -> Answer:
            if call.operation in operations:
                found.append({name.lower(): value for name, value in call.wire.headers})
            return await proceed()

        self.server.intercept = intercept
        return found

    def operations(self) -> list[str]:
        found = [request.operation for request in self.server.requests]
        self.server.clear()
        return found

    def refuse(self, operation: str, code: str = "NotImplemented", status: int = 501, *, header: str = "") -> None:
        async def intercept(call: Call, proceed: Proceed) -> Answer:
            if call.operation == operation and (not header or call.header(header) is not None):
                raise Refusal(code, status, "no")
            return await proceed()

        self.server.intercept = intercept


@asynccontextmanager
async def running(
    *,
    checksum: Algorithm | None = None,
    no_overwrite: bool = False,
    equal_parts: bool = False,
    times: KnownTimes | None = None,
    on_aws: bool = False,
) -> AsyncIterator[Scene]:
    """``on_aws``: the store is taken for AWS."""
    limits = Limits(min_part=PART)
    async with AsyncExitStack() as stack:
        stack.enter_context(mock.patch.object(Endpoint, "on_aws", on_aws))
        server = await stack.enter_async_context(
            EmbeddedS3(bucket="bucket", access_key="key", secret_key="secret", limits=limits)
        )
        client = S3Client(
            AiohttpTransport(),
            Endpoint.for_bucket("bucket", "us-east-1", server.url),
            StaticCredentials("key", "secret"),
            retry=RetryPolicy(attempts=2, base_seconds=0.001, throttling_base_seconds=0.001),
            checksum=checksum,
        )
        budget = ByteBudget(8 * PART)
        store = S3Store(
            client,
            budget,
            part_size=PART,
            least_part_bytes=PART,
            copy_part_bytes=2 * PART,
            no_overwrite=no_overwrite,
            equal_parts=equal_parts,
            times=times,
        )
        try:
            yield Scene(server, client, store, budget)
            assert budget.in_use == 0
            assert server.uploads_in_progress == []
        finally:
            await client.close()


@sizes
@added
async def test_what_is_kept_with_an_object_stays_but_for_what_tells_of_its_content(size: int, new: bytes) -> None:
    async with running() as scene:
        scene.server.put("k", OLD[:size], headers=DESCRIPTION)
        await scene.append(new)
        assert scene.server.read("k") == OLD[:size] + new
        assert scene.operations()[:2] == ["HeadObject", "GetObjectTagging"]
        kept = await scene.client.head_object("k")
        assert (kept.content_type, kept.storage_class) == ("text/x-odd", "STANDARD_IA")
        assert kept.content_headers == {"cache-control": "no-cache"}
        assert kept.metadata["other"] == "words"
        assert "mtime" not in kept.metadata
        assert kept.metadata.get("aioftps3-sha256") != "00/1"
        assert await scene.client.get_object_tagging("k") == {"a": "1", "b c": "&"}


@sizes
@added
@pytest.mark.parametrize("checksum", [None, Algorithm.CRC32, Algorithm.SHA256])
@pytest.mark.parametrize("on_aws", [True, False])
async def test_digests_are_those_of_the_new_content_or_not_known(
    size: int, new: bytes, checksum: Algorithm | None, on_aws: bool
) -> None:
    async with running(checksum=checksum, on_aws=on_aws) as scene:
        scene.server.put("k", OLD[:size], headers=DESCRIPTION)
        await scene.append(new)
        found = await scene.store.digests("k")
        whole = OLD[:size] + new
        assert found is not None
        right = {name: hashlib.new(name, whole).digest() for name in ("sha256", "md5")}
        right["crc32"] = zlib.crc32(whole).to_bytes(4, "big")
        assert all(right[name] == digest for name, digest in found.known.items())
        assert ("crc32" in found.known) is (checksum is Algorithm.CRC32 and (on_aws or size == 10))
        if len(whole) <= PART:
            assert "sha256" in found.known
        body = await scene.store.open_read("k")
        assert b"".join([chunk async for chunk in body.chunks()]) == whole
        await body.close()


async def test_s3_refuses_to_make_a_whole_that_is_not_what_was_sent() -> None:
    """The checksum at the end covers what S3 has copied, too."""
    async with running(checksum=Algorithm.CRC32, on_aws=True) as scene:
        scene.server.put("k", OLD)
        completions = scene.record("CompleteMultipartUpload")
        await scene.append(b"new")
        expected = base64.b64encode(zlib.crc32(OLD + b"new").to_bytes(4, "big")).decode()
        assert completions[0]["x-amz-checksum-crc32"] == expected
        assert completions[0]["x-amz-mp-object-size"] == str(len(OLD) + 3)


@sizes
async def test_a_client_s_time_is_not_that_of_the_new_content(size: int) -> None:
    known = KnownTimes()
    async with running(times=known) as scene:
        scene.server.put("k", OLD[:size], headers={"x-amz-meta-mtime": "1500000000"})
        unchanged = await scene.append(b"")
        assert unchanged.client_time == 1_500_000_000
        info = await scene.append(b"new")
        assert info.client_time is None
        listed = (await scene.store.list("")).objects
        scene.server.clear()
        assert await scene.store.times(listed) == [listed[0].modified]
        assert scene.operations() == []


@pytest.mark.parametrize("offset", [None, 3])
async def test_without_overwriting_only_new_files_can_be_appended_to(offset: int | None) -> None:
    async with running(no_overwrite=True) as scene:
        scene.server.put("k", b"old")
        with pytest.raises(errors.OverwriteRefused):
            await scene.append(b"new", offset)
        assert scene.operations() == ["GetObject" if offset else "HeadObject"]
        assert scene.server.read("k") == b"old"
        scene.server.delete("k")
        await scene.append(b"new")
        assert scene.server.read("k") == b"new"


async def test_without_overwriting_a_file_that_appears_meanwhile_stays() -> None:
    async with running(no_overwrite=True) as scene:
        writer = await scene.store.open_append("k")
        scene.server.put("k", b"foreign")
        with pytest.raises(errors.OverwriteRefused):
            await writer.complete()
        await writer.abort()
        assert scene.server.read("k") == b"foreign"


@pytest.mark.parametrize("size", [1, PART - 1, 2 * PART, 5 * PART + 7])
async def test_equal_parts_are_equal_also_behind_what_was_there(size: int) -> None:
    async with running(equal_parts=True) as scene:
        scene.server.put("k", OLD[:size])
        parts = scene.record("UploadPart", "UploadPartCopy")
        await scene.append(NEW)
        assert scene.server.read("k") == OLD[:size] + NEW
        lengths = []
        for headers in parts:
            first, _, last = headers.get("x-amz-copy-source-range", "").removeprefix("bytes=").partition("-")
            lengths.append(int(last) - int(first) + 1 if last else int(headers["content-length"]))
        assert sum(lengths) == size + len(NEW)
        assert len(set(lengths) - {min(lengths)}) == 1
        assert lengths.count(min(lengths)) == 1


@added
async def test_a_store_that_copies_no_parts_is_read_from(new: bytes) -> None:
    async with running() as scene:
        scene.server.put("k", OLD)
        scene.refuse("UploadPartCopy")
        await scene.append(new)
        assert scene.server.read("k") == OLD + new
        scene.operations()
        await scene.append(b"more")
        assert scene.server.read("k") == OLD + new + b"more"
        operations = scene.operations()
        assert operations[:2] == ["GetObject", "CreateMultipartUpload"]
        assert "UploadPartCopy" not in operations


@sizes
@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
async def test_a_store_that_refuses_conditions_is_written_to_without(size: int, header: str) -> None:
    async with running() as scene:
        if header == "if-match":
            scene.server.put("k", OLD[:size])
        for operation in ("PutObject", "CompleteMultipartUpload"):
            scene.refuse(operation, header=header)
            await scene.append(b"new")
            if header == "if-match":
                assert scene.server.read("k").endswith(b"new")
            else:
                assert scene.server.read("k") == b"new"
                scene.server.delete("k")


async def test_the_refusal_of_a_look_says_why() -> None:
    async with running() as scene:
        scene.server.put("k", OLD)

        async def intercept(call: Call, proceed: Proceed) -> Answer:
            raise Refusal("InvalidAccessKeyId" if call.operation == "ListObjectsV2" else "", 403, "no")

        scene.server.intercept = intercept
        with pytest.raises(errors.Misconfigured):
            await scene.store.open_append("k")
        assert [request.operation for request in scene.server.requests][-1] == "ListObjectsV2"


async def test_tags_that_cannot_be_read_are_not_lost_silently() -> None:
    async with running() as scene:
        scene.server.put("k", b"old", headers={"x-amz-tagging": "a=1"})
        scene.refuse("GetObjectTagging", "AccessDenied", 403)
        with pytest.raises(errors.Denied):
            await scene.append(b"new", 3)
        assert scene.server.read("k") == b"old"


async def test_on_aws_it_costs_a_request_less() -> None:
    async with running(on_aws=True) as scene:
        scene.server.put("k", OLD[:10])
        await scene.append(b"new", 10)
        assert scene.operations() == ["GetObject", "PutObject"]
        await scene.append(b"new")
        assert scene.operations() == ["HeadObject", "GetObject", "PutObject"]
        scene.server.put("k", OLD)
        await scene.append(b"new")
        operations = scene.operations()
        assert operations[:2] == ["HeadObject", "CreateMultipartUpload"]
        assert operations[2:-2] == ["UploadPartCopy"] * 3
        assert operations[-2:] == ["UploadPart", "CompleteMultipartUpload"]


@sizes
async def test_on_aws_s3_says_what_others_have_done(size: int) -> None:
    for foreign in (b"foreign", None):
        async with running(on_aws=True) as scene:
            scene.server.put("k", OLD[:size])
            writer = await scene.store.open_append("k")
            room = await writer.room()
            room[:3] = b"new"
            writer.filled(3)
            if foreign is None:
                scene.server.delete("k")
            else:
                scene.server.put("k", foreign)
            with pytest.raises(errors.Changed):
                await writer.complete()
            await writer.abort()
            assert ("k" in scene.server.objects()) is (foreign is not None)


async def test_an_announced_size_that_no_upload_can_reach_is_refused() -> None:
    async with running() as scene:
        scene.server.put("k", OLD)
        with pytest.raises(errors.Quota):
            await scene.store.open_append("k", expected_size=10**15)
        with pytest.raises(errors.Quota):
            await scene.store.open_append("new", expected_size=10**15)

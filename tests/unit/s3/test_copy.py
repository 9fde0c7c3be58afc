"""Copies of any size."""

import asyncio
from itertools import pairwise

import pytest

from aioftps3.s3.copy import copy_any_size, copy_ranges
from aioftps3.s3.errors import S3Error
from aioftps3.s3.models import WRITE_ID_METADATA, ObjectInfo
from tests.unit.s3.fakes import Answered, FakeS3, LostAfter, client_of, etag, header, settle

DATA = bytes(range(100))


def source() -> ObjectInfo:
    return ObjectInfo(
        key="s", size=len(DATA), etag=etag(DATA), last_modified=0.0, content_type="a/b", metadata={"m": "v"}
    )


def store() -> FakeS3:
    fake = FakeS3()
    fake.objects["s"], fake.metadata["s"] = DATA, {"m": "v"}
    return fake


async def test_small_object_is_one_copy_pinned_to_its_etag() -> None:
    fake = store()
    assert await copy_any_size(client_of(fake), source(), "t") == etag(DATA)
    assert fake.requests == ["CopyObject"]
    assert header(fake.sent[0], "x-amz-copy-source-if-match") == etag(DATA)


async def test_large_object_is_copied_in_parts_with_its_description() -> None:
    fake = store()
    await copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=7)
    assert fake.objects["t"] == DATA
    assert fake.metadata["t"].items() >= {"m": "v"}.items()
    assert header(fake.sent[0], "content-type") == "a/b"
    assert fake.count("UploadPartCopy") == 15
    assert fake.uploads == {}


async def test_lost_answer_to_complete_is_looked_up() -> None:
    fake = store()
    fake.faults["CompleteMultipartUpload", 0] = LostAfter()
    await copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=30)
    assert fake.objects["t"] == DATA
    assert WRITE_ID_METADATA in fake.metadata["t"]


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"])
async def test_failed_copy_leaves_nothing(operation: str) -> None:
    fake = store()
    fake.faults[operation, 0] = Answered(501, "NotImplemented")
    with pytest.raises(S3Error):
        await copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=7)
    assert set(fake.objects) == {"s"}
    assert fake.uploads == {}


async def test_cancellation_at_every_step_leaves_nothing() -> None:
    for turns in range(100):
        fake = store()
        copying = copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=7)
        task = asyncio.create_task(copying)
        await settle(turns)
        cancelled = task.cancel()
        await asyncio.wait({task})
        assert fake.uploads == {}
        assert fake.objects.get("t", DATA) == DATA
        if not cancelled:
            return
    pytest.fail("the copy never ended")


@pytest.mark.parametrize(("size", "part"), [(1, 5), (10, 5), (11, 5), (10_001, 1), (48 * 2**40, 512 * 2**20)])
def test_ranges_cover_every_byte_in_at_most_ten_thousand(size: int, part: int) -> None:
    ranges = copy_ranges(size, part)
    assert len(ranges) <= 10_000
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size - 1
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(ranges))

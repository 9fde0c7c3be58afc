"""Copies of any size."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from aioftps3.s3.copy import COPIES_IN_FLIGHT, copy_any_size, copy_ranges, is_copy
from aioftps3.s3.errors import AccessDenied, S3Error
from aioftps3.s3.models import SOURCE_METADATA, WRITE_ID_METADATA, Body, ObjectInfo
from aioftps3.s3.parts import LARGEST_PART_BYTES, MIB
from aioftps3.s3.transport import Request, Response
from tests.unit.s3.fakes import PATIENT, Answered, FakeS3, LostAfter, client_of, describe, etag, header, settle

DATA = bytes(range(100))


def source() -> ObjectInfo:
    return ObjectInfo(
        key="s", size=len(DATA), etag=etag(DATA), last_modified=0.0, content_type="a/b", metadata={"m": "v"}
    )


def store() -> FakeS3:
    fake = FakeS3()
    fake.objects["s"], fake.metadata["s"] = DATA, {"m": "v"}
    return fake


def sent(fake: FakeS3, operation: str) -> Request:
    """The first request of an operation."""
    return next(request for request in fake.sent if describe(request)[0] == operation)


async def test_small_object_is_one_copy_pinned_to_its_etag() -> None:
    fake = store()
    assert await copy_any_size(client_of(fake), source(), "t") == etag(DATA)
    assert fake.requests == ["CopyObject"]
    assert header(fake.sent[0], "x-amz-copy-source-if-match") == etag(DATA)
    assert header(fake.sent[0], "x-amz-storage-class") is None


async def test_large_object_is_copied_in_parts_with_its_description() -> None:
    """P7."""
    fake = store()
    await copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=7)
    assert fake.objects["t"] == DATA
    assert fake.metadata["t"].items() >= {"m": "v"}.items()
    assert header(fake.sent[0], "content-type") == "a/b"
    assert fake.count("UploadPartCopy") == 15
    assert fake.uploads == {}


async def test_a_copy_in_parts_is_given_all_that_a_single_copy_keeps() -> None:
    fake = store()
    fake.always["GetObjectTagging"] = Answered(
        200, body=b"<Tagging><TagSet><Tag><Key>a b</Key><Value>&amp;</Value></Tag></TagSet></Tagging>"
    )
    kept = {"cache-control": "no-cache", "content-encoding": "gzip"}
    rich = replace(source(), content_headers=kept, tag_count=1, storage_class="STANDARD_IA")
    await copy_any_size(client_of(fake), rich, "t", single_copy_bytes=50, part_bytes=50)
    create = sent(fake, "CreateMultipartUpload")
    assert {name: header(create, name) for name in kept} == kept
    assert header(create, "x-amz-tagging") == "a%20b=%26"
    assert header(create, "x-amz-storage-class") == "STANDARD_IA"


async def test_metadata_that_is_no_ascii_is_sent_as_s3_takes_it() -> None:
    fake = store()
    foreign = replace(source(), metadata={"a": "ü ñ", "b": "\udcff", "c": "=?UTF-8?q?=C3=BC?="})
    await copy_any_size(client_of(fake), foreign, "t", single_copy_bytes=50, part_bytes=50)
    kept = {name: fake.metadata["t"][name] for name in "abc"}
    assert kept == {"a": "=?UTF-8?B?w7wgw7E=?=", "b": "=?UTF-8?B?/w==?=", "c": "=?UTF-8?q?=C3=BC?="}


async def test_tags_that_cannot_be_read_are_not_lost_silently() -> None:
    fake = store()
    fake.always["GetObjectTagging"] = Answered(403, "AccessDenied")
    with pytest.raises(AccessDenied):
        await copy_any_size(client_of(fake), replace(source(), tag_count=1), "t", single_copy_bytes=50)
    assert fake.requests == ["GetObjectTagging"]


@pytest.mark.parametrize(
    ("name", "kept"), [("STANDARD_IA", "STANDARD_IA"), ("GLACIER", None), ("MY-TIER", None), (None, None)]
)
@pytest.mark.parametrize("single", [50, 200])
async def test_the_storage_class_is_kept_where_the_copy_stays_readable(
    name: str | None, kept: str | None, single: int
) -> None:
    fake = store()
    await copy_any_size(client_of(fake), replace(source(), storage_class=name), "t", single_copy_bytes=single)
    assert header(fake.sent[0], "x-amz-storage-class") == kept


async def test_lost_answer_to_complete_is_looked_up() -> None:
    fake = store()
    fake.faults["CompleteMultipartUpload", 0] = LostAfter()
    await copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=30)
    assert fake.objects["t"] == DATA
    assert WRITE_ID_METADATA in fake.metadata["t"]


@pytest.mark.parametrize(
    "operation", ["CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload", "CopyObject"]
)
@pytest.mark.parametrize("if_none_match", [None, "*"])
async def test_lost_answers_are_asked_for_again(operation: str, if_none_match: str | None) -> None:
    fake = store()
    fake.faults[operation, 0] = LostAfter()
    single = 200 if operation == "CopyObject" else 50
    await copy_any_size(
        client_of(fake, retry=PATIENT),
        source(),
        "t",
        if_none_match=if_none_match,
        single_copy_bytes=single,
        part_bytes=30,
    )
    assert fake.objects["t"] == DATA
    assert fake.count(operation) >= (1 if operation == "CompleteMultipartUpload" else 2)


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"])
async def test_failed_copy_leaves_nothing(operation: str) -> None:
    fake = store()
    fake.faults[operation, 0] = Answered(501, "NotImplemented")
    with pytest.raises(S3Error):
        await copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=7)
    assert set(fake.objects) == {"s"}
    assert fake.uploads == {}


@pytest.mark.parametrize("twice", [False, True])
async def test_cancellation_at_every_step_leaves_nothing(twice: bool) -> None:
    """Also when whoever waits for the abort is cancelled: it goes on alone."""
    for turns in range(100):
        fake = store()
        copying = copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=7)
        task = asyncio.create_task(copying)
        await settle(turns)
        cancelled = task.cancel()
        if twice:
            await settle(3)
            task.cancel()
        await asyncio.wait({task})
        await settle(50 if twice else 0)
        assert fake.uploads == {}
        assert fake.objects.get("t", DATA) == DATA
        if not cancelled:
            return
    pytest.fail("the copy never ended")


class Counting(FakeS3):
    """Counts the copy requests that are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.objects["s"], self.metadata["s"] = DATA, {}
        self.under_way = self.peak = 0

    async def send(self, request: Request, body: Body | None) -> Response:
        if describe(request)[0] not in ("UploadPartCopy", "CopyObject"):
            return await super().send(request, body)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            await settle(3)
            return await super().send(request, body)
        finally:
            self.under_way -= 1


async def test_parts_are_copied_side_by_side_but_not_all_at_once() -> None:
    fake = Counting()
    await copy_any_size(client_of(fake), source(), "t", single_copy_bytes=50, part_bytes=1)
    assert fake.count("UploadPartCopy") == len(DATA)
    assert fake.peak == COPIES_IN_FLIGHT


async def test_copies_that_share_slots_keep_to_them_together() -> None:
    fake, slots = Counting(), asyncio.Semaphore(5)
    client = client_of(fake)
    large = [
        copy_any_size(client, source(), key, single_copy_bytes=50, part_bytes=3, slots=slots) for key in ("t", "u")
    ]
    small = [copy_any_size(client, source(), key, slots=slots) for key in ("v", "w")]
    await asyncio.gather(*large, *small)
    assert fake.peak == 5
    assert all(fake.objects[key] == DATA for key in "tuvw")


@pytest.mark.parametrize("single", [50, 200])
async def test_progress_is_told_in_bytes(single: int) -> None:
    told: list[int] = []
    await copy_any_size(client_of(store()), source(), "t", single_copy_bytes=single, part_bytes=30, copied=told.append)
    assert sum(told) == len(DATA)
    assert len(told) == (1 if single == 200 else 4)


@pytest.mark.parametrize(
    ("size", "part"),
    [
        (1, 5),
        (10, 5),
        (11, 5),
        (10_001, 1),
        (6 * 1024 * MIB, 128 * MIB),
        (5 * 1024 * 1024 * MIB, 128 * MIB),
        (48 * 2**40, 512 * MIB),
        (10_000 * LARGEST_PART_BYTES, 128 * MIB),
        (10_000 * LARGEST_PART_BYTES - 1, 128 * MIB),
    ],
)
def test_ranges_cover_every_byte_in_at_most_ten_thousand(size: int, part: int) -> None:
    ranges = copy_ranges(size, part)
    assert len(ranges) <= 10_000
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size - 1
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(ranges))
    lengths = [last - first + 1 for first, last in ranges]
    assert len(set(lengths[:-1])) <= 1
    assert min(lengths[:-1], default=part) >= part
    assert 0 < lengths[-1] <= max(lengths) <= LARGEST_PART_BYTES


def described(metadata: Mapping[str, str], *, name: str = "e", size: int = 5) -> ObjectInfo:
    return ObjectInfo(key="k", size=size, etag=f'"{name}"', last_modified=0.0, metadata=metadata)


@pytest.mark.parametrize(
    ("target", "proven"),
    [
        (described({}), True),
        (described({}, size=6), False),
        (described({}, name="f"), False),
        (described({WRITE_ID_METADATA: "token"}, name="f"), True),
        (described({WRITE_ID_METADATA: "other"}, name="f"), False),
        (described({WRITE_ID_METADATA: "token"}, name="f", size=6), False),
        (described({WRITE_ID_METADATA: "other", SOURCE_METADATA: "e"}, name="f-2"), True),
        (described({WRITE_ID_METADATA: "other", SOURCE_METADATA: "d"}, name="f-2"), False),
    ],
)
def test_what_proves_that_an_object_is_a_copy(target: ObjectInfo, proven: bool) -> None:
    assert is_copy(described({WRITE_ID_METADATA: "token"}), target) is proven


@pytest.mark.parametrize(
    "kept",
    [
        {"content_type": "text/plain"},
        {"content_headers": {"cache-control": "no-store"}},
        {"content_headers": {"content-encoding": "gzip"}},
        {"metadata": {"mtime": "1"}},
        {"storage_class": "STANDARD_IA"},
        {"tag_count": 1},
    ],
)
def test_what_lacks_something_that_is_kept_with_the_source_is_no_copy(kept: dict[str, Any]) -> None:
    """A rename that took it for one would delete the source, and lose that."""
    original = replace(described({}), **kept)
    assert is_copy(original, original)
    assert not is_copy(original, described({}))


def test_objects_without_a_token_have_none_in_common() -> None:
    assert not is_copy(described({}), described({}, name="f"))


async def test_a_copy_in_parts_is_known_by_its_source() -> None:
    fake = store()
    client = client_of(fake)
    await copy_any_size(client, source(), "t", single_copy_bytes=50)
    copied = replace(await client.head_object("t"), etag='"another"', content_type="a/b")
    assert is_copy(source(), copied)

"""Objects that go on from what is there: what S3 copies, what is read, what stays."""

import asyncio
import base64
import dataclasses
import hashlib
from itertools import pairwise
from typing import Any

import pytest

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm, new_digest
from aioftps3.s3.continuation import (
    COPIES,
    OUTDATED_METADATA,
    Continuation,
    Continuations,
    copied_ranges,
    inherited,
)
from aioftps3.s3.copy import COPY_PART_BYTES, PartCopies
from aioftps3.s3.errors import (
    ArchivedObject,
    InvalidRange,
    NoSuchKey,
    ObjectChanged,
    S3Error,
    ServerFault,
    UploadEnded,
)
from aioftps3.s3.models import WRITE_ID_METADATA, ObjectInfo
from aioftps3.s3.parts import LARGEST_PART_BYTES, LEAST_PART_BYTES, MIB, PARTS
from aioftps3.s3.upload import Upload
from tests.unit.s3.fakes import (
    PATIENT,
    Answered,
    FakeS3,
    LostAfter,
    client_of,
    client_on_aws,
    describe,
    etag,
    header,
    is_whole,
    settle,
)

PART = 64
BLOCK = 24
GIB = 1024 * MIB


def content(size: int) -> bytes:
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(size // 32 + 1))[:size]


class Scene:
    """One object in a store, and what goes on from it."""

    def __init__(self, old: bytes, **metadata: str) -> None:
        self.fake = FakeS3()
        self.old = old
        self.fake.objects["k"], self.fake.metadata["k"] = old, metadata
        self.budget = ByteBudget(4 * PART, block=BLOCK)
        self.client = client_of(self.fake)
        self.slots = asyncio.Semaphore(4)
        self.equal_bytes: int | None = None
        self.expected: list[int | None] = []
        self._continuations: Continuations | None = None

    @property
    def continuations(self) -> Continuations:
        if self._continuations is None:
            self._continuations = Continuations(self.client, slots=self.slots, least_bytes=PART, part_bytes=2 * PART)
        return self._continuations

    def make(self, **options: Any) -> Upload:
        self.expected.append(options["expected_size"])
        return Upload(self.client, "k", budget=self.budget, part_size=PART, **options)

    async def begin(self, length: int | None = None, *, reading: bool = False) -> Continuation:
        likely_size = 0 if reading else 100 * PART
        base = await self.continuations.find("k", length, likely_size=likely_size)
        return await self.continuations.begin(base, self.make, equal_bytes=self.equal_bytes)

    def check(self, wanted: bytes) -> None:
        assert self.fake.objects == {"k": wanted}
        assert self.fake.uploads == {}
        assert is_whole(self.budget)
        assert all(response.closed for response in self.fake.responses)


async def put(continuation: Continuation, data: bytes) -> None:
    while data:
        room = await continuation.room()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        continuation.filled(count)
        data = data[count:]


async def append(scene: Scene, data: bytes, length: int | None = None, *, reading: bool = False) -> None:
    continuation = await scene.begin(length, reading=reading)
    try:
        await put(continuation, data)
        continuation.seal()
        await continuation.complete()
    except BaseException:
        await continuation.abort()
        raise


@pytest.mark.parametrize("reading", [False, True])
@pytest.mark.parametrize("added", [1, PART, 5 * PART + 3])
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 9 * PART + 5])
async def test_what_is_written_stands_behind_what_was_there(size: int, added: int, reading: bool) -> None:
    scene = Scene(content(size))
    new = content(added)[::-1]
    await append(scene, new, reading=reading)
    scene.check(content(size) + new)


@pytest.mark.parametrize("added", [0, 1, 5 * PART])
@pytest.mark.parametrize("length", [1, PART - 1, PART, 3 * PART, 4 * PART + 7])
async def test_what_is_written_stands_behind_as_much_as_was_asked_for(length: int, added: int) -> None:
    old, new = content(4 * PART + 7), content(added)[::-1]
    scene = Scene(old)
    await append(scene, new, length)
    scene.check(old[:length] + new)
    assert scene.fake.requests[0] == ("GetObject" if length < PART else "HeadObject")


async def test_a_small_object_is_read_and_written_by_one_request_each() -> None:
    scene = Scene(content(PART - 2))
    await append(scene, b"xy", reading=True)
    assert scene.fake.requests == ["GetObject", "HeadObject", "PutObject"]
    scene = Scene(content(PART - 2))
    await append(scene, b"xy")
    assert scene.fake.requests == ["HeadObject", "GetObject", "HeadObject", "PutObject"]


async def test_a_large_object_is_copied_by_s3_and_nothing_of_it_is_read() -> None:
    scene = Scene(content(5 * PART))
    await append(scene, b"xy")
    assert sorted(scene.fake.requests[2:5]) == ["UploadPartCopy"] * 3
    assert scene.fake.requests[:2] == ["HeadObject", "CreateMultipartUpload"]
    assert scene.fake.requests[5:] == ["UploadPart", "HeadObject", "CompleteMultipartUpload"]
    copies = [request for request in scene.fake.sent if describe(request)[0] == "UploadPartCopy"]
    assert {header(request, "x-amz-copy-source-if-match") for request in copies} == {etag(scene.old)}
    assert header(scene.fake.sent[-1], "if-match") == etag(scene.old)
    scene.check(content(5 * PART) + b"xy")


@pytest.mark.parametrize("size", [0, 1, PART, 5 * PART])
@pytest.mark.parametrize("reading", [False, True])
async def test_an_object_to_which_nothing_is_added_is_left_alone(size: int, reading: bool) -> None:
    scene = Scene(content(size))
    continuation = await scene.begin(reading=reading)
    continuation.seal()
    assert await continuation.complete() is None
    assert scene.fake.requests == ["GetObject" if reading else "HeadObject"]
    await continuation.abort()
    with pytest.raises(UploadEnded):
        await continuation.complete()
    scene.check(content(size))


async def test_an_object_is_shortened_where_nothing_is_added_to_less_than_all_of_it() -> None:
    scene = Scene(content(5 * PART))
    continuation = await scene.begin(3 * PART)
    continuation.seal()
    result = await continuation.complete()
    assert result is not None
    assert result.size == 3 * PART
    scene.check(content(3 * PART))


async def test_nothing_is_read_or_copied_before_there_is_something_to_write() -> None:
    scene = Scene(content(5 * PART))
    continuation = await scene.begin()
    await settle()
    assert scene.fake.requests == ["HeadObject"]
    assert scene.budget.in_use == 0
    await continuation.abort()
    scene.check(content(5 * PART))


@pytest.mark.parametrize(("size", "length"), [(0, 1), (10, 11), (10, PART), (10, 10**18)])
async def test_what_goes_on_behind_the_end_is_refused(size: int, length: int) -> None:
    scene = Scene(content(size))
    with pytest.raises(InvalidRange):
        await scene.begin(length)
    assert len(scene.fake.requests) == 1
    scene.check(scene.old)


@pytest.mark.parametrize("reading", [False, True])
async def test_what_is_not_there_cannot_be_gone_on_from(reading: bool) -> None:
    scene = Scene(b"")
    del scene.fake.objects["k"]
    with pytest.raises(NoSuchKey):
        await scene.begin(reading=reading)


async def test_an_object_in_an_archive_is_refused() -> None:
    scene = Scene(content(5))
    scene.fake.always["GetObject"] = Answered(403, "InvalidObjectState")
    with pytest.raises(ArchivedObject):
        await append(scene, b"x", reading=True)
    with pytest.raises(ArchivedObject):
        await append(scene, b"x")
    scene.check(content(5))


async def test_a_small_object_that_has_grown_meanwhile_is_copied_after_all() -> None:
    scene = Scene(content(5 * PART))
    await append(scene, b"xy", reading=True)
    assert scene.fake.requests.count("UploadPartCopy") == 3
    assert scene.fake.requests.count("GetObject") == 1
    scene.check(content(5 * PART) + b"xy")


# -- stores that cannot copy parts ------------------------------------------------------------------------------------


async def test_a_store_without_part_copies_is_found_out_once_and_then_read_from() -> None:
    scene = Scene(content(5 * PART))
    scene.fake.always["UploadPartCopy"] = Answered(501, "NotImplemented")
    await append(scene, b"xy")
    scene.check(content(5 * PART) + b"xy")
    assert not scene.continuations.copies_parts
    assert scene.expected == [None, 5 * PART]
    scene.fake.requests.clear()
    await append(scene, b"z")
    scene.check(content(5 * PART) + b"xyz")
    assert "UploadPartCopy" not in scene.fake.requests
    assert scene.fake.requests.count("CreateMultipartUpload") == scene.fake.requests.count("GetObject") == 1


async def test_equal_parts_stay_equal() -> None:
    """What is left of the base behind its last whole part is read."""
    scene = Scene(content(3 * PART + 10))
    scene.equal_bytes = PART
    await append(scene, content(2 * PART))
    parts = [request for request in scene.fake.sent if "partNumber" in describe(request)[2]]
    assert len(parts) == 3 + 3
    assert scene.fake.requests.count("UploadPartCopy") == 3
    assert [header(request, "range") for request in scene.fake.sent if describe(request)[0] == "GetObject"] == [
        f"bytes={3 * PART}-"
    ]
    scene.check(content(3 * PART + 10) + content(2 * PART))


# -- others at the same time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_time", [True, False], ids=["before it is read", "before it is completed"])
@pytest.mark.parametrize("foreign", [b"foreign", None])
@pytest.mark.parametrize("size", [5, 5 * PART])
async def test_what_others_write_meanwhile_is_not_lost(size: int, foreign: bytes | None, on_time: bool) -> None:
    scene = Scene(content(size))
    continuation = await scene.begin()
    if not on_time:
        await put(continuation, b"xy")
        await settle(200)
    if foreign is None:
        del scene.fake.objects["k"]
    else:
        scene.fake.objects["k"] = foreign
    with pytest.raises(ObjectChanged):
        await (put(continuation, b"xy") if on_time else continuation.complete())
    await continuation.abort()
    assert scene.fake.objects.get("k") == foreign
    assert scene.fake.uploads == {}
    assert is_whole(scene.budget)


@pytest.mark.parametrize("size", [5, 5 * PART])
async def test_of_two_at_the_same_time_one_fails_and_none_is_lost(size: int) -> None:
    scene = Scene(content(size))
    first, second = await scene.begin(), await scene.begin()
    await put(first, b"first")
    await put(second, b"second")
    await first.complete()
    with pytest.raises(ObjectChanged):
        await second.complete()
    await second.abort()
    scene.check(content(size) + b"first")


# -- failures ---------------------------------------------------------------------------------------------------------


async def test_a_copy_that_fails_while_nobody_asks_is_told() -> None:
    scene = Scene(content(9 * PART))
    scene.slots = asyncio.Semaphore(1)
    scene.fake.faults["UploadPartCopy", 2] = Answered(500, "InternalError")
    continuation = await scene.begin()
    told: list[bool] = []
    continuation.on_broken(lambda: told.append(True))
    await put(continuation, b"x")
    await settle(200)
    assert told == [True]
    with pytest.raises(ServerFault):
        await continuation.room()
    with pytest.raises(S3Error):
        await continuation.complete()
    await continuation.abort()
    assert scene.fake.requests[-2:] == ["AbortMultipartUpload", "ListParts"]
    scene.check(scene.old)


async def test_whoever_asks_is_told_of_a_failed_copy_by_its_error() -> None:
    scene = Scene(content(9 * PART))
    scene.fake.always["UploadPartCopy"] = Answered(500, "InternalError")
    continuation = await scene.begin()
    told: list[bool] = []
    continuation.on_broken(lambda: told.append(True))
    with pytest.raises(ServerFault):
        await continuation.room()
    await continuation.abort()
    await settle()
    assert told == []
    scene.check(scene.old)


async def test_after_a_failed_beginning_nothing_can_be_written() -> None:
    scene = Scene(content(5))
    scene.fake.always["GetObject"] = Answered(500, "InternalError")
    continuation = await scene.begin()
    with pytest.raises(ServerFault):
        await continuation.room()
    scene.fake.always.clear()
    with pytest.raises(UploadEnded):
        await continuation.room()
    with pytest.raises(UploadEnded):
        await continuation.complete()
    await continuation.abort()
    scene.check(scene.old)


async def test_a_base_whose_stream_breaks_is_read_on() -> None:
    scene = Scene(content(50))
    continuation = await scene.begin(40)
    scene.fake.responses[0].breaks_after = 7
    await put(continuation, b"xy")
    await continuation.complete()
    ranges = [header(request, "range") for request in scene.fake.sent if describe(request)[0] == "GetObject"]
    assert ranges == ["bytes=0-39", "bytes=7-39"]
    scene.check(content(40) + b"xy")


@pytest.mark.parametrize("size", [5, 5 * PART])
@pytest.mark.parametrize("lost", ["PutObject", "CompleteMultipartUpload", "UploadPartCopy", "CreateMultipartUpload"])
async def test_lost_answers_are_looked_up(size: int, lost: str) -> None:
    scene = Scene(content(size))
    scene.client = client_of(scene.fake, retry=PATIENT)
    scene.fake.faults[lost, 0] = LostAfter()
    await append(scene, b"xy")
    assert scene.fake.objects == {"k": content(size) + b"xy"}


@pytest.mark.parametrize("size", [5, 5 * PART])
async def test_a_cancelled_one_leaves_nothing_wherever_it_is_cancelled(size: int) -> None:
    for turns in range(200):
        scene = Scene(content(size))
        appending = asyncio.create_task(append(scene, content(3 * PART)))
        await settle(turns)
        appending.cancel()
        await asyncio.wait({appending})
        if not appending.cancelled():
            assert turns > 5
            scene.check(content(size) + content(3 * PART))
            return
        await settle(100)
        assert scene.fake.objects["k"] in (content(size), content(size) + content(3 * PART))
        assert is_whole(scene.budget)
        assert scene.fake.uploads == {}, turns
    raise AssertionError("it does not end")


# -- what is kept with the object -------------------------------------------------------------------------------------


def test_what_tells_of_the_old_content_is_not_kept() -> None:
    info = ObjectInfo(
        key="k",
        size=1,
        etag="e",
        last_modified=0.0,
        metadata={"color": "blü", **dict.fromkeys(OUTDATED_METADATA, "1")},
        content_headers={"cache-control": "no-cache"},
        storage_class="STANDARD_IA",
    )
    metadata, headers = inherited(info, {"a b": "&"})
    assert metadata == {"color": "=?UTF-8?B?YmzDvA==?="}
    assert dict(headers) == {
        "cache-control": "no-cache",
        "x-amz-tagging": "a%20b=%26",
        "x-amz-storage-class": "STANDARD_IA",
    }
    archived = dataclasses.replace(info, storage_class="GLACIER", content_headers={})
    assert inherited(archived, {})[1] == ()
    assert {"aioftps3-sha256", "aioftps3-md5", "mtime", "md5chksum", WRITE_ID_METADATA} <= OUTDATED_METADATA


# -- checksums --------------------------------------------------------------------------------------------------------


def crc32(data: bytes) -> str:
    digest = new_digest(Algorithm.CRC32)
    digest.update(data)
    return base64.b64encode(digest.digest()).decode()


@pytest.mark.parametrize("length", [5 * PART, 3 * PART + 1])
@pytest.mark.parametrize("added", [0, 1, 3 * PART])
async def test_the_checksum_of_the_whole_is_made_of_those_of_all_parts(length: int, added: int) -> None:
    scene = Scene(content(5 * PART + 1))
    scene.fake.copied_parts_have = lambda data: f"<ChecksumCRC32>{crc32(data)}</ChecksumCRC32>"
    scene.client = client_on_aws(scene.fake, checksum=Algorithm.CRC32)
    await append(scene, content(added), length)
    whole = scene.old[:length] + content(added)
    assert scene.fake.objects["k"] == whole
    assert header(scene.fake.sent[-1], "x-amz-checksum-crc32") == crc32(whole)
    assert header(scene.fake.sent[-1], "x-amz-mp-object-size") == str(len(whole))


@pytest.mark.parametrize("on_aws", [True, False])
async def test_without_the_checksums_of_the_copies_none_of_the_whole_is_claimed(on_aws: bool) -> None:
    """MinIO refuses to copy into an upload that was begun with checksums."""
    scene = Scene(content(5 * PART))
    scene.client = (client_on_aws if on_aws else client_of)(scene.fake, checksum=Algorithm.CRC32)
    await append(scene, b"xy")
    create = next(request for request in scene.fake.sent if describe(request)[0] == "CreateMultipartUpload")
    assert header(create, "x-amz-checksum-algorithm") == ("CRC32" if on_aws else None)
    assert header(scene.fake.sent[-1], "x-amz-checksum-crc32") is None
    assert header(scene.fake.sent[-1], "x-amz-mp-object-size") is None
    scene.check(content(5 * PART) + b"xy")


# -- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "length",
    [
        LEAST_PART_BYTES,
        COPY_PART_BYTES,
        COPY_PART_BYTES + 1,
        5 * GIB + 1,
        COPIES * COPY_PART_BYTES + 1,
        COPIES * LARGEST_PART_BYTES + 1,
        (PARTS - 1) * LARGEST_PART_BYTES,
    ],
)
def test_ranges_are_parts_that_s3_takes_and_leave_numbers_for_more(length: int) -> None:
    ranges = copied_ranges(length)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == length - 1
    assert all(one[1] + 1 == next_one[0] for one, next_one in pairwise(ranges))
    sizes = [last - first + 1 for first, last in ranges]
    assert min(sizes) >= LEAST_PART_BYTES
    assert max(sizes) <= LARGEST_PART_BYTES
    assert len(ranges) <= (COPIES if length <= COPIES * LARGEST_PART_BYTES else PARTS - 1)
    assert max(sizes) - min(sizes) <= 1


def test_what_is_too_small_for_a_part_is_no_range() -> None:
    assert copied_ranges(LEAST_PART_BYTES - 1) == []
    assert copied_ranges(0) == []
    assert copied_ranges(25, equal_bytes=10) == [(0, 9), (10, 19)]
    assert copied_ranges(20, equal_bytes=10) == [(0, 9), (10, 19)]
    assert copied_ranges(9, equal_bytes=10) == copied_ranges(0, equal_bytes=10) == []


def test_the_parts_that_are_written_have_the_numbers_that_copies_leave() -> None:
    fake = FakeS3()
    source = ObjectInfo(key="k", size=10**9, etag="e", last_modified=0.0)
    copies = PartCopies(source=source, ranges=[(0, 1)] * 9000, slots=asyncio.Semaphore())
    upload = Upload(client_of(fake), "k", budget=ByteBudget(4 * PART), part_size=PART, begins_with=copies)
    assert upload.plan.parts == 1000

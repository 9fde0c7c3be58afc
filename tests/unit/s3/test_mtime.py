"""Times that clients gave to objects: how they are read and written, and what setting one does to the object."""

import asyncio
from dataclasses import replace

import pytest

from aioftps3.s3.errors import AccessDenied, NotSupported, PreconditionFailed
from aioftps3.s3.models import SOURCE_METADATA, WRITE_ID_METADATA, ObjectInfo
from aioftps3.s3.mtime import kept_time, set_time, with_time
from aioftps3.s3.transport import Request
from tests.unit.s3.fakes import PATIENT, Answered, FakeS3, LostAfter, client_of, describe, etag, header

DATA = bytes(range(100))
NOON = 1_767_268_800.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (NOON, "1767268800"),
        (NOON + 0.5, "1767268800.5"),
        (NOON + 0.125, "1767268800.125"),
        (NOON + 0.0001, "1767268800"),
        (0.0, "0"),
        (-1.5, "-1.5"),
        (-62_135_596_800.0, "-62135596800"),
    ],
)
def test_a_time_is_written_as_rclone_writes_it(seconds: float, text: str) -> None:
    written = with_time({"a": "b", "mtime": "1"}, seconds)
    assert written == {"a": "b", "mtime": text}
    assert kept_time(written) == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize(
    ("metadata", "seconds"),
    [
        ({}, None),
        ({"mtime": "1700000000.123456789"}, 1_700_000_000.123456789),
        ({"mtime": "1700000000"}, 1_700_000_000.0),
        ({"mtime": " 1700000000 "}, 1_700_000_000.0),
        ({"mtime": "0"}, 0.0),
        ({"mtime": "-0.5"}, -0.5),
        ({"s3cmd-attrs": "atime:1/ctime:2/gid:0/md5:ab/mtime:1700000000/uname:root"}, 1_700_000_000.0),
        ({"mtime": "5", "s3cmd-attrs": "mtime:6"}, 5.0),
        ({"s3cmd-attrs": "atime:1"}, None),
        ({"mtime": ""}, None),
        ({"mtime": "yesterday"}, None),
        ({"mtime": "2026-01-01T00:00:00Z"}, None),
        ({"mtime": "nan"}, None),
        ({"mtime": "1e9"}, None),
        ({"mtime": "999999999999"}, None),
        ({"mtime": "-999999999999"}, None),
        ({"mtime": "9" * 400}, None),
    ],
)
def test_times_of_other_programs_are_read_and_nonsense_is_no_time(
    metadata: dict[str, str], seconds: float | None
) -> None:
    assert kept_time(metadata) == seconds


def store(**metadata: str) -> FakeS3:
    fake = FakeS3()
    fake.objects["k"], fake.metadata["k"] = DATA, dict(metadata)
    return fake


def last(fake: FakeS3, operation: str) -> Request:
    return next(request for request in reversed(fake.sent) if describe(request)[0] == operation)


async def test_a_time_is_set_by_a_copy_onto_itself_that_keeps_all_else() -> None:
    fake = store(m="v", **{WRITE_ID_METADATA: "token"})
    client = client_of(fake)
    rich = replace(
        await client.head_object("k"),
        content_type="a/b",
        content_headers={"cache-control": "no-cache"},
        storage_class="STANDARD_IA",
        tag_count=1,
    )
    changed = await set_time(client, rich, NOON)
    assert changed == replace(rich, metadata={"m": "v", WRITE_ID_METADATA: "token", "mtime": "1767268800"})
    assert fake.metadata["k"] == changed.metadata
    assert fake.requests == ["HeadObject", "CopyObject"]
    copy = last(fake, "CopyObject")
    assert {name: header(copy, name) for name in ("content-type", "cache-control", "x-amz-storage-class")} == {
        "content-type": "a/b",
        "cache-control": "no-cache",
        "x-amz-storage-class": "STANDARD_IA",
    }
    assert header(copy, "x-amz-metadata-directive") == "REPLACE"
    assert header(copy, "x-amz-copy-source-if-match") == header(copy, "if-match") == etag(DATA)
    assert header(copy, "x-amz-tagging-directive") is None, "tags are copied unless something else is said"


async def test_an_object_that_has_the_time_is_left_alone() -> None:
    fake = store(mtime="1767268800.0")
    client = client_of(fake)
    source = await client.head_object("k")
    assert await set_time(client, source, NOON) is source
    assert fake.requests == ["HeadObject"]


async def test_a_large_object_is_copied_onto_itself_in_parts() -> None:
    fake = store(m="v", **{WRITE_ID_METADATA: "token"})
    client = client_of(fake)
    changed = await set_time(client, await client.head_object("k"), NOON, single_copy_bytes=50)
    assert fake.objects == {"k": DATA}
    kept = fake.metadata["k"]
    assert (kept["m"], kept["mtime"]) == ("v", "1767268800")
    assert {WRITE_ID_METADATA, SOURCE_METADATA} < kept.keys()
    assert kept_time(changed.metadata) == NOON
    assert header(last(fake, "UploadPartCopy"), "x-amz-copy-source-if-match") == etag(DATA)
    assert header(last(fake, "CompleteMultipartUpload"), "if-match") == etag(DATA)
    assert fake.uploads == {}


async def test_a_store_without_conditions_on_copies_is_asked_without() -> None:
    fake = store()
    fake.faults["CopyObject", 0] = Answered(501, "NotImplemented")
    client = client_of(fake)
    await set_time(client, await client.head_object("k"), NOON)
    assert fake.metadata["k"] == {"mtime": "1767268800"}
    assert header(last(fake, "CopyObject"), "if-match") is None
    assert header(last(fake, "CopyObject"), "x-amz-copy-source-if-match") == etag(DATA)


async def test_a_store_that_cannot_copy_says_so() -> None:
    fake = store()
    fake.always["CopyObject"] = Answered(501, "NotImplemented")
    client = client_of(fake)
    with pytest.raises(NotSupported):
        await set_time(client, await client.head_object("k"), NOON)


async def test_an_object_that_somebody_else_writes_meanwhile_stays_his() -> None:
    fake = store(m="v")
    client = client_of(fake)
    source = await client.head_object("k")
    fake.objects["k"], fake.metadata["k"] = b"other", {}
    with pytest.raises(PreconditionFailed):
        await set_time(client, source, NOON)
    assert (fake.objects["k"], fake.metadata["k"]) == (b"other", {})


async def test_a_lost_answer_is_looked_up() -> None:
    """The repeated copy of an object of parts, whose ETag has changed, is refused by its own condition."""
    fake = store(m="v")
    fake.faults["CopyObject", 0] = LostAfter()
    fake.faults["CopyObject", 1] = Answered(412, "PreconditionFailed")
    client = client_of(fake, retry=PATIENT)
    changed = await set_time(client, await client.head_object("k"), NOON)
    assert fake.requests == ["HeadObject", "CopyObject", "CopyObject", "HeadObject"]
    assert fake.metadata["k"] == changed.metadata == {"m": "v", "mtime": "1767268800"}


@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy"])
async def test_a_failure_leaves_the_object_as_it_was(operation: str) -> None:
    fake = store(m="v")
    fake.always[operation] = Answered(403, "AccessDenied")
    client = client_of(fake)
    single = 200 if operation == "CopyObject" else 50
    with pytest.raises(AccessDenied):
        await set_time(client, await client.head_object("k"), NOON, single_copy_bytes=single)
    assert (fake.objects, fake.metadata["k"], fake.uploads) == ({"k": DATA}, {"m": "v"}, {})


async def test_it_waits_for_a_slot() -> None:
    fake, slots = store(), asyncio.Semaphore(0)
    client = client_of(fake)
    source: ObjectInfo = await client.head_object("k")
    setting = asyncio.create_task(set_time(client, source, NOON, slots=slots))
    for _ in range(20):
        await asyncio.sleep(0)
    assert fake.requests == ["HeadObject"]
    slots.release()
    await setting
    assert fake.requests == ["HeadObject", "CopyObject"]

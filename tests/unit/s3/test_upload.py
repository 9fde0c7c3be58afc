"""Streaming uploads: what is sent, what is left behind, what memory is held."""

import asyncio
import hashlib

import pytest

from aioftps3.s3 import checksums
from aioftps3.s3.blocks import BlockPool
from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.completion import find_written
from aioftps3.s3.errors import (
    ConnectionBroken,
    PreconditionFailed,
    RequestInvalid,
    S3Error,
    ServerFault,
    Throttled,
    TooLarge,
    UploadEnded,
)
from aioftps3.s3.models import WRITE_ID_METADATA, BytesBody
from aioftps3.s3.retry import NO_RETRIES
from aioftps3.s3.upload import Upload
from tests.unit.s3 import fakes
from tests.unit.s3.fakes import (
    Answered,
    FakeS3,
    Fault,
    LostAfter,
    LostBefore,
    LostOnTheWay,
    client_of,
    header,
    is_whole,
    settle,
)

PART = 64
BLOCK = 24
"""Not a divisor of a part: the last block of each is smaller."""


def budget_of(total: int) -> ByteBudget:
    return ByteBudget(total, block=BLOCK, growth=1)


def content(size: int) -> bytes:
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(size // 32 + 1))[:size]


async def send(upload: Upload, data: bytes, step: int = 10) -> None:
    for start in range(0, len(data), step):
        await upload.write(data[start : start + step])


async def put(upload: Upload, data: bytes, step: int = PART) -> None:
    while data:
        room = await upload.room()
        count = min(len(room), len(data), step)
        room[:count] = data[:count]
        upload.filled(count)
        data = data[count:]


@pytest.mark.parametrize("sign_payload", [True, False])
@pytest.mark.parametrize("step", [1, 10, PART])
@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 4 * PART, 13 * PART + 5])
async def test_bytes_put_into_the_uploads_memory_are_stored(size: int, step: int, sign_payload: bool) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    upload = Upload(client_of(fake, sign_payload=sign_payload), "k", budget=budget, part_size=PART)
    await put(upload, content(size), step)
    assert (await upload.complete()).size == upload.size == size
    assert fake.objects == {"k": content(size)}
    assert fake.requests.count("PutObject") == (1 if size <= PART else 0)
    assert is_whole(budget)


async def test_room_of_an_upload_that_was_aborted_cannot_be_written_to() -> None:
    fake, budget = FakeS3(), budget_of(PART)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    room = await upload.room()
    inner = room[5:9]
    await upload.abort()
    with pytest.raises(ValueError, match="released"):
        room[0] = 1
    # A view of the view is alive, and its memory is nobody else's.
    other = Upload(client_of(fake), "other", budget=budget, part_size=PART)
    await put(other, bytes(PART))
    inner[:] = b"late"
    upload.filled(4)
    await other.complete()
    assert fake.objects == {"other": bytes(PART)}
    assert is_whole(budget)


async def test_room_of_an_upload_whose_bytes_have_all_come_cannot_be_written_to() -> None:
    """It is sent from the same memory."""
    for end in ("seal", "complete"):
        fake = FakeS3()
        upload = Upload(client_of(fake), "k", budget=budget_of(PART), part_size=PART)
        await upload.write(b"abc")
        room = await upload.room()
        if end == "complete":
            await upload.complete()
        else:
            upload.seal()
        with pytest.raises(ValueError, match="released"):
            room[0] = 1
        if end == "seal":
            await upload.complete()
        assert fake.objects == {"k": b"abc"}


async def test_an_upload_whose_wait_for_room_was_cancelled_can_only_be_aborted() -> None:
    fake, budget = FakeS3(), budget_of(PART)
    assert budget.try_acquire(PART)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    waiting = asyncio.create_task(upload.room())
    await settle()
    waiting.cancel()
    await asyncio.wait({waiting})
    budget.release(PART)
    with pytest.raises(UploadEnded):
        await upload.room()
    with pytest.raises(UploadEnded):
        await upload.complete()
    await upload.abort()
    assert is_whole(budget)


async def test_no_more_can_be_put_than_there_was_room_for() -> None:
    upload = Upload(client_of(FakeS3()), "k", budget=budget_of(PART), part_size=PART)
    with pytest.raises(RequestInvalid):
        upload.filled(1)
    room = await upload.room()
    with pytest.raises(RequestInvalid):
        upload.filled(len(room) + 1)
    with pytest.raises(RequestInvalid):
        upload.filled(1)
    await upload.abort()


@pytest.mark.parametrize("step", [1, 10, PART, 1000])
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART])
async def test_what_fits_into_one_part_is_one_put(size: int, step: int) -> None:
    """P23: nothing at all, too."""
    fake, budget = FakeS3(), budget_of(10 * PART)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART, content_type="text/plain")
    await send(upload, content(size), step)
    result = await upload.complete()
    assert fake.requests == ["PutObject"]
    assert fake.objects == {"k": content(size)}
    assert result.size == size
    assert result.etag == fakes.etag(content(size))
    assert header(fake.sent[0], "content-type") == "text/plain"
    assert fake.metadata["k"].keys() == {WRITE_ID_METADATA}
    assert is_whole(budget)


@pytest.mark.parametrize("sign_payload", [True, False])
@pytest.mark.parametrize("step", [1, 10, PART, 1000])
@pytest.mark.parametrize("size", [PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 13 * PART + 5])
async def test_more_than_one_part_is_a_multipart_upload(size: int, step: int, sign_payload: bool) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    client = client_of(fake, sign_payload=sign_payload)
    upload = Upload(client, "k", budget=budget, part_size=PART, metadata={"a": "b"})
    await send(upload, content(size), step)
    assert fake.objects == {}
    result = await upload.complete()
    parts = -(-size // PART)
    assert fake.count("UploadPart") == parts
    assert len(fake.requests) == parts + 2
    assert fake.objects == {"k": content(size)}
    assert fake.uploads == {}
    assert result.size == upload.size == size
    assert fake.metadata["k"].items() >= {"a": "b"}.items()
    assert is_whole(budget)


async def test_no_multipart_upload_is_created_before_a_byte_beyond_the_first_part() -> None:
    fake = FakeS3()
    upload = Upload(client_of(fake), "k", budget=budget_of(10 * PART), part_size=PART)
    await upload.write(content(PART))
    await settle()
    assert fake.requests == []
    await upload.write(b"x")
    await settle()
    assert "CreateMultipartUpload" in fake.requests
    await upload.abort()


async def test_parts_are_hashed_and_signed_when_payloads_are() -> None:
    fake = FakeS3()
    upload = Upload(client_of(fake, sign_payload=True), "k", budget=budget_of(10 * PART), part_size=PART)
    await send(upload, content(2 * PART))
    await upload.complete()
    hashes = {
        header(request, "x-amz-content-sha256") for request in fake.sent if fakes.describe(request)[0] == "UploadPart"
    }
    assert hashes == {hashlib.sha256(content(2 * PART)[start : start + PART]).hexdigest() for start in (0, PART)}


async def test_parts_on_their_way_and_memory_are_bounded() -> None:
    fake, budget = FakeS3(), budget_of(100 * PART)
    fake.parts_gate = asyncio.Event()
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART, parts_in_flight=3)
    writer = asyncio.create_task(send(upload, content(20 * PART)))
    await settle(200)
    assert fake.parts_in_flight == 3
    assert not writer.done()
    assert budget.in_use == 4 * PART
    fake.parts_gate.set()
    await writer
    await upload.complete()
    assert fake.most_parts_in_flight == 3
    assert fake.objects == {"k": content(20 * PART)}
    assert is_whole(budget)


async def test_many_uploads_with_a_small_budget_all_end() -> None:
    fake, budget = FakeS3(), budget_of(2 * PART)
    client = client_of(fake)

    async def one(name: str) -> None:
        upload = Upload(client, name, budget=budget, part_size=PART)
        await send(upload, content(7 * PART + 3), 50)
        await upload.complete()

    await asyncio.gather(*(one(f"k{number}") for number in range(12)))
    assert all(data == content(7 * PART + 3) for data in fake.objects.values())
    assert len(fake.objects) == 12
    assert is_whole(budget)


@pytest.mark.parametrize("fault", [Answered(403, "AccessDenied"), LostBefore(), LostAfter()])
@pytest.mark.parametrize(
    "where", [("CreateMultipartUpload", 0), ("UploadPart", 0), ("UploadPart", 2), ("UploadPart", 4)]
)
async def test_failed_request_fails_the_upload_and_leaves_nothing(where: tuple[str, int], fault: Fault) -> None:
    """P8."""
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults[where] = fault
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)

    async def whole() -> None:
        await send(upload, content(4 * PART + 1))
        await upload.complete()

    with pytest.raises(S3Error):
        await whole()
    with pytest.raises(UploadEnded):
        await upload.write(b"x")
    with pytest.raises(UploadEnded):
        await upload.complete()
    await upload.abort()
    await upload.abort()
    assert fake.objects == {}
    # An upload whose creation was answered to nobody has an id that nobody knows.
    unknown = isinstance(fault, LostAfter) and where[0] == "CreateMultipartUpload"
    assert len(fake.uploads) == int(unknown)
    assert is_whole(budget)


async def test_failure_of_an_earlier_part_is_raised_by_the_next_write() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults["UploadPart", 0] = Answered(503, "SlowDown")
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await upload.write(content(PART + 1))
    await settle()
    with pytest.raises(Throttled):
        await upload.write(b"x")
    await upload.abort()
    assert fake.uploads == {}
    assert is_whole(budget)


async def test_failed_part_is_sent_again_from_memory() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults["UploadPart", 0] = Answered(500, "InternalError")
    fake.faults["UploadPart", 3] = LostAfter()
    fake.faults["UploadPart", 4] = Answered(400, "BadDigest")
    upload = Upload(client_of(fake, retry=fakes.PATIENT), "k", budget=budget, part_size=PART)
    await send(upload, content(4 * PART + 1))
    await upload.complete()
    assert fake.objects == {"k": content(4 * PART + 1)}
    assert fake.count("UploadPart") == 5 + 3


@pytest.mark.parametrize("forgets", [True, False])
@pytest.mark.parametrize("patient", [True, False])
async def test_lost_answer_to_complete_is_looked_up(forgets: bool, patient: bool) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.forgets_completed_uploads = forgets
    fake.faults["CompleteMultipartUpload", 0] = LostAfter()
    client = client_of(fake, retry=fakes.PATIENT if patient else NO_RETRIES)
    upload = Upload(client, "k", budget=budget, part_size=PART)
    await send(upload, content(3 * PART))
    result = await upload.complete()
    assert result.size == 3 * PART
    assert fake.objects == {"k": content(3 * PART)}
    assert is_whole(budget)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESOLVE_SECONDS", "RESOLVE_PAUSE_SECONDS", "SETTLE_SECONDS"):
        monkeypatch.setattr(f"aioftps3.s3.completion.{name}", 0.0)


WRITES = [(5, "PutObject"), (3 * PART, "CompleteMultipartUpload")]


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize(("size", "operation"), WRITES)
async def test_a_write_whose_answers_are_all_lost_is_looked_up(size: int, operation: str, patient: bool) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.forgets_completed_uploads = False
    fake.always[operation] = LostAfter()
    client = client_of(fake, retry=fakes.PATIENT if patient else NO_RETRIES)
    upload = Upload(client, "k", budget=budget, part_size=PART)
    await send(upload, content(size))
    assert (await upload.complete()).etag == fakes.etag(content(size))
    assert fake.objects == {"k": content(size)}
    assert fake.requests[-1] == "HeadObject"
    assert is_whole(budget)


@pytest.mark.parametrize("last", [Answered(403, "AccessDenied"), Answered(503, "SlowDown"), LostBefore()])
@pytest.mark.parametrize(("size", "operation"), WRITES)
async def test_an_earlier_attempt_is_not_forgotten(size: int, operation: str, last: Fault) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.forgets_completed_uploads = False
    fake.faults[operation, 0] = LostAfter()
    fake.faults[operation, 1] = fake.faults[operation, 2] = last
    upload = Upload(client_of(fake, retry=fakes.PATIENT), "k", budget=budget, part_size=PART)
    await send(upload, content(size))
    assert (await upload.complete()).size == size


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("size", "operation"), WRITES)
async def test_a_write_that_was_lost_on_its_way_leaves_the_old_object(size: int, operation: str) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.objects["k"], fake.metadata["k"] = content(size), {WRITE_ID_METADATA: "somebody else"}
    fake.always[operation] = LostOnTheWay()
    upload = Upload(client_of(fake, retry=fakes.PATIENT), "k", budget=budget, part_size=PART)
    await send(upload, content(size))
    with pytest.raises(ConnectionBroken):
        await upload.complete()
    await upload.abort()
    # Once more after S3 has had time, or was told to stop.
    assert fake.count("HeadObject") == 2
    assert fake.metadata["k"] == {WRITE_ID_METADATA: "somebody else"}
    assert fake.uploads == {}
    assert is_whole(budget)


@pytest.mark.parametrize(("size", "operation"), WRITES)
async def test_a_write_that_s3_cannot_have_got_is_not_looked_up(size: int, operation: str) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.always[operation] = LostBefore()
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await send(upload, content(size))
    with pytest.raises(ConnectionBroken):
        await upload.complete()
    assert fake.count("HeadObject") == 0
    await upload.abort()


async def test_an_upload_that_s3_completes_late_is_found_after_the_abort() -> None:
    class Late(FakeS3):
        def _abort(self, query: dict[str, str]) -> fakes.FakeResponse:
            upload = self.uploads.pop(query["uploadId"])
            self.objects[upload.key] = b"".join(upload.parts[number] for number in sorted(upload.parts))
            self.metadata[upload.key] = upload.metadata
            return super()._abort(query)

    fake, budget = Late(), budget_of(10 * PART)
    fake.always["CompleteMultipartUpload"] = LostOnTheWay()
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await send(upload, content(3 * PART))
    assert (await upload.complete()).size == 3 * PART
    assert fake.objects == {"k": content(3 * PART)}


@pytest.mark.parametrize(("size", "operation"), WRITES)
async def test_s3_is_asked_again_when_it_does_not_say_what_became_of_a_write(
    size: int, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioftps3.s3.completion.RESOLVE_PAUSE_SECONDS", 0.0)
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults[operation, 0] = LostAfter()
    fake.faults["HeadObject", 0] = fake.faults["HeadObject", 1] = Answered(503)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await send(upload, content(size))
    assert (await upload.complete()).size == size


async def test_s3_is_asked_once_only_when_it_will_never_say() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults["PutObject", 0] = LostAfter()
    fake.always["HeadObject"] = Answered(403)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await upload.write(b"data")
    with pytest.raises(ConnectionBroken):
        await upload.complete()
    assert fake.count("HeadObject") == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("size", "operation"), WRITES)
async def test_an_outcome_that_nobody_knows_is_logged(
    size: int, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults[operation, 0] = LostAfter()
    fake.always["HeadObject"] = LostBefore()
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await send(upload, content(size))
    with pytest.raises(ConnectionBroken):
        await upload.complete()
    assert "it is not known whether k was stored" in caplog.text
    await upload.abort()
    assert is_whole(budget)


async def test_an_object_that_came_meanwhile_is_not_replaced() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART, if_none_match="*")
    await send(upload, content(3 * PART))
    fake.objects["k"], fake.metadata["k"] = b"other", {}
    with pytest.raises(PreconditionFailed):
        await upload.complete()
    await upload.abort()
    assert fake.objects == {"k": b"other"}
    assert fake.uploads == {}


async def test_a_conditional_complete_is_repeated_after_a_failure_of_s3() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    error = b'\n  <?xml version="1.0"?><Error><Code>InternalError</Code></Error>'
    fake.faults["CompleteMultipartUpload", 0] = Answered(200, body=error)
    client = client_of(fake, retry=fakes.PATIENT)
    upload = Upload(client, "k", budget=budget, part_size=PART, if_none_match="*")
    await send(upload, content(3 * PART))
    await upload.complete()
    assert fake.count("CompleteMultipartUpload") == 2


async def test_a_write_of_another_size_is_not_taken_for_ours() -> None:
    fake = FakeS3()
    fake.objects["k"] = b"four"
    fake.metadata["k"] = {WRITE_ID_METADATA: "ours"}
    client = client_of(fake)
    assert await find_written(client, "k", token="ours", size=5) is None
    found = await find_written(client, "k", token="ours", size=4)
    assert found is not None
    assert found.size == 4


async def test_another_writers_object_is_not_taken_for_ours() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.objects["k"] = content(3 * PART)
    fake.metadata["k"] = {WRITE_ID_METADATA: "somebody else"}
    fake.faults["CompleteMultipartUpload", 0] = LostBefore()
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await send(upload, content(3 * PART))
    with pytest.raises(ConnectionBroken):
        await upload.complete()
    await upload.abort()
    assert fake.uploads == {}


async def test_complete_that_answers_200_with_an_error_fails() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    error = b'\n  <?xml version="1.0"?><Error><Code>InternalError</Code></Error>'
    fake.faults["CompleteMultipartUpload", 0] = Answered(200, body=error)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await send(upload, content(3 * PART))
    with pytest.raises(ServerFault):
        await upload.complete()
    await upload.abort()
    assert fake.objects == {}
    assert fake.uploads == {}


@pytest.mark.parametrize("size", [5, 3 * PART])
async def test_condition_is_checked_when_the_object_is_written(size: int) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.objects["k"], fake.metadata["k"] = b"old", {}
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART, if_none_match="*")

    async def transfer() -> None:
        await send(upload, content(size))
        await upload.complete()

    with pytest.raises(PreconditionFailed):
        await transfer()
    await upload.abort()
    # A large object that may not be written is not even begun.
    assert fake.count("UploadPart") == fake.count("CreateMultipartUpload") == 0
    assert fake.objects == {"k": b"old"}
    assert fake.uploads == {}
    assert is_whole(budget)


@pytest.mark.parametrize("size", [0, 5, 3 * PART])
async def test_condition_made_false_by_our_own_lost_attempt_is_no_failure(size: int) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults["PutObject", 0] = LostAfter()
    fake.faults["CompleteMultipartUpload", 0] = LostAfter()
    upload = Upload(client_of(fake, retry=fakes.PATIENT), "k", budget=budget, part_size=PART, if_none_match="*")
    await send(upload, content(size))
    assert (await upload.complete()).size == size
    assert fake.objects == {"k": content(size)}


async def test_abort_is_repeated_while_parts_come_to_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.s3.completion.ABORT_PAUSE_SECONDS", 0.0)
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.parts_gate = asyncio.Event()
    fake.late_parts = 2
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await upload.write(content(PART + 1))
    await settle()
    await upload.abort()
    assert fake.count("AbortMultipartUpload") == 3
    assert fake.parts_in_flight == 0
    assert fake.uploads == {}
    assert is_whole(budget)


async def test_a_part_whose_answer_was_lost_may_come_to_life_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.s3.completion.ABORT_PAUSE_SECONDS", 0.0)
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults["UploadPart", 0] = LostAfter()
    fake.late_parts = 1
    upload = Upload(client_of(fake, retry=NO_RETRIES), "k", budget=budget, part_size=PART)
    await upload.write(content(PART + 1))
    await settle()
    with pytest.raises(ConnectionBroken):
        await upload.write(b"x")
    await upload.abort()
    assert fake.count("AbortMultipartUpload") == 2
    assert fake.uploads == {}
    assert is_whole(budget)


async def test_a_part_that_gets_no_memory_gives_its_bytes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await upload.write(content(PART))

    def no_memory(self: BlockPool, size: int) -> bytearray:
        raise MemoryError

    monkeypatch.setattr(BlockPool, "take", no_memory)
    with pytest.raises(MemoryError):
        await upload.write(b"x")
    await upload.abort()
    assert fake.uploads == {}
    assert is_whole(budget)


async def test_failed_abort_can_be_repeated() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    fake.faults["AbortMultipartUpload", 0] = LostBefore()
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await upload.write(content(PART + 1))
    with pytest.raises(ConnectionBroken):
        await upload.abort()
    assert is_whole(budget)
    await upload.abort()
    assert fake.uploads == {}


async def test_abort_of_a_small_upload_sends_nothing() -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await upload.write(b"abc")
    assert budget.in_use == BLOCK
    await upload.abort()
    assert fake.requests == []
    assert is_whole(budget)


async def test_abort_after_complete_does_nothing() -> None:
    fake = FakeS3()
    upload = Upload(client_of(fake), "k", budget=budget_of(PART), part_size=PART)
    await upload.write(b"abc")
    await upload.complete()
    await upload.abort()
    assert fake.requests == ["PutObject"]
    with pytest.raises(UploadEnded):
        await upload.complete()


async def test_the_memory_of_parts_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    made: list[bytearray] = []
    take = BlockPool.take

    def taking(self: BlockPool, size: int) -> bytearray:
        block = take(self, size)
        if size == BLOCK and not any(block is other for other in made):
            made.append(block)
        return block

    monkeypatch.setattr(BlockPool, "take", taking)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART, parts_in_flight=1)
    await send(upload, content(20 * PART))
    await upload.complete()
    assert len(made) <= 3 * (PART // BLOCK)


async def scenario(fake: FakeS3, upload: Upload, size: int) -> None:
    try:
        await send(upload, content(size), 40)
        await upload.complete()
    except BaseException:
        await asyncio.shield(asyncio.create_task(upload.abort()))
        raise


@pytest.mark.parametrize("size", [5, PART, 5 * PART + 1])
async def test_cancellation_at_every_step_leaves_all_or_nothing(size: int) -> None:
    for turns in range(400):
        fake, budget = FakeS3(), budget_of(3 * PART)
        upload = Upload(client_of(fake), "k", budget=budget, part_size=PART, parts_in_flight=2)
        task = asyncio.create_task(scenario(fake, upload, size))
        await settle(turns)
        cancelled = task.cancel()
        await asyncio.wait({task})
        assert fake.objects in ({}, {"k": content(size)})
        assert fake.uploads == {}
        assert fake.parts_in_flight == 0
        assert is_whole(budget)
        if not cancelled:
            assert fake.objects == {"k": content(size)}
            return
    pytest.fail("the upload never ended")


async def test_cancelled_abort_can_be_called_again() -> None:
    for turns in range(60):
        fake, budget = FakeS3(), budget_of(10 * PART)
        fake.parts_gate = asyncio.Event()
        upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
        await upload.write(content(3 * PART + 1))
        aborting = asyncio.create_task(upload.abort())
        await settle(turns)
        cancelled = aborting.cancel()
        await asyncio.wait({aborting})
        await upload.abort()
        assert fake.uploads == {}
        assert is_whole(budget)
        if not cancelled:
            return
    pytest.fail("the abort never ended")


async def test_an_abort_that_is_cancelled_goes_on_at_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody calls again: what the parts cost would be paid until somebody sweeps the bucket."""
    monkeypatch.setattr("aioftps3.s3.completion.ABORT_PAUSE_SECONDS", 0.0)
    for turns in range(1, 60):
        fake, budget = FakeS3(), budget_of(10 * PART)
        fake.parts_gate = asyncio.Event()
        fake.late_parts = 1
        upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
        await upload.write(content(3 * PART + 1))
        await settle()
        aborting = asyncio.create_task(upload.abort())
        await settle(turns)
        cancelled = aborting.cancel()
        await asyncio.wait({aborting})
        await settle(100)
        assert fake.uploads == {}
        assert is_whole(budget)
        if not cancelled:
            return
    pytest.fail("the abort never ended")


async def test_concurrent_aborts_share_the_work() -> None:
    fake = FakeS3()
    upload = Upload(client_of(fake), "k", budget=budget_of(10 * PART), part_size=PART)
    await upload.write(content(PART + 1))
    await settle()
    await asyncio.gather(upload.abort(), upload.abort())
    assert fake.count("AbortMultipartUpload") == 1


async def test_parts_grow_with_the_stream_and_are_equal_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.s3.parts.SLOWEST_STEP", 2)
    for equal, sizes in ((False, [1, 1, 2, 2, 4, 4, 2]), (True, [1] * 16)):
        fake, budget = FakeS3(), budget_of(20 * PART)
        fake.forgets_completed_uploads = False
        upload = Upload(client_of(fake), "k", budget=budget, part_size=PART, equal_parts=equal)
        await send(upload, content(16 * PART))
        await upload.complete()
        (stored,) = fake.uploads.values()
        assert [len(stored.parts[number]) // PART for number in sorted(stored.parts)] == sizes
        assert fake.objects == {"k": content(16 * PART)}
        assert is_whole(budget)


def test_an_announced_size_makes_parts_large_enough_from_the_start() -> None:
    budget = budget_of(1000 * PART)
    upload = Upload(client_of(FakeS3()), "k", budget=budget, part_size=PART, expected_size=10_000 * 250 * PART)
    assert upload.plan.first == 250 * PART


@pytest.mark.parametrize("sign_payload", [True, False])
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.SHA256, Algorithm.MD5])
async def test_parts_carry_the_checksum_of_the_client(algorithm: Algorithm, sign_payload: bool) -> None:
    fake, budget = FakeS3(), budget_of(10 * PART)
    client = client_of(fake, sign_payload=sign_payload, checksum=algorithm)
    upload = Upload(client, "k", budget=budget, part_size=PART)
    await send(upload, content(2 * PART + 5), 7)
    await upload.complete()
    name, whole = checksums.header(algorithm, BytesBody(content(2 * PART + 5)).checksum(algorithm))
    sent = {fakes.describe(request)[0]: request for request in fake.sent}
    pieces = [content(2 * PART + 5)[start : start + PART] for start in (0, PART, 2 * PART)]
    assert {header(request, name.lower()) for request in fake.sent if fakes.describe(request)[0] == "UploadPart"} == {
        checksums.header(algorithm, BytesBody(piece).checksum(algorithm))[1] for piece in pieces
    }
    create, complete = sent["CreateMultipartUpload"], sent["CompleteMultipartUpload"]
    kind = {Algorithm.CRC32: "FULL_OBJECT", Algorithm.SHA256: "COMPOSITE", Algorithm.MD5: None}[algorithm]
    assert header(create, "x-amz-checksum-type") == kind
    assert header(create, "x-amz-checksum-algorithm") == (None if kind is None else algorithm.upper())
    assert header(complete, name.lower()) == (whole if kind == "FULL_OBJECT" else None)
    assert header(complete, "x-amz-mp-object-size") == (None if kind is None else str(2 * PART + 5))


async def test_stream_longer_than_all_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.s3.upload.PARTS", 3)
    fake, budget = FakeS3(), budget_of(10 * PART)
    upload = Upload(client_of(fake), "k", budget=budget, part_size=PART)
    await send(upload, content(3 * PART))
    with pytest.raises(TooLarge):
        await upload.write(b"x")
    await upload.abort()
    assert fake.uploads == {}
    assert is_whole(budget)


async def test_part_larger_than_the_budget_is_refused() -> None:
    with pytest.raises(RequestInvalid):
        Upload(client_of(FakeS3()), "k", budget=budget_of(PART - 1), part_size=PART)

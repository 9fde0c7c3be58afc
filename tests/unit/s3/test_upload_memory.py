"""What an upload holds: blocks as bytes come, parts sent early when memory is short, nothing when it is silent."""

import asyncio
import functools
import logging

import pytest

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.errors import AccessDenied, S3Error, UploadEnded, UploadEvicted
from aioftps3.s3.upload import Upload
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.s3.fakes import Answered, FakeS3, client_of, is_whole, settle

BLOCK = 16
PART = 8 * BLOCK
LEAST = 5 * BLOCK
PATIENCE = 5.0


@pytest.fixture(autouse=True)
def small_parts_can_be_sent_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioftps3.s3.parts.LEAST_PART_BYTES", LEAST)


def budget_of(blocks: int) -> ByteBudget:
    return ByteBudget(blocks * BLOCK, block=BLOCK, growth=1, patience=PATIENCE)


def upload_of(fake: FakeS3, budget: ByteBudget, key: str = "k", *, equal_parts: bool = False) -> Upload:
    return Upload(client_of(fake), key, budget=budget, part_size=PART, equal_parts=equal_parts)


def part_sizes(fake: FakeS3) -> list[int]:
    (upload,) = fake.uploads.values()
    return [len(upload.parts[number]) for number in sorted(upload.parts)]


async def test_an_upload_holds_what_has_come_and_nothing_before() -> None:
    fake, budget = FakeS3(), budget_of(100)
    upload = upload_of(fake, budget)
    await settle()
    assert budget.in_use == 0
    await upload.write(bytes(1))
    assert budget.in_use == BLOCK
    await upload.write(bytes(BLOCK))
    assert budget.in_use == 2 * BLOCK
    await upload.complete()
    assert fake.requests == ["PutObject"]
    assert is_whole(budget)


# -- parts that are sent early -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("blocks", "parts"), [(4, []), (5, [5 * BLOCK]), (7, [7 * BLOCK])])
def test_a_part_that_is_large_enough_is_sent_when_others_wait(blocks: int, parts: list[int]) -> None:
    async def scenario() -> None:
        fake, budget = FakeS3(), budget_of(blocks + 9)
        upload, other = upload_of(fake, budget), upload_of(fake, budget, "other", equal_parts=True)
        await other.write(bytes(7 * BLOCK))
        await upload.write(bytes(blocks * BLOCK))
        await asyncio.sleep(1)
        assert fake.requests == []
        third = asyncio.create_task(upload_of(fake, budget, "third").write(bytes(BLOCK)))
        await asyncio.sleep(1)
        assert third.done() is bool(parts)
        assert [size for stored in fake.uploads.values() for size in map(len, stored.parts.values())] == parts
        third.cancel()
        await upload.write(b"end")
        assert (await upload.complete()).size == blocks * BLOCK + 3
        assert len(fake.objects["k"]) == blocks * BLOCK + 3

    run_in_virtual_time(scenario())


async def test_equal_parts_are_sent_full_only() -> None:
    fake, budget = FakeS3(), budget_of(10)
    upload = upload_of(fake, budget, equal_parts=True)
    await upload.write(bytes(7 * BLOCK))
    waiting = asyncio.create_task(upload_of(fake, budget, "other").write(bytes(3 * BLOCK)))
    await settle()
    assert budget.waiting == 1
    assert fake.requests == []
    waiting.cancel()
    await upload.write(bytes(PART + 3))
    await upload.complete()
    assert fake.count("UploadPart") == 2


async def test_an_upload_that_gets_no_more_memory_sends_what_it_has() -> None:
    fake, budget = FakeS3(), budget_of(10)
    other = upload_of(fake, budget, "other")
    await other.write(bytes(2 * BLOCK))
    upload = upload_of(fake, budget)
    await upload.write(bytes(20 * BLOCK))
    fake.forgets_completed_uploads = False
    await upload.complete()
    assert part_sizes(fake) == [LEAST, LEAST, LEAST, LEAST]
    await other.complete()
    assert {key: len(data) for key, data in fake.objects.items()} == {"k": 20 * BLOCK, "other": 2 * BLOCK}
    assert is_whole(budget)


def test_parts_are_sent_early_only_as_long_as_all_parts_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        fake, budget = FakeS3(), budget_of(12)
        upload = upload_of(fake, budget)
        assert upload.plan.slack == 8 * BLOCK
        await upload_of(fake, budget, "other").write(bytes(1))
        fake.forgets_completed_uploads = False
        await upload.write(bytes(80 * BLOCK))
        await upload.complete()
        assert part_sizes(fake) == [7 * BLOCK] * 8 + [PART] * 3

    monkeypatch.setattr("aioftps3.s3.parts.SLACK_SHARE", 10_000)
    run_in_virtual_time(scenario())


async def test_a_part_that_somebody_may_write_into_is_not_sent() -> None:
    fake, budget = FakeS3(), budget_of(8)
    upload = upload_of(fake, budget)
    await upload.write(bytes(6 * BLOCK))
    room = await upload.room()
    waiting = asyncio.create_task(upload_of(fake, budget, "other").write(bytes(2 * BLOCK)))
    await settle()
    assert budget.waiting == 1
    assert fake.requests == []
    room[:2] = b"ab"
    upload.filled(2)
    await settle()
    assert part_sizes(fake) == [6 * BLOCK + 2]
    await waiting
    await upload.complete()
    assert fake.objects["k"][-2:] == b"ab"


# -- one that has all its bytes and waits to be completed ----------------------------------------------------------


@pytest.mark.parametrize("blocks", [4, 7])
async def test_one_that_is_sealed_and_waits_makes_room_for_others(blocks: int) -> None:
    """Below a directory that is renamed, whole files wait for the end of that."""
    fake, budget = FakeS3(), budget_of(blocks + 4)
    upload, other = upload_of(fake, budget), upload_of(fake, budget, "other")
    await upload.write(bytes(blocks * BLOCK))
    upload.seal()
    await settle()
    assert fake.requests == []
    writing = asyncio.create_task(other.write(bytes(5 * BLOCK)))
    await settle()
    assert writing.done()
    assert part_sizes(fake) == [blocks * BLOCK]
    assert (await upload.complete()).size == blocks * BLOCK
    await other.complete()
    assert {key: len(data) for key, data in fake.objects.items()} == {"k": blocks * BLOCK, "other": 5 * BLOCK}
    assert is_whole(budget)


async def test_one_that_is_sealed_while_others_wait_makes_room_for_them() -> None:
    fake, budget = FakeS3(), budget_of(8)
    upload = upload_of(fake, budget)
    await upload.write(bytes(4 * BLOCK))
    writing = asyncio.create_task(upload_of(fake, budget, "other").write(bytes(5 * BLOCK)))
    await settle()
    assert not writing.done()
    upload.seal()
    await settle()
    assert writing.done()
    await upload.complete()
    assert len(fake.objects["k"]) == 4 * BLOCK


async def test_one_that_is_sealed_and_completed_at_once_is_one_request_though_memory_is_short() -> None:
    fake, budget = FakeS3(), budget_of(8)
    upload = upload_of(fake, budget)
    await upload.write(bytes(7 * BLOCK))
    room = await upload.room()  # or it would be sent while others wait
    writing = asyncio.create_task(upload_of(fake, budget, "other").write(bytes(2 * BLOCK)))
    await settle()
    assert budget.waiting == 1
    room[:1] = b"x"
    upload.seal()
    await upload.complete()
    await writing
    assert fake.requests[0] == "PutObject"
    assert len(fake.objects["k"]) == 7 * BLOCK


async def test_what_a_sealed_part_does_not_need_is_free_for_others() -> None:
    """A part is promised what it needs to be sendable; a small file does not need that."""
    fake, budget = FakeS3(), budget_of(9)
    upload, other = upload_of(fake, budget), upload_of(fake, budget, "other")
    await upload.write(bytes(1))
    upload.seal()
    await settle()
    await other.write(bytes(8 * BLOCK))
    assert fake.requests == []
    await upload.complete()
    assert fake.requests == ["PutObject"]


async def test_who_waits_for_what_a_sealed_part_does_not_need_gets_it_at_once() -> None:
    fake, budget = FakeS3(), budget_of(9)
    upload = upload_of(fake, budget)
    await upload.write(bytes(1))
    waiting = asyncio.create_task(upload_of(fake, budget, "other").write(bytes(LEAST)))
    await settle()
    assert not waiting.done()
    upload.seal()
    await settle()
    assert waiting.done()
    await upload.complete()
    assert fake.requests == ["PutObject"]


# -- one that S3 is slow for ---------------------------------------------------------------------------------------


async def test_one_upload_whose_parts_hang_leaves_half_of_the_budget_to_forty_others() -> None:
    fake, budget = FakeS3(), budget_of(8 * 8)
    held = asyncio.Event()

    class Slow(FakeS3):
        async def _receive(self, operation: str, body: object) -> bytes:
            await held.wait()
            return await super()._receive(operation, body)  # type: ignore[arg-type] # it is what was given

    slow = upload_of(Slow(), budget)
    sending = asyncio.create_task(slow.write(bytes(20 * PART)))
    await settle(100)
    assert not sending.done()
    assert budget.in_use == budget.total // 2

    async def whole(number: int) -> None:
        upload = upload_of(fake, budget, f"{number}")
        await upload.write(bytes(3 * PART + number))
        await upload.complete()

    await asyncio.gather(*(whole(number) for number in range(40)))
    assert sorted(len(data) for data in fake.objects.values()) == [3 * PART + number for number in range(40)]
    assert budget.in_use == budget.total // 2
    held.set()
    await sending
    await slow.complete()
    assert is_whole(budget)


# -- silent ones ---------------------------------------------------------------------------------------------------


def test_a_silent_upload_loses_its_memory_to_those_who_wait_and_its_owner_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        fake, budget = FakeS3(), budget_of(24)
        silent = upload_of(fake, budget, "silent")
        told: list[str] = []
        silent.on_broken(lambda: told.append("broken"))
        await silent.write(bytes(PART + 4 * BLOCK))
        await settle(50)
        working = upload_of(fake, budget)
        other = upload_of(fake, budget, "other", equal_parts=True)
        await asyncio.gather(working.write(bytes(10 * PART)), other.write(bytes(10 * PART)))
        assert told == []
        await working.complete()
        await other.complete()
        large = Upload(client_of(fake), "large", budget=budget, part_size=24 * BLOCK, equal_parts=True)
        await large.write(bytes(24 * BLOCK))
        await settle()
        assert told == ["broken"]
        assert budget.in_use == 24 * BLOCK
        with pytest.raises(UploadEvicted):
            await silent.write(b"more")
        with pytest.raises(UploadEnded):
            await silent.complete()
        assert len(fake.uploads) == 1
        await silent.abort()
        assert fake.uploads == {}
        await large.complete()
        assert set(fake.objects) == {"k", "other", "large"}
        assert told == ["broken"]
        assert is_whole(budget)

    with caplog.at_level(logging.WARNING):
        run_in_virtual_time(scenario())
    assert "the upload of silent" in caplog.text


async def evicted(budget: ByteBudget, fake: FakeS3) -> None:
    """Make silent uploads lose their memory."""
    upload = Upload(client_of(fake), "large", budget=budget, part_size=budget.total, equal_parts=True)
    await upload.write(bytes(budget.total))
    await upload.abort()


def test_what_comes_too_late_for_an_evicted_upload_is_lost_and_harms_nobody() -> None:
    async def scenario() -> None:
        fake, budget = FakeS3(), budget_of(8)
        silent = upload_of(fake, budget, "silent")
        room = await silent.room()
        large = Upload(client_of(fake), "large", budget=budget, part_size=PART, equal_parts=True)
        await large.write(bytes(PART))
        assert budget.in_use == budget.total
        room[:4] = b"late"
        silent.filled(4)
        with pytest.raises(ValueError, match="released"):
            room[0] = 0
        await large.complete()
        assert fake.objects == {"large": bytes(PART)}
        with pytest.raises(UploadEvicted):
            await silent.complete()
        await silent.abort()
        assert is_whole(budget)

    run_in_virtual_time(scenario())


def test_an_owner_who_asks_too_late_is_told_at_once_and_one_who_has_ended_never() -> None:
    async def scenario() -> None:
        fake, budget = FakeS3(), budget_of(8)
        told: list[str] = []
        late, ended = upload_of(fake, budget, "late"), upload_of(fake, budget, "ended")
        await late.write(bytes(1))
        await ended.write(bytes(1))
        await evicted(budget, fake)
        ended.on_broken(lambda: told.append("ended"))
        await ended.abort()
        late.on_broken(lambda: told.append("no longer"))
        late.on_broken(None)
        late.on_broken(lambda: told.append("late"))
        await settle()
        assert told == ["late"]
        await late.abort()

    run_in_virtual_time(scenario())


async def test_an_owner_is_told_when_a_part_could_not_be_sent_and_nothing_is_held() -> None:
    fake, budget = FakeS3(), budget_of(100)
    fake.faults["UploadPart", 0] = Answered(403, "AccessDenied")
    upload = upload_of(fake, budget)
    told = asyncio.Event()
    upload.on_broken(told.set)
    await upload.write(bytes(PART + 3 * BLOCK))
    await asyncio.wait_for(told.wait(), 5)
    assert budget.in_use == 0
    with pytest.raises(AccessDenied):
        await upload.room()
    await upload.abort()
    assert fake.uploads == {}


async def test_a_part_that_could_not_be_sent_ends_the_wait_for_memory() -> None:
    fake, budget = FakeS3(), budget_of(16)
    fake.faults["UploadPart", 0] = Answered(403, "AccessDenied")
    fake.parts_gate = asyncio.Event()
    upload, other = upload_of(fake, budget), upload_of(fake, budget, "other", equal_parts=True)
    await other.write(bytes(BLOCK))
    await upload.write(bytes(PART))
    told: list[str] = []
    upload.on_broken(lambda: told.append("broken"))
    waiting = asyncio.create_task(upload.write(bytes(PART)))
    await settle()
    with pytest.raises(S3Error):
        await waiting
    await settle()
    assert told == []
    await upload.abort()
    await other.complete()
    assert set(fake.objects) == {"other"}
    assert is_whole(budget)


# -- the end of the bytes ------------------------------------------------------------------------------------------


async def test_when_all_bytes_have_come_the_last_part_is_sent_before_the_object_is_made() -> None:
    fake, budget = FakeS3(), budget_of(100)
    upload = upload_of(fake, budget)
    await upload.write(bytes(PART + 3))
    upload.seal()
    await settle(50)
    assert part_sizes(fake) == [PART, 3]
    assert budget.in_use == 0
    with pytest.raises(UploadEnded):
        await upload.room()
    await upload.complete()
    assert len(fake.objects["k"]) == PART + 3


# -- crowds --------------------------------------------------------------------------------------------------------


def test_two_hundred_uploads_with_a_budget_for_sixteen_parts_all_finish() -> None:
    async def scenario() -> None:
        fake, budget = FakeS3(), budget_of(16 * 8)

        async def whole(number: int) -> None:
            upload = upload_of(fake, budget, f"{number}", equal_parts=number % 2 == 0)
            for _ in range(3):
                await upload.write(bytes(PART + number % 40))
                assert budget.in_use + budget.idle <= budget.total
                await asyncio.sleep(number % 3 / 10)
            await upload.complete()

        await asyncio.gather(*(whole(number) for number in range(200)))
        assert len(fake.objects) == 200
        assert fake.uploads == {}
        assert is_whole(budget)

    run_in_virtual_time(scenario())


def test_sixty_stalled_senders_do_not_keep_a_working_one_from_finishing() -> None:
    """Each holds half of a part of a budget of 32."""

    async def scenario() -> float:
        fake, budget = FakeS3(), budget_of(32 * 8)
        stalled = [upload_of(fake, budget, f"stalled{number}") for number in range(60)]
        for upload in stalled:
            await upload.write(bytes(PART // 2))
        assert budget.in_use == 30 * PART
        began = asyncio.get_running_loop().time()
        working = upload_of(fake, budget, "working")
        await working.write(bytes(50 * PART))
        await working.complete()
        for upload in stalled:
            await upload.abort()
        assert set(fake.objects) == {"working"}
        assert is_whole(budget)
        return asyncio.get_running_loop().time() - began

    assert run_in_virtual_time(scenario()) == 0


def test_stalled_senders_that_hold_all_of_the_budget_delay_others_until_patience_with_them_ends() -> None:
    """What they hold is taken from them then, from as many as is needed."""

    async def scenario() -> float:
        fake, budget = FakeS3(), budget_of(32 * 8)
        stalled = [upload_of(fake, budget, f"stalled{number}") for number in range(84)]
        for number, upload in enumerate(stalled):
            upload.on_broken(functools.partial(broken.append, number))
            await upload.write(bytes(3 * BLOCK))
        assert budget.in_use == budget.total - 4 * BLOCK
        began = asyncio.get_running_loop().time()
        working = [upload_of(fake, budget, f"working{number}") for number in range(4)]
        await asyncio.gather(*(upload.write(bytes(PART)) for upload in working))
        seconds = asyncio.get_running_loop().time() - began
        for upload in working:
            await upload.complete()
        for upload in stalled:
            await upload.abort()
        return seconds

    broken: list[int] = []
    assert PATIENCE <= run_in_virtual_time(scenario()) <= PATIENCE + 1
    assert 0 < len(broken) <= 8
    assert broken == list(range(len(broken)))


@pytest.mark.parametrize("parts", [16, 32])
def test_senders_of_a_byte_a_second_do_not_keep_others_from_finishing(parts: int) -> None:
    """200 of them, which need more memory than there is, and 20 others."""

    async def scenario() -> float:
        fake, budget = FakeS3(), budget_of(parts * 8)

        async def slowly(upload: Upload) -> None:
            try:
                while True:
                    await upload.write(b"x")
                    await asyncio.sleep(1)
            except UploadEvicted:
                await upload.abort()

        async def whole(number: int) -> None:
            upload = upload_of(fake, budget, f"{number}")
            for _ in range(4):
                await upload.write(bytes(PART))
                await asyncio.sleep(0.1)
            await upload.complete()

        slow = [asyncio.create_task(slowly(upload_of(fake, budget, f"slow{number}"))) for number in range(200)]
        await asyncio.sleep(10)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(whole(number) for number in range(20)))
        seconds = asyncio.get_running_loop().time() - began
        assert {f"{number}" for number in range(20)} <= set(fake.objects)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return seconds

    assert run_in_virtual_time(scenario()) < 5 * PATIENCE

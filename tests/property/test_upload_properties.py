"""Uploads and their budget, under random sizes, failures and cancellations."""

import asyncio
import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.errors import S3Error
from aioftps3.s3.upload import Upload
from tests.unit.s3.fakes import (
    PATIENT,
    Answered,
    FakeS3,
    Fault,
    LostAfter,
    LostBefore,
    LostOnTheWay,
    client_of,
    is_whole,
    settle,
)

PART = 32

OPERATIONS = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject")

faults = st.dictionaries(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 6)),
    st.sampled_from(
        [
            LostBefore(),
            LostAfter(),
            LostOnTheWay(),
            Answered(500, "InternalError"),
            Answered(503, "SlowDown"),
            Answered(403, "AccessDenied"),
        ]
    ),
    max_size=4,
)


def content(size: int) -> bytes:
    return b"".join(hashlib.sha256(bytes([number % 256])).digest() for number in range(size // 32 + 1))[:size]


@pytest.fixture(autouse=True, scope="module")
def impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RESOLVE_PAUSE_SECONDS", "SETTLE_SECONDS"):
            patch.setattr(f"aioftps3.s3.completion.{name}", 0.0)
        yield


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    pieces=st.lists(st.integers(0, 3 * PART), max_size=12),
    where=faults,
    turns=st.none() | st.integers(0, 150),
    in_flight=st.integers(1, 4),
    parts_of_budget=st.integers(1, 6),
    block=st.integers(5, PART + 1),
    if_none_match=st.sampled_from([None, "*"]),
)
def test_an_upload_is_whole_or_nothing_whatever_happens(
    pieces: list[int],
    where: dict[tuple[str, int], Fault],
    turns: int | None,
    in_flight: int,
    parts_of_budget: int,
    block: int,
    if_none_match: str | None,
) -> None:
    size = sum(pieces)
    data = content(size)

    async def run() -> None:
        fake, budget = FakeS3(), ByteBudget(parts_of_budget * PART, block=block)
        fake.faults.update(where)
        upload = Upload(
            client_of(fake, retry=PATIENT),
            "k",
            budget=budget,
            part_size=PART,
            parts_in_flight=in_flight,
            if_none_match=if_none_match,
        )

        async def transfer() -> None:
            position = 0
            for piece in pieces:
                await upload.write(data[position : position + piece])
                position += piece
            await upload.complete()

        task = asyncio.create_task(transfer())
        if turns is not None:
            await settle(turns)
            task.cancel()
        await asyncio.wait({task})
        if task.cancelled() or task.exception() is not None:
            if turns is None and not any(name == "HeadObject" for name, _ in where):
                assert fake.objects == {}
            assert task.cancelled() or isinstance(task.exception(), S3Error)
            await upload.abort()
        else:
            assert fake.objects == {"k": data}
        assert fake.objects in ({}, {"k": data})
        assert fake.parts_in_flight == 0
        assert fake.most_parts_in_flight <= in_flight
        assert is_whole(budget)
        # Only an upload whose creation was answered to nobody can stay behind.
        lost = sum(
            isinstance(fault, LostAfter) for (name, _), fault in where.items() if name == "CreateMultipartUpload"
        )
        assert len(fake.uploads) <= lost

    asyncio.run(run())

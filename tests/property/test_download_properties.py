"""Downloads under random sizes, ranges, chunks, paces, memory, failures and cancellations."""

import asyncio
import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from aioftps3.s3.budget import ByteBudget
from aioftps3.s3.checksums import Algorithm
from aioftps3.s3.client import S3Client
from aioftps3.s3.credentials import StaticCredentials
from aioftps3.s3.download import Download
from aioftps3.s3.errors import S3Error
from aioftps3.s3.ranges import Parallel
from tests.unit.s3.fake_object import Broken, FakeObject, ReadFault, Replaced
from tests.unit.s3.fakes import ENDPOINT, PATIENT, Answered, is_whole, settle


def content(size: int, seed: int) -> bytes:
    return b"".join(hashlib.sha256(b"%d %d" % (seed, block)).digest() for block in range(size // 32 + 1))[:size]


faults = st.dictionaries(
    st.integers(0, 12),
    st.builds(Broken, st.integers(0, 300), st.sampled_from(["reset", "stall", "end"]))
    | st.sampled_from([Answered(500, "InternalError"), Answered(503, "SlowDown"), Answered(403, "AccessDenied")])
    | st.builds(Replaced, st.none() | st.builds(content, st.integers(0, 600), st.just(1))),
    max_size=5,
)


@settings(max_examples=700, deadline=None, derandomize=True)
@given(
    size=st.integers(0, 600),
    offset=st.integers(0, 300),
    range_bytes=st.integers(1, 120),
    least_bytes=st.integers(0, 400),
    measured_bytes=st.integers(0, 100),
    streams=st.integers(1, 6),
    budget=st.integers(1, 1000),
    piece=st.integers(1, 120),
    client_seconds=st.lists(st.sampled_from([0.0, 0.5, 2.0, 100.0]), min_size=1, max_size=5),
    where=faults,
    checksum=st.sampled_from([None, Algorithm.CRC32]),
    turns=st.none() | st.integers(0, 200),
)
def test_a_download_gives_exactly_the_object_or_an_error(
    size: int,
    offset: int,
    range_bytes: int,
    least_bytes: int,
    measured_bytes: int,
    streams: int,
    budget: int,
    piece: int,
    client_seconds: list[float],
    where: dict[int, ReadFault],
    checksum: Algorithm | None,
    turns: int | None,
) -> None:
    data = content(size, 0)
    got = bytearray()

    async def transfer(fake: FakeObject, memory: ByteBudget) -> None:
        client = S3Client(fake, ENDPOINT, StaticCredentials("AK", "SK"), retry=PATIENT, checksum=checksum)
        parallel = Parallel(
            budget=memory,
            streams=streams,
            range_bytes=range_bytes,
            least_bytes=least_bytes,
            measured_bytes=measured_bytes,
            clock=fake.clock,
        )
        stream = await client.get_object("k", offset=offset)
        download = Download(client, stream, parallel=parallel if streams > 1 else None)
        try:
            number = 0
            async for chunk in download.chunks():
                assert chunk
                got.extend(chunk)
                fake.clock.now += client_seconds[number % len(client_seconds)]
                number += 1
                if client_seconds[number % len(client_seconds)]:
                    await asyncio.sleep(0)
        finally:
            await download.close()

    async def run() -> None:
        fake, memory = FakeObject(data, piece=piece, faults=dict(where)), ByteBudget(budget)
        task = asyncio.create_task(transfer(fake, memory))
        if turns is not None:
            await settle(turns)
            task.cancel()
        await asyncio.wait({task})
        await settle(5)
        assert is_whole(memory)
        assert fake.reading == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # A request may be answered with another object only as long as nothing was given of the first one.
        replaced = [fault.by for fault in where.values() if isinstance(fault, Replaced)]
        objects = [data, *(each for each in replaced if each is not None)]
        if task.cancelled() or task.exception() is not None:
            assert task.cancelled() or isinstance(task.exception(), S3Error)
            assert task.cancelled() or where or offset >= size, "an error without a fault"
            assert any(each[offset:].startswith(bytes(got)) for each in objects)
        else:
            assert bytes(got) in [each[offset:] for each in objects]
            if not where:
                assert_requests(fake)

    def assert_requests(fake: FakeObject) -> None:
        assert fake.given == size - offset, "bytes fetched twice"
        ranges = fake.requests[1:]
        if not ranges:
            return
        left = size - ranges[0][0]
        assert size - offset >= least_bytes
        assert fake.most_reading <= streams
        assert budget >= 2 * min(2 * range_bytes, left)
        if not any(client_seconds) and budget >= 2 * streams * range_bytes:
            assert len(ranges) == -(-left // range_bytes)

    asyncio.run(run())

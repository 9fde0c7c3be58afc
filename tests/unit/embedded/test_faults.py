from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientConnectionError, ClientError, ClientPayloadError

from aioftps3.embedded import faults
from aioftps3.embedded.faults import FaultScript, Gate

if TYPE_CHECKING:
    from aioftps3.embedded import EmbeddedS3, Intercept
    from tests.unit.embedded.signed_client import SignedClient


@pytest.fixture
def script(s3: EmbeddedS3) -> FaultScript:
    s3.intercept = planned = FaultScript()
    return planned


async def test_a_fault_strikes_the_occurrences_that_were_chosen(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript
) -> None:
    rule = script.add(faults.internal_error(), "PutObject", at=2, times=2)
    assert [(await client.put("key", b"x")).status for _ in range(5)] == [200, 500, 500, 200, 200]
    assert (rule.seen, rule.struck) == (5, 2)


async def test_a_fault_without_an_end_strikes_for_ever(client: SignedClient, script: FaultScript) -> None:
    script.add(faults.internal_error(), at=2, times=None)
    assert [(await client.put("key", b"x")).status for _ in range(4)] == [200, 500, 500, 500]
    script.clear()
    assert (await client.put("key", b"x")).status == 200


async def test_a_fault_strikes_only_its_operations_and_its_key(client: SignedClient, script: FaultScript) -> None:
    script.add(faults.internal_error(), "PutObject", "DeleteObject", key="mine", times=None)
    assert (await client.put("other", b"x")).status == 200
    assert (await client.put("mine", b"x")).status == 500
    assert (await client.send("DELETE", "mine")).status == 500
    assert (await client.send("GET", "mine")).status == 404


async def test_the_first_of_two_rules_gets_a_request_and_both_count_it(
    client: SignedClient, script: FaultScript
) -> None:
    script.add(faults.internal_error(), "PutObject")
    script.add(faults.slow_down(), "PutObject", at=2)
    assert [(await client.put("key", b"x")).status for _ in range(3)] == [500, 503, 200]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.internal_error(), (500, "InternalError")),
        (faults.slow_down(3), (503, "SlowDown")),
        (faults.conflict(), (409, "ConditionalRequestConflict")),
        (faults.conflict("OperationAborted"), (409, "OperationAborted")),
        (faults.clock_skew(0), (403, "RequestTimeTooSkewed")),
        (faults.wrong_region("eu-north-1"), (400, "AuthorizationHeaderMalformed")),
        (faults.expired_token(), (400, "ExpiredToken")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
async def test_a_refusal_has_its_status_and_code_and_changes_nothing(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript, fault: Intercept, expected: tuple[int, str]
) -> None:
    script.add(fault)
    assert (await client.put("key", b"x")).error == expected
    assert s3.objects() == {}


async def test_refusals_tell_what_a_client_can_mend(client: SignedClient, script: FaultScript) -> None:
    script.add(faults.slow_down(3))
    assert (await client.put("key", b"x")).headers["Retry-After"] == "3"
    script.add(faults.clock_skew(86_400))
    moment = parsedate_to_datetime((await client.put("key", b"x")).headers["Date"]).timestamp()
    assert moment == 86_400
    script.add(faults.wrong_region("eu-north-1"))
    assert (await client.put("key", b"x")).text("Region") == "eu-north-1"


@pytest.mark.parametrize("acted", [False, True])
async def test_a_success_can_turn_out_to_be_an_error(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript, acted: bool
) -> None:
    script.add(faults.error_in_success("SlowDown", acted=acted), "PutObject")
    reply = await client.put("key", b"x")
    assert reply.status == 200
    assert reply.body.startswith(b"\n")
    assert b"<Error><Code>SlowDown</Code>" in reply.body
    assert s3.objects() == ({"key": 1} if acted else {})


async def test_a_document_can_be_broken_after_the_work_was_done(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript
) -> None:
    s3.put("key", b"x")
    script.add(faults.broken_document(b"<html>"), "ListObjectsV2")
    reply = await client.send("GET", query={"list-type": "2"})
    assert (reply.status, reply.body) == (200, b"<html>")


@pytest.mark.parametrize(
    ("fault", "acts"),
    [(faults.cut_before(), False), (faults.cut_intake(1), False), (faults.cut_after(), True)],
    ids=["before", "intake", "after"],
)
async def test_a_connection_can_be_cut_before_and_after_acting(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript, fault: Intercept, acts: bool
) -> None:
    script.add(fault, times=None)  # aiohttp's session tries a second time by itself
    with pytest.raises(ClientError):
        await client.put("key", b"x" * 1000)
    script.clear()
    assert s3.objects() == ({"key": 1000} if acts else {})
    assert s3.requests[-1].status == 0
    assert (await client.put("key", b"y")).status == 200


@pytest.mark.parametrize("fault", [faults.truncated_body(10), faults.cut_body(10)], ids=["truncated", "cut"])
async def test_a_body_can_end_early(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript, fault: Intercept
) -> None:
    s3.put("key", b"x" * 1000)
    script.add(fault, "GetObject")
    with pytest.raises((ClientPayloadError, ClientConnectionError)):
        await client.send("GET", "key")
    assert (await client.send("GET", "key")).body == b"x" * 1000


async def test_a_listing_can_end_early(s3: EmbeddedS3, client: SignedClient, script: FaultScript) -> None:
    s3.put("key", b"x")
    script.add(faults.truncated_body(100))
    with pytest.raises(ClientPayloadError):
        await client.send("GET", query={"list-type": "2"})


async def test_a_gate_holds_a_request_before_it_acts(s3: EmbeddedS3, client: SignedClient, script: FaultScript) -> None:
    gate = Gate()
    script.add(gate.before, "PutObject")
    writing = asyncio.create_task(client.put("key", b"x"))
    await gate.reached.wait()
    assert s3.objects() == {}
    gate.open()
    assert (await writing).status == 200


async def test_a_gate_holds_an_answer_after_the_work_was_done(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript
) -> None:
    gate = Gate()
    script.add(gate.after, "PutObject")
    writing = asyncio.create_task(client.put("key", b"x"))
    await gate.reached.wait()
    assert s3.objects() == {"key": 1}
    assert not writing.done()
    gate.open()
    assert (await writing).status == 200


async def test_a_body_can_stall_on_its_way_in_and_then_be_lost(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript
) -> None:
    gate = Gate()
    script.add(gate.intake, "PutObject", times=None)  # aiohttp's session tries a second time by itself
    writing = asyncio.create_task(client.put("key", b"x"))
    await gate.reached.wait()
    gate.open()
    with pytest.raises(ClientError):
        await writing
    assert s3.objects() == {}


async def test_a_body_can_stall_on_its_way_out_and_then_be_lost(
    s3: EmbeddedS3, client: SignedClient, script: FaultScript
) -> None:
    s3.put("key", b"x" * 1000)
    gate = Gate()
    script.add(faults.stalled_body(gate, 10), "GetObject")
    reading = asyncio.create_task(client.send("GET", "key"))
    await gate.reached.wait()
    assert not reading.done()
    gate.open()
    with pytest.raises(ClientError):
        await reading

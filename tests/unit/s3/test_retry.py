"""When a request is repeated, and after how long."""

import pytest

from aioftps3.s3 import errors
from aioftps3.s3.errors import S3Error
from aioftps3.s3.retry import NO_RETRIES, RETRY_AFTER_EXTRA_SECONDS, RetryPolicy, is_retriable

POLICY = RetryPolicy(attempts=5)


def delay(
    error: S3Error, attempt: int = 1, elapsed: float = 0.0, *, idempotent: bool = True, jitter: float = 1.0
) -> float | None:
    return POLICY.delay(error, attempt=attempt, elapsed=elapsed, idempotent=idempotent, jitter=jitter)


def test_waits_double_up_to_the_cap() -> None:
    fault = errors.ServerFault("InternalError", 500)
    assert [delay(fault, attempt) for attempt in (1, 2, 3, 4)] == [0.05, 0.1, 0.2, 0.4]
    throttled = errors.Throttled("SlowDown", 503)
    assert [delay(throttled, attempt) for attempt in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    patient = RetryPolicy(attempts=100)
    assert patient.delay(throttled, attempt=90, elapsed=0.0, idempotent=True, jitter=1.0) == 20.0


def test_wait_is_a_random_part() -> None:
    assert delay(errors.Throttled("SlowDown", 503), jitter=0.0) == 0.0
    assert delay(errors.Throttled("SlowDown", 503), 3, jitter=0.25) == 1.0


def test_attempts_and_time_are_limited() -> None:
    fault = errors.ServerFault("InternalError", 500)
    assert delay(fault, 5) is None
    assert delay(fault, 1, elapsed=180.0) is None
    assert NO_RETRIES.delay(fault, attempt=1, elapsed=0.0, idempotent=True, jitter=0.0) is None


@pytest.mark.parametrize(
    ("asked", "expected"), [(0.0, 1.0), (3.0, 3.0), (1000.0, 1.0 + RETRY_AFTER_EXTRA_SECONDS), (None, 1.0)]
)
def test_wait_that_the_store_asks_for_is_kept_within_bounds(asked: float | None, expected: float) -> None:
    assert delay(errors.Throttled("SlowDown", 503, retry_after=asked)) == expected


@pytest.mark.parametrize(
    ("error", "idempotent", "otherwise"),
    [
        (errors.ConnectFailed("x"), True, True),
        (errors.ConnectionBroken("x", may_have_acted=False), True, True),
        (errors.ConnectionBroken("x", may_have_acted=True), True, False),
        (errors.RequestTimedOut("x", may_have_acted=True), True, False),
        (errors.BodyTruncated("x"), True, False),
        (errors.Throttled("SlowDown", 503), True, True),
        (errors.DigestMismatch("BadDigest", 400), True, True),
        (errors.ServerFault("InternalError", 500), True, False),
        (errors.Conflict("OperationAborted", 409), True, False),
        (errors.S3ProtocolError("x"), True, False),
        (errors.NoSuchKey("NoSuchKey", 404), False, False),
        (errors.AccessDenied("AccessDenied", 403), False, False),
        (errors.PreconditionFailed("PreconditionFailed", 412), False, False),
        (errors.StorageFull("XMinioStorageFull", 507), False, False),
        (errors.RequestInvalid("x"), False, False),
        (errors.NoCredentials("x"), False, False),
    ],
)
def test_what_may_have_been_done_is_repeated_only_when_that_does_no_harm(
    error: S3Error, idempotent: bool, otherwise: bool
) -> None:
    assert is_retriable(error, idempotent=True) is idempotent
    assert is_retriable(error, idempotent=False) is otherwise


def test_slow_operations_may_be_repeated_for_longer() -> None:
    policy = RetryPolicy(deadline_seconds=10, slow_deadline_seconds=100)
    fault = errors.ServerFault("InternalError", 500)
    for elapsed, slow, repeated in ((9, False, True), (11, False, False), (11, True, True), (101, True, False)):
        delay = policy.delay(fault, attempt=1, elapsed=elapsed, idempotent=True, jitter=0.0, slow=slow)
        assert (delay is not None) == repeated

import asyncio

import pytest

from aioftps3.auth import EnvironmentUser, FailureThrottle, ThrottledAuthenticator, User
from aioftps3.auth.throttle import FORGET_SECONDS, MAX_DELAY_SECONDS


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> FailureThrottle:
    return FailureThrottle(clock=clock, max_addresses=3)


def test_an_address_without_failures_does_not_wait(throttle: FailureThrottle) -> None:
    assert throttle.delay("192.0.2.1") == 0
    assert len(throttle) == 0


def test_delays_double_up_to_a_maximum(throttle: FailureThrottle) -> None:
    delays = []
    for _ in range(8):
        throttle.failed("192.0.2.1")
        delays.append(throttle.delay("192.0.2.1"))
    assert delays == [0.25, 0.5, 1, 2, 4, MAX_DELAY_SECONDS, MAX_DELAY_SECONDS, MAX_DELAY_SECONDS]
    for _ in range(5000):
        throttle.failed("192.0.2.1")
    assert throttle.delay("192.0.2.1") == MAX_DELAY_SECONDS


def test_other_addresses_do_not_wait(throttle: FailureThrottle) -> None:
    throttle.failed("192.0.2.1")
    assert throttle.delay("192.0.2.2") == 0


def test_failures_are_forgotten_with_time(throttle: FailureThrottle, clock: Clock) -> None:
    throttle.failed("192.0.2.1")
    clock.now += FORGET_SECONDS - 1
    assert throttle.delay("192.0.2.1") > 0
    clock.now += 1
    assert throttle.delay("192.0.2.1") == 0
    assert len(throttle) == 0


def test_a_success_forgets_the_failures(throttle: FailureThrottle) -> None:
    throttle.failed("192.0.2.1")
    throttle.succeeded("192.0.2.1")
    throttle.succeeded("192.0.2.9")
    assert throttle.delay("192.0.2.1") == 0


def test_the_table_is_bounded_and_the_oldest_failure_makes_room(throttle: FailureThrottle) -> None:
    for peer in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.4"):
        throttle.failed(peer)
    assert len(throttle) == 3
    assert throttle.delay("192.0.2.2") == 0
    assert throttle.delay("192.0.2.1") == 0.5


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unknown", "unknown", True),
    ],
)
def test_ipv6_addresses_count_by_network(throttle: FailureThrottle, first: str, second: str, same: bool) -> None:
    throttle.failed(first)
    assert bool(throttle.delay(second)) is same


class Sleeps:
    """Sleeps that end when they are told to."""

    def __init__(self, expected: int = 0) -> None:
        self.asked: list[float] = []
        self.gate = asyncio.Event()
        self.expected = expected
        self.all_asked = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        if len(self.asked) == self.expected:
            self.all_asked.set()
        await self.gate.wait()


async def test_right_and_wrong_passwords_wait_alike_and_before_they_are_judged(throttle: FailureThrottle) -> None:
    sleeps = Sleeps()
    sleeps.gate.set()
    authenticator = ThrottledAuthenticator(EnvironmentUser("joe", "secret"), throttle, sleep=sleeps)
    assert await authenticator.authenticate("joe", "wrong", peer="192.0.2.1") is None
    assert await authenticator.authenticate("joe", "wrong", peer="192.0.2.1") is None
    assert await authenticator.authenticate("joe", "secret", peer="192.0.2.1") == User("joe")
    assert sleeps.asked == [0.25, 0.5]
    assert await authenticator.authenticate("joe", "secret", peer="192.0.2.1") == User("joe")
    assert sleeps.asked == [0.25, 0.5]


async def test_tries_that_wait_together_wait_longer_and_longer(throttle: FailureThrottle) -> None:
    sleeps = Sleeps(expected=4)
    authenticator = ThrottledAuthenticator(EnvironmentUser("joe", "secret"), throttle, sleep=sleeps)
    throttle.failed("192.0.2.1")
    tries = [asyncio.create_task(authenticator.authenticate("joe", "wrong", peer="192.0.2.1")) for _ in range(4)]
    await sleeps.all_asked.wait()
    assert sleeps.asked == [0.25, 0.5, 1, 2]
    sleeps.gate.set()
    await asyncio.gather(*tries)
    assert throttle.delay("192.0.2.1") == 4


async def test_a_try_that_is_dropped_while_it_waits_is_not_judged_and_waits_no_more(throttle: FailureThrottle) -> None:
    sleeps = Sleeps(expected=1)
    authenticator = ThrottledAuthenticator(EnvironmentUser("joe", "secret"), throttle, sleep=sleeps)
    throttle.failed("192.0.2.1")
    dropped = asyncio.create_task(authenticator.authenticate("joe", "secret", peer="192.0.2.1"))
    await sleeps.all_asked.wait()
    dropped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropped
    assert throttle.delay("192.0.2.1") == 0.25

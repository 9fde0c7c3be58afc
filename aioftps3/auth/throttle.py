"""Failed logins slow their address down: growing delays, a bounded table, forgotten with time.

What must stay true:

- An address without failures never waits, however many logins it sends at once.
- After a failure the delay comes before the next try is judged, so that dropping the connection wins nothing; tries
  that wait at the same time count as failures to come, so that parallel ones win little.
- Right and wrong passwords of an address wait alike.
"""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aioftps3.auth.users import Authenticator, User

__all__ = ("FailureThrottle", "ThrottledAuthenticator")

FIRST_DELAY_SECONDS = 0.25
"""After one failure: a person who mistyped does not notice."""

MAX_DELAY_SECONDS = 5.0
"""Well below the time that a client, and our own login timeout, waits for an answer to PASS."""

FORGET_SECONDS = 900.0
"""After this long without a failure an address starts anew."""

MAX_ADDRESSES = 10_000
"""Some 3 MiB at most; the address that failed longest ago makes room."""

_IPV6_NETWORK_BITS = 64
"""What one customer commonly holds: single IPv6 addresses are free to change."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    waiting: int = 0
    last: float = 0.0


class FailureThrottle:
    """Counts failed logins by address (by /64 network for IPv6). `clock` gives monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, max_addresses: int = MAX_ADDRESSES) -> None:
        self._clock = clock
        self._max_addresses = max_addresses
        self._table: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def delay(self, peer: str) -> float:
        """Seconds that the next try from this address has to wait."""
        failures = self._known(peer)
        return _backoff(failures.count + failures.waiting) if failures else 0.0

    async def wait(self, peer: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Wait for this address's turn. Cancelling it is safe."""
        failures = self._known(peer)
        if failures is None:
            return
        delay = self.delay(peer)
        failures.waiting += 1
        try:
            await sleep(delay)
        finally:
            failures.waiting -= 1

    def failed(self, peer: str) -> None:
        """Record a failed login."""
        failures = self._known(peer) or _Failures()
        failures.count += 1
        failures.last = self._clock()
        key = _network(peer)
        self._table[key] = failures
        self._table.move_to_end(key)
        while len(self._table) > self._max_addresses:
            self._table.popitem(last=False)

    def succeeded(self, peer: str) -> None:
        """Forget this address's failures."""
        self._table.pop(_network(peer), None)

    def _known(self, peer: str) -> _Failures | None:
        key = _network(peer)
        failures = self._table.get(key)
        if failures and self._clock() - failures.last >= FORGET_SECONDS:
            del self._table[key]
            return None
        return failures


class ThrottledAuthenticator:
    """An authenticator whose failures slow their address down."""

    def __init__(
        self,
        authenticator: Authenticator,
        throttle: FailureThrottle,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._authenticator = authenticator
        self._throttle = throttle
        self._sleep = sleep

    async def authenticate(self, login: str, password: str, *, peer: str) -> User | None:
        """See `Authenticator.authenticate`."""
        await self._throttle.wait(peer, self._sleep)
        user = await self._authenticator.authenticate(login, password, peer=peer)
        if user is None:
            self._throttle.failed(peer)
        else:
            self._throttle.succeeded(peer)
        return user


def _backoff(failures: int) -> float:
    doublings = min(failures - 1, 16)  # far beyond the maximum, far below an overflow
    return min(FIRST_DELAY_SECONDS * (1 << doublings), MAX_DELAY_SECONDS)


def _network(peer: str) -> str:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK_BITS), strict=False))

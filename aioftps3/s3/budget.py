"""A process-wide limit on the bytes that all uploads, and what is fetched ahead for downloads, together hold.

Every upload has an `Account`. It takes the memory of a part block by block while the part is filled; the part goes in
flight, and comes back when S3 has it or the request has failed for good, which S3's timeouts see to.

Taking piecemeal could end in many half-filled parts of which none can be sent. So a part is begun only when all that it
takes until it can be sent is there, and that is promised to it. A promise lapses when its client has filled no block
for a moment (`LAPSE_SECONDS`): a slow one holds what has come, not what may come. To go on, it needs a new promise.

Why nobody waits for ever: a promise is kept from what is free, whoever else sends or does not. Its part goes in flight
and leaves behind what there was before it was begun. So if those without a promise could go on in some order, each one
leaving what he held to those behind him, they still can: such an order is there from the start, and neither giving a
promise nor keeping it nor letting it lapse takes it away (the banker's rule; Dijkstra, EWD 623).

Invariants:

- `in_use` never passes `total`, and kept blocks and bytes in use together are at most `total`;
- uploads whose clients go on sending all go on, whatever their number and their sizes;
- who wants to begin a part waits behind everybody who came before, so that large parts are not starved by small ones;
  who is in the middle of one goes first, because only he can give something back;
- parts are begun only while another one that may hang in flight leaves enough to those in the middle of a part;
- a waiter that is cancelled takes nothing with it, also when it was granted in the same turn of the loop;
- memory that clients hold who have fallen silent is taken from them when others have waited for long (`_look`).
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from aioftps3.s3.blocks import BlockPool
from aioftps3.s3.errors import RequestInvalid, S3Error, UploadEnded

PATIENCE_SECONDS = 10.0
"""How long an upload waits for the memory of a part until silent uploads lose theirs, and how long a smallest block's
bytes must not have come to count as silent: far above the pauses of a client that reads a disk or shares a line, far
below the minute or so after which waiting clients give up."""

LAPSE_SECONDS = 0.25
"""How long a promise of memory is kept for a client that fills no block: one that sends less than 1 MiB/s takes memory
only as it comes. Also how often it is looked, while somebody waits, whether a promise has lapsed or a wait is too long.
"""

SMALLEST_BLOCK_BYTES = 256 * 1024

BLOCK_GROWTH = 4
"""How many smallest blocks the largest has: what is sent at once is one block, and larger ones cost less CPU."""

BLOCK_SHARE = 8
"""How many blocks of one size a part has when larger ones come: what it takes is never more than a quarter above what
has come."""

SILENT_SHARE = 4
"""Silent uploads may keep this fraction of the budget as long as parts of others are on their way: then it is S3 that
is slow, and dropping them would help nobody."""

HOLDER_SHARE = 2
"""One upload holds at most this fraction of the budget (one part at least): the parts of one that S3 does not take
leave the rest to the others."""


class ByteBudget:
    """Grants blocks of memory up to a total; whoever wants more waits."""

    def __init__(
        self,
        total: int,
        *,
        block: int = SMALLEST_BLOCK_BYTES,
        growth: int = BLOCK_GROWTH,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`total` and `block`, the smallest block, are in bytes; the last block of a part may be smaller. The largest
        block has `growth` times as much, a power of two. `patience` is in seconds.

        Raises:
            RequestInvalid: nothing could ever be granted.
        """
        if min(total, block, growth) < 1:
            raise RequestInvalid("a budget has at least one byte")
        self._total = total
        self._patience = patience
        self._in_use = 0
        self._lent = 0
        self._block = block
        self._largest_block = block * growth
        self._pool = BlockPool(block)
        self._active: set[Account] = set()
        self._filling: dict[Account, None] = {}
        self._filling_bytes = 0
        self._promised: dict[Account, None] = {}
        self._promised_bytes = 0
        self._lapsed: dict[Account, int] = {}
        self._lapsed_needs: Counter[int] = Counter()
        self._middle: dict[Account, _Waiter] = {}
        self._beginning: dict[Account, _Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def total(self) -> int:
        """Bytes that can be in use at the same time."""
        return self._total

    @property
    def block(self) -> int:
        """Bytes of the smallest block."""
        return self._block

    @property
    def largest_block(self) -> int:
        """Bytes of the largest block."""
        return self._largest_block

    @property
    def in_use(self) -> int:
        """Bytes granted and not yet given back."""
        return self._in_use

    @property
    def idle(self) -> int:
        """Bytes that nobody uses and that are kept for the next."""
        return self._pool.idle_bytes

    @property
    def waiting(self) -> int:
        """Number of uploads that wait for memory."""
        return len(self._middle) + len(self._beginning)

    @property
    def is_short(self) -> bool:
        """Whether somebody waits, so that a part that can be sent should be."""
        return bool(self._middle or self._beginning)

    def account(
        self, *, short: Callable[[], None], evicted: Callable[[], None], filled: Callable[[], int]
    ) -> "Account":
        """Open the account of one upload.

        `short` is called when somebody begins to wait while the account's part could be sent. `evicted` is called when
        the memory of its part is wanted by others: it has to `drop` it at once, and to `close` the account. `filled`
        tells the bytes that have come in all.
        """
        return Account(self, short, evicted, filled)

    def try_acquire(self, amount: int) -> bool:
        """Lend `amount` bytes for something else than an upload, if nobody waits and all uploads can go on without
        them; say whether it was done.
        """
        self._let_lapse()
        if amount < 0 or self.is_short or self._free - amount < self._reserve:
            return False
        self._lent += amount
        self._in_use += amount
        self._pool.shrink(self._total - self._in_use)
        return True

    def release(self, amount: int) -> None:
        """Take back what `try_acquire` lent.

        Raises:
            RequestInvalid: that was less.
        """
        if not 0 <= amount <= self._lent:
            raise RequestInvalid("more bytes released than were acquired")
        self._lent -= amount
        self._in_use -= amount
        self._pump()

    async def _take(self, account: "Account") -> bytearray:
        """Grant the next block of the account's part, or wait for it."""
        if account in self._promised or ((account.filling or not self.is_short) and self._admits(account)):
            return self._grant(account)
        waiter = _Waiter(asyncio.get_running_loop())
        was_short = self.is_short
        (self._middle if account.filling else self._beginning)[account] = waiter
        self._active.add(account)
        if self._timer is None:
            self._look_later()
        if not was_short:
            self._tell_short()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.cancelled():
                self._forget(account)
                self._pump()
            elif waiter.granted.exception() is None:
                self._give_back(account, (waiter.granted.result(),), in_flight=False)
            raise

    def _try_take(self, account: "Account") -> bytearray | None:
        is_admitted = account in self._promised or (not self.is_short and self._admits(account))
        return self._grant(account) if is_admitted else None

    def _tell_short(self) -> None:
        for account in [account for account in self._filling if not account.need]:
            account.short()

    @property
    def _free(self) -> int:
        """Bytes that are neither used nor promised."""
        return self._total - self._in_use - self._promised_bytes

    @property
    def _reserve(self) -> int:
        """Bytes with which everybody whose promise has lapsed could go on, one after another."""
        return max(self._lapsed_needs, default=0)

    def _admits(self, account: "Account") -> bool:
        """Whether an account without a promise can be given one, or a block more than its part needs."""
        self._let_lapse()
        if account in self._lapsed:
            return account.need <= self._free
        return (account.need or account.next_block) + self._reserve <= self._free

    def _let_lapse(self) -> None:
        since = asyncio.get_running_loop().time() - LAPSE_SECONDS
        while self._promised:
            account = next(iter(self._promised))
            if account.taken_at > since:
                break
            self._forget_need(account)
            self._lapse(account)

    def _lapse(self, account: "Account") -> None:
        if account.filling and account.need:
            self._lapsed[account] = account.need
            self._lapsed_needs[account.need] += 1

    def _grant(self, account: "Account") -> bytearray:
        size = account.next_block
        block = self._pool.take(size)
        self._forget_need(account)
        account.filling += size
        account.took(asyncio.get_running_loop().time())
        if account.need:
            # Whoever took last comes last: the order in which promises lapse.
            self._promised[account] = None
            self._promised_bytes += account.need
        self._filling[account] = None
        self._filling_bytes += size
        self._in_use += size
        self._active.add(account)
        self._pool.shrink(self._total - self._in_use)
        return block

    def _forget_need(self, account: "Account") -> None:
        """The account has neither a promise nor one that has lapsed."""
        if account in self._promised:
            del self._promised[account]
            self._promised_bytes -= account.need
        need = self._lapsed.pop(account, 0)
        if need:
            self._lapsed_needs[need] -= 1
            if not self._lapsed_needs[need]:
                del self._lapsed_needs[need]

    def _seal(self, account: "Account") -> None:
        """The account's part needs nothing any more."""
        self._forget_need(account)
        account.least = 0
        self._pump()

    def _send(self, account: "Account") -> None:
        """The account's part goes in flight."""
        self._forget_need(account)
        self._filling.pop(account, None)
        self._filling_bytes -= account.filling
        account.in_flight += account.filling
        account.filling = 0
        self._pump()

    def _give_back(self, account: "Account", blocks: Sequence[bytearray], *, in_flight: bool) -> None:
        size = sum(map(len, blocks))
        if in_flight:
            account.in_flight -= size
        else:
            self._forget_need(account)
            account.filling -= size
            self._filling_bytes -= size
            self._lapse(account)
            if not account.filling:
                self._filling.pop(account, None)
        self._in_use -= size
        for block in blocks:
            self._pool.give(block)
        self._pool.shrink(self._total - self._in_use)
        self._retire(account)
        self._pump()

    def _retire(self, account: "Account") -> None:
        if not account.held and not account.is_waiting:
            self._active.discard(account)

    def _pump(self) -> None:
        """Grant what can be granted now, in order."""
        while self.is_short and (account := self._next()) is not None:
            waiter = self._middle.get(account) or self._beginning[account]
            self._forget(account)
            try:
                waiter.granted.set_result(self._grant(account))
            except MemoryError as error:
                waiter.granted.set_exception(error)

    def _next(self) -> "Account | None":
        """Give the waiter who gets a block now, if anybody does.

        That is who is in the middle of a part and needs least: if not even he may go on, nobody may who needs more.
        Else it is who wants to begin one, in the order of arrival, and first those who have no more than their share
        in flight. The slowest comes last, and nobody waits behind it.
        """
        middle = _awake(self._middle)
        if middle:
            first: Account | None = min(middle, key=lambda account: account.need)
        else:
            beginning = _awake(self._beginning)
            share = self._total // max(len(self._active), 1)
            fair = (account for account in beginning if account.in_flight <= share)
            first = next(fair, next(iter(beginning), None))
        return first if first is not None and self._admits(first) else None

    def _forget(self, account: "Account") -> "_Waiter | None":
        """The account does not wait any more."""
        waiter = self._middle.pop(account, None) or self._beginning.pop(account, None)
        self._retire(account)
        return waiter

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LAPSE_SECONDS, self._look)

    def _look(self) -> None:
        """Drop uploads that have long been silent, one by one, the one that has been so for longest first, while
        somebody has waited for too long who can be helped by it.
        """
        self._timer = None
        self._pump()
        now = asyncio.get_running_loop().time()
        for account in self._filling:
            account.look(now)
        while any(
            waiter.since <= now - self._patience for waiter in (*self._middle.values(), *self._beginning.values())
        ):
            silent = [account for account in self._filling if account.is_silent(now - self._patience)]
            held = sum(account.filling for account in silent)
            on_their_way = self._in_use > self._filling_bytes + self._lent
            if not silent or (on_their_way and held <= self._total // SILENT_SHARE):
                break
            min(silent, key=lambda account: account.moved_at).evicted()
        if self.is_short:
            self._look_later()


class Account:
    """What one upload holds of a budget. One task at a time may take from it."""

    def __init__(
        self, budget: ByteBudget, short: Callable[[], None], evicted: Callable[[], None], filled: Callable[[], int]
    ) -> None:
        self._budget = budget
        self.short = short
        self.evicted = evicted
        self._came = filled
        self.filling = 0
        """Bytes held by the part that is being filled."""
        self.in_flight = 0
        """Bytes held by parts on their way to S3."""
        self.least = 0
        """Bytes of memory that the part has to take until it can be sent."""
        self.taken_at = -math.inf
        """When it was granted the last block, by the loop's clock."""
        self.moved_at = -math.inf
        """When a smallest block's bytes had come last, by the loop's clock."""
        self.is_sealed = False
        """Whether all bytes have come, see `seal`."""
        self._size = 0
        self._mark = 0
        self._closed: S3Error | None = None

    @property
    def held(self) -> int:
        """Bytes in all."""
        return self.filling + self.in_flight

    @property
    def need(self) -> int:
        """Bytes that the part still has to take until it can be sent."""
        return max(self.least - self.filling, 0)

    @property
    def next_block(self) -> int:
        """Bytes of the block that the part takes next."""
        block = self._budget.block
        while block < self._budget.largest_block and self.filling >= BLOCK_SHARE * block:
            block *= 2
        return min(block, self.need or self._size - self.filling)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a block."""
        return self in self._budget._middle or self in self._budget._beginning

    @property
    def is_at_limit(self) -> bool:
        """Whether parts in flight have to come back before it may take more."""
        limit = max(self._budget.total // HOLDER_SHARE, self._size)
        return self.in_flight > 0 and self.held + self.next_block > limit

    def is_silent(self, since: float) -> bool:
        """Whether its client alone is the reason that next to nothing has come since then."""
        return self.moved_at <= since and not (self.in_flight or self.is_sealed or self.is_waiting)

    def took(self, now: float) -> None:
        """Hear that it was granted a block, which means that the one before has been filled."""
        self.taken_at = self.moved_at = now
        self._mark = self._came()

    def look(self, now: float) -> None:
        """See whether anything has come."""
        came = self._came()
        if came - self._mark >= self._budget.block:
            self._mark, self.moved_at = came, now

    def begin(self, size: int, least: int) -> None:
        """Plan a part of `size` bytes that can be sent with `least`.

        Raises:
            RequestInvalid: there is no room for it in the whole budget, or another part is being filled.
        """
        if self.filling or not 0 < least <= size <= self._budget.total:
            raise RequestInvalid("no part can be begun")
        block = self._budget.block
        self._size, self.least = size, min(-(-least // block) * block, size)

    def seal(self) -> None:
        """Say that all bytes have come: it waits for something else than its client from now on, and what its part has
        can be sent, because the last part of an upload may have any size.
        """
        self.is_sealed = True
        self._budget._seal(self)

    async def take(self) -> bytearray:
        """Take the next block of the part, waiting for it. Its content is undefined.

        Raises:
            S3Error: the account was closed; what `close` was given.
        """
        if self._closed is not None:
            raise self._closed
        block = await self._budget._take(self)
        if self._closed is not None:
            self.drop([block])
            raise self._closed
        return block

    def try_take(self) -> bytearray | None:
        """Take the next block of the part if there is room and nobody waits."""
        return None if self._closed is not None else self._budget._try_take(self)

    def send(self) -> None:
        """Say that the part goes on its way as it is; its memory is given back by `returned`."""
        self._budget._send(self)

    def returned(self, blocks: Sequence[bytearray]) -> None:
        """Give the blocks back of a part that was on its way."""
        self._budget._give_back(self, blocks, in_flight=True)

    def drop(self, blocks: Sequence[bytearray]) -> None:
        """Give the blocks back of the part that is being filled."""
        self._budget._give_back(self, blocks, in_flight=False)

    def close(self, error: S3Error | None = None) -> None:
        """Take nothing any more: who waits or comes gets the error. What is held can still be given back."""
        self._closed = error or UploadEnded("the upload has ended")
        waiter = self._budget._forget(self)
        if waiter is not None and not waiter.granted.done():
            waiter.granted.set_exception(self._closed)
            self._budget._pump()


class _Waiter:
    """Somebody who waits for a block."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.since = loop.time()
        self.granted: asyncio.Future[bytearray] = loop.create_future()


def _awake(waiters: Mapping[Account, _Waiter]) -> list[Account]:
    """Those who have not been cancelled a moment ago."""
    return [account for account, waiter in waiters.items() if not waiter.granted.done()]

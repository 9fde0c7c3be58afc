"""The memory of a part: blocks that are taken one by one as its bytes come, and used again for others afterwards.

What stays true:

- nobody writes into, or sends from, a block that has become somebody else's: one that something still looks at is left
  to the garbage collector;
- a view that `PartBody.room` gave ends before the byte that it begins with is hashed twice or sent: see `upload`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from aioftps3.s3 import checksums
from aioftps3.s3.checksums import Algorithm


class BlockPool:
    """Keeps blocks for the next part: those whose size is a multiple of one, which are few."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: defaultdict[int, list[bytearray]] = defaultdict(list)
        self._idle_bytes = 0

    @property
    def idle_bytes(self) -> int:
        """Bytes that are kept."""
        return self._idle_bytes

    def take(self, size: int) -> bytearray:
        """Give a block of `size` bytes, whose content is undefined.

        Raises:
            MemoryError: the system has none left.
        """
        if kept := self._idle.get(size):
            self._idle_bytes -= size
            return kept.pop()
        return bytearray(size)

    def give(self, block: bytearray) -> None:
        """Keep a block, unless something still looks at it.

        A connection that was closed in the middle of a request may go on sending what it holds (without a copy, from
        Python 3.12 on), and must never send the next part's bytes in its place; nor may whoever was given room write
        there any more.
        """
        if len(block) % self._size:
            return
        try:
            # A bytearray refuses to change its size while a memoryview of it exists; both steps stay inside its
            # allocation and cost nothing.
            block.append(block.pop())
        except BufferError:
            return
        self._idle[len(block)].append(block)
        self._idle_bytes += len(block)

    def shrink(self, limit: int) -> None:
        """Keep at most `limit` bytes."""
        while self._idle_bytes > limit:
            size, kept = next(iter(self._idle.items()))
            if kept:
                kept.pop()
                self._idle_bytes -= size
            else:
                del self._idle[size]


class PartBody:
    """One part while it is filled and sent; a `Body`. Its blocks are filled in order, each before the next is added."""

    def __init__(self, number: int, size: int, algorithms: Iterable[Algorithm]) -> None:
        self.number = number
        """Its part number, from 1 on."""
        self.size = size
        """Bytes that it is planned to have; it may be sent with fewer."""
        self._blocks: list[bytearray] = []
        self._held = 0
        self._filled = 0
        self._digests = {algorithm: checksums.new_digest(algorithm) for algorithm in algorithms}

    @property
    def length(self) -> int:
        """Bytes that it has so far."""
        return self._filled

    @property
    def is_full(self) -> bool:
        """Whether it has all the bytes that it was planned to have."""
        return self._filled == self.size

    @property
    def has_room(self) -> bool:
        """Whether bytes can be put into its last block."""
        return self._filled < self._held

    @property
    def sha256(self) -> str:
        """SHA-256 in lower-case hex."""
        return self.checksum(Algorithm.SHA256).hex()

    def checksum(self, algorithm: Algorithm) -> bytes:
        """Checksum of what it has; computed now if the algorithm was not named at the start."""
        if algorithm not in self._digests:
            digest = self._digests[algorithm] = checksums.new_digest(algorithm)
            for view in self.chunks():
                digest.update(view)
        return self._digests[algorithm].digest()

    def add(self, block: bytearray) -> None:
        """Go on filling this block."""
        self._blocks.append(block)
        self._held += len(block)

    def room(self) -> memoryview:
        """Give a view of what is free of the last block."""
        block = self._blocks[-1]
        return memoryview(block)[len(block) - (self._held - self._filled) :]

    def take(self, piece: memoryview) -> None:
        """Hear that the next bytes are there, of which `piece` is a view."""
        self._filled += len(piece)
        for digest in self._digests.values():
            digest.update(piece)

    def drop(self) -> list[bytearray]:
        """Hand its blocks over; it is empty then."""
        blocks, self._blocks = self._blocks, []
        self._held = self._filled = 0
        return blocks

    def chunks(self) -> Iterator[memoryview]:
        """Give what is filled of each block."""
        views, left = [], self._filled
        for block in self._blocks:
            views.append(memoryview(block)[:left])
            left -= len(views[-1])
        # All views exist from the start: a connection that goes on after the blocks were handed over keeps them all.
        return iter(views)

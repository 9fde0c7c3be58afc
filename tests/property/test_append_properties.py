"""Whoever appends to one file at the same time, through one daemon or several: what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from aioftps3.s3.budget import ByteBudget
from aioftps3.storage.errors import Changed
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.paths import VirtualPath
from aioftps3.storage.s3store import S3Store
from aioftps3.storage.tree import Tree
from tests.unit.s3.fakes import FakeS3, client_of

PART = 64
FILE = VirtualPath("/file")


@dataclass(frozen=True, slots=True)
class Append:
    """What one client does."""

    daemon: int
    length: int
    begins: int
    """Turns of the loop before it begins."""
    pauses: int
    """And in its middle."""
    dies: bool


appends = st.builds(
    Append,
    daemon=st.integers(0, 2),
    length=st.sampled_from([1, 10, PART, 3 * PART + 1]),
    begins=st.integers(0, 60),
    pauses=st.integers(0, 60),
    dies=st.booleans(),
)


def piece(number: int, length: int) -> bytes:
    """What a client appends; no piece begins like another one, or is part of it."""
    return bytes([number + 1]) * length + b"\0"


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def act(tree: Tree, number: int, each: Append, acknowledged: list[int]) -> None:
    data = piece(number, each.length)
    await turns(each.begins)
    file = await tree.open_append(FILE)
    try:
        await file.write(data[:1])
        await turns(each.pauses)
        await file.write(data[1:])
        if not each.dies:
            await file.commit()
            acknowledged.append(number)
    except Changed:
        pass
    finally:
        await file.abort()


def pieces_of(content: bytes) -> list[int]:
    """The numbers of the pieces that a file is made of, which have to be whole."""
    found = []
    for text in content.split(b"\0")[:-1]:
        assert text == bytes([text[0]]) * len(text)
        found.append(text[0] - 1)
    return found


@settings(max_examples=150, deadline=None)
@given(
    clients=st.lists(appends, min_size=2, max_size=8),
    old=st.sampled_from([None, 0, 5, PART, 3 * PART]),
    one_daemon=st.booleans(),
    flaw=st.sampled_from(["", "ignores_conditions", "never_matches"]),
)
def test_no_append_that_was_acknowledged_is_lost(
    clients: list[Append], old: int | None, one_daemon: bool, flaw: str
) -> None:
    """Also on stores that ignore conditions or do not understand them, as long as there is one daemon."""
    one_daemon = one_daemon or bool(flaw)
    fake = FakeS3()
    if flaw:
        setattr(fake, flaw, True)
    if old is not None:
        fake.objects["file"], fake.metadata["file"] = piece(99, old) if old else b"", {}
    budget = ByteBudget(4 * PART, block=24)

    def tree(locks: PathLocks) -> Tree:
        store = S3Store(client_of(fake), budget, part_size=PART, least_part_bytes=PART, copy_part_bytes=PART)
        return Tree(store, locks=locks)

    locks = PathLocks()
    trees = [tree(locks if one_daemon else PathLocks()) for _ in range(3)]
    acknowledged: list[int] = []

    async def run() -> None:
        await asyncio.gather(
            *(act(trees[each.daemon], number, each, acknowledged) for number, each in enumerate(clients))
        )

    asyncio.run(run())
    there = pieces_of(fake.objects.get("file", b""))
    assert there == [*([99] if old else []), *acknowledged]
    assert fake.uploads == {}
    assert budget.in_use == 0
    if one_daemon:
        assert len(acknowledged) == sum(not each.dies for each in clients), "they take turns"
        assert len(locks) == 0

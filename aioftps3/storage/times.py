"""The times that clients have given to objects, remembered, because listings do not tell them.

What is remembered is bound to one version of an object: its key, its etag, and when it was stored, as the same bytes
may be stored again under another time. What this process writes is remembered at once, though it does not know to the
second when the store will say that it was stored; the first listing tells.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from aioftps3.storage.store import ObjectInfo

__all__ = ("CAPACITY", "LOOKS_OF_ONE", "SLACK_SECONDS", "KnownTimes", "times_of")

CAPACITY = 50_000
"""Objects whose times are remembered, those used last: some 15 MB."""

SLACK_SECONDS = 300
"""How far apart the store's time of a write and ours may be: the clocks differ, and some stores count from the
beginning of an upload. What is further apart is looked up."""

LOOKS_OF_ONE = 32
"""Objects that one listing looks up at a time: enough to hide the latency of the store."""


class _Known(NamedTuple):
    first: int
    last: int
    """It is good for versions that were stored between these seconds."""
    client_time: float | None


class KnownTimes:
    """The times of up to ``capacity`` objects; those not used for longest are forgotten first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        # By a hash of 64 bits in place of key and etag, which would take several times as much.
        self._known: OrderedDict[int, _Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def saw(self, info: ObjectInfo, *, settled: bool = True) -> None:
        """The store has told all of this object. Not ``settled``: another version may still be stored in the same
        second, so that nothing is remembered, and what says something else is forgotten."""
        name = _name(info)
        if not settled:
            if name in self._known and self._known[name].client_time != info.client_time:
                del self._known[name]
            return
        self._remember(name, _Known(int(info.modified), int(info.modified), info.client_time))

    def wrote(self, info: ObjectInfo) -> None:
        """This process has just written this object; ``modified`` is by its own clock."""
        now = int(info.modified)
        self._remember(_name(info), _Known(now - SLACK_SECONDS, now + SLACK_SECONDS, info.client_time))

    def copied(self, source: ObjectInfo, target: ObjectInfo) -> None:
        """This process has just copied one object to another, whose ``modified`` is by its own clock; ``source`` is as
        it is known, its ``client_time`` is not looked at."""
        known = self._known.get(_name(source))
        if known is not None:
            now = int(target.modified)
            self._remember(_name(target), _Known(now - SLACK_SECONDS, now + SLACK_SECONDS, known.client_time))

    def find(self, info: ObjectInfo) -> float | None:
        """The time to show for an object of a listing, or None when it has to be looked up."""
        name, stored = _name(info), int(info.modified)
        known = self._known.get(name)
        if known is None or not known.first <= stored <= known.last:
            return None
        if known.first == known.last:
            self._known.move_to_end(name)
        else:
            self._remember(name, _Known(stored, stored, known.client_time))
        return info.modified if known.client_time is None else known.client_time

    def _remember(self, name: int, known: _Known) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)


def _name(info: ObjectInfo) -> int:
    return hash((info.key, info.etag.strip('"')))


async def times_of(
    objects: Sequence[ObjectInfo], known: KnownTimes, look: Callable[[ObjectInfo], Awaitable[float]]
) -> list[float]:
    """The time to show for each object, in their order: what is remembered, and else what ``look`` finds.

    `LOOKS_OF_ONE` are looked up at a time. Raises what ``look`` raises, once no other one is under way.
    """
    times = [known.find(info) for info in objects]
    unknown = iter([at for at, found in enumerate(times) if found is None])

    async def work() -> None:
        for at in unknown:
            times[at] = await look(objects[at])

    missing = sum(found is None for found in times)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(missing, LOOKS_OF_ONE)):
                group.create_task(work())
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [info.modified if found is None else found for info, found in zip(objects, times, strict=True)]

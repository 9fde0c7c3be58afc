"""How large the parts of an upload are. Pure.

S3 takes 10,000 parts of at most 5 GiB; that is its largest object, 48.8 TiB. A stream of unknown length begins with
small parts, because memory is what a part costs, and the parts grow while it goes on. When memory is short, a part can
be sent before it is full; how many bytes may be lost to that in all is part of the plan, so that 10,000 parts suffice.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""

from dataclasses import dataclass, replace

MIB = 1024 * 1024

PART_BYTES = 8 * MIB
"""Larger parts are not faster (measured) and take more memory."""

LARGEST_PART_BYTES = 5 * 1024 * MIB
"""S3's maximum."""

LEAST_PART_BYTES = 5 * MIB
"""S3's minimum for every part but the last."""

PARTS = 10_000
"""S3's maximum number of parts."""

BUDGET_SHARE = 4
"""A part is never larger than this fraction of the budget, so that several parts can always be under way."""

FASTEST_STEP = 64
"""Parts of one size before the next size, where parts may become 5 GiB: 8 MiB have doubled to that after 640 parts, and
the others make it 46.2 TiB in all, which is 50 TB."""

SLOWEST_STEP = 500
"""The same where memory is short. Such an upload cannot reach S3's limit anyway, and small parts leave room for others:
they are 8 MiB up to 3.9 GiB."""

SLACK_SHARE = 128
"""This fraction of the largest object may be lost to parts that are sent before they are full. With the default budget
that suffices for the first 5 GiB at least; without a limit an upload could end at half of what was promised."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """The sizes of one upload's parts, in bytes."""

    first: int
    largest: int
    step: int
    """So many parts have one size; then it doubles."""
    slack: int = 0
    """Bytes that all parts but the last together may have less than planned."""
    parts: int = PARTS
    """Their largest number."""

    def size(self, number: int) -> int:
        """Give the size of a part; numbers begin with 1."""
        return min(self.first << (number - 1) // self.step, self.largest)

    def least(self, number: int, lost: int = 0) -> int:
        """Give the bytes from which on a part may be sent when memory is short: half of its size, or S3's minimum.

        `lost` is how many bytes the parts before it had less than planned. When that is as much as the plan allows,
        parts are sent full only.
        """
        size = self.size(number)
        return max(min(size, LEAST_PART_BYTES), size // 2, size - max(self.slack - lost, 0))

    @property
    def capacity(self) -> int:
        """Bytes of the largest object that this makes for certain, also when memory is always short."""
        return self._full - self.slack

    @property
    def _full(self) -> int:
        total, number, size = 0, 0, self.first
        while number < self.parts and size < self.largest:
            count = min(self.step, self.parts - number)
            total, number, size = total + count * size, number + count, size * 2
        return total + (self.parts - number) * self.largest


def plan_parts(
    wanted: int, budget: int, *, expected_size: int | None = None, equal_parts: bool = False, parts: int = PARTS
) -> PartPlan:
    """Plan the parts of an upload whose first ones should have `wanted` bytes, where all uploads may hold `budget`, and
    of which there may be `parts`.

    An object of `expected_size` that would not fit begins with larger parts. `equal_parts`: all have the same size, as
    some stores insist on, and none is sent before it is full.
    """
    largest = max(wanted, min(budget // BUDGET_SHARE, LARGEST_PART_BYTES))
    step = min(max(FASTEST_STEP * LARGEST_PART_BYTES // largest, FASTEST_STEP), SLOWEST_STEP)
    first = wanted
    if equal_parts:
        needed = -(-(expected_size or 0) // parts)
        first = largest = max(wanted, min(-(-needed // MIB) * MIB, largest))
        return PartPlan(first, largest, step, parts=parts)
    plan = _with_slack(PartPlan(first, largest, step, parts=parts), expected_size)
    while expected_size is not None and plan.capacity < expected_size and plan.first < largest:
        plan = _with_slack(PartPlan(min(plan.first * 2, largest), largest, step, parts=parts), expected_size)
    return plan


def _with_slack(plan: PartPlan, expected_size: int | None) -> PartPlan:
    """Where every byte of the capacity is needed, none can be lost."""
    spare = plan.capacity - (expected_size or 0)
    return replace(plan, slack=max(0, min(plan.capacity // SLACK_SHARE, spare)))

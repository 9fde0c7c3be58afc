"""How large the parts of an upload are. Pure.

S3 takes 10,000 parts of at most 5 GiB; that is its largest object, 48.8 TiB. A stream of unknown length begins with
small parts, because memory is what a part costs, and the parts grow while it goes on. When memory is short, a part can
be sent before it is full; how many bytes may be lost to that in all is part of the plan, so that 10,000 parts suffice.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""

from dataclasses import dataclass, replace

MIB = 1024 * 1024

PART_BYTES = 8 * MIB
"""The first parts: many uploads at once share the memory, and most files are small."""

LARGEST_PART_BYTES = 5 * 1024 * MIB
"""S3's maximum."""

LEAST_PART_BYTES = 5 * MIB
"""S3's minimum for every part but the last."""

PARTS = 10_000
"""S3's maximum number of parts."""

BUDGET_SHARE = 4
"""A part is never larger than this fraction of the budget, so that several parts can always be under way."""

EARLY_PARTS = 4
"""A stream that goes on after so many parts (32 MiB) is a large file, and its parts double at once, ahead of their
time: in parts of 16 MiB a GiB takes 6 % less CPU and time than in parts of 8 MiB (measured with MinIO). When memory is
short they are sent as if they had not."""

EARLY_BUDGET_SHARE = 16
"""They do so if the budget has so many parts of twice the size."""

FASTEST_STEP = 64
"""Parts of one size before the next size, where parts may become 5 GiB: 8 MiB have doubled to that after 640 parts, and
the others make it 46.2 TiB in all, which is 50 TB."""

SLOWEST_STEP = 500
"""The same where memory is short. Such an upload cannot reach S3's limit anyway, and small parts leave room for others:
with the default budget they are 16 MiB up to 7.9 GiB."""

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
    early: int
    """So many have the first size, if that is fewer: all sizes after them come that much ahead of their time."""
    slack: int = 0
    """Bytes that all parts but the last together may have less than planned."""
    parts: int = PARTS
    """Their largest number."""

    def size(self, number: int) -> int:
        """Give the size of a part; numbers begin with 1."""
        doublings = 0 if number <= self.early else 1 + (number - 1 - self.early) // self.step
        return min(self.first << doublings, self.largest)

    def least(self, number: int, lost: int = 0) -> int:
        """Give the bytes from which on a part may be sent when memory is short: S3's minimum, or half of the size that
        it would have if none came early.

        `lost` is how many bytes the parts before it had less than planned. When that is as much as the plan allows,
        parts are sent full only.
        """
        in_time = min(self.first << (number - 1) // self.step, self.largest)
        return max(min(in_time, LEAST_PART_BYTES), in_time // 2, self.size(number) - max(self.slack - lost, 0))

    @property
    def capacity(self) -> int:
        """Bytes of the largest object that this makes for certain, also when memory is always short."""
        return self._full - self.slack

    @property
    def _full(self) -> int:
        total, number, size, step = 0, 0, self.first, self.early
        while number < self.parts and size < self.largest:
            count = min(step, self.parts - number)
            total, number, size, step = total + count * size, number + count, size * 2, self.step
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
        return PartPlan(first, largest, step, step, parts=parts)
    early = EARLY_PARTS if wanted * 2 * EARLY_BUDGET_SHARE <= budget else step
    plan = _with_slack(PartPlan(first, largest, step, early, parts=parts), expected_size)
    while expected_size is not None and plan.capacity < expected_size and plan.first < largest:
        plan = _with_slack(PartPlan(min(plan.first * 2, largest), largest, step, early, parts=parts), expected_size)
    return plan


def _with_slack(plan: PartPlan, expected_size: int | None) -> PartPlan:
    """Where every byte is needed, none can be lost. What parts that come early add may be lost again."""
    full, in_time = plan.capacity, replace(plan, early=plan.step).capacity
    return replace(plan, slack=max(0, min(full - in_time + in_time // SLACK_SHARE, full - (expected_size or 0))))

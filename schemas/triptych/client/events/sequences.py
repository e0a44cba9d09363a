"""Decides by an event's sequence whether it is new, a repeat, late, or comes after a gap; and stores what was seen."""

from collections import OrderedDict
from collections.abc import Collection
from enum import Enum
from typing import NamedTuple, Protocol

MISSING_RANGES_MAX = 16
"""Ranges of missing numbers that are remembered for each gallery. The oldest one is dropped beyond that."""

GALLERIES_MAX = 100_000


class Seen(NamedTuple):
    """Which events of a gallery have been handled.

    Attributes:
        last: the highest sequence.
        missing: ranges of lower sequences that have not come, first and last number of each.
    """

    last: int
    missing: tuple[tuple[int, int], ...] = ()


class Verdict(Enum):
    """What the sequence of an event says."""

    NEW = "new"
    REPEAT = "repeat"
    GAP = "gap"
    """New, and numbers before it are missing."""
    LATE = "late"
    """One of the missing numbers."""


def judge(seen: Seen | None, sequence: int) -> tuple[Verdict, Seen]:
    """What an event is, and what has been seen once it is handled.

    The first event of a gallery is new, whatever its number: earlier ones were handled before anybody took notes, or
    have expired.
    """
    if seen is None:
        return Verdict.NEW, Seen(sequence)
    last, missing = seen
    if sequence == last + 1:
        return Verdict.NEW, Seen(sequence, missing)
    if sequence > last:
        ranges = (*missing, (last + 1, sequence - 1))
        return Verdict.GAP, Seen(sequence, ranges[-MISSING_RANGES_MAX:])
    for number, (first, end) in enumerate(missing):
        if first <= sequence <= end:
            rest = tuple(one for one in ((first, sequence - 1), (sequence + 1, end)) if one[0] <= one[1])
            return Verdict.LATE, Seen(last, (*missing[:number], *rest, *missing[number + 1 :]))
    return Verdict.REPEAT, seen


class Sequences(Protocol):
    """Stores which events were handled. A store that all members of a group share recognises the most repeats."""

    async def get(self, gallery_id: str) -> Seen | None:
        """What was seen of a gallery; None if nothing is known."""

    async def put(self, partition: int, gallery_id: str, seen: Seen) -> None:
        """Store what was seen of a gallery, whose event came on this partition."""

    async def lost(self, partitions: Collection[int]) -> None:
        """These partitions now belong to another member of the group, which handles events of their galleries.

        A store of this member alone forgets these galleries: it could take what the other member handles for a gap. A
        store that all members share does nothing.
        """


class MemorySequences:
    """Sequences in memory. After a restart nothing is known, so an event that comes again then is handled again."""

    def __init__(self, galleries_max: int = GALLERIES_MAX) -> None:
        """`galleries_max` galleries are remembered, those with the latest events. One takes some 300 bytes."""
        self._seen: OrderedDict[str, tuple[int, Seen]] = OrderedDict()
        self._max = galleries_max

    async def get(self, gallery_id: str) -> Seen | None:
        """See `Sequences`."""
        found = self._seen.get(gallery_id)
        return found[1] if found is not None else None

    async def put(self, partition: int, gallery_id: str, seen: Seen) -> None:
        """See `Sequences`."""
        self._seen[gallery_id] = (partition, seen)
        self._seen.move_to_end(gallery_id)
        if len(self._seen) > self._max:
            self._seen.popitem(last=False)

    async def lost(self, partitions: Collection[int]) -> None:
        """See `Sequences`."""
        for gallery_id in [one for one, (partition, _) in self._seen.items() if partition in partitions]:
            del self._seen[gallery_id]

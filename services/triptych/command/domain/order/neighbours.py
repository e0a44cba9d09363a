"""The known part of a gallery's order: which item stands next to which, without knowing them all."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Entry: TypeAlias = tuple[float, str]
"""Sort order and item id."""

LOWEST, HIGHEST = float("-inf"), float("inf")


@dataclass(slots=True)
class OrderRange:
    """Every item of a gallery with a sort order from `low` to `high`; an infinite bound reaches that end of the list.

    `entries` ascend. The screen shows them the other way round: what stands *before* an item has a *higher* sort order.
    """

    low: float
    high: float
    entries: list[Entry] = field(default_factory=list)

    def move(self, item_id: str, old: float | None, new: float | None) -> None:
        """Follow an item that appears (`old` is None), moves, or disappears (`new` is None)."""
        if old == new:
            return
        if old is not None and self.low <= old <= self.high:
            position = bisect_left(self.entries, (old, item_id))
            if self.entries[position : position + 1] == [(old, item_id)]:
                del self.entries[position]
        if new is not None and self.low <= new <= self.high:
            insort(self.entries, (new, item_id))

    def merge(self, other: "OrderRange") -> "OrderRange":
        """This stretch together with one that it meets or overlaps."""
        entries = sorted({*self.entries, *other.entries})
        return OrderRange(min(self.low, other.low), max(self.high, other.high), entries)

    def line(self, place: float, count: int) -> "Neighbourhood":
        """The items around `place`, up to `count` below it and `count` above, one that stands on it besides."""
        start = max(0, bisect_left(self.entries, (place, "")) - count)
        end = bisect_right(self.entries, (place, "\U0010ffff")) + count
        return Neighbourhood(
            self.entries[start:end],
            is_bottom=start == 0 and self.low == LOWEST,
            is_top=end >= len(self.entries) and self.high == HIGHEST,
        )


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Items next to each other, ascending; `is_bottom` and `is_top` say whether the list ends there."""

    entries: Sequence[Entry]
    is_bottom: bool
    is_top: bool

    def without(self, item_id: str) -> "Neighbourhood":
        """The line as if the item were absent."""
        return Neighbourhood([entry for entry in self.entries if entry[1] != item_id], self.is_bottom, self.is_top)


def join(stretches: list[OrderRange], known: OrderRange) -> None:
    """Add a stretch to those known at the same moment, which lie apart from each other, and do so afterwards."""
    apart = []
    for other in stretches:
        if other.low <= known.high and known.low <= other.high:
            known = known.merge(other)
        else:
            apart.append(other)
    stretches[:] = [*apart, known]


def neighbourhood_of(stretches: Sequence[OrderRange], place: float, count: int) -> Neighbourhood | None:
    """The line around `place`; None if no stretch holds it. The stretches lie apart from each other."""
    return next((known.line(place, count) for known in stretches if known.low <= place <= known.high), None)

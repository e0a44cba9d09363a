"""Represents the loaded part of a gallery's order: which items are neighbours, without loading all items."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Entry: TypeAlias = tuple[float, str]
"""Sort order and item id."""

LOWEST, HIGHEST = float("-inf"), float("inf")


@dataclass(slots=True)
class OrderRange:
    """All items of a gallery with a sort order from `low` to `high`; an infinite bound reaches that end of the list.

    `entries` ascend. Display order descends: an item that is shown *before* another has a *higher* sort order.
    """

    low: float
    high: float
    entries: list[Entry] = field(default_factory=list)

    def move(self, item_id: str, old: float | None, new: float | None) -> None:
        """Apply the change of an item that appears (`old` is None), moves, or disappears (`new` is None)."""
        if old == new:
            return
        if old is not None and self.low <= old <= self.high:
            position = bisect_left(self.entries, (old, item_id))
            if self.entries[position : position + 1] == [(old, item_id)]:
                del self.entries[position]
        if new is not None and self.low <= new <= self.high:
            insort(self.entries, (new, item_id))

    def merge(self, other: "OrderRange") -> "OrderRange":
        """The union of this range and one that touches or overlaps it."""
        entries = sorted({*self.entries, *other.entries})
        return OrderRange(min(self.low, other.low), max(self.high, other.high), entries)

    def neighbourhood(self, sort_order: float, count: int) -> "Neighbourhood":
        """The items around `sort_order`: up to `count` below it, up to `count` above it, and any item at it."""
        start = max(0, bisect_left(self.entries, (sort_order, "")) - count)
        end = bisect_right(self.entries, (sort_order, "\U0010ffff")) + count
        return Neighbourhood(
            self.entries[start:end],
            is_bottom=start == 0 and self.low == LOWEST,
            is_top=end >= len(self.entries) and self.high == HIGHEST,
        )


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Neighbouring items, ascending; `is_bottom` and `is_top` say whether they include that end of the list."""

    entries: Sequence[Entry]
    is_bottom: bool
    is_top: bool

    def without(self, item_ids: Collection[str]) -> "Neighbourhood":
        """The neighbourhood without some items."""
        return Neighbourhood([entry for entry in self.entries if entry[1] not in item_ids], self.is_bottom, self.is_top)


def add_range(ranges: list[OrderRange], known: OrderRange) -> None:
    """Add a range that was loaded at the same moment as `ranges`; no two of them touch, before and after."""
    separate = []
    for other in ranges:
        if other.low <= known.high and known.low <= other.high:
            known = known.merge(other)
        else:
            separate.append(other)
    ranges[:] = [*separate, known]


def neighbourhood_of(ranges: Sequence[OrderRange], sort_order: float, count: int) -> Neighbourhood | None:
    """The neighbourhood of `sort_order`; None if no range contains it. No two ranges touch."""
    return next(
        (known.neighbourhood(sort_order, count) for known in ranges if known.low <= sort_order <= known.high), None
    )

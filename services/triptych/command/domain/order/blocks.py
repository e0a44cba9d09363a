"""Places a block of items between two neighbours, without I/O, so that as many as possible keep their sort orders."""

from bisect import bisect_left
from collections.abc import Sequence

from triptych.command.domain.order.neighbours import HIGHEST, LOWEST
from triptych.command.domain.order.spreading import spread
from triptych.command.domain.state import CommandContext


def keep_in_place(
    present: Sequence[float], low: float | None, high: float | None, top: float | None, context: CommandContext
) -> list[float] | None:
    """Ascending sort orders for a block between two bounds; None if none is in place, or the others have no room.

    Args:
        present: the present sort orders of the block, in the order that it will have, the lowest first.
        low, high: those of the neighbours below and above; None at an end of the list.
        top, context: see `spread`.
    """
    kept = _longest_ascending(present, LOWEST if low is None else low, HIGHEST if high is None else high)
    if not kept:
        return None
    placed: list[float] = []
    for position in (*kept, len(present)):
        count = position - len(placed)
        bound = present[position] if position < len(present) else high
        if count:
            between = spread(placed[-1] if placed else low, bound, count, top, context)
            if between is None:
                return None
            placed += between
        if position < len(present):
            placed.append(present[position])
    return placed


def _longest_ascending(numbers: Sequence[float], low: float, high: float) -> list[int]:
    """The positions of a longest ascending subsequence of the numbers between two bounds (patience sorting)."""
    tails: list[float] = []
    last: list[int] = []
    before: dict[int, int | None] = {}
    for position, number in enumerate(numbers):
        if not low < number < high:
            continue
        length = bisect_left(tails, number)
        before[position] = last[length - 1] if length else None
        tails[length : length + 1] = [number]
        last[length : length + 1] = [position]
    found: list[int] = []
    position_: int | None = last[-1] if last else None
    while position_ is not None:
        found.append(position_)
        position_ = before[position_]
    return found[::-1]

"""Spreads sort orders evenly between two bounds, without I/O, and says whether they leave room for later moves."""

import itertools
import math
from collections.abc import Sequence

from triptych.command.domain.order.neighbours import HIGHEST, LOWEST
from triptych.command.domain.state import CommandContext

# The gap between neighbours at an end of the list: room for 22 halvings near the present milliseconds.
END_GAP = 1_000.0
# Neighbours are spread so that each gap can be halved at least this often before they have to be spread again.
HALVINGS = 8
EXACT_MAX = 2.0**50


def spread(
    low: float | None, high: float | None, count: int, top: float | None, context: CommandContext
) -> list[float] | None:
    """`count` ascending numbers strictly between the bounds, evenly spaced; None if doubles are too coarse for them.

    Without a bound, that side is open. Without both, the numbers begin above `top`, the highest present sort order, or
    above the present time if there is none or doubles are too coarse there, and descend from it.
    """
    if low is not None and high is not None:
        step = high / (count + 1) - low / (count + 1)
        numbers = [low + step * number for number in range(1, count + 1)]
    elif low is not None:
        step = max(END_GAP, math.ulp(low) * 2**HALVINGS)
        numbers = [low + step * number for number in range(1, count + 1)]
    else:
        if high is None:
            high_enough = top if top is not None and abs(top) < EXACT_MAX else float(context.now_ms)
            start = high_enough + END_GAP
        else:
            start = high
        step = max(END_GAP, math.ulp(start) * 2**HALVINGS)
        numbers = [start - step * number for number in range(count, 0, -1)]
    bounded = [LOWEST if low is None else low, *numbers, HIGHEST if high is None else high]
    return numbers if all(one < other for one, other in itertools.pairwise(bounded)) else None


def leaves_room(low: float | None, numbers: Sequence[float], high: float | None) -> bool:
    """Whether each gap between these ascending numbers, and to the bounds, can be halved HALVINGS times."""
    bounded = [*([] if low is None else [low]), *numbers, *([] if high is None else [high])]
    return all(
        other - one >= max(math.ulp(one), math.ulp(other)) * 2**HALVINGS for one, other in itertools.pairwise(bounded)
    )


def last_default_of(last_default: float, highest: float) -> float:
    """The last default after an item got the sort order `highest`: later defaults must be shown before that item."""
    return max(last_default, float(math.floor(highest))) if abs(highest) < EXACT_MAX else last_default

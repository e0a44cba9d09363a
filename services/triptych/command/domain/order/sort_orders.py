"""Gives default sort orders to elements that have none: milliseconds that never repeat (contract, section 4)."""

from collections.abc import Collection, Sequence

from triptych.command.domain.order.spreading import spread
from triptych.command.domain.state import CommandContext


def new_list_sort_orders(asked: Sequence[float | None], now_ms: int) -> list[float]:
    """Sort orders for the items of a new gallery, where none is taken.

    Items that ask for none get `now`, `now - 1` and so on in the given order, so that the descending list shows that
    order (D2). Values that other items of the list ask for are skipped.
    """
    explicit = {value for value in asked if value is not None}
    placed: list[float] = []
    candidate = float(now_ms)
    for value in asked:
        if value is None:
            while candidate in explicit:
                candidate -= 1
            placed.append(candidate)
            candidate -= 1
        else:
            placed.append(value)
    return placed


def sort_orders_above(asked: Sequence[float | None], base: float, taken: Collection[float]) -> list[float]:
    """Sort orders for items added to a list: free milliseconds from `base` up; the first item gets the highest."""
    missing = sum(value is None for value in asked)
    explicit = {value for value in asked if value is not None}
    free: list[float] = []
    candidate = base
    while len(free) < missing:
        if candidate not in taken and candidate not in explicit:
            free.append(candidate)
        candidate += 1
    return [free.pop() if value is None else value for value in asked]


def sort_orders_below(
    asked: Sequence[float | None], lowest: float | None, base: float, context: CommandContext
) -> list[float] | None:
    """Sort orders for items added to the end of a list, or None if doubles end there.

    Args:
        asked: those that the items ask for; None for the others, which go below `lowest`, the first item highest.
        lowest: the lowest sort order of the list; None if it is empty.
        base: the lowest sort order that a default may get, for an empty list.
        context: the context of the command.
    """
    explicit = {value for value in asked if value is not None}
    high = base if lowest is None else lowest
    numbers = spread(None, high, len(asked), None, context)
    if numbers is None:
        return None
    # At most as many are left out as items ask for a sort order.
    free = [number for number in numbers if number not in explicit]
    return [free.pop() if value is None else value for value in asked]


def first_repeated(values: Sequence[float]) -> int | None:
    """The position of the first value that repeats an earlier one, or None."""
    seen: set[float] = set()
    for position, value in enumerate(values):
        if value in seen:
            return position
        seen.add(value)
    return None

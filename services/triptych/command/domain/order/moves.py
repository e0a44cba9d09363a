"""Moves an item to another place of the order, purely, and makes room among its new neighbours when there is none."""

import itertools
import math
from collections.abc import Mapping, Sequence

from triptych.command.domain.items import updated_events
from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, Neighbourhood, OrderRange, neighbourhood_of
from triptych.command.domain.state import (
    Change,
    CommandContext,
    Find,
    GalleryHead,
    JobKind,
    JobRequest,
    NeedsMoreLoaded,
    Rejected,
    StoredItem,
)
from triptych.contract.commands import MoveItem
from triptych.contract.replies import ErrorCode

# Between neighbours at an end of the list: room for 22 halvings near the present milliseconds.
END_GAP = 1_000.0
# A stretch is spread out so that each of its gaps can be halved at least this often before it has to be done again.
HALVINGS = 8
EXACT_MAX = 2.0**50
# How many items on each side are known: at first just enough for a midpoint, then with their contents.
FIRST_LOOK, SECOND_LOOK, WIDEST_LOOK = 2, 16, 256


def move_item(
    head: GalleryHead,
    command: MoveItem,
    find: Find,
    stretches: Sequence[OrderRange],
    look: int,
    origin: CommandContext,
) -> Change:
    """An item moved in display order; its sort order is the middle between its new neighbours.

    When the middle equals a neighbour (contract, section 4, rule 6), the nearest few are spread out, as few as
    leave every gap among them roomy.

    Args:
        head: the gallery.
        command: what to move, and where to.
        find: knows the item, the one it is put beside, and beyond the first look those that may have to make room.
        stretches: known parts of the order.
        look: how many items on each side of the new place are known, if there are so many.
        origin: of the command.

    Raises:
        Rejected: one of the items is not in the gallery.
        Unloaded: more of the order has to be known.
    """
    item = find(command.item_id)
    if item is None:
        raise Rejected(ErrorCode.NOT_FOUND, "item not found", itemId=command.item_id)
    place, above = _target(command, find)
    line = neighbourhood_of(stretches, place, look)
    if line is None:
        raise NeedsMoreLoaded(look)
    gap = sum(entry[0] < place or (above and entry[0] == place) for entry in line.entries)
    nearest = line.entries[gap : gap + 1] if above else line.entries[max(0, gap - 1) : gap]
    if any(entry[1] == item.item_id for entry in nearest):
        return Change(head, item_ids=(item.item_id,))
    gap -= any(entry[1] == item.item_id for entry in line.entries[:gap])
    places = _make_room(line.without(item.item_id), gap, item.item_id, look, origin)
    if places is None:
        # Hundreds of neighbours with hardly a number between them: space out the whole gallery first.
        return Change(head, job=JobRequest(JobKind.REBALANCE, again=True))
    return _placed(head, item, places, find, origin)


def _target(command: MoveItem, find: Find) -> tuple[float, bool]:
    """A sort order, and whether the item goes right above it (otherwise right below)."""
    if command.to is not None:
        return (HIGHEST, False) if command.to == "start" else (LOWEST, True)
    beside_id = command.before or command.after
    beside = find(beside_id) if beside_id else None
    if beside is None:
        raise Rejected(ErrorCode.NOT_FOUND, "the item to move beside was not found", itemId=beside_id)
    return beside.sort_order, command.before is not None


def _make_room(
    line: Neighbourhood, gap: int, item_id: str, look: int, origin: CommandContext
) -> dict[str, float] | None:
    """Sort orders by item id, of the moved item and of those that make room for it; None if nothing helps.

    Raises:
        Unloaded: more of the line, or the contents of its items, have to be known.
    """
    more = SECOND_LOOK if look < SECOND_LOOK else WIDEST_LOOK
    width = 0
    while True:
        first, last = max(0, gap - width), min(len(line.entries), gap + width)
        low = line.entries[first - 1][0] if first > 0 else None
        high = line.entries[last][0] if last < len(line.entries) else None
        if (low is None and not line.is_bottom) or (high is None and not line.is_top):
            break
        inside = [
            *(name for _, name in line.entries[first:gap]),
            item_id,
            *(name for _, name in line.entries[gap:last]),
        ]
        spread = _spread(low, high, len(inside), line, origin)
        if spread is not None and (width == 0 or _is_roomy(low, spread, high)):
            return dict(zip(inside, spread, strict=True))
        if look < SECOND_LOOK:
            break
        width = max(1, 2 * width)
    if look >= WIDEST_LOOK:
        return None
    raise NeedsMoreLoaded(more)


def _spread(
    low: float | None, high: float | None, count: int, line: Neighbourhood, origin: CommandContext
) -> list[float] | None:
    """`count` ascending numbers strictly between the bounds, evenly spaced; None if doubles are too coarse for it."""
    if low is not None and high is not None:
        step = high / (count + 1) - low / (count + 1)
        spread = [low + step * number for number in range(1, count + 1)]
    elif low is not None:
        step = max(END_GAP, math.ulp(low) * 2**HALVINGS)
        spread = [low + step * number for number in range(1, count + 1)]
    else:
        top = high
        if top is None:
            # The whole list is spread out: below its present top, unless that is beyond all measure.
            top = line.entries[-1][0] if line.entries and abs(line.entries[-1][0]) < EXACT_MAX else float(origin.now_ms)
            top += END_GAP
        step = max(END_GAP, math.ulp(top) * 2**HALVINGS)
        spread = [top - step * number for number in range(count, 0, -1)]
    bounded = [LOWEST if low is None else low, *spread, HIGHEST if high is None else high]
    return spread if all(one < other for one, other in itertools.pairwise(bounded)) else None


def _is_roomy(low: float | None, spread: Sequence[float], high: float | None) -> bool:
    bounded = [*([] if low is None else [low]), *spread, *([] if high is None else [high])]
    return all(
        other - one >= max(math.ulp(one), math.ulp(other)) * 2**HALVINGS for one, other in itertools.pairwise(bounded)
    )


def _placed(
    head: GalleryHead,
    item: StoredItem,
    places: Mapping[str, float],
    find: Find,
    origin: CommandContext,
) -> Change:
    moved = []
    for item_id, place in places.items():
        before = item if item_id == item.item_id else find(item_id)
        if before is None:
            raise NeedsMoreLoaded(SECOND_LOOK)
        if before.sort_order != place:
            moved.append(before.moved(place, origin.date))
    highest = max(place for place in places.values())
    after = head._replace(
        sequence=head.sequence + len(moved),
        highest=max(head.highest, highest),
        # What a clock gives later shall stand before what was moved to the start.
        last_default=max(head.last_default, float(math.floor(highest)))
        if abs(highest) < EXACT_MAX
        else head.last_default,
    )
    return Change(
        after,
        {stored.item_id: stored for stored in moved},
        events=tuple(updated_events(moved, head.sequence + 1, origin)),
        item_ids=(item.item_id,),
    )

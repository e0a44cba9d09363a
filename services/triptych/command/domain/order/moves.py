"""Moves an item to another position in the order, without I/O, and spreads its new neighbours if they leave no room."""

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

# The gap between neighbours at an end of the list: room for 22 halvings near the present milliseconds.
END_GAP = 1_000.0
# Neighbours are spread so that each gap can be halved at least this often before they have to be spread again.
HALVINGS = 8
EXACT_MAX = 2.0**50
# The number of items to load on each side: at first just enough for a midpoint, later more, with their contents.
NEIGHBOURS_FIRST, NEIGHBOURS_SECOND, NEIGHBOURS_MAX = 2, 16, 256


def move_item(
    head: GalleryHead,
    command: MoveItem,
    find: Find,
    ranges: Sequence[OrderRange],
    neighbours_known: int,
    context: CommandContext,
) -> Change:
    """Move an item in display order; its new sort order is the middle between its new neighbours.

    If the middle equals a neighbour (contract, section 4, rule 6), the nearest neighbours are spread evenly: the fewest
    that leave room for HALVINGS halvings in every gap.

    Args:
        head: the gallery.
        command: the item to move, and its target.
        find: finds the item and the item at the target; from NEIGHBOURS_SECOND on also the neighbours to spread.
        ranges: the loaded ranges of the gallery's order.
        neighbours_known: the number of items that are loaded on each side of the target, as far as they exist.
        context: the context of the command.

    Raises:
        Rejected: one of the items is not in the gallery.
        NeedsMoreLoaded: more of the order has to be loaded.
    """
    item = find(command.item_id)
    if item is None:
        raise Rejected(ErrorCode.NOT_FOUND, "item not found", itemId=command.item_id)
    sort_order, above = _target(command, find)
    neighbourhood = neighbourhood_of(ranges, sort_order, neighbours_known)
    if neighbourhood is None:
        raise NeedsMoreLoaded(neighbours_known)
    gap = sum(entry[0] < sort_order or (above and entry[0] == sort_order) for entry in neighbourhood.entries)
    nearest = neighbourhood.entries[gap : gap + 1] if above else neighbourhood.entries[max(0, gap - 1) : gap]
    if any(entry[1] == item.item_id for entry in nearest):
        return Change(head, item_ids=(item.item_id,))
    gap -= any(entry[1] == item.item_id for entry in neighbourhood.entries[:gap])
    sort_orders = _make_room(neighbourhood.without(item.item_id), gap, item.item_id, neighbours_known, context)
    if sort_orders is None:
        # Hundreds of neighbours leave hardly a number between them: space out the whole gallery first.
        return Change(head, job=JobRequest(JobKind.REBALANCE, again=True))
    return _change_sort_orders(head, item, sort_orders, find, context)


def _target(command: MoveItem, find: Find) -> tuple[float, bool]:
    """The sort order of the target, and whether the item goes right above it; otherwise it goes right below."""
    if command.to is not None:
        return (HIGHEST, False) if command.to == "start" else (LOWEST, True)
    anchor_id = command.before or command.after
    anchor = find(anchor_id) if anchor_id else None
    if anchor is None:
        raise Rejected(ErrorCode.NOT_FOUND, "the item to move beside was not found", itemId=anchor_id)
    return anchor.sort_order, command.before is not None


def _make_room(
    neighbourhood: Neighbourhood, gap: int, item_id: str, neighbours_known: int, context: CommandContext
) -> dict[str, float] | None:
    """New sort orders by item id: of the moved item, and of the neighbours that are spread; None if all leave no room.

    Raises:
        NeedsMoreLoaded: more neighbours, or their contents, have to be loaded.
    """
    more = NEIGHBOURS_SECOND if neighbours_known < NEIGHBOURS_SECOND else NEIGHBOURS_MAX
    width = 0
    while True:
        first, last = max(0, gap - width), min(len(neighbourhood.entries), gap + width)
        low = neighbourhood.entries[first - 1][0] if first > 0 else None
        high = neighbourhood.entries[last][0] if last < len(neighbourhood.entries) else None
        if (low is None and not neighbourhood.is_bottom) or (high is None and not neighbourhood.is_top):
            break
        inside = [
            *(name for _, name in neighbourhood.entries[first:gap]),
            item_id,
            *(name for _, name in neighbourhood.entries[gap:last]),
        ]
        spread = _spread(low, high, len(inside), neighbourhood, context)
        if spread is not None and (width == 0 or _leaves_room(low, spread, high)):
            return dict(zip(inside, spread, strict=True))
        if neighbours_known < NEIGHBOURS_SECOND:
            break
        width = max(1, 2 * width)
    if neighbours_known >= NEIGHBOURS_MAX:
        return None
    raise NeedsMoreLoaded(more)


def _spread(
    low: float | None, high: float | None, count: int, neighbourhood: Neighbourhood, context: CommandContext
) -> list[float] | None:
    """`count` ascending numbers strictly between the bounds, evenly spaced; None if doubles are too coarse for them."""
    if low is not None and high is not None:
        step = high / (count + 1) - low / (count + 1)
        spread = [low + step * number for number in range(1, count + 1)]
    elif low is not None:
        step = max(END_GAP, math.ulp(low) * 2**HALVINGS)
        spread = [low + step * number for number in range(1, count + 1)]
    else:
        top = high
        if top is None:
            # The whole list is spread downwards from its present top, or from now if doubles are too coarse there.
            top = (
                neighbourhood.entries[-1][0]
                if neighbourhood.entries and abs(neighbourhood.entries[-1][0]) < EXACT_MAX
                else float(context.now_ms)
            )
            top += END_GAP
        step = max(END_GAP, math.ulp(top) * 2**HALVINGS)
        spread = [top - step * number for number in range(count, 0, -1)]
    bounded = [LOWEST if low is None else low, *spread, HIGHEST if high is None else high]
    return spread if all(one < other for one, other in itertools.pairwise(bounded)) else None


def _leaves_room(low: float | None, spread: Sequence[float], high: float | None) -> bool:
    bounded = [*([] if low is None else [low]), *spread, *([] if high is None else [high])]
    return all(
        other - one >= max(math.ulp(one), math.ulp(other)) * 2**HALVINGS for one, other in itertools.pairwise(bounded)
    )


def _change_sort_orders(
    head: GalleryHead,
    item: StoredItem,
    sort_orders: Mapping[str, float],
    find: Find,
    context: CommandContext,
) -> Change:
    moved = []
    for item_id, sort_order in sort_orders.items():
        before = item if item_id == item.item_id else find(item_id)
        if before is None:
            raise NeedsMoreLoaded(NEIGHBOURS_SECOND)
        if before.sort_order != sort_order:
            moved.append(before.moved(sort_order, context.date))
    highest = max(sort_order for sort_order in sort_orders.values())
    after = head._replace(
        sequence=head.sequence + len(moved),
        highest=max(head.highest, highest),
        # Later defaults must be shown before an item that was moved to the start.
        last_default=max(head.last_default, float(math.floor(highest)))
        if abs(highest) < EXACT_MAX
        else head.last_default,
    )
    return Change(
        after,
        {stored.item_id: stored for stored in moved},
        events=tuple(updated_events(moved, head.sequence + 1, context)),
        item_ids=(item.item_id,),
    )

"""Moves items to another position in the order, without I/O, and spreads new neighbours that leave no room."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from triptych.command.domain.items import updated_events
from triptych.command.domain.order.blocks import keep_in_place
from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, Neighbourhood, OrderRange, neighbourhood_of
from triptych.command.domain.order.spreading import last_default_of, leaves_room, spread
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
from triptych.contract.base import ViolatedRule
from triptych.contract.commands import MoveItem, MoveItems
from triptych.contract.replies import ErrorCode, Violation

# The number of items to load on each side: at first just enough for a midpoint, later more, with their contents.
NEIGHBOURS_FIRST, NEIGHBOURS_SECOND, NEIGHBOURS_MAX = 2, 16, 256
# The most ids of missing items in a reply.
MISSING_MAX = 100
MOVED_BYTES_MAX = 16 * 1024 * 1024
"""The most bytes of the items that one command moves (D21): they are written, and published, in one transaction."""


def move_item(
    head: GalleryHead,
    command: MoveItem,
    find: Find,
    ranges: Sequence[OrderRange],
    neighbours_known: int,
    context: CommandContext,
) -> Change:
    """Move an item in display order; its new sort order is the middle between its new neighbours.

    See `_move` for arguments and errors.
    """
    item = find(command.item_id)
    if item is None:
        raise Rejected(ErrorCode.NOT_FOUND, "item not found", itemId=command.item_id)
    change = _move(head, command, [item], find, ranges, neighbours_known, context)
    return change if change.job is not None else replace(change, item_ids=(item.item_id,))


def move_items(
    head: GalleryHead,
    command: MoveItems,
    find: Find,
    ranges: Sequence[OrderRange],
    neighbours_known: int,
    context: CommandContext,
) -> Change:
    """Move items in display order, as one block in the order given (contract, section 4, rule 7).

    An item that is not in the gallery refuses the whole command: the order would not be the one that was asked for. The
    reply has the ids of those whose place changes. See `_move` for arguments and other errors.
    """
    found = [find(item_id) for item_id in command.item_ids]
    missing = [item_id for item_id, item in zip(command.item_ids, found, strict=True) if item is None]
    if missing:
        raise Rejected(ErrorCode.NOT_FOUND, "items not found", itemIds=missing[:MISSING_MAX])
    items = [item for item in found if item is not None]
    return _move(head, command, items, find, ranges, neighbours_known, context)


def too_many_bytes() -> Rejected:
    """The rejection of a move of items that have more than MOVED_BYTES_MAX together."""
    description = f"names items with more than {MOVED_BYTES_MAX} bytes together; move fewer at once"
    violation = Violation(
        field="itemIds",
        description=description,
        violated_rule=ViolatedRule.MAX_SIZE,
        data={"threshold": MOVED_BYTES_MAX},
    )
    return Rejected(ErrorCode.INVALID_ARGUMENT, f"itemIds {description}", [violation])


def _move(
    head: GalleryHead,
    command: MoveItem | MoveItems,
    items: Sequence[StoredItem],
    find: Find,
    ranges: Sequence[OrderRange],
    neighbours_known: int,
    context: CommandContext,
) -> Change:
    """Move items as one block to the target of the command.

    Items of the block that are in place keep their sort orders: as many as possible. The others are spread evenly
    between them. If there is no room (contract, section 4, rule 6), the block is spread together with its nearest
    neighbours: the fewest that leave room for HALVINGS halvings in every gap.

    Args:
        head: the gallery.
        command: names the target.
        items: the items to move, in display order.
        find: finds the item at the target; from NEIGHBOURS_SECOND on also the neighbours to spread.
        ranges: the loaded ranges of the gallery's order.
        neighbours_known: the number of other items that are loaded on each side of the target, as far as they exist.
        context: the context of the command.

    Raises:
        Rejected: the item at the target is not in the gallery.
        NeedsMoreLoaded: more of the order has to be loaded.
    """
    sort_order, above = _target(command, find)
    neighbourhood = neighbourhood_of(ranges, sort_order, neighbours_known + len(items) - 1)
    if neighbourhood is None:
        raise NeedsMoreLoaded(neighbours_known)
    moved = {item.item_id for item in items}
    below = [entry for entry in neighbourhood.entries if entry[0] < sort_order or (above and entry[0] == sort_order)]
    gap = sum(entry[1] not in moved for entry in below)
    sort_orders = _make_room(neighbourhood.without(moved), gap, items[::-1], neighbours_known, context)
    if sort_orders is None:
        # Hundreds of neighbours leave hardly a number between them: space out the whole gallery first.
        return Change(head, job=JobRequest(JobKind.REBALANCE, again=True))
    return _change_sort_orders(head, items, sort_orders, find, context)


def _target(command: MoveItem | MoveItems, find: Find) -> tuple[float, bool]:
    """The sort order of the target, and whether the items go right above it; otherwise they go right below."""
    if command.to is not None:
        return (HIGHEST, False) if command.to == "start" else (LOWEST, True)
    anchor_id = command.before or command.after
    anchor = find(anchor_id) if anchor_id else None
    if anchor is None:
        raise Rejected(ErrorCode.NOT_FOUND, "the item to move beside was not found", itemId=anchor_id)
    return anchor.sort_order, command.before is not None


def _make_room(
    neighbourhood: Neighbourhood,
    gap: int,
    block: Sequence[StoredItem],
    neighbours_known: int,
    context: CommandContext,
) -> dict[str, float] | None:
    """New sort orders by item id: of the block, and of neighbours that are spread; None if all leave no room.

    Args:
        neighbourhood: the neighbours of the block, without its items.
        gap: the number of neighbours below the block.
        block: the items to move, by ascending new sort order.
        neighbours_known: see `_move`.
        context: the context of the command.

    Raises:
        NeedsMoreLoaded: more neighbours, or their contents, have to be loaded.
    """
    more = NEIGHBOURS_SECOND if neighbours_known < NEIGHBOURS_SECOND else NEIGHBOURS_MAX
    entries = neighbourhood.entries
    top = entries[-1][0] if entries else None
    width = 0
    while True:
        first, last = max(0, gap - width), min(len(entries), gap + width)
        low = entries[first - 1][0] if first > 0 else None
        high = entries[last][0] if last < len(entries) else None
        if (low is None and not neighbourhood.is_bottom) or (high is None and not neighbourhood.is_top):
            break
        if width == 0:
            present = [item.sort_order for item in block]
            placed = keep_in_place(present, low, high, top, context) or spread(low, high, len(block), top, context)
            inside = [item.item_id for item in block]
        else:
            below = [name for _, name in entries[first:gap]]
            inside = [*below, *(item.item_id for item in block), *(name for _, name in entries[gap:last])]
            placed = spread(low, high, len(inside), top, context)
        if placed is not None and (width == 0 or leaves_room(low, placed, high)):
            return dict(zip(inside, placed, strict=True))
        if neighbours_known < NEIGHBOURS_SECOND:
            break
        width = max(1, 2 * width)
    if neighbours_known >= NEIGHBOURS_MAX:
        return None
    raise NeedsMoreLoaded(more)


def _change_sort_orders(
    head: GalleryHead,
    items: Sequence[StoredItem],
    sort_orders: Mapping[str, float],
    find: Find,
    context: CommandContext,
) -> Change:
    own = {item.item_id: item for item in items}
    moved = []
    for item_id, sort_order in sort_orders.items():
        before = own.get(item_id) or find(item_id)
        if before is None:
            raise NeedsMoreLoaded(NEIGHBOURS_SECOND)
        if before.sort_order != sort_order:
            moved.append(before.moved(sort_order, context.date))
    item_ids = tuple(item.item_id for item in items if sort_orders[item.item_id] != item.sort_order)
    if not moved:
        return Change(head, item_ids=item_ids)
    highest = max(item.sort_order for item in moved)
    after = head._replace(
        sequence=head.sequence + len(moved),
        highest=max(head.highest, highest),
        last_default=last_default_of(head.last_default, highest),
    )
    return Change(
        after,
        {stored.item_id: stored for stored in moved},
        events=tuple(updated_events(moved, head.sequence + 1, context)),
        item_ids=item_ids,
    )

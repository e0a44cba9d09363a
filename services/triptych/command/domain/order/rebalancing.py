"""Spaces the sort orders of a gallery evenly, without I/O and without changing the display order."""

import math
from collections.abc import Sequence

from triptych.command.domain.items import updated_events
from triptych.command.domain.state import Change, CommandContext, GalleryHead, Rejected, StoredItem
from triptych.contract.replies import ErrorCode

# Room for more than 30 halvings between two neighbours near the present milliseconds.
GAP = 2.0**20
HALVINGS = 10


def spaced_gap(low: float, count: int) -> float:
    """The gap between sort orders at which `count` items fit evenly below `low`.

    Raises:
        Rejected: the sort orders would exceed the range of doubles.
    """
    gap: float = max(GAP, math.ulp(low) * 2.0**HALVINGS)
    if not math.isfinite(low - gap * (count + 1)):
        raise Rejected(ErrorCode.FAILED_PRECONDITION, "the sort orders reach the lowest number there is")
    return gap


def space_out(
    head: GalleryHead,
    ascending: Sequence[StoredItem],
    low: float,
    gap: float,
    first: int,
    total: int,
    context: CommandContext,
) -> Change:
    """Move a page of a gallery's items below `low`, the lowest sort order before the first page.

    Pages are moved in ascending order, so that the display order is the same after each page: items that were moved are
    below `low`, and the others are at `low` or above. Later defaults are above all of them, as before.

    Args:
        head: the gallery.
        ascending: the next items by sort order.
        low, gap, total: the same for every page; see `spaced_gap`. `total` is the number of all items.
        first: the number of items that were moved before.
        context: the context of the command.
    """
    moved = [item.moved(low - gap * (total - first - offset), context.date) for offset, item in enumerate(ascending)]
    return Change(
        head._replace(sequence=head.sequence + len(moved)),
        {item.item_id: item for item in moved},
        events=tuple(updated_events(moved, head.sequence + 1, context)),
    )

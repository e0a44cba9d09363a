"""Spaces the sort orders of a gallery evenly, purely, without changing the order shown."""

import math
from collections.abc import Sequence

from triptych.command.domain.items import updated_events
from triptych.command.domain.state import Change, CommandContext, GalleryHead, Rejected, StoredItem
from triptych.contract.replies import ErrorCode

# Room for more than 30 halvings between two neighbours near the present milliseconds.
GAP = 2.0**20
HALVINGS = 10


def spaced_gap(low: float, count: int) -> float:
    """The gap at which `count` items fit evenly below `low`.

    Raises:
        Rejected: they would reach beyond what doubles can hold.
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
    origin: CommandContext,
) -> Change:
    """Part of a gallery's items put below `low`, where the lowest of all was before the first part.

    Parts go from the bottom up, so that after each of them the order shown is the same: what is done lies below
    `low`, and what is not done lies at it or above. What a clock gives later stands above all of them, as before.

    Args:
        head: the gallery.
        ascending: the next items by sort order.
        low, gap, total: the same for every part; see `spaced_gap`.
        first: how many items were done before.
        origin: of the command.
    """
    moved = [item.moved(low - gap * (total - first - offset), origin.date) for offset, item in enumerate(ascending)]
    return Change(
        head._replace(sequence=head.sequence + len(moved)),
        {item.item_id: item for item in moved},
        events=tuple(updated_events(moved, head.sequence + 1, origin)),
    )

"""Decides the steps that bring a gallery back to a former state, without I/O (decision 52).

1. Items that the former state does not have are deleted, unless they are twins of such that it has: an earlier restore
   has created them, with the same content and sort order, for items that were deleted.
2. Items that differ are changed back. Items that were deleted since are created with new ids, because an item's id is
   never used again (contract, section 10).

An item may have to get a sort order that another item still has. That one is moved aside first, below all others, and
gets its own former sort order when it is its turn. So each step is valid by itself, whatever permutation it is.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from triptych.command.domain.items import new_item
from triptych.command.domain.state import Change, CommandContext, GalleryHead, Rejected, StoredItem, shortest
from triptych.command.domain.steps import InconsistentGallery, Step
from triptych.contract.codec.events import gallery_updated, item_created, item_deleted, item_updated
from triptych.contract.replies import ErrorCode

DELETING, PUTTING = "deleting", "putting"
"""The phases of a restore; a job without one has to begin."""
_IDENTITY = ("id", "createdDate", "updatedDate")
"""What differs between an item and its twin."""


def begin(
    state: dict[str, Any], head: GalleryHead, lowest: float | None, is_taken: bool, context: CommandContext
) -> Step:
    """The first step: the gallery's name and sort order.

    Args:
        state: the former gallery's `name` and `sortOrder`, the number of its items (`total`), and the `lowest` of their
            sort orders, which is None without items.
        head: the gallery.
        lowest: the lowest sort order of its items; None without items.
        is_taken: whether another gallery of the site has the former sort order now. The present one stays then.
        context: the context of the command.

    Raises:
        Rejected: the sort orders are so low that no item could be moved aside.
    """
    aside = min((value for value in (lowest, state["lowest"]) if value is not None), default=0.0)
    if not math.isfinite(aside - max(1.0, math.ulp(aside)) * (head.total_items + 1)):
        raise Rejected(ErrorCode.FAILED_PRECONDITION, "the sort orders reach the lowest number there is")
    state = {**state, "phase": DELETING, "aside": aside, "done": 0}
    after = head._replace(name=state["name"], sort_order=head.sort_order if is_taken else state["sortOrder"])
    if after == head:
        return Step(Change(head), state, is_last=False)
    after = after._replace(sequence=head.sequence + 1)
    event = gallery_updated(context.new_event_id(), head.gallery_id, after.sequence, context.at, after.to_wire())
    return Step(Change(after, events=(event,)), state, is_last=False)


def delete_others(
    state: dict[str, Any],
    head: GalleryHead,
    page: Sequence[StoredItem],
    kept: frozenset[str],
    context: CommandContext,
) -> Step:
    """Delete the items of a page that the former state does not have; an empty page ends this phase.

    Args:
        state: `last` is the sort order after which the page begins.
        head: the gallery.
        page: the next items in display order.
        kept: the ids among them that the former state has, and those of twins.
        context: the context of the command.
    """
    if not page:
        is_last = state["total"] == 0
        return Step(Change(head), {**state, "phase": PUTTING}, is_last)
    gone = [item.item_id for item in page if item.item_id not in kept]
    events = tuple(
        item_deleted(context.new_event_id(), head.gallery_id, sequence, context.at, item_id, "")
        for sequence, item_id in enumerate(gone, head.sequence + 1)
    )
    after = head._replace(total_items=head.total_items - len(gone), sequence=head.sequence + len(gone))
    change = Change(after, dict.fromkeys(gone), events=events)
    return Step(change, {**state, "last": page[-1].sort_order}, is_last=False)


def put_back(
    state: dict[str, Any],
    head: GalleryHead,
    bodies: Sequence[dict[str, Any]],
    present: Mapping[str, StoredItem],
    others: Sequence[StoredItem],
    former_ids: frozenset[str],
    context: CommandContext,
) -> Step:
    """Change back the items of a page, and create those that are missing.

    Args:
        state: `done` is the number of former items that are put back, and `aside` the lowest sort order in use.
        head: the gallery.
        bodies: the next former items in wire form, in display order.
        present: those of them that the gallery has, by id.
        others: other items of the gallery that have one of their sort orders: twins, and items that block them.
        former_ids: the ids among the others that the former state has. They are no twins: their turn comes.
        context: the context of the command.

    Raises:
        InconsistentGallery: staged items are missing.
    """
    done, aside = state["done"], state["aside"]
    if not bodies and done < state["total"]:
        raise InconsistentGallery(f"{state['total']} items were staged for gallery {head.gallery_id}, and {done} found")
    changed: dict[str, StoredItem | None] = {}
    events: list[dict[str, Any]] = []
    sequence, created = head.sequence, 0

    def put(item: StoredItem, *, is_new: bool = False) -> None:
        nonlocal sequence
        sequence += 1
        changed[item.item_id] = item
        build = item_created if is_new else item_updated
        events.append(build(context.new_event_id(), head.gallery_id, sequence, context.at, item.body))

    at = {float(body["sortOrder"]): body for body in bodies if body["id"] not in present}
    twins = {other.sort_order for other in others if other.item_id not in former_ids and is_twin(other.body, at)}
    for other in others:
        if other.sort_order not in twins:
            aside = _below(aside)
            put(other.moved(aside, context.date))
    for position, body in enumerate(bodies, done):
        sort_order = float(body["sortOrder"])
        item = present.get(body["id"])
        if item is None and sort_order in twins:
            continue
        if item is None:
            put(new_item(head, body, sort_order, context, context.item_id(position)), is_new=True)
            created += 1
        elif _content(item.body) != _content(body):
            former = {**body, "sortOrder": shortest(sort_order), "updatedDate": context.date}
            put(StoredItem(item.item_id, item.gallery_id, item.site_id, sort_order, former))
    done += len(bodies)
    after = head._replace(
        total_items=head.total_items + created,
        sequence=sequence,
        highest=max([head.highest, *(item.sort_order for item in changed.values() if item is not None)]),
    )
    change = Change(after, changed, events=tuple(events))
    return Step(change, {**state, "done": done, "aside": aside}, done >= state["total"])


def is_twin(body: Mapping[str, Any], former: Mapping[float, Mapping[str, Any]]) -> bool:
    """Whether an item has the content of the former item with its sort order; `former` has them by sort order."""
    wanted = former.get(float(body["sortOrder"]))
    return wanted is not None and _without(body, _IDENTITY) == _without(wanted, _IDENTITY)


def _content(body: Mapping[str, Any]) -> dict[str, Any]:
    """What makes an item the same: everything but the time of its last change."""
    return _without(body, ("updatedDate",))


def _without(body: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


def _below(value: float) -> float:
    return min(value - 1.0, math.nextafter(value, -math.inf))

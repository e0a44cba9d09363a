"""Decides the steps of jobs, without I/O: each processes a page of items, emits events, and gives the next state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.command.domain.galleries import copies, delete_gallery
from triptych.command.domain.items import created_events, without
from triptych.command.domain.order.rebalancing import space_out, spaced_gap
from triptych.command.domain.state import Change, CommandContext, GalleryHead, JobKind, StoredItem
from triptych.contract.codec.events import GALLERY_DELETED_ORIGIN, gallery_created
from triptych.contract.snapshots import snapshot_ended, snapshot_item, snapshot_started
from triptych.writemodel.galleries import Status

STEP_ITEMS, STEP_BYTES = 250, 8 * 1024 * 1024
"""The most items and bytes in a step. Other galleries wait for one step at most, and its transaction stays small."""


@dataclass(frozen=True, slots=True)
class Page:
    """The query for the items that a step needs: by sort order, in one direction, within optional MongoDB bounds."""

    is_descending: bool = True
    bounds: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The change of a step and the state for the next step; `is_last` says that the work is complete."""

    change: Change
    state: dict[str, Any]
    is_last: bool


class InconsistentGallery(Exception):
    """A gallery has fewer items than its head counts, or fewer were staged than were counted."""


def page_of(kind: JobKind, state: dict[str, Any]) -> Page:
    """The page of items that the next step needs; a clone reads staged items instead."""
    match kind:
        case JobKind.REBALANCE:
            return Page(is_descending=False, bounds={"$gte": state["low"]} if "low" in state else None)
        case JobKind.REPUBLISH:
            return Page(bounds={"$lt": state["last"]} if "last" in state else None)
        case _:
            return Page()


def advance(
    kind: JobKind, state: dict[str, Any], head: GalleryHead, page: Sequence[StoredItem], context: CommandContext
) -> Step:
    """The next step on a page of items (see `page_of`), which is empty only if no item is left.

    Raises:
        Rejected: the work is impossible; only the first step raises it.
        InconsistentGallery: the gallery cannot be published.
    """
    match kind:
        case JobKind.CLEAR:
            change = without(head, [item.item_id for item in page], context)
            return Step(change, {}, change.head.total_items == 0)
        case JobKind.DELETE:
            ids = [item.item_id for item in page]
            if len(ids) == head.total_items:
                return Step(delete_gallery(head, ids, context), {}, is_last=True)
            return Step(without(head, ids, context, GALLERY_DELETED_ORIGIN), {}, is_last=False)
        case JobKind.REBALANCE:
            return _rebalance(state, head, page, context)
        case JobKind.REPUBLISH:
            return _republish(state, head, page, context)
        case JobKind.CLONE | JobKind.RESTORE:
            raise AssertionError("the pages of a clone or restore contain bodies, not items")


def advance_clone(
    state: dict[str, Any], head: GalleryHead, bodies: Sequence[dict[str, Any]], context: CommandContext
) -> Step:
    """The next step of a clone.

    Args:
        state: `total` is the number of staged items, `copied` the number of copied items, and `top` the sort order of
            the first item. The clone of a former state also has its `name`.
        head: the clone.
        bodies: the next staged items in wire form, in display order.
        context: the context of the command.

    Raises:
        InconsistentGallery: staged items are missing.
    """
    total, copied, top = state["total"], state.get("copied", 0), state.get("top", float(context.now_ms))
    events = []
    if copied == 0 and "name" in state:
        head = head._replace(name=state["name"])  # that of a former state
    if copied == 0:
        announced = head._replace(total_items=total).to_wire()
        events.append(gallery_created(context.new_event_id(), head.gallery_id, 1, context.at, announced))
    if not bodies and copied < total:
        raise InconsistentGallery(
            f"{total} items were staged for gallery {head.gallery_id}, and only {copied} were found"
        )
    sort_orders = [top - copied - offset for offset in range(len(bodies))]
    created = copies(head, bodies, copied, sort_orders, context)
    events += created_events(created, copied + 2, context)
    done = copied + len(created)
    is_last = done >= total
    after = head._replace(
        total_items=done,
        sequence=1 + done,
        highest=top if total else head.highest,
        last_default=top,
        status=Status.LIVE if is_last else Status.BUILDING,
    )
    change = Change(after, {item.item_id: item for item in created}, events=tuple(events))
    return Step(change, {**state, "copied": done, "top": top}, is_last)


def _rebalance(state: dict[str, Any], head: GalleryHead, page: Sequence[StoredItem], context: CommandContext) -> Step:
    if not page:
        return Step(Change(head), state, is_last=True)
    if "low" not in state:
        low = page[0].sort_order
        state = {"low": low, "gap": spaced_gap(low, head.total_items), "total": head.total_items, "done": 0}
    change = space_out(head, page, state["low"], state["gap"], state["done"], state["total"], context)
    done = state["done"] + len(page)
    return Step(change, {**state, "done": done}, is_last=done >= state["total"])


def _republish(state: dict[str, Any], head: GalleryHead, page: Sequence[StoredItem], context: CommandContext) -> Step:
    if state and state.get("sequence") != head.sequence:
        # The gallery has changed since this snapshot began. The snapshot stays without an end; the next step begins
        # another one.
        return Step(Change(head), {}, is_last=False)
    if not state:
        state = {"snapshot": context.new_event_id(), "sequence": head.sequence, "next": 0}
    snapshot_id, first = state["snapshot"], state["next"]
    done = first + len(page)
    if not page and done < head.total_items:
        raise InconsistentGallery(f"gallery {head.gallery_id} counts {head.total_items} items and has {done}")
    records = []
    if first == 0:
        records.append(snapshot_started(snapshot_id, head.gallery_id, head.sequence, head.to_wire()))
    records += [
        snapshot_item(snapshot_id, head.gallery_id, head.sequence, position, item.body)
        for position, item in enumerate(page, first)
    ]
    is_last = done >= head.total_items
    if is_last:
        records.append(snapshot_ended(snapshot_id, head.gallery_id, head.sequence, done))
    after = {**state, "next": done, "last": page[-1].sort_order if page else None}
    return Step(Change(head, snapshot=tuple(records)), after, is_last)

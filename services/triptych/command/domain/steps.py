"""The steps of long work, purely: each deals with a page of items, emits their events, and knows what comes next."""

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
"""Items and bytes a step deals with: other galleries wait at most for one step, and its transaction stays small."""


@dataclass(frozen=True, slots=True)
class Page:
    """The items that a step needs: by sort order, descending or not, within MongoDB bounds if there are any."""

    is_descending: bool = True
    bounds: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a step does, and the state for the next one; `is_last` when the work is complete."""

    change: Change
    state: dict[str, Any]
    is_last: bool


class InconsistentGallery(Exception):
    """There are not as many items as were counted."""


def page_of(kind: JobKind, state: dict[str, Any]) -> Page:
    """Which items the next step needs (a clone's come from where they were staged)."""
    match kind:
        case JobKind.REBALANCE:
            return Page(is_descending=False, bounds={"$gte": state["low"]} if "low" in state else None)
        case JobKind.REPUBLISH:
            return Page(bounds={"$lt": state["last"]} if "last" in state else None)
        case _:
            return Page()


def advance(
    kind: JobKind, state: dict[str, Any], head: GalleryHead, page: Sequence[StoredItem], origin: CommandContext
) -> Step:
    """The next step on a page of items, one at least as long as there are any; see `page_of`.

    Raises:
        Rejected: the work cannot be done; only ever at the first step.
        InconsistentGallery: nothing can be published of it.
    """
    match kind:
        case JobKind.CLEAR:
            change = without(head, [item.item_id for item in page], origin)
            return Step(change, {}, change.head.total_items == 0)
        case JobKind.DELETE:
            ids = [item.item_id for item in page]
            if len(ids) == head.total_items:
                return Step(delete_gallery(head, ids, origin), {}, is_last=True)
            return Step(without(head, ids, origin, GALLERY_DELETED_ORIGIN), {}, is_last=False)
        case JobKind.REBALANCE:
            return _rebalance(state, head, page, origin)
        case JobKind.REPUBLISH:
            return _republish(state, head, page, origin)
        case JobKind.CLONE:
            raise AssertionError("a clone's pages hold bodies, not items")


def advance_clone(
    state: dict[str, Any], head: GalleryHead, bodies: Sequence[dict[str, Any]], origin: CommandContext
) -> Step:
    """The next step of a clone.

    Args:
        state: `total` items are staged, `copied` of them are done, and the first one's place is `top`.
        head: the clone.
        bodies: the next staged items in wire form, in display order.
        origin: of the command.

    Raises:
        InconsistentGallery: what was staged is not there any more.
    """
    total, copied, top = state["total"], state.get("copied", 0), state.get("top", float(origin.now_ms))
    events = []
    if copied == 0:
        announced = head._replace(total_items=total).to_wire()
        events.append(gallery_created(origin.new_event_id(), head.gallery_id, 1, origin.at, announced))
    if not bodies and copied < total:
        raise InconsistentGallery(
            f"{total} items are staged for gallery {head.gallery_id}, of which {copied} are there"
        )
    places = [top - copied - offset for offset in range(len(bodies))]
    created = copies(head, bodies, copied, places, origin)
    events += created_events(created, copied + 2, origin)
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


def _rebalance(state: dict[str, Any], head: GalleryHead, page: Sequence[StoredItem], origin: CommandContext) -> Step:
    if not page:
        return Step(Change(head), state, is_last=True)
    if "low" not in state:
        low = page[0].sort_order
        state = {"low": low, "gap": spaced_gap(low, head.total_items), "total": head.total_items, "done": 0}
    change = space_out(head, page, state["low"], state["gap"], state["done"], state["total"], origin)
    done = state["done"] + len(page)
    return Step(change, {**state, "done": done}, is_last=done >= state["total"])


def _republish(state: dict[str, Any], head: GalleryHead, page: Sequence[StoredItem], origin: CommandContext) -> Step:
    if state and state.get("sequence") != head.sequence:
        # What was published so far is of another moment. It never ends; another snapshot begins with the next step.
        return Step(Change(head), {}, is_last=False)
    if not state:
        state = {"snapshot": origin.new_event_id(), "sequence": head.sequence, "next": 0}
    snapshot_id, first = state["snapshot"], state["next"]
    done = first + len(page)
    if not page and done < head.total_items:
        raise InconsistentGallery(f"gallery {head.gallery_id} counts {head.total_items} items and has {done}")
    parts = []
    if first == 0:
        parts.append(snapshot_started(snapshot_id, head.gallery_id, head.sequence, head.to_wire()))
    parts += [
        snapshot_item(snapshot_id, head.gallery_id, head.sequence, position, item.body)
        for position, item in enumerate(page, first)
    ]
    is_last = done >= head.total_items
    if is_last:
        parts.append(snapshot_ended(snapshot_id, head.gallery_id, head.sequence, done))
    after = {**state, "next": done, "last": page[-1].sort_order if page else None}
    return Step(Change(head, snapshot=tuple(parts)), after, is_last)

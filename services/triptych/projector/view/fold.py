"""Folds an event into a view, purely: decides whether the event applies, and computes the next view.

A gallery and its items share one sequence without gaps (contract, D17). The sequence alone therefore distinguishes a
repeat, the next event, and an event that came too early. `triptych.projector.view.snapshots` folds snapshots.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from triptych.contract.codec.events import Event, EventType

_HEAD_FIELDS = ("id", "name", "sortOrder", "createdDate")
_NUMBERS = (int, float)


class FoldResult(StrEnum):
    """The result of folding one event or one snapshot record."""

    APPLIED = "applied"
    REPEATED = "repeated"
    HELD_BACK = "held-back"
    """The event came before its predecessor. The view does not change until the predecessor has come."""
    CONTRADICTORY = "unfit"
    """The event has the next sequence, but its content cannot follow the view."""
    PASSED_OVER = "passed-over"
    """A snapshot record that is not usable, because another record of the snapshot is missing or came too late."""


# In Python 3.11, the name of a class's member costs 0.1 us where a name of the module costs nothing.
_APPLIED, _REPEATED = FoldResult.APPLIED, FoldResult.REPEATED


class MissingEvents(NamedTuple):
    """Events that a view lacks: `expected` is the sequence it needs next, `received` the highest one seen since."""

    expected: int
    received: int


class OpenSnapshot(NamedTuple):
    """A snapshot whose records are being received: the head as in `View`, and the number of items received."""

    snapshot_id: str
    sequence: int
    head: Mapping[str, Any]
    position: int = 0


class View(NamedTuple):
    """A gallery after its events up to `sequence`.

    `head` has the wire fields `id`, `name` if the gallery has one, `sortOrder` and `createdDate`. It is None before the
    first event and after the deletion. `total_items` is counted from the item events, so that it always agrees with the
    items. `complete_at` is the sequence of the last item that the gallery is created with. It is 0 once that item has
    come.
    """

    site_id: str
    gallery_id: str
    sequence: int = 0
    head: Mapping[str, Any] | None = None
    total_items: int = 0
    complete_at: int = 0
    missing: MissingEvents | None = None
    open_snapshot: OpenSnapshot | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether the gallery existed and is gone."""
        return self.head is None and self.sequence > 0

    @property
    def is_shown(self) -> bool:
        """Whether readers see the gallery: it has all items that it was created with (contract, section 6.3)."""
        return self.head is not None and not self.complete_at


class ItemView(NamedTuple):
    """An item after its last event. `sequence` is that event's; `item` is the wire form, None once deleted."""

    site_id: str
    gallery_id: str
    item_id: str
    sequence: int
    item: dict[str, Any] | None


def project(view: View, site_id: str, event: Event) -> tuple[View, FoldResult]:
    """The view after an event of `site_id`; the same object if nothing changes."""
    if view.site_id != site_id:
        return view, FoldResult.CONTRADICTORY
    # No event changes a deleted gallery: its id is never used again.
    if event.sequence <= view.sequence or view.is_deleted:
        return view, _REPEATED
    if event.sequence > view.sequence + 1:
        return mark_missing(view, event.sequence), FoldResult.HELD_BACK
    if not _fits(view, event):
        return mark_missing(view, event.sequence), FoldResult.CONTRADICTORY
    return _apply(view, event), _APPLIED


def mark_missing(view: View, received: int) -> View:
    """The view, marked as lacking the events after its sequence, up to `received`."""
    missing = MissingEvents(view.sequence + 1, max(received, view.missing.received if view.missing else 0))
    return view if missing == view.missing else view._replace(missing=missing)


def advance(view: View, sequence: int, head: Mapping[str, Any] | None, total_items: int, complete_at: int) -> View:
    """The view at a higher sequence. A gap up to that sequence is closed."""
    missing = view.missing
    if missing is not None:
        missing = MissingEvents(sequence + 1, missing.received) if missing.received > sequence else None
    complete_at = complete_at if complete_at > sequence else 0
    # An open snapshot is dropped: it is older than the view now, or will be soon.
    return View(view.site_id, view.gallery_id, sequence, head, total_items, complete_at, missing)


def parse_head(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields of a gallery's wire form that a view keeps, or None if `body` is not a gallery."""
    try:
        created_at = datetime.fromisoformat(body["createdDate"])
    except (KeyError, TypeError, ValueError):
        return None
    if created_at.tzinfo is None or not _is_number(body.get("sortOrder")):
        return None
    return {name: body[name] for name in _HEAD_FIELDS if name in body}


def is_item(body: Mapping[str, Any], item_id: str | None) -> bool:
    """Whether a wire form has the fields that the view of an item needs."""
    return body.get("id") == item_id and _is_number(body.get("sortOrder")) and isinstance(body.get("type"), str)


def _apply(view: View, event: Event) -> View:
    head, total_items, complete_at = view.head, view.total_items, view.complete_at
    match event.event_type:  # the most frequent types first
        case EventType.ITEM_UPDATED:
            pass
        case EventType.ITEM_CREATED:
            total_items += 1
        case EventType.ITEM_DELETED:
            total_items -= 1
        case EventType.GALLERY_CREATED:
            head, complete_at = parse_head(event.body), event.sequence + event.body.get("totalItems", 0)
        case EventType.GALLERY_UPDATED:
            head = parse_head(event.body)
        case EventType.GALLERY_DELETED:
            head, total_items, complete_at = None, 0, 0
    return advance(view, event.sequence, head, total_items, complete_at)


def _fits(view: View, event: Event) -> bool:
    """Whether the event can follow this view, and has the fields that a view needs."""
    match event.event_type:  # the most frequent types first
        case EventType.ITEM_UPDATED | EventType.ITEM_CREATED:
            return view.head is not None and is_item(event.body, event.item_id)
        case EventType.ITEM_DELETED:
            return view.head is not None and view.total_items > 0
        case EventType.GALLERY_CREATED:
            total = event.body.get("totalItems", 0)
            is_count = isinstance(total, int) and not isinstance(total, bool) and total >= 0
            return view.sequence == 0 and is_count and parse_head(event.body) is not None
        case EventType.GALLERY_UPDATED:
            return view.head is not None and parse_head(event.body) is not None
        case EventType.GALLERY_DELETED:
            return view.head is not None


def _is_number(value: object) -> bool:
    return type(value) in _NUMBERS  # so not a bool

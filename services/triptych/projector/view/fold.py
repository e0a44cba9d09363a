"""Folds events and snapshots into views, purely: what applies, and what a gallery and its items then look like.

One gallery's events are numbered without holes and shared by the gallery and its items (contract, D17), so the
sequence alone tells a repeat from the next event from one that came too early. What a snapshot does is in
`triptych.projector.view.snapshots`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from triptych.contract.codec.events import Event, EventType

_HEAD_FIELDS = ("id", "name", "sortOrder", "createdDate")


class FoldResult(StrEnum):
    """What became of one event, or of one part of a snapshot."""

    APPLIED = "applied"
    REPEATED = "repeated"
    HELD_BACK = "held-back"
    """It came before its predecessor; the view does not change until that has come."""
    CONTRADICTORY = "unfit"
    """The next in number, but its content cannot follow what is there."""
    PASSED_OVER = "passed-over"
    """Part of a snapshot of which another part did not come, or came too late."""


class MissingEvents(NamedTuple):
    """From `expected` on, the next one of the view; `received` is the highest sequence seen from there on."""

    expected: int
    received: int


class OpenSnapshot(NamedTuple):
    """A snapshot that is coming in: its head is as in `View`, and `position` items of it have come."""

    snapshot_id: str
    sequence: int
    head: Mapping[str, Any]
    position: int = 0


class View(NamedTuple):
    """A gallery as its events have made it.

    `head` has the wire fields `id`, `name` if there is one, `sortOrder` and `createdDate`; it is None before the first
    event and after the deletion. `total_items` is counted here, so that it always agrees with the items.
    `complete_at` is the sequence of the last item that the gallery is created with, 0 once that has come.
    """

    site_id: str
    gallery_id: str
    sequence: int = 0
    head: Mapping[str, Any] | None = None
    total_items: int = 0
    complete_at: int = 0
    missing: MissingEvents | None = None
    restoration: OpenSnapshot | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether the gallery existed and is gone."""
        return self.head is None and self.sequence > 0

    @property
    def is_shown(self) -> bool:
        """Whether readers see it: it exists, with all the items that it was created with (contract, section 6.3)."""
        return self.head is not None and not self.complete_at


class ItemView(NamedTuple):
    """An item after its last event, whose sequence it carries; `item` is its wire form, None once deleted."""

    site_id: str
    gallery_id: str
    item_id: str
    sequence: int
    item: dict[str, Any] | None


def project(view: View, site_id: str, event: Event) -> tuple[View, FoldResult]:
    """The view after an event of `site_id`; the same object if nothing changes."""
    if view.site_id != site_id:
        return view, FoldResult.CONTRADICTORY
    # Of a gallery that is gone, nothing that may still come is news: its id is never used again.
    if event.sequence <= view.sequence or view.is_deleted:
        return view, FoldResult.REPEATED
    if event.sequence > view.sequence + 1:
        return mark_missing(view, event.sequence), FoldResult.HELD_BACK
    if not _fits(view, event):
        return mark_missing(view, event.sequence), FoldResult.CONTRADICTORY
    return _apply(view, event), FoldResult.APPLIED


def mark_missing(view: View, received: int) -> View:
    """The view, marked as lacking what follows it up to `received`."""
    missing = MissingEvents(view.sequence + 1, max(received, view.missing.received if view.missing else 0))
    return view if missing == view.missing else view._replace(missing=missing)


def advance(view: View, sequence: int, head: Mapping[str, Any] | None, total_items: int, complete_at: int) -> View:
    """The view at a higher sequence, which ends what it waited for up to there."""
    missing = view.missing
    if missing is not None:
        missing = MissingEvents(sequence + 1, missing.received) if missing.received > sequence else None
    complete_at = complete_at if complete_at > sequence else 0
    # Without a snapshot in the middle of coming in: it would now be older than the view, or soon is.
    return View(view.site_id, view.gallery_id, sequence, head, total_items, complete_at, missing)


def parse_head(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields of a gallery's wire form that a view keeps, or None if it is not a gallery."""
    try:
        created_at = datetime.fromisoformat(body["createdDate"])
    except (KeyError, TypeError, ValueError):
        return None
    if created_at.tzinfo is None or not _is_number(body.get("sortOrder")):
        return None
    return {name: body[name] for name in _HEAD_FIELDS if name in body}


def is_item(body: Mapping[str, Any], item_id: str | None) -> bool:
    """Whether a wire form has what the view of an item is made of."""
    return body.get("id") == item_id and _is_number(body.get("sortOrder")) and isinstance(body.get("type"), str)


def _apply(view: View, event: Event) -> View:
    head, total_items, complete_at = view.head, view.total_items, view.complete_at
    match event.event_type:
        case EventType.GALLERY_CREATED:
            head, complete_at = parse_head(event.body), event.sequence + event.body.get("totalItems", 0)
        case EventType.GALLERY_UPDATED:
            head = parse_head(event.body)
        case EventType.GALLERY_DELETED:
            head, total_items, complete_at = None, 0, 0
        case EventType.ITEM_CREATED:
            total_items += 1
        case EventType.ITEM_DELETED:
            total_items -= 1
        case EventType.ITEM_UPDATED:
            pass
    return advance(view, event.sequence, head, total_items, complete_at)


def _fits(view: View, event: Event) -> bool:
    """Whether the event can follow this view, and its content has what a view is made of."""
    match event.event_type:
        case EventType.GALLERY_CREATED:
            total = event.body.get("totalItems", 0)
            is_count = isinstance(total, int) and not isinstance(total, bool) and total >= 0
            return view.sequence == 0 and is_count and parse_head(event.body) is not None
        case EventType.GALLERY_UPDATED:
            return view.head is not None and parse_head(event.body) is not None
        case EventType.ITEM_CREATED | EventType.ITEM_UPDATED:
            return view.head is not None and is_item(event.body, event.item_id)
        case EventType.GALLERY_DELETED:
            return view.head is not None
        case EventType.ITEM_DELETED:
            return view.head is not None and view.total_items > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Folds events into views, purely: which events apply, and what a gallery and its items then look like.

One gallery's events are numbered without holes and shared by the gallery and its items (design, section 3), so the
sequence alone tells a repeat from the next event from one that came too early.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.events import Event, EventType

_HEAD_FIELDS = ("id", "name", "sortOrder", "createdDate")


class Outcome(StrEnum):
    """What became of one event."""

    APPLIED = "applied"
    REPEATED = "repeated"
    HELD_BACK = "held-back"
    """It came before its predecessor; the view does not change until that has come."""
    UNFIT = "unfit"
    """The next in number, but its content cannot follow what is there."""


@dataclass(frozen=True, slots=True)
class MissingEvents:
    """From `expected` on, the next one of the view; `received` is the highest sequence seen beyond."""

    expected: int
    received: int


@dataclass(frozen=True, slots=True)
class View:
    """A gallery as its events have made it.

    `head` has the wire fields `id`, `name` if there is one, `sortOrder` and `createdDate`; it is None before the first
    event and after the deletion. `total_items` is counted here, so that it always agrees with the items.
    """

    site_id: str
    gallery_id: str
    sequence: int = 0
    head: Mapping[str, Any] | None = None
    total_items: int = 0
    missing: MissingEvents | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether the gallery existed and is gone."""
        return self.head is None and self.sequence > 0


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item after its last event, whose sequence it carries; `item` is its wire form, None once deleted."""

    site_id: str
    gallery_id: str
    item_id: str
    sequence: int
    item: dict[str, Any] | None


@dataclass(slots=True)
class Batch:
    """What a batch of events comes to."""

    views: dict[str, View]
    """Galleries by id, as loaded and then as folded."""
    changed: set[str] = field(default_factory=set)
    """Ids of the galleries whose views differ from what was loaded."""
    items: dict[str, ItemView] = field(default_factory=dict)
    """Changed items by id, each in its last state."""
    touched: dict[str, set[str]] = field(default_factory=dict)
    """What to publish: gallery id to ids of items, of applied and repeated events alike, since a repeat may mean that
    a crash came between writing and publishing."""
    outcomes: list[Outcome] = field(default_factory=list)
    """One for each event, in order."""


def fold(views: Mapping[str, View], events: Iterable[tuple[str, Event]]) -> Batch:
    """Apply events, each given with its site, to the views of their galleries."""
    batch = Batch(dict(views))
    for site_id, event in events:
        gallery_id = event.gallery_id
        view = batch.views.get(gallery_id) or View(site_id, gallery_id)
        after, outcome = project(view, site_id, event)
        batch.outcomes.append(outcome)
        if after is not view:
            batch.views[gallery_id] = after
            batch.changed.add(gallery_id)
        if outcome in (Outcome.APPLIED, Outcome.REPEATED):
            batch.touched.setdefault(gallery_id, set()).update([event.item_id] if event.item_id else [])
        if outcome is Outcome.APPLIED and event.item_id is not None:
            item = None if event.event_type is EventType.ITEM_DELETED else event.body
            batch.items[event.item_id] = ItemView(view.site_id, gallery_id, event.item_id, event.sequence, item)
    return batch


def project(view: View, site_id: str, event: Event) -> tuple[View, Outcome]:
    """The view after an event of `site_id`; the same object if nothing changes."""
    if view.site_id != site_id:
        return view, Outcome.UNFIT
    if event.sequence <= view.sequence:
        return view, Outcome.REPEATED
    expected = view.sequence + 1
    if event.sequence > expected:
        received = max(event.sequence, view.missing.received if view.missing else 0)
        missing = MissingEvents(expected, received)
        return (view if missing == view.missing else replace(view, missing=missing)), Outcome.HELD_BACK
    if not _fits(view, event):
        return view, Outcome.UNFIT
    missing_after = None
    if view.missing and view.missing.received > event.sequence:
        missing_after = MissingEvents(expected + 1, view.missing.received)
    return replace(_apply(view, event), sequence=event.sequence, missing=missing_after), Outcome.APPLIED


def _apply(view: View, event: Event) -> View:
    match event.event_type:
        case EventType.GALLERY_CREATED | EventType.GALLERY_UPDATED:
            return replace(view, head={name: event.body[name] for name in _HEAD_FIELDS if name in event.body})
        case EventType.GALLERY_DELETED:
            return replace(view, head=None, total_items=0)
        case EventType.ITEM_CREATED:
            return replace(view, total_items=view.total_items + 1)
        case EventType.ITEM_UPDATED:
            return view
        case EventType.ITEM_DELETED:
            return replace(view, total_items=view.total_items - 1)


def _fits(view: View, event: Event) -> bool:
    """Whether the event can follow this view, and its content has what a view is made of."""
    body = event.body
    match event.event_type:
        case EventType.GALLERY_CREATED:
            return view.sequence == 0 and _is_head(body)
        case EventType.GALLERY_UPDATED:
            return view.head is not None and _is_head(body)
        case EventType.ITEM_CREATED | EventType.ITEM_UPDATED:
            is_item = body["id"] == event.item_id and _is_number(body.get("sortOrder")) and "type" in body
            return view.head is not None and is_item
        case EventType.GALLERY_DELETED:
            return view.head is not None
        case EventType.ITEM_DELETED:
            return view.head is not None and view.total_items > 0


def _is_head(body: Mapping[str, Any]) -> bool:
    try:
        created_at = datetime.fromisoformat(body["createdDate"])
    except (KeyError, TypeError, ValueError):
        return False
    return created_at.tzinfo is not None and _is_number(body.get("sortOrder"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

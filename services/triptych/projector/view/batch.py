"""Folds a batch, purely: what its events and snapshots together change, coalesced, and what has to be published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from triptych.contract.codec.events import Event, EventType
from triptych.contract.snapshots import SnapshotEnded
from triptych.projector.view.fold import FoldResult, ItemView, View, project
from triptych.projector.view.snapshots import RawSnapshotPart, restore

Input: TypeAlias = Event | RawSnapshotPart


@dataclass(slots=True)
class Batch:
    """What a batch comes to."""

    views: dict[str, View]
    """Galleries by id, as loaded and then as folded."""
    changed: set[str] = field(default_factory=set)
    """Ids of the galleries whose views differ from what was loaded."""
    items: dict[str, ItemView] = field(default_factory=dict)
    """Changed items by id, each in its last state."""
    new: set[str] = field(default_factory=set)
    """Ids of changed items that did not exist before, if their events are right in that."""
    swept: dict[str, int] = field(default_factory=dict)
    """Galleries by id that a snapshot has made anew, or that are deleted: no item older than this sequence is left."""
    touched: dict[str, set[str]] = field(default_factory=dict)
    """What to publish: gallery id to ids of items, of what was applied and what was repeated alike, since a repeat may
    mean that a crash came between writing and publishing."""
    reached: dict[str, None] = field(default_factory=dict)
    """Galleries whose last event was among the inputs. After a crash, the events of a batch may be repeated in parts;
    a gallery is stored further than its items are published then, and is published when its last event is repeated."""
    outcomes: list[FoldResult] = field(default_factory=list)
    """One for each input, in order."""


def fold(views: Mapping[str, View], inputs: Iterable[tuple[str, Input]]) -> Batch:
    """Apply events and parts of snapshots, each given with its site, to the views of their galleries."""
    batch = Batch(dict(views))
    for site_id, thing in inputs:
        gallery_id = thing.gallery_id
        before = batch.views.get(gallery_id) or View(site_id, gallery_id)
        after, outcome = (
            project(before, site_id, thing) if isinstance(thing, Event) else restore(before, site_id, thing)
        )
        batch.outcomes.append(outcome)
        if after is not before:
            batch.views[gallery_id] = after
            batch.changed.add(gallery_id)
        if outcome in (FoldResult.APPLIED, FoldResult.REPEATED):
            _touch(batch, thing)
            if thing.sequence >= after.sequence and _is_whole(thing):
                batch.reached[gallery_id] = None
        if outcome is FoldResult.APPLIED:
            _change_items(batch, after, thing)
    return batch


def _is_whole(thing: Input) -> bool:
    """Whether a gallery is at the sequence of this input with all of its items."""
    return isinstance(thing, Event) or isinstance(thing.fields, SnapshotEnded)


def _touch(batch: Batch, thing: Input) -> None:
    touched = batch.touched.setdefault(thing.gallery_id, set())
    if thing.item_id is not None:
        touched.add(thing.item_id)


def _change_items(batch: Batch, view: View, thing: Input) -> None:
    if thing.item_id is not None:
        event_type = thing.event_type if isinstance(thing, Event) else None
        is_gone = event_type is EventType.ITEM_DELETED
        if event_type is EventType.ITEM_CREATED:
            batch.new.add(thing.item_id)
        batch.items[thing.item_id] = ItemView(
            view.site_id, view.gallery_id, thing.item_id, thing.sequence, None if is_gone else thing.body
        )
    elif view.is_deleted or (isinstance(thing, RawSnapshotPart) and isinstance(thing.fields, SnapshotEnded)):
        batch.swept[view.gallery_id] = view.sequence
        for item_id in list(batch.touched[view.gallery_id]):
            item = batch.items.get(item_id)
            if item is not None and item.item is not None and item.sequence < view.sequence:
                remove_item(batch, view, item_id)


def remove_item(batch: Batch, view: View, item_id: str) -> None:
    """Let the batch remove an item of a gallery of its own."""
    batch.items[item_id] = ItemView(view.site_id, view.gallery_id, item_id, view.sequence, None)
    batch.touched.setdefault(view.gallery_id, set()).add(item_id)

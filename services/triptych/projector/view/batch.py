"""Folds a batch, purely: the combined changes of its events and snapshot records, and what has to be published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from triptych.contract.codec.events import Event, EventType
from triptych.contract.snapshots import SnapshotEnded
from triptych.projector.view.fold import FoldResult, ItemView, View, project
from triptych.projector.view.snapshots import RawSnapshotRecord, restore

Input: TypeAlias = Event | RawSnapshotRecord

# In Python 3.11, the name of a class's member costs 0.1 us where a name of the module costs nothing.
_APPLIED, _PUBLISHED = FoldResult.APPLIED, (FoldResult.APPLIED, FoldResult.REPEATED)
_ITEM_CREATED, _ITEM_DELETED = EventType.ITEM_CREATED, EventType.ITEM_DELETED


@dataclass(slots=True)
class Batch:
    """The combined effect of a batch."""

    views: dict[str, View]
    """Views of galleries by id: first as loaded, then as folded."""
    changed: set[str] = field(default_factory=set)
    """Ids of the galleries whose views differ from the loaded ones."""
    items: dict[str, ItemView] = field(default_factory=dict)
    """Changed items by id, each in its last state."""
    new: set[str] = field(default_factory=set)
    """Ids of changed items that did not exist before, according to their events."""
    swept: dict[str, int] = field(default_factory=dict)
    """For galleries that a snapshot has replaced or that are deleted: items older than this sequence are removed."""
    touched: dict[str, set[str]] = field(default_factory=dict)
    """The item ids to publish, by gallery id. Repeats are included: a repeat may follow a crash between storing and
    publishing."""
    publishable: dict[str, None] = field(default_factory=dict)
    """Ids of the galleries whose last event was among the inputs. After a crash, the events of a batch may be repeated
    in several batches. A gallery is published only with its last event, so never before its items."""
    outcomes: list[FoldResult] = field(default_factory=list)
    """One for each input, in order."""


def fold(views: Mapping[str, View], inputs: Iterable[tuple[str, Input]]) -> Batch:
    """Apply events and snapshot records, each given with its site, to the views of their galleries."""
    batch = Batch(dict(views))
    for site_id, entry in inputs:
        gallery_id = entry.gallery_id
        before = batch.views.get(gallery_id) or View(site_id, gallery_id)
        after, outcome = (
            project(before, site_id, entry) if isinstance(entry, Event) else restore(before, site_id, entry)
        )
        batch.outcomes.append(outcome)
        if after is not before:
            batch.views[gallery_id] = after
            batch.changed.add(gallery_id)
        if outcome in _PUBLISHED:
            _touch(batch, entry)
            if entry.sequence >= after.sequence and _is_whole(entry):
                batch.publishable[gallery_id] = None
        if outcome is _APPLIED:
            _change_items(batch, after, entry)
    return batch


def _is_whole(entry: Input) -> bool:
    """Whether a gallery has all its items at the sequence of this entry."""
    return isinstance(entry, Event) or isinstance(entry.fields, SnapshotEnded)


def _touch(batch: Batch, entry: Input) -> None:
    touched = batch.touched.setdefault(entry.gallery_id, set())
    if entry.item_id is not None:
        touched.add(entry.item_id)


def _change_items(batch: Batch, view: View, entry: Input) -> None:
    if entry.item_id is not None:
        event_type = entry.event_type if isinstance(entry, Event) else None
        is_gone = event_type is _ITEM_DELETED
        if event_type is _ITEM_CREATED:
            batch.new.add(entry.item_id)
        batch.items[entry.item_id] = ItemView(
            view.site_id, view.gallery_id, entry.item_id, entry.sequence, None if is_gone else entry.body
        )
    elif view.is_deleted or (isinstance(entry, RawSnapshotRecord) and isinstance(entry.fields, SnapshotEnded)):
        batch.swept[view.gallery_id] = view.sequence
        for item_id in list(batch.touched[view.gallery_id]):
            item = batch.items.get(item_id)
            if item is not None and item.item is not None and item.sequence < view.sequence:
                remove_item(batch, view, item_id)


def remove_item(batch: Batch, view: View, item_id: str) -> None:
    """Add to the batch the removal of an item of one of its galleries."""
    batch.items[item_id] = ItemView(view.site_id, view.gallery_id, item_id, view.sequence, None)
    batch.touched.setdefault(view.gallery_id, set()).add(item_id)

"""Folds events and snapshot records into rows of the history, purely.

Every value follows from the records alone, never from the clock: a repetition, by any process, makes the same rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from triptych.contract.codec.cloudevents import Reason, Undecodable
from triptych.contract.codec.events import Event, EventType
from triptych.contract.domain_event import slug_of
from triptych.contract.snapshots import SnapshotEnded, SnapshotItem, SnapshotStarted
from triptych.history.documents import OPEN, SNAPSHOT, Reach, Snapshot, row_id, snapshot_row_id
from triptych.kit.mongo.driver import Binary, Document

_SLUGS = {event_type: slug_of(event_type) for event_type in EventType}
_HEADS = (EventType.GALLERY_CREATED, EventType.GALLERY_UPDATED, EventType.GALLERY_DELETED)
_CREATIONS = (EventType.GALLERY_CREATED, EventType.ITEM_CREATED)
_CHANGE_OF_TOTAL = {EventType.ITEM_CREATED: 1, EventType.ITEM_DELETED: -1}

RowKey: TypeAlias = tuple[str, str | None]
"""A gallery, and one of its items; None stands for the gallery itself."""


class Archived(StrEnum):
    """The result of folding one record."""

    ARCHIVED = "archived"
    REPEATED = "repeated"
    PASSED_OVER = "passed-over"
    """A snapshot record that is not needed, or not usable."""
    REFUSED = "refused"
    """A record that nobody can read, or that names another site than the gallery's events before."""


class ArchivedEvent(NamedTuple):
    """An event with what its record says beside it."""

    site_id: str
    event: Event
    at: datetime
    value: bytes
    command_id: str | None = None
    source: str | None = None


class ArchivedSnapshot(NamedTuple):
    """A record of a snapshot; `at` is the time of the record."""

    site_id: str
    fields: SnapshotStarted | SnapshotItem | SnapshotEnded
    at: datetime
    value: bytes


Entry: TypeAlias = ArchivedEvent | ArchivedSnapshot


class Closing(NamedTuple):
    """The row of an item that was open before the batch ends at this sequence and time.

    `newest` is the highest sequence that such a row can have, and `by` the superseding row, which may have it too. The
    row of an event supersedes only rows from before it: a snapshot of the same sequence, perhaps of the same batch,
    comes after the event.
    """

    gallery_id: str
    item_id: str | None
    until: int
    at: datetime
    newest: int
    by: str


class Sweep(NamedTuple):
    """All rows of a gallery that are open and older than `sequence` end there: the gallery does not have them then."""

    gallery_id: str
    sequence: int
    at: datetime


@dataclass(slots=True)
class Fold:
    """The combined effect of a batch.

    Attributes:
        reaches: of all galleries of the batch: first as loaded, then as folded.
        rows: new rows by id.
        closings: rows of earlier batches to close, in order.
        sweeps: galleries whose snapshot is complete, or that were deleted with items.
        outcomes: one for each entry, in order.
    """

    reaches: dict[str, Reach]
    rows: dict[str, Document] = field(default_factory=dict)
    closings: list[Closing] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    outcomes: list[Archived] = field(default_factory=list)
    _open: dict[RowKey, Document] = field(default_factory=dict)

    def supersede(self, key: RowKey, row: Document, *, is_first: bool = False) -> None:
        """Add a row, and end the one of the same item before it; `is_first` says that there is none to end."""
        before = self._open.get(key)
        if before is not None:
            before["until"], before["supersededAt"] = row["sequence"], row["at"]
        elif not is_first:
            sequence = row["sequence"]
            newest = sequence if row["type"] == SNAPSHOT else sequence - 1
            self.closings.append(Closing(*key, sequence, row["at"], newest, row["_id"]))
        self.rows[row["_id"]] = self._open[key] = row


def event_time(text: str) -> datetime:
    """The time of an event. Raises Undecodable."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Undecodable(Reason.BAD_DATA, "eventTime must be an ISO 8601 time with an offset")
    return at


def fold(reaches: Mapping[str, Reach], entries: Iterable[Entry]) -> Fold:
    """Fold entries, which are in order for each gallery, into what the history has of their galleries."""
    folded = Fold(dict(reaches))
    for entry in entries:
        if isinstance(entry, ArchivedEvent):
            folded.outcomes.append(_event(folded, entry))
        else:
            folded.outcomes.append(_snapshot(folded, entry))
    return folded


def _event(folded: Fold, entry: ArchivedEvent) -> Archived:
    event = entry.event
    gallery_id, kind = event.gallery_id, event.event_type
    reach = folded.reaches.get(gallery_id) or Reach(gallery_id, entry.site_id)
    if reach.site_id != entry.site_id:
        return Archived.REFUSED
    if event.sequence <= reach.sequence or reach.deleted_at is not None:
        return Archived.REPEATED
    has_gap = event.sequence > reach.sequence + 1
    before = None if has_gap else reach.total
    item_id = None if kind in _HEADS else event.item_id
    row: Document = {
        "_id": row_id(gallery_id, event.sequence),
        "siteId": entry.site_id,
        "galleryId": gallery_id,
        "itemId": item_id,
        "sequence": event.sequence,
        "until": OPEN,
        "type": _SLUGS[kind],
        "at": entry.at,
        # The number of items before the event: the row after a moment tells how many items there were.
        "before": before,
        "value": Binary(entry.value),
    }
    if entry.command_id is not None:
        row["commandId"] = entry.command_id
    if entry.source is not None:
        row["source"] = entry.source
    sort_order = event.body.get("sortOrder") if item_id is not None else None
    if sort_order is not None:
        row["sortOrder"] = float(sort_order)
    folded.supersede((gallery_id, item_id), row, is_first=kind in _CREATIONS and reach.complete_from is not None)
    is_gone = kind is EventType.GALLERY_DELETED
    if is_gone or kind is EventType.ITEM_DELETED:
        row["supersededAt"] = entry.at
    if is_gone and before != 0:
        # A clone that is given up is deleted without events of its items.
        folded.sweeps.append(Sweep(gallery_id, event.sequence, entry.at))
    folded.reaches[gallery_id] = reach._replace(
        sequence=event.sequence,
        complete_from=None if has_gap else reach.complete_from,
        total=_total_after(event, before),
        snapshot=None,
        deleted_at=entry.at if is_gone else None,
    )
    return Archived.ARCHIVED


def _total_after(event: Event, before: int | None) -> int | None:
    match event.event_type:
        case EventType.GALLERY_CREATED:
            return 0  # the events of its items follow, and are counted
        case EventType.GALLERY_DELETED:
            return 0
        case EventType.GALLERY_UPDATED:
            total = event.body.get("totalItems")
            return total if isinstance(total, int) else before
        case kind:
            return None if before is None else before + _CHANGE_OF_TOTAL.get(kind, 0)


def _snapshot(folded: Fold, entry: ArchivedSnapshot) -> Archived:
    fields = entry.fields
    gallery_id = fields.gallery_id
    reach = folded.reaches.get(gallery_id) or Reach(gallery_id, entry.site_id, complete_from=None, total=None)
    if reach.site_id != entry.site_id:
        return Archived.REFUSED
    is_behind = reach.complete_from is None or fields.sequence > reach.sequence
    if reach.deleted_at is not None or fields.sequence < reach.sequence or not is_behind:
        return Archived.PASSED_OVER
    match fields:
        case SnapshotStarted():
            _supersede_by_snapshot(folded, entry, None)
            reach = reach._replace(snapshot=Snapshot(fields.snapshot_id, fields.sequence))
        case SnapshotItem():
            if not _continues(reach, fields.snapshot_id) or reach.snapshot is None:
                return Archived.PASSED_OVER
            if fields.position != reach.snapshot.position:
                return Archived.PASSED_OVER  # a repeat; after a loss, the end does not fit, and another follows
            _supersede_by_snapshot(folded, entry, fields.item.id)
            reach = reach._replace(snapshot=reach.snapshot._replace(position=fields.position + 1))
        case SnapshotEnded():
            if not _continues(reach, fields.snapshot_id) or reach.snapshot is None:
                return Archived.PASSED_OVER
            is_whole = reach.snapshot.position == fields.total_items
            reach = reach._replace(snapshot=None)
            if is_whole:
                folded.sweeps.append(Sweep(gallery_id, fields.sequence, entry.at))
                reach = reach._replace(
                    sequence=fields.sequence, complete_from=fields.sequence, total=fields.total_items
                )
    folded.reaches[gallery_id] = reach
    return Archived.ARCHIVED


def _continues(reach: Reach, snapshot_id: str) -> bool:
    return reach.snapshot is not None and reach.snapshot.snapshot_id == snapshot_id


def _supersede_by_snapshot(folded: Fold, entry: ArchivedSnapshot, item_id: str | None) -> None:
    fields = entry.fields
    row: Document = {
        "_id": snapshot_row_id(fields.gallery_id, fields.sequence, item_id),
        "siteId": entry.site_id,
        "galleryId": fields.gallery_id,
        "itemId": item_id,
        "sequence": fields.sequence,
        "until": OPEN,
        "type": SNAPSHOT,
        "at": entry.at,
        "value": Binary(entry.value),
    }
    if isinstance(fields, SnapshotItem):
        row["sortOrder"] = float(fields.item.sort_order)
    if row["_id"] not in folded.rows:  # another snapshot of the same sequence says the same
        folded.supersede((fields.gallery_id, item_id), row)

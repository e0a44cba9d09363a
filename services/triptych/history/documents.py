"""Defines the documents of the history: collections, indexes, ids and fields, without I/O.

Collections (docs/architecture/history.md):

* `history_events`: one row for each event of a gallery, with the bytes of the event. A row is the state of one item, or
  of the gallery itself (`itemId` is null), from its sequence up to `until`, the sequence of the next row of the same
  item. So the rows with `sequence <= N < until` are the gallery as it was at N. A snapshot adds rows too: they are
  states, and no events.
* `history_galleries`: how far the history of each gallery reaches.
* `history_state`: one document: how long rows are kept.

A row expires a retention after it was superseded, not after it happened: `supersededAt` is the time of the event that
set `until`. A row of a deletion is no state, so its own time counts.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Document, IndexModel
from triptych.kit.mongo.sharding import ShardKey

HISTORY_EVENTS = "history_events"
HISTORY_GALLERIES = "history_galleries"
HISTORY_STATE = "history_state"

OPEN = 2**63 - 1
"""`until` of a row that nothing has superseded."""
SNAPSHOT = "snapshot"
"""The `type` of a row that comes from a snapshot. Other rows have the slug of their event."""
SLACK = timedelta(hours=1)
"""How much longer than the retention rows are kept, since the clocks of processes differ."""
STATE_ID = "retention"
_DIGITS = 19


def indexes(retention: timedelta) -> dict[str, list[IndexModel]]:
    """The indexes of the history, by collection."""
    kept = int((retention + SLACK).total_seconds())
    return {
        HISTORY_EVENTS: [
            ShardKey("galleryId"),
            # The row of an item that the next one supersedes, and the events of an item.
            IndexModel([("galleryId", ASCENDING), ("itemId", ASCENDING), ("until", ASCENDING)]),
            # A gallery as it was, in display order. Without `until`, so that superseding a row leaves it alone.
            IndexModel(
                [("galleryId", ASCENDING), ("sortOrder", DESCENDING), ("sequence", DESCENDING)],
                partialFilterExpression={"sortOrder": {"$exists": True}},
            ),
            IndexModel([("supersededAt", ASCENDING)], sparse=True, expireAfterSeconds=kept),
        ],
        HISTORY_GALLERIES: [
            ShardKey("_id"),
            # Empty unless galleries wait for a snapshot.
            IndexModel([("wanted", ASCENDING)], sparse=True),
            IndexModel([("deletedAt", ASCENDING)], sparse=True, expireAfterSeconds=kept),
        ],
        HISTORY_STATE: [],
    }


class Snapshot(NamedTuple):
    """A snapshot whose records are being received; `position` is the number of items received."""

    snapshot_id: str
    sequence: int
    position: int = 0


class Reach(NamedTuple):
    """How far the history of a gallery reaches.

    Attributes:
        gallery_id, site_id: the gallery, and its site.
        sequence: the last event that was archived.
        complete_from: from this sequence on, no event is missing, and the gallery can be shown as it was; None while
            events are missing and no snapshot has come.
        total: the number of items at `sequence`; None if it is not known.
        snapshot: the snapshot that is being received.
        deleted_at: when the gallery was deleted.
        revision: rises with each write of the document, which is its fence.
    """

    gallery_id: str
    site_id: str
    sequence: int = 0
    complete_from: int | None = 1
    total: int | None = 0
    snapshot: Snapshot | None = None
    deleted_at: datetime | None = None
    revision: int = 0


def row_id(gallery_id: str, sequence: int) -> str:
    """The id of the row of an event. Ids of a gallery are in order of sequence."""
    return f"{gallery_id}/{sequence:0{_DIGITS}d}"


def snapshot_row_id(gallery_id: str, sequence: int, item_id: str | None) -> str:
    """The id of a row that a snapshot adds: for an item, or for the gallery itself."""
    return f"{gallery_id}:{sequence:0{_DIGITS}d}/{item_id or ''}"


def reach_document(reach: Reach) -> Document:
    """The document of a reach."""
    document: Document = {
        "_id": reach.gallery_id,
        "siteId": reach.site_id,
        "sequence": reach.sequence,
        "completeFrom": reach.complete_from,
        "total": reach.total,
        "revision": reach.revision,
    }
    if reach.snapshot is not None:
        document["snapshot"] = reach.snapshot._asdict()
    if reach.deleted_at is not None:
        document["deletedAt"] = reach.deleted_at
    elif reach.complete_from is None:
        document["wanted"] = reach.sequence + 1
    return document


def reach_of(document: Mapping[str, Any]) -> Reach:
    """The reach that a document stores."""
    snapshot = document.get("snapshot")
    return Reach(
        document["_id"],
        document["siteId"],
        document["sequence"],
        document["completeFrom"],
        document["total"],
        None if snapshot is None else Snapshot(**snapshot),
        document.get("deletedAt"),
        document["revision"],
    )

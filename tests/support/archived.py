"""What tests of the history share: entries of the archive from a `History`, and the gallery as it was."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.histories import History as Made
from triptych.contract.snapshots import decode_snapshot
from triptych.history import documents
from triptych.history.queries import History
from triptych.kit.mongo.driver import Database
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.history.archive import Archive
from triptych.projector.history.fold import ArchivedEvent, ArchivedSnapshot, Entry, event_time, fold

YEARS = timedelta(days=3_650)
"""A retention in which the events of `tests.support.histories` are recent."""


async def open_archive(database: Database, retention: timedelta = YEARS) -> Archive:
    """An empty archive with its indexes."""
    archive = Archive(database)
    await archive.adopt_retention(retention, datetime.now(UTC))
    await ensure_indexes(database, documents.indexes(retention))
    return archive


def entries_of(made: Made, first: int = 1) -> list[Entry]:
    """The events of a history from a sequence on."""
    return [
        ArchivedEvent(made.site_id, event, event_time(event.event_time), message.value, "c")
        for event, message in zip(made.events, made.messages, strict=True)
        if event.sequence >= first
    ]


def snapshot_of(made: Made, snapshot_id: str = "s") -> list[Entry]:
    """The records of a snapshot of the present state."""
    at = event_time(made.wire[-1]["eventTime"]) + timedelta(milliseconds=500)
    return [
        ArchivedSnapshot(made.site_id, decode_snapshot(message.value), at, message.value)
        for message in made.snapshot(snapshot_id)
    ]


async def archive_all(archive: Archive, entries: Sequence[Entry]) -> None:
    """Archive one batch."""
    galleries = {
        entry.event.gallery_id if isinstance(entry, ArchivedEvent) else entry.fields.gallery_id for entry in entries
    }
    loaded = await archive.load(galleries)
    await archive.save(loaded, fold(loaded, entries))


async def as_it_was(history: History, made: Made, sequence: int, page: int = 100) -> dict[str, Any]:
    """The gallery with all its items at a sequence. Raises NotShown."""
    moment = await history.moment(made.site_id, made.gallery_id, sequence)
    items = [item async for items in history.all_items(moment, page) for item in items]
    return {**moment.gallery, "items": items}

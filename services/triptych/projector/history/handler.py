"""Handles batches of events: reads them, folds them into rows of the history, and stores these."""

from collections import Counter as Counted
from collections.abc import Sequence
from datetime import UTC, datetime

from prometheus_client import Counter

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import decode_event
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX, decode_snapshot
from triptych.kit.chunks import by_weight
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.keyed_locks import KeyedLocks
from triptych.kit.process.supervision import progress
from triptych.projector.history.archive import Archive
from triptych.projector.history.fold import (
    Archived,
    ArchivedEvent,
    ArchivedSnapshot,
    Entry,
    event_time,
    fold,
)

EVENTS = Counter(
    "triptych_history_records_total", "Events and snapshot records for the history, by outcome", ["outcome"]
)
_COUNTS = {outcome: EVENTS.labels(outcome.value) for outcome in Archived}

CHUNK_BYTES = 8 * 1024 * 1024
"""The most bytes of events that are stored at a time."""
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()


class HistoryHandler:
    """The `BatchHandler` of the history."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._locks: KeyedLocks[int] = KeyedLocks()

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Nothing to do: rows belong to galleries, and their events say whether one is missing."""

    async def released(self) -> None:
        """Nothing to do: archiving an event twice does no harm."""

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Nothing to do: the next event of a gallery shows that one is missing."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Archive these events; see `BatchHandler`."""
        async with self._locks.of({record.partition for record in records}):
            weights = [len(record.value or b"") for record in records]
            for chunk in by_weight(records, weights, CHUNK_BYTES):
                await self._archive_chunk(chunk)
                progress()

    async def _archive_chunk(self, records: Sequence[IncomingRecord]) -> None:
        entries: list[Entry] = []
        refused = 0
        for record in records:
            try:
                entries.append(_read(record))
            except Undecodable:
                refused += 1  # the projection dead-letters it
        loaded = await self._archive.load({_gallery_of(entry) for entry in entries})
        folded = fold(loaded, entries)
        await self._archive.save(loaded, folded)
        _COUNTS[Archived.REFUSED].inc(refused)
        for outcome, count in Counted(folded.outcomes).items():
            _COUNTS[outcome].inc(count)


def _read(record: IncomingRecord) -> Entry:
    """The content of a record. Raises Undecodable."""
    headers = event_headers(record.headers)
    if any(name == "ce_type" and (value or b"").startswith(_SNAPSHOT_TYPE) for name, value in record.headers):
        fields = decode_snapshot(record.value)
        at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        return ArchivedSnapshot(headers.site_id, fields, at, record.value)
    event = decode_event(record.value)
    at = event_time(event.event_time)
    return ArchivedEvent(headers.site_id, event, at, record.value, headers.causation_id, headers.command_source)


def _gallery_of(entry: Entry) -> str:
    return entry.event.gallery_id if isinstance(entry, ArchivedEvent) else entry.fields.gallery_id

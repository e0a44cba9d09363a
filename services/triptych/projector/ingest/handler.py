"""Handles batches of events: folds them, stores the result, publishes the join (docs/architecture/projector.md)."""

import asyncio
import logging
from collections import Counter as Counted
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from prometheus_client import Counter

from triptych.contract.codec.cloudevents import Reason
from triptych.contract.codec.events import Event, EventType
from triptych.contract.codec.trace_context import sampled_context
from triptych.contract.joined import gallery_key, item_key
from triptych.kit.chunks import by_weight
from triptych.kit.kafka.consuming.spans import record_spans
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.kafka.transit import DONE, HELD_BACK, REPLAYED, STALE
from triptych.kit.keyed_locks import KeyedLocks
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.process.supervision import progress
from triptych.kit.tracing.spans import NO_SPANS
from triptych.projector.ingest.event_reader import EventReader
from triptych.projector.ingest.expired_events import ExpiryHandler
from triptych.projector.ingest.offsets import MissingRecords, ProjectedOffsets
from triptych.projector.join.notices import NO_NOTICES, Notices, Wanted
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.view.batch import Batch, fold, remove_item
from triptych.projector.view.fold import FoldResult, View
from triptych.projector.view.repository import ViewRepository

log = get_logger(__name__)

EVENTS = Counter(
    "triptych_projected_events_total", "Events and snapshot records, by type and outcome", ["type", "outcome"]
)
SNAPSHOT = "snapshot"
"""The type of a record of a snapshot, in metrics."""
# From 0, and found without a label lookup.
_COUNTS = {
    (type_, outcome): EVENTS.labels(type_, outcome.value) for type_ in (*EventType, SNAPSHOT) for outcome in FoldResult
}
REASONS = (*(reason.value for reason in Reason), FoldResult.CONTRADICTORY.value)
"""Why events are dead-lettered."""
GAPS = Counter("triptych_projection_gaps_total", "Times that a gap was found in a gallery's events")

# A full batch of small items has a few MB. A full batch of the largest items would have a hundred.
TRANSACTION_BYTES = 8 * 1024 * 1024
# An event that does not fit is dead-lettered again, and counted there.
_REPLAY_OUTCOMES = {
    FoldResult.APPLIED: DONE,
    FoldResult.REPEATED: STALE,
    FoldResult.PASSED_OVER: STALE,
    FoldResult.HELD_BACK: HELD_BACK,
}


class ProjectionHandler:
    """A `BatchHandler` for the events topic and one version of the views.

    `join_publisher` is None as long as nobody reads this version.
    """

    def __init__(
        self,
        repository: ViewRepository,
        ownership: Ownership,
        publisher: Publisher,
        dead_letters: DeadLetterPublisher,
        expiry_handler: ExpiryHandler,
        join_publisher: JoinPublisher | None,
        check_writable: Callable[[], Awaitable[None]],
        transaction_bytes: int = TRANSACTION_BYTES,
        notices: Notices = NO_NOTICES,
    ) -> None:
        self._repository = repository
        self._ownership = ownership
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._expiry_handler = expiry_handler
        self._join_publisher = join_publisher
        self._check_writable = check_writable
        self._transaction_bytes = transaction_bytes
        self._notices = notices
        self._reader = EventReader()
        self.offsets = ProjectedOffsets()
        self.locks: KeyedLocks[int] = KeyedLocks()
        """Locked by whoever writes or publishes views of a partition. Each lane of a batch locks only its own."""
        self.found_gap = asyncio.Event()

    @asynccontextmanager
    async def lock_all(self, more: frozenset[int] = frozenset()) -> AsyncIterator[frozenset[int]]:
        """Lock all partitions that this process has started to project, and `more`; the value is the former."""
        while True:
            owned = self.offsets.owned
            async with self.locks.of(owned | more):
                if owned == self.offsets.owned:  # otherwise an assignment came first
                    yield owned
                    return

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Fence off the previous owner. Events that it stored without publishing come again as repeats."""
        # Also the partitions of an earlier assignment: its last batch may still be in progress.
        async with self.lock_all(partitions):
            await self._ownership.claim(partitions)
            await self._check_writable()
            # Before anything is published: the offsets of an earlier assignment must not count as published.
            expired = self.offsets.begin(*await self._expiry_handler.offsets_at_start(partitions))
            if self._join_publisher is not None:
                await self._join_publisher.start_watching(partitions)
            await self._handle_missing(expired)

    async def released(self) -> None:
        """Stop repairing and watching partitions that this process no longer owns."""
        self._ownership.release()
        if self._join_publisher is not None:
            self._join_publisher.stop_watching()

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Bring these events into the views and the join; see `BatchHandler`."""
        # A version of the views that nobody reads yet is built from events whose traces ended long ago.
        spans = NO_SPANS if self._join_publisher is None else record_spans(records, sampled_context)
        with spans:
            await self._handle(records)

    async def _handle(self, records: Sequence[IncomingRecord]) -> None:
        async with self.locks.of({record.partition for record in records}):
            await self._handle_missing(await self._expiry_handler.confirm(self.offsets.gaps(records)))
            self.offsets.begin_records(records)
            await self._project_all(records)
            self.offsets.finish(records)

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Mark for repair the galleries whose events cannot be read; see `BatchHandler`."""
        async with self.locks.of({one.partition for one in unreadable}):
            await self._handle_missing(
                [MissingRecords(one.partition, one.first_offset, one.offset + 1, True) for one in unreadable]
            )

    async def remove(self, gallery_id: str) -> None:
        """Remove a gallery that the write model no longer has and whose deletion event was lost.

        Raises:
            OwnershipLost, TransientFailure: nothing was removed.
        """
        partition = await self._expiry_handler.partition_of(gallery_id)
        async with self.locks.of({partition}):
            loaded = await self._repository.load([gallery_id])
            view = loaded.get(gallery_id)
            if view is None or view.is_deleted:
                return
            if self._join_publisher is not None:
                await self._join_publisher.remove([gallery_key(gallery_id)])
            last = max(view.sequence, view.missing.received if view.missing else 0)
            batch = Batch({gallery_id: View(view.site_id, gallery_id, last)}, {gallery_id})
            batch.touched[gallery_id] = set()
            batch.swept[gallery_id] = last + 1
            await self._store(loaded, batch, {partition})
            if self._join_publisher is not None:
                await self._join_publisher.publish(batch)

    async def mark_behind(self) -> None:
        """Mark for repair every gallery whose view is behind the write model, whatever the reason.

        Raises:
            OwnershipLost, TransientFailure: the call can safely be repeated.
        """
        async with self.lock_all() as owned:
            await self._expiry_handler.mark_behind(owned)
        self.found_gap.set()

    async def republish_overwritten(self, reached: Callable[[], Mapping[int, int]]) -> int:
        """Republish the records that a former owner has overwritten with an older record; their number.

        A partition has to wait until all its stored records are published. Otherwise a gallery would be published
        before its items.

        Args:
            reached: returns the offset after the last finished record, by partition owned now.

        Raises:
            TransientFailure: Kafka or MongoDB is away; the call can safely be repeated.
        """
        if self._join_publisher is None:
            return 0
        async with self.lock_all():
            return await self._join_publisher.republish_overwritten(self.offsets.fully_published(reached()))

    async def _handle_missing(self, missing: Sequence[MissingRecords]) -> None:
        for records in missing:
            if await self._expiry_handler.handle(records):
                self.found_gap.set()
            if self._join_publisher is not None:
                self._join_publisher.head_cache.clear()

    async def _project_all(self, records: Sequence[IncomingRecord]) -> None:
        """Store chunk after chunk, and publish each gallery once: most records of a backlog's join are galleries."""
        try:
            weights = [len(record.value or b"") for record in records]
            await self._project_chunks(list(by_weight(records, weights, self._transaction_bytes)))
        except BaseException:
            if self._join_publisher is not None:
                self._join_publisher.head_cache.clear()
            raise

    async def _project_chunks(self, chunks: Sequence[Sequence[IncomingRecord]]) -> None:
        views: dict[str, View] = {}
        publishable: dict[str, None] = {}
        wanted: list[Wanted] = []
        for chunk in chunks:
            batch = await self._project(chunk, wanted)
            views |= batch.views
            publishable |= batch.publishable
            progress()
            if self._join_publisher is not None:
                is_last = chunk is chunks[-1]
                galleries = [views[gallery_id] for gallery_id in publishable] if is_last else []
                async with self._notices.of(wanted if is_last else (), views, batch.items) as notices:
                    await self._join_publisher.publish(batch, galleries, notices)

    async def _project(self, records: Sequence[IncomingRecord], wanted: list[Wanted]) -> Batch:
        """Fold these events, store the result, and dead-letter the events that do not fit.

        The notices that the events ask for are added to `wanted`.
        """
        inputs, sources, refused, asked, replays = self._reader.read_all(records)
        wanted += asked
        loaded = await self._load({entry.gallery_id for _, entry in inputs})
        batch = fold(loaded, inputs)
        await self._store(loaded, batch, {record.partition for record in records})

        types = [entry.event_type if isinstance(entry, Event) else SNAPSHOT for _, entry in inputs]
        for kind, count in Counted(zip(types, batch.outcomes, strict=True)).items():
            _COUNTS[kind].inc(count)
        for index in _contradictory(batch):
            entry = inputs[index][1]
            text = f"event {entry.sequence} does not fit gallery {entry.gallery_id}"
            refused.append((sources[index], FoldResult.CONTRADICTORY, text))
        if self._join_publisher is not None:  # otherwise the active version's projector counts and dead-letters them
            for index in replays:
                if (outcome := _REPLAY_OUTCOMES.get(batch.outcomes[index])) is not None:
                    REPLAYED.labels(sources[index].topic, outcome).inc()
            if refused:
                await self._publisher.publish(await self._dead_letters.letters(refused))
                self._dead_letters.report(refused)
        return batch

    async def _load(self, gallery_ids: set[str]) -> dict[str, View]:
        head_cache = self._join_publisher.head_cache if self._join_publisher is not None else None
        loaded = {id_: view for id_ in gallery_ids if head_cache and (view := head_cache.view(id_))}
        return loaded | await self._repository.load(gallery_ids - loaded.keys())

    async def _store(self, loaded: Mapping[str, View], batch: Batch, partitions: set[int]) -> None:
        """Store a batch. After a crash before its publication, the events come again and are published then."""
        try:
            await self._sweep(batch)
            await self._repository.save(loaded, batch, partitions)
        except BaseException:
            if self._join_publisher is not None:
                self._join_publisher.head_cache.clear()
            raise
        if _report_gaps(loaded, batch):
            self.found_gap.set()

    async def _sweep(self, batch: Batch) -> None:
        """Add to the batch the removal of items that a snapshot lacks or whose gallery is deleted."""
        for gallery_id, sequence in batch.swept.items():
            ids = await self._repository.items_before(gallery_id, sequence)
            leftover = [item_id for item_id in ids if item_id not in batch.items]
            if leftover and self._join_publisher is not None:
                # Before the items are removed: after a crash in between, nothing would show that they existed.
                await self._join_publisher.remove([item_key(gallery_id, item_id) for item_id in leftover])
            for item_id in leftover:
                remove_item(batch, batch.views[gallery_id], item_id)


def _contradictory(batch: Batch) -> list[int]:
    """The indexes of the inputs that contradict their views."""
    result = FoldResult.CONTRADICTORY
    return [index for index, outcome in enumerate(batch.outcomes) if outcome is result]


def _report_gaps(loaded: Mapping[str, View], batch: Batch) -> bool:
    """Log and count the galleries in which this batch found a gap; whether there is one."""
    found = [
        view
        for gallery_id in batch.changed
        if (view := batch.views[gallery_id]).missing and not (gallery_id in loaded and loaded[gallery_id].missing)
    ]
    if not found:
        return False
    GAPS.inc(len(found))
    event = "an event of a gallery is missing, and its view does not change until it is repaired"
    report(log, logging.ERROR, event, found, _gap)
    return True


def _gap(view: View) -> dict[str, object]:
    missing = view.missing
    sequences = {"expected_sequence": missing.expected, "sequence": missing.received} if missing else {}
    return {"site_id": view.site_id, "gallery_id": view.gallery_id, **sequences}

"""Handles batches of events: fold, one transaction, publish the join (design, section 5)."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from prometheus_client import Counter

from schemas.cloudevents import Undecodable
from schemas.envelope import event_headers
from schemas.events import Event, decode_event
from schemas.joined import HEAD_ITEMS_MAX, gallery_key
from schemas.topics import Topics
from services.kit.dead_letters import DeadLetters, IncomingRecord
from services.kit.ownership import Ownership
from services.kit.partitions import partition_of
from services.kit.publisher import Publisher, Record
from services.projector.joined import join
from services.projector.projection import Batch, Outcome, View, fold
from services.projector.repository import Repository

log = logging.getLogger(__name__)
T = TypeVar("T")

EVENTS = Counter("triptych_projected_events_total", "Events by what became of them", ["outcome"])
GAPS = Counter("triptych_projection_gaps_total", "Times that a gallery's events were found to have a hole")

# Small items make a batch of a few hundred kB; the largest ones must not make a transaction of a hundred MB.
TRANSACTION_BYTES = 8 * 1024 * 1024
# Items read for head records at once: bounds memory when items are of the largest size.
ITEMS_AT_ONCE = 1_000
CONTENT_TYPE = (("content-type", b"application/json"),)


class EventHandler:
    """A `BatchHandler` for the events topic."""

    def __init__(
        self,
        repository: Repository,
        ownership: Ownership,
        publisher: Publisher,
        dead_letters: DeadLetters,
        topics: Topics,
    ) -> None:
        self._repository = repository
        self._ownership = ownership
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._topic = topics.galleries

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Fence off the previous owner. What it wrote without publishing comes again as repeated events."""
        await self._ownership.claim(partitions)

    async def released(self) -> None:
        """Write nothing more for these partitions."""
        self._ownership.release()

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Bring the events of a batch into the views and the join; see `BatchHandler`."""
        for part in _slices(records):
            await self._project(part)

    async def _project(self, records: Sequence[IncomingRecord]) -> None:
        events: list[tuple[str, Event]] = []
        sources: list[IncomingRecord] = []
        refused: list[tuple[IncomingRecord, str, str]] = []
        for record in records:
            try:
                events.append((event_headers(record.headers).site_id, decode_event(record.value)))
                sources.append(record)
            except Undecodable as error:
                refused.append((record, error.reason, error.text))

        loaded = await self._repository.load({event.gallery_id for _, event in events})
        batch = fold(loaded, events)
        await self._repository.save(loaded, batch, {record.partition for record in records})
        _report(loaded, batch)
        await self._publish(batch)

        for record, (_, event), outcome in zip(sources, events, batch.outcomes, strict=True):
            EVENTS.labels(outcome).inc()
            if outcome is Outcome.UNFIT:
                refused.append((record, outcome, f"event {event.sequence} does not fit gallery {event.gallery_id}"))
        await self._publisher.publish([self._dead_letters.letter(*refusal) for refusal in refused])
        for refusal in refused:
            self._dead_letters.report(*refusal)

    async def _publish(self, batch: Batch) -> None:
        """Publish every gallery and item touched, coalesced to one record each."""
        partitions = await self._publisher.partitions(self._topic)
        repeated = [item_id for ids in batch.touched.values() for item_id in ids if item_id not in batch.items]
        items = {**await self._repository.load_items(repeated), **batch.items}
        for views in _portions([batch.views[gallery_id] for gallery_id in batch.touched]):
            first_items = await self._repository.first_items(views)
            records = []
            for view in views:
                touched = {item_id: items.get(item_id) for item_id in batch.touched[view.gallery_id]}
                partition = partition_of(gallery_key(view.gallery_id), partitions)
                records += [
                    Record(self._topic, key, value, CONTENT_TYPE, partition)
                    for key, value in join(view, first_items.get(view.gallery_id, ()), touched)
                ]
            await self._publisher.publish(records)


def _report(loaded: Mapping[str, View], batch: Batch) -> None:
    """Tell of every gallery in which this batch found a hole."""
    for gallery_id in batch.changed:
        missing = batch.views[gallery_id].missing
        if missing and not (gallery_id in loaded and loaded[gallery_id].missing):
            GAPS.inc()
            log.error(
                "gallery %s: event %d is missing, but %d has come; its view stands still until it is repaired",
                gallery_id,
                missing.expected,
                missing.received,
            )


def _slices(records: Sequence[IncomingRecord]) -> Iterable[Sequence[IncomingRecord]]:
    """Consecutive parts of a batch that fit into one transaction each."""
    return _split(records, lambda record: len(record.value or b""), TRANSACTION_BYTES)


def _portions(views: Sequence[View]) -> Iterable[Sequence[View]]:
    """Consecutive parts of the galleries whose first items fit into memory together."""
    return _split(views, lambda view: min(view.total_items, HEAD_ITEMS_MAX), ITEMS_AT_ONCE)


def _split(parts: Sequence[T], weight_of: Callable[[T], int], limit: int) -> Iterator[Sequence[T]]:
    start, weight = 0, 0
    for position, part in enumerate(parts):
        added = weight_of(part)
        if weight and weight + added > limit:
            yield parts[start:position]
            start, weight = position, 0
        weight += added
    if start < len(parts):
        yield parts[start:]

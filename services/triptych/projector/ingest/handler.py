"""Handles batches of events: fold, one transaction, publish the join (docs/architecture/projector.md)."""

import asyncio
import logging
from collections import Counter as Counted
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from prometheus_client import Counter

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import decode_event
from triptych.contract.joined import gallery_key, item_key
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher, IncomingRecord
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.run_all import run_all
from triptych.projector.ingest.expired_events import ExpiryHandler
from triptych.projector.ingest.offsets import MissingRecords, Progress
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.view.batch import Batch, Input, fold, remove_item
from triptych.projector.view.fold import FoldResult, View
from triptych.projector.view.repository import ViewRepository
from triptych.projector.view.snapshots import read_part

log = logging.getLogger(__name__)

EVENTS = Counter("triptych_projected_events_total", "Events by outcome", ["outcome"])
GAPS = Counter("triptych_projection_gaps_total", "Times that a gallery's events were found to have a hole")

# Small items make a batch of a few MB; the largest ones must not make a transaction of a hundred MB.
TRANSACTION_BYTES = 8 * 1024 * 1024
SITES_MAX = 10_000
# A backlog is projected in this many parts at a time: MongoDB writes one while another is prepared.
LANES_MAX = 2
LANES_FROM_RECORDS = 1_000
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()


class ProjectionHandler:
    """A `BatchHandler` for the events topic and one version of the views.

    `publication` is None as long as nobody reads this version.
    """

    def __init__(
        self,
        repository: ViewRepository,
        ownership: Ownership,
        publisher: Publisher,
        dead_letters: DeadLetterPublisher,
        losses: ExpiryHandler,
        publication: JoinPublisher | None,
        check_writable: Callable[[], Awaitable[None]],
        transaction_bytes: int = TRANSACTION_BYTES,
    ) -> None:
        self._repository = repository
        self._ownership = ownership
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._losses = losses
        self._publication = publication
        self._check_writable = check_writable
        self._transaction_bytes = transaction_bytes
        self._sites: dict[bytes, str] = {}
        self.progress = Progress()
        self.alone = asyncio.Lock()
        """Held by whoever writes views or publishes them."""
        self.found_gap = asyncio.Event()

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Fence off the previous owner. What it wrote without publishing comes again as repeated events."""
        async with self.alone:
            await self._ownership.claim(partitions)
            await self._check_writable()
            # First: nothing is settled by what an earlier assignment has left here.
            lost = self.progress.begin(*await self._losses.starts(partitions))
            if self._publication is not None:
                await self._publication.own(partitions)
            await self._handle_expired(lost)

    async def released(self) -> None:
        """Stop repairing and watching what belongs to others now."""
        self._ownership.release()
        if self._publication is not None:
            self._publication.disown()

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Bring the events of a batch into the views and the join; see `BatchHandler`."""
        async with self.alone:
            await self._handle_expired(await self._losses.confirm(self.progress.holes(records)))
            self.progress.begin_records(records)
            await self._project_shares(_lanes(records))
            self.progress.finish(records)

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Have the galleries repaired whose events cannot be read; see `BatchHandler`."""
        async with self.alone:
            await self._handle_expired(
                [MissingRecords(one.partition, one.first_offset, one.offset + 1, True) for one in unreadable]
            )

    async def remove(self, gallery_id: str) -> None:
        """Remove a gallery that is not in the write model any more, and whose deletion was missed.

        Raises:
            OwnershipLost, TransientFailure: nothing was removed.
        """
        async with self.alone:
            loaded = await self._repository.load([gallery_id])
            view = loaded.get(gallery_id)
            if view is None or view.is_deleted:
                return
            if self._publication is not None:
                await self._publication.remove([gallery_key(gallery_id)])
            last = max(view.sequence, view.missing.received if view.missing else 0)
            batch = Batch({gallery_id: View(view.site_id, gallery_id, last)}, {gallery_id})
            batch.touched[gallery_id] = set()
            batch.swept[gallery_id] = last + 1
            await self._store(loaded, batch, {await self._losses.partition_of(gallery_id)})
            if self._publication is not None:
                await self._publication.publish(batch)

    async def compare(self) -> int:
        """Mark for repair what the topic has not told, however far back it goes; the number of galleries.

        Raises:
            OwnershipLost, TransientFailure: doing it again does no harm.
        """
        async with self.alone:
            marked = await self._losses.mark_behind(self.progress.owned)
        self.found_gap.set()
        return marked

    async def mend(self, reached: Callable[[], Mapping[int, int]]) -> int:
        """Publish again what a former owner has overwritten with something outdated; the number of records.

        A partition has to wait until all that is stored of it was published: a gallery would else be published before
        items that belong to it. `reached` gives the offset behind what is finished, by partition owned now.

        Raises:
            TransientFailure: Kafka or MongoDB is away; looking again does no harm.
        """
        if self._publication is None:
            return 0
        async with self.alone:
            return await self._publication.mend(self.progress.fully_published(reached()))

    async def _handle_expired(self, losses: Sequence[MissingRecords]) -> None:
        for loss in losses:
            if await self._losses.meet(loss):
                self.found_gap.set()
            if self._publication is not None:
                self._publication.windows.clear()

    async def _project_shares(self, shares: Sequence[Sequence[IncomingRecord]]) -> None:
        """Project all shares at the same time: while MongoDB writes one, another is prepared."""
        try:
            await run_all([self._project_share(share) for share in shares])
        except BaseException:
            if self._publication is not None:
                self._publication.windows.clear()
            raise

    async def _project_share(self, records: Sequence[IncomingRecord]) -> None:
        """Store part after part, and publish each gallery once: under a backlog, most of the join is galleries."""
        views: dict[str, View] = {}
        reached: dict[str, None] = {}
        parts = list(_chunks(records, self._transaction_bytes))
        for part in parts:
            batch = await self._project(part)
            views |= batch.views
            reached |= batch.reached
            if self._publication is not None:
                is_last = part is parts[-1]
                await self._publication.publish(batch, [views[gallery_id] for gallery_id in reached if is_last])

    async def _project(self, records: Sequence[IncomingRecord]) -> Batch:
        """Store what these events come to."""
        inputs: list[tuple[str, Input]] = []
        sources: list[IncomingRecord] = []
        refused: list[tuple[IncomingRecord, str, str]] = []
        for record in records:
            try:
                inputs.append(self._read(record))
                sources.append(record)
            except Undecodable as error:
                refused.append((record, error.reason, error.text))

        loaded = await self._load({thing.gallery_id for _, thing in inputs})
        batch = fold(loaded, inputs)
        await self._store(loaded, batch, {record.partition for record in records})

        for outcome, count in Counted(batch.outcomes).items():
            EVENTS.labels(outcome).inc(count)
        for record, (_, thing), outcome in zip(sources, inputs, batch.outcomes, strict=True):
            if outcome is FoldResult.CONTRADICTORY:
                refused.append((record, outcome, f"event {thing.sequence} does not fit gallery {thing.gallery_id}"))
        if self._publication is not None:  # otherwise the active version's projector puts them aside
            await self._publisher.publish(await self._dead_letters.letters(refused))
            for refusal in refused:
                self._dead_letters.report(*refusal)
        return batch

    def _read(self, record: IncomingRecord) -> tuple[str, Input]:
        """A record's site and what it says. There are far fewer sites than events, so their names are read once.

        Raises Undecodable.
        """
        site, is_part = b"", False
        for name, value in record.headers:
            if name == "ce_siteid":
                site = value
            elif name == "ce_type":
                is_part = bool(value) and value.startswith(_SNAPSHOT_TYPE)  # Kafka knows null headers
        site_id = self._sites.get(site)
        if site_id is None:
            site_id = event_headers(record.headers).site_id
            if site and len(self._sites) < SITES_MAX:
                self._sites[site] = site_id
        return site_id, read_part(record.value) if is_part else decode_event(record.value)

    async def _load(self, gallery_ids: set[str]) -> dict[str, View]:
        windows = self._publication.windows if self._publication is not None else None
        loaded = {id_: view for id_ in gallery_ids if windows and (view := windows.view(id_))}
        return loaded | await self._repository.load(gallery_ids - loaded.keys())

    async def _store(self, loaded: Mapping[str, View], batch: Batch, partitions: set[int]) -> None:
        """Write. A crash before this is published leads to the same again: what is published may come twice."""
        try:
            await self._sweep(batch)
            await self._repository.save(loaded, batch, partitions)
        except BaseException:
            if self._publication is not None:
                self._publication.windows.clear()
            raise
        if _report_gaps(loaded, batch):
            self.found_gap.set()

    async def _sweep(self, batch: Batch) -> None:
        """Let the batch remove the items that a snapshot did not bring, or that outlived their gallery."""
        for gallery_id, sequence in batch.swept.items():
            ids = await self._repository.items_before(gallery_id, sequence)
            left = [item_id for item_id in ids if item_id not in batch.items]
            if left and self._publication is not None:
                # Before they are removed: if a crash came after that, nothing would tell that they were there.
                await self._publication.remove([item_key(gallery_id, item_id) for item_id in left])
            for item_id in left:
                remove_item(batch, batch.views[gallery_id], item_id)


def _report_gaps(loaded: Mapping[str, View], batch: Batch) -> bool:
    """Tell of every gallery in which this batch found a hole; whether there is one."""
    found = False
    for gallery_id in batch.changed:
        missing = batch.views[gallery_id].missing
        if missing and not (gallery_id in loaded and loaded[gallery_id].missing):
            found = True
            GAPS.inc()
            log.error(
                "gallery %s: event %d is missing, %d has come; its view stands still until it is repaired",
                gallery_id,
                missing.expected,
                missing.received,
            )
    return found


def _lanes(records: Sequence[IncomingRecord]) -> list[Sequence[IncomingRecord]]:
    """The records in about equal parts that have no partition, so no gallery, in common; few records are one part."""
    if len(records) < LANES_FROM_RECORDS:
        return [records]
    shares: list[list[IncomingRecord]] = [[] for _ in range(LANES_MAX)]
    of_partition: dict[int, list[IncomingRecord]] = {}
    for record in records:
        of_partition.setdefault(record.partition, []).append(record)
    for part in sorted(of_partition.values(), key=len, reverse=True):
        min(shares, key=len).extend(part)
    return [share for share in shares if share]


def _chunks(records: Sequence[IncomingRecord], transaction_bytes: int) -> Iterator[Sequence[IncomingRecord]]:
    """Consecutive parts of a batch that fit into one transaction each."""
    start, weight = 0, 0
    for position, record in enumerate(records):
        added = len(record.value or b"")
        if weight and weight + added > transaction_bytes:
            yield records[start:position]
            start, weight = position, 0
        weight += added
    if start < len(records):
        yield records[start:]

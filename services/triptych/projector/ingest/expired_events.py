"""Detects events that expired before they were projected, reports them, and marks their galleries for repair.

The policy "repair" compares the views with the ids and sequences of the write model and marks the galleries that are
behind; `triptych.projector.ingest.repairs` then requests their snapshots. Under the policy "rebuild", the projector
projects nothing until `triptych rebuild` has built a new version of the views.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from typing import Any

from prometheus_client import Counter

from triptych.kit.chunks import until_full
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.consuming.gaps import OffsetRange, expired
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database, Document
from triptych.kit.own_command import as_typed
from triptych.projector.ingest.offsets import MissingRecords
from triptych.projector.settings import LossPolicy
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import View, mark_missing
from triptych.projector.view.repository import ViewRepository
from triptych.writemodel.galleries import Status, is_gone
from triptych.writemodel.queries import WriteModel

log = get_logger(__name__)

EXPIRED = Counter("triptych_projection_expired_events_total", "Events that expired before they were projected")

GALLERIES_AT_ONCE = 1_000


class EventsExpired(TransientFailure):
    """Events expired unread, and the policy is to wait for a rebuild."""


class ExpiryHandler:
    """Handles the expired and unreadable events of one version of the views."""

    def __init__(
        self,
        database: Database,
        repository: ViewRepository,
        publisher: Publisher,
        group_offsets: GroupOffsets,
        policy: LossPolicy,
    ) -> None:
        self._write_model = WriteModel(database)
        self._repository = repository
        self._publisher = publisher
        self._group_offsets = group_offsets
        self._policy = policy
        self._reported: set[MissingRecords] = set()

    async def offsets_at_start(
        self, partitions: Iterable[int]
    ) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """The offsets by partition: committed by the group (0 if none), at the topic's beginning, and at its end.

        Raises:
            TransientFailure: Kafka is away.
        """
        partitions = list(partitions)
        stored, beginnings, ends = await asyncio.gather(
            self._group_offsets.committed(),
            self._group_offsets.beginnings(partitions),
            self._group_offsets.ends(partitions),
        )
        return {number: stored.get(number, 0) for number in partitions}, beginnings, ends

    async def confirm(self, gaps: Sequence[OffsetRange]) -> list[MissingRecords]:
        """The expired records in these gaps. Raises TransientFailure if Kafka is away."""
        if not gaps:
            return []
        beginnings = await self._group_offsets.beginnings({gap.partition for gap in gaps})
        return [MissingRecords(*gone) for gone in expired(gaps, beginnings)]

    async def partition_of(self, gallery_id: str) -> int:
        """The partition of a gallery's events. Raises TransientFailure if Kafka is away."""
        return partition_of(gallery_id.encode(), await self._publisher.partitions(self._group_offsets.name))

    async def handle(self, missing: MissingRecords) -> int:
        """Report the missing records once, and mark the galleries that may lack events.

        Returns:
            The number of galleries marked.

        Raises:
            EventsExpired: the policy is to wait for a rebuild.
            OwnershipLost, TransientFailure: see `ViewRepository.save`; the call can safely be repeated.
        """
        if missing not in self._reported:
            self._reported.add(missing)
            if not missing.is_unreadable:
                EXPIRED.inc(missing.end - missing.first)
            log.error(
                "events are missing",
                partition=missing.partition,
                offset=missing.first,
                last_offset=missing.end - 1,
                problem=str(missing),
            )
        if self._policy is LossPolicy.REBUILD:
            raise EventsExpired(f"{missing}; run: {as_typed('rebuild')}")
        marked = await self.mark_behind({missing.partition})
        log.warning("galleries were marked for repair", partition=missing.partition, count=marked)
        return marked

    async def mark_behind(self, partitions: Set[int]) -> int:
        """Mark the galleries of these partitions whose views are behind the write model.

        Returns:
            The number of galleries marked.

        Raises:
            OwnershipLost, TransientFailure: see `ViewRepository.save`; the call can safely be repeated.
        """
        marked = 0
        async for heads in until_full(self._written_heads(partitions), count=GALLERIES_AT_ONCE):
            written = {head["_id"]: head for head in heads}
            views = await self._repository.load(written)
            marked += await self._save(partitions, views, _behind(written, views))
        async for views in self._repository.all_views(GALLERIES_AT_ONCE):
            ours = [view for view in views.values() if await self.partition_of(view.gallery_id) in partitions]
            known = await self._write_model.known([view.gallery_id for view in ours])
            gone = [mark_missing(v, v.sequence + 1) for v in ours if v.gallery_id not in known and not v.is_deleted]
            marked += await self._save(partitions, views, gone)
        return marked

    async def _save(self, partitions: Set[int], views: Mapping[str, View], changed: list[View]) -> int:
        batch = Batch({**views, **{view.gallery_id: view for view in changed}})
        batch.changed = {view.gallery_id for view in changed}
        await self._repository.save(views, batch, partitions)
        return len(changed)

    async def _written_heads(self, partitions: Set[int]) -> AsyncIterator[Document]:
        """The heads of the write model's galleries of these partitions."""
        async for head in self._write_model.heads():
            if await self.partition_of(head["_id"]) in partitions:
                yield head


def _behind(written: Mapping[str, Mapping[str, Any]], views: Mapping[str, View]) -> list[View]:
    """The changed views of the galleries that have a higher sequence in the write model.

    A gallery that the views lack and the write model has deleted becomes a deleted view. All others are marked.
    """
    behind = []
    for gallery_id, document in written.items():
        if gallery_id not in views and document["status"] == Status.DELETED:
            if is_gone(document):  # otherwise the deletion is still running, and its last event is yet to come
                behind.append(View(document["siteId"], gallery_id, document["sequence"]))
            continue
        view = views.get(gallery_id) or View(document["siteId"], gallery_id)
        if not view.is_deleted and view.sequence < document["sequence"]:
            behind.append(mark_missing(view, document["sequence"]))
    return behind

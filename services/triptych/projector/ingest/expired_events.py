"""Meets the loss of events that expired before they were projected: by name, and never by going on as if nothing were.

Under the policy "repair", the galleries that lost events are found by comparing with the write model, of which only
ids and sequences are read, and marked; `triptych.projector.ingest.repairs` then asks for what they lack.
Under "rebuild",
nothing is projected until `triptych rebuild` has made a new version of the views.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from typing import Any

from prometheus_client import Counter

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.group_offsets import GroupOffsets
from triptych.kit.mongo.driver import Database, Document
from triptych.kit.own_command import as_typed
from triptych.projector.ingest.offsets import MissingRecords, expired
from triptych.projector.settings import LossPolicy
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import View, mark_missing
from triptych.projector.view.repository import ViewRepository
from triptych.writemodel.galleries import Status, is_gone
from triptych.writemodel.queries import WriteModel

log = logging.getLogger(__name__)

EXPIRED = Counter("triptych_projection_expired_events_total", "Events that expired before they were projected")

GALLERIES_AT_ONCE = 1_000


class EventsExpired(TransientFailure):
    """Events expired unread, and the policy is to wait for a rebuild."""


class ExpiryHandler:
    """Of one version of the views."""

    def __init__(
        self,
        database: Database,
        repository: ViewRepository,
        publisher: Publisher,
        topic: GroupOffsets,
        policy: LossPolicy,
    ) -> None:
        self._written = WriteModel(database)
        self._repository = repository
        self._publisher = publisher
        self._topic = topic
        self._policy = policy
        self._told: set[MissingRecords] = set()

    async def starts(self, partitions: Iterable[int]) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """Where the group stands in these partitions, 0 if it is new, and where the topic begins and ends.

        Raises:
            TransientFailure: Kafka is away.
        """
        partitions = list(partitions)
        committed = await self._topic.committed()
        stands = {number: committed.get(number, 0) for number in partitions}
        return stands, await self._topic.beginnings(partitions), await self._topic.ends(partitions)

    async def confirm(self, holes: Sequence[MissingRecords]) -> list[MissingRecords]:
        """Which of these holes are there because records have expired. Raises TransientFailure if Kafka is away."""
        return expired(holes, await self._topic.beginnings({hole.partition for hole in holes})) if holes else []

    async def partition_of(self, gallery_id: str) -> int:
        """The partition of a gallery's events. Raises TransientFailure if Kafka is away."""
        return partition_of(gallery_id.encode(), await self._publisher.partitions(self._topic.name))

    async def meet(self, loss: MissingRecords) -> int:
        """Mark the galleries that may have lost events; how many.

        Raises:
            EventsExpired: the policy is to wait for a rebuild.
            OwnershipLost, TransientFailure: see `Repository.save`; meeting it again does no harm.
        """
        if loss not in self._told:
            self._told.add(loss)
            if not loss.is_unreadable:
                EXPIRED.inc(loss.end - loss.first)
            log.error("%s", loss)
        if self._policy is LossPolicy.REBUILD:
            raise EventsExpired(f"{loss}; run: {as_typed('rebuild')}")
        marked = await self.mark_behind({loss.partition})
        log.warning("galleries marked for repair: %d", marked)
        return marked

    async def mark_behind(self, partitions: Set[int]) -> int:
        """Mark the galleries of these partitions whose views are not as far as the write model is; how many.

        Raises:
            OwnershipLost, TransientFailure: see `Repository.save`; doing it again does no harm.
        """
        marked = 0
        async for written in self._galleries(partitions):
            views = await self._repository.load(written)
            marked += await self._mark(partitions, views, _behind(written, views))
        async for views in self._repository.all_views(GALLERIES_AT_ONCE):
            ours = [view for view in views.values() if await self.partition_of(view.gallery_id) in partitions]
            known = await self._written.known([view.gallery_id for view in ours])
            gone = [mark_missing(v, v.sequence + 1) for v in ours if v.gallery_id not in known and not v.is_deleted]
            marked += await self._mark(partitions, views, gone)
        return marked

    async def _mark(self, partitions: Set[int], views: Mapping[str, View], changed: list[View]) -> int:
        batch = Batch({**views, **{view.gallery_id: view for view in changed}})
        batch.changed = {view.gallery_id for view in changed}
        await self._repository.save(views, batch, partitions)
        return len(changed)

    async def _galleries(self, partitions: Set[int]) -> AsyncIterator[dict[str, Document]]:
        """The write model's galleries of these partitions, in parts."""
        part: dict[str, Document] = {}
        async for found in self._written.heads():
            if await self.partition_of(found["_id"]) in partitions:
                part[found["_id"]] = found
                if len(part) == GALLERIES_AT_ONCE:
                    yield part
                    part = {}
        if part:
            yield part


def _behind(written: Mapping[str, Mapping[str, Any]], views: Mapping[str, View]) -> list[View]:
    """The views, also new ones, of the galleries that the write model has at a higher sequence, marked or deleted."""
    behind = []
    for gallery_id, document in written.items():
        if gallery_id not in views and document["status"] == Status.DELETED:
            if is_gone(document):  # otherwise it is still being deleted, and its last event is to come
                behind.append(View(document["siteId"], gallery_id, document["sequence"]))
            continue
        view = views.get(gallery_id) or View(document["siteId"], gallery_id)
        if not view.is_deleted and view.sequence < document["sequence"]:
            behind.append(mark_missing(view, document["sequence"]))
    return behind

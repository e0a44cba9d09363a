"""A world in memory: stores and topics with the operations that the projector needs.

The same plans run on real servers (`test_convergence_on_servers`), which shows that this world behaves as they do.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, cast

from tests.support.projection.world import PARTITION, TRANSACTION_BYTES, Crash, Log, Saboteur, Stored
from triptych.kit.kafka.consuming.gaps import OffsetRange
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.mongo.fencing import Ownership
from triptych.projector.ingest.expired_events import ExpiryHandler
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.ingest.offsets import MissingRecords
from triptych.projector.join.audit import AuditedJoinPublisher, Latest, sequence_of
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import ItemView, View
from triptych.projector.view.repository import ItemKey, ViewRepository


class MemoryWorld:
    """See `World`."""

    def __init__(self) -> None:
        self.views: dict[str, View] = {}
        self.items: dict[str, ItemView] = {}
        self.joined: list[tuple[bytes, bytes | None]] = []
        self.checked: dict[int, int] = {}

    async def start(self, saboteur: Saboteur, committed: int, end: int) -> ProjectionHandler:
        repository = cast("ViewRepository", _Repository(self, saboteur))
        publisher = cast("Publisher", _Publisher(self, saboteur))
        handler = ProjectionHandler(
            repository,
            cast("Ownership", _Ownership()),
            publisher,
            DeadLetterPublisher(publisher, lambda topic: f"{topic}.dead-letter"),
            cast("ExpiryHandler", _Expiry(committed, end)),
            JoinPublisher(repository, publisher, _Audit(self, publisher), "galleries"),
            _nothing,
            TRANSACTION_BYTES,
        )
        await handler.assigned(frozenset([PARTITION]))
        return handler

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        self.joined += [(record.key or b"", record.value) for record in records if record.topic == "galleries"]

    async def stored(self) -> Stored:
        return self.views, self.items

    async def log(self) -> Log:
        return self.joined


class _Repository:
    def __init__(self, world: MemoryWorld, saboteur: Saboteur) -> None:
        self._world = world
        self._saboteur = saboteur

    async def load(self, gallery_ids: Iterable[str]) -> dict[str, View]:
        return {id_: self._world.views[id_] for id_ in gallery_ids if id_ in self._world.views}

    async def load_items(self, items: Iterable[ItemKey]) -> dict[str, ItemView]:
        return {id_: self._world.items[id_] for _, id_ in items if id_ in self._world.items}

    async def load_item_sequences(self, items: Iterable[ItemKey]) -> dict[str, int]:
        return {id_: item.sequence for id_, item in (await self.load_items(items)).items()}

    async def first_items(self, views: Iterable[View], limit: int) -> dict[str, list[dict[str, Any]]]:
        return {
            view.gallery_id: sorted(
                (item.item for item in self._world.items.values() if item.item and item.gallery_id == view.gallery_id),
                key=lambda item: -float(item["sortOrder"]),
            )[:limit]
            for view in views
        }

    async def items_before(self, gallery_id: str, sequence: int) -> list[str]:
        items = self._world.items.values()
        return [item.item_id for item in items if item.gallery_id == gallery_id and item.sequence < sequence]

    async def save(self, loaded: Mapping[str, View], batch: Batch, partitions: Iterable[int]) -> None:
        self._saboteur.before_saving()
        for gallery_id in batch.changed:
            assert self._world.views.get(gallery_id) == loaded.get(gallery_id)
            self._world.views[gallery_id] = batch.views[gallery_id]
        for item_id, item in batch.items.items():
            if item.item is None:
                self._world.items.pop(item_id, None)
            else:
                self._world.items[item_id] = item
        self._saboteur.has_saved = True


class _Publisher:
    def __init__(self, world: MemoryWorld, saboteur: Saboteur) -> None:
        self._world = world
        self._saboteur = saboteur

    async def partitions(self, topic: str) -> int:
        return 1

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        joined = [record for record in records if record.topic == "galleries"]
        published, ends = self._saboteur.of_joined(joined)
        await self._world.publish(published)
        if ends:
            raise Crash


class _Offsets(TopicOffsets):
    def __init__(self, world: MemoryWorld) -> None:
        self._world = world

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        return {partition: len(self._world.joined) for partition in partitions}


class _Audit(AuditedJoinPublisher):
    def __init__(self, world: MemoryWorld, publisher: Publisher) -> None:
        self._world = world
        self._publisher = publisher
        self._topic = "galleries"
        self._offsets = _Offsets(world)
        self._checked, self._expected, self._claimed, self._audited_until = {}, {}, {}, {}

    async def _read(self, ranges: Mapping[int, tuple[int, int]]) -> AsyncIterator[Latest]:
        for start, end in ranges.values():
            yield {key: sequence_of(value) for key, value in self._world.joined[start:end]}

    async def _load(self, partitions: Iterable[int]) -> dict[int, int]:
        return {
            partition: self._world.checked[partition] for partition in partitions if partition in self._world.checked
        }

    async def _store(self, offsets: Mapping[int, int]) -> None:
        self._world.checked.update(offsets)


class _Ownership:
    async def claim(self, partitions: Iterable[int]) -> None:
        """Only one process runs at a time here."""


class _Expiry:
    def __init__(self, committed: int, end: int) -> None:
        self._offsets = committed, 0, end

    async def offsets_at_start(self, partitions: Iterable[int]) -> tuple[dict[int, int], ...]:
        partitions = list(partitions)
        return tuple(dict.fromkeys(partitions, offset) for offset in self._offsets)

    async def confirm(self, gaps: Sequence[OffsetRange]) -> list[MissingRecords]:
        return [MissingRecords(*gap) for gap in gaps]

    async def partition_of(self, gallery_id: str) -> int:
        return PARTITION


async def _nothing() -> None:
    """Any version may be written."""

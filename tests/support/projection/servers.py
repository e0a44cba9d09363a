"""A world on real servers: the views are in MongoDB, and the joined topic is in Kafka."""

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient

from tests.support.kafka import topic_reader
from tests.support.projection.world import (
    PARTITION,
    TRANSACTION_BYTES,
    Crash,
    Log,
    SabotagedRepository,
    Saboteur,
    Stored,
)
from triptych.contract.topics import Topics
from triptych.devstack.stack import Addresses
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.mongo.driver import Database, open_database
from triptych.kit.mongo.fencing import Ownership, all_documents
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import ensure_indexes, ensure_topics
from triptych.projector.app import indexes
from triptych.projector.ingest.expired_events import ExpiryHandler
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.join.audit import AuditedJoinPublisher
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.settings import LossPolicy
from triptych.projector.view.mapping import item_view_of, view_of


class ServerWorld:
    """See `World`."""

    def __init__(self, settings: KitSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._topics = Topics(settings.topic_prefix)
        self._publishers: list[Publisher] = []
        self._audits: list[AuditedJoinPublisher] = []

    async def start(self, saboteur: Saboteur, committed: int, end: int) -> ProjectionHandler:
        ownership = Ownership(self._database, "convergence", "gallery_views")
        repository = SabotagedRepository(self._database, ownership)
        repository.saboteur = saboteur
        publisher = _SabotagedPublisher(lambda: make_producer(self._settings))
        publisher.saboteur = saboteur
        audit = AuditedJoinPublisher(self._settings, self._topics.galleries, publisher, self._database)
        self._publishers.append(publisher)
        self._audits.append(audit)
        group_offsets = GroupOffsets(self._settings, self._topics.events, "convergence")
        expiry_handler = _Expiry(self._database, repository, publisher, group_offsets, LossPolicy.REPAIR)
        expiry_handler.offsets = committed, 0, end
        handler = ProjectionHandler(
            repository,
            ownership,
            publisher,
            DeadLetterPublisher(publisher, self._topics.dead_letter),
            expiry_handler,
            JoinPublisher(repository, publisher, audit, self._topics.galleries),
            _nothing,
            TRANSACTION_BYTES,
        )
        await handler.assigned(frozenset([PARTITION]))
        return handler

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        publisher = Publisher(lambda: make_producer(self._settings))
        await publisher.publish(records)
        await publisher.stop()

    async def stored(self) -> Stored:
        views = [view_of(found) async for found in all_documents(self._database["gallery_views"])]
        items = [item_view_of(found) async for found in self._database["item_views"].find({})]
        return {view.gallery_id: view for view in views}, {item.item_id: item for item in items}

    async def log(self) -> Log:
        publisher = self._publishers[-1]
        marker = b"00000000-0000-4000-8000-ffffffffffff"
        await publisher.publish([OutgoingRecord(self._topics.galleries, marker, None)])
        async with topic_reader(self._settings.kafka_bootstrap, self._topics.galleries) as reader:
            records = await reader.read_until(
                lambda records: any(record.key == marker for record in records), "the end"
            )
        return [(record.key, record.value) for record in records if record.key != marker]

    async def stop(self) -> None:
        """Close all processes."""
        for audit in self._audits:
            await audit.stop()
        for publisher in self._publishers:
            await publisher.stop()


@asynccontextmanager
async def server_world(stack: Addresses) -> AsyncIterator[ServerWorld]:
    """A world of its own: a database, and topics of one partition."""
    name = f"t{uuid.uuid4().hex[:10]}"
    settings = KitSettings(
        kafka_bootstrap=stack.kafka_bootstrap, mongo_uri=stack.mongo_uri, mongo_database=name, topic_prefix=f"{name}."
    )
    specs = Topics(settings.topic_prefix).catalogue(1, 1)
    async with open_database(stack.mongo_uri, name) as database:
        await ensure_topics(settings, specs)
        await ensure_indexes(database, indexes())
        world = ServerWorld(settings, database)
        try:
            yield world
        finally:
            await world.stop()
            await database.client.drop_database(name)
            admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
            await admin.start()
            await admin.delete_topics([spec.name for spec in specs])
            await admin.close()


class _SabotagedPublisher(Publisher):
    saboteur: Saboteur

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        joined = [record for record in records if record.topic.endswith(".galleries")]
        published, ends = self.saboteur.of_joined(joined)
        await super().publish([*published, *(record for record in records if record not in joined)])
        if ends:
            raise Crash


class _Expiry(ExpiryHandler):
    offsets: tuple[int, int, int]

    async def offsets_at_start(
        self, partitions: Iterable[int]
    ) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        committed, beginning, end = (dict.fromkeys(partitions, offset) for offset in self.offsets)
        return committed, beginning, end


async def _nothing() -> None:
    """Any version may be written."""

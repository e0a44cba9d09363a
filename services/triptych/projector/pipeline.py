"""Runs the projection of the events topic into one version of the views: the consumer and what watches over it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from triptych.contract.topics import Topics
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_broker, make_producer
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag import LagWatch, watching_lag
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.group_offsets import GroupOffsets
from triptych.kit.mongo.driver import Database, PyMongoError
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.ingest.expired_events import ExpiryHandler
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.ingest.repairs import Repairs
from triptych.projector.ingest.republication import Republisher
from triptych.projector.join.audit import AuditedJoinPublisher
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.settings import LossPolicy, ProjectorSettings
from triptych.projector.view.repository import ViewRepository
from triptych.readmodel.queries import first_indexes, indexes
from triptych.readmodel.versions import Versions, names_of

log = logging.getLogger(__name__)

# How often the joined topic is looked at for what a former owner has published; it bounds how long that stays.
MEND_SECONDS = 2.0
LAG_SECONDS = 2.0
# Enough for large batches: the more events of a gallery come together, the less there is to write and to publish.
PARTITION_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Projection:
    """A running projection."""

    version: int
    consumer: BatchConsumer
    handler: ProjectionHandler
    repository: ViewRepository
    ownership: Ownership
    publisher: Publisher
    topic: GroupOffsets
    lag_watch: LagWatch

    async def lag(self) -> int:
        """Events of the partitions owned now that are not in the views yet."""
        lag = self.behind(await self.topic.ends(self.consumer.reached()))
        self.handler.progress.report(lag)
        return lag

    def behind(self, ends: Mapping[int, int]) -> int:
        """Events of these partitions up to these ends that are not in the views yet."""
        reached = self.consumer.reached()
        return sum(max(0, end - reached.get(partition, 0)) for partition, end in ends.items())


def group_of(settings: ProjectorSettings, version: int) -> str:
    """The consumer group of a version: each has read the topic on its own."""
    return f"{settings.topic_prefix}projector.v{version}"


@asynccontextmanager
async def running_projection(
    settings: ProjectorSettings, database: Database, version: int, *, is_active: bool
) -> AsyncIterator[Projection]:
    """Project into `version` until the block ends.

    Args:
        settings: of the service.
        database: where the views are.
        version: of the views.
        is_active: whether readers see this version; only then the join is published, and refused records are put
            aside.

    Raises:
        StartRefused, TransientFailure: Kafka or MongoDB cannot be used as they are.
    """
    topics = Topics(settings.topic_prefix)
    versions = Versions(database)
    if is_active:
        await versions.drop_before(version)
    await ensure_indexes(database, indexes(version) if is_active else first_indexes(version))
    group = group_of(settings, version)
    ownership = Ownership(database, group, names_of(version).galleries)
    repository = ViewRepository(database, ownership, version)
    publisher = Publisher(lambda: make_producer(settings), partitions=topics.counts(settings.topic_partitions))
    dead_letters = DeadLetterPublisher(publisher, topics.dead_letter)
    topic = GroupOffsets(settings, topics.events, group)
    guard = AuditedJoinPublisher(settings, topics.galleries, publisher, database)
    # A new version begins anew: what the topic does not hold any more is no loss, but has to be asked for.
    policy = settings.projector_lost_events if is_active else LossPolicy.REPAIR
    publication = JoinPublisher(repository, publisher, guard, topics.galleries) if is_active else None
    handler = ProjectionHandler(
        repository,
        ownership,
        publisher,
        dead_letters,
        ExpiryHandler(database, repository, publisher, topic, policy),
        publication,
        lambda: versions.check_writable(version),
    )
    broker = make_broker(settings)
    consumer = BatchConsumer(
        broker,
        topics.events,
        group,
        handler,
        dead_letters,
        max_records=settings.projector_batch_size,
        partition_bytes=PARTITION_BYTES,
    )
    repairs = Repairs(settings, repository, ownership, publisher, handler)
    tasks: list[asyncio.Task[None]] = []
    try:
        await publisher.start()
        await broker.start()
        async with watching_lag(settings, consumer) as lag_watch:
            projection = Projection(version, consumer, handler, repository, ownership, publisher, topic, lag_watch)
            tasks += [asyncio.create_task(work) for work in (repairs.run(), _measure(projection), _mend(projection))]
            if publication is not None:
                republication = Republisher(database, repository, ownership, publication, handler, consumer.reached)
                tasks.append(asyncio.create_task(republication.run()))
            yield projection
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await consumer.end()
        await broker.stop()
        await publisher.stop()
        await guard.stop()
        await topic.stop()


async def _measure(projection: Projection) -> None:
    while True:
        with contextlib.suppress(TransientFailure):
            await projection.lag()
        await asyncio.sleep(LAG_SECONDS)


async def _mend(projection: Projection) -> None:
    while True:
        try:
            if count := await projection.handler.mend(projection.consumer.reached):
                log.warning("a former owner has published outdated records; published anew: %d", count)
        except (TransientFailure, PyMongoError) as error:
            log.info("cannot look at the joined topic: %s", error)
        await asyncio.sleep(MEND_SECONDS)

"""Runs the projection of the events topic into one version of the views: the consumer and its background tasks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from triptych.contract.topics import EVENTS, Topics
from triptych.kit.failures import Fault, TransientFailure, fault_of
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.broker import make_broker
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag import LagWatch, watching_lag
from triptych.kit.kafka.consuming.lanes import Lanes
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.kafka.reading.subscription import GroupTimes
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database, PyMongoError
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.process.stopping import BATCH, PRODUCERS, stop_deadline
from triptych.kit.process.supervision import SUPERVISOR, Work, progress
from triptych.kit.startup.claim_watch import watching_claims
from triptych.kit.startup.layout_following import LayoutOfConsumer, following_layout
from triptych.kit.startup.layout_watch import LayoutWatch
from triptych.kit.startup.provision import ensure_indexes
from triptych.kit.upgrading.presence import Presence
from triptych.projector.ingest.expired_events import ExpiryHandler
from triptych.projector.ingest.handler import REASONS, ProjectionHandler
from triptych.projector.ingest.repairs import INCOMPLETE, Repairs
from triptych.projector.ingest.republication import Republisher
from triptych.projector.join.audit import AuditedJoinPublisher
from triptych.projector.join.notices import Notices
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.settings import LossPolicy, ProjectorSettings
from triptych.projector.view.repository import ViewRepository
from triptych.readmodel.queries import first_indexes, indexes
from triptych.readmodel.versions import Versions, names_of

log = get_logger(__name__)

# The interval between audits of the joined topic. It bounds how long a former owner's outdated record stays there.
AUDIT_SECONDS = 2.0
LAG_SECONDS = 2.0
# Enough for large batches: a batch writes and publishes each gallery once, however many events it has of the gallery.
PARTITION_BYTES = 1024 * 1024
# MongoDB writes one lane of a backlog while the next is prepared.
LANES = Lanes(2, from_records=1_000)


@dataclass(frozen=True, slots=True)
class Projection:
    """A running projection."""

    version: int
    consumer: BatchConsumer
    handler: ProjectionHandler
    repository: ViewRepository
    ownership: Ownership
    publisher: Publisher
    group_offsets: GroupOffsets
    lag_watch: LagWatch

    async def update_lag(self) -> None:
        """Set the metrics of what the views lack: events of the partitions owned now, galleries that wait for events.

        Raises:
            TransientFailure: Kafka is away.
            PyMongoError: MongoDB is away.
        """
        self.handler.offsets.report(self.lag_to(await self.group_offsets.ends(self.consumer.reached())))
        INCOMPLETE.set(await self.repository.count_incomplete())

    def lag_to(self, ends: Mapping[int, int]) -> int:
        """The number of events below these end offsets, by partition, that are not in the views yet."""
        reached = self.consumer.reached()
        return sum(max(0, end - reached.get(partition, 0)) for partition, end in ends.items())


@asynccontextmanager
async def running_projection(
    settings: ProjectorSettings,
    database: Database,
    version: int,
    layout_watch: LayoutWatch,
    presence: Presence | None = None,
    *,
    is_active: bool,
) -> AsyncIterator[Projection]:
    """Project into `version` until the block ends.

    Args:
        settings: the service's settings.
        database: the database of the views.
        version: the version of the views.
        layout_watch: reads the number of partitions.
        presence: of this process, if its successor need not wait for the end of its session after a kill.
        is_active: whether readers see this version. Only the projection into the active version publishes the join
            and dead-letters refused records.

    Raises:
        StartRefused, TransientFailure: Kafka or MongoDB cannot be used as they are.
    """
    topics = Topics(settings.topic_prefix)
    versions = Versions(database)
    if is_active:
        await versions.drop_before(version)
    await ensure_indexes(database, indexes(version) if is_active else first_indexes(version))
    group = settings.projector_group(version)
    ownership = Ownership(database, group, names_of(version).galleries)
    repository = ViewRepository(database, ownership, version)
    counts = LiveCounts(topics.counts(settings.topic_partitions), settings.topic_partitions)
    layout = LayoutOfConsumer(
        layout_watch,
        counts,
        topics.events,
        EVENTS,
        lambda: consumer.reader,
        holds_new=True,
    )
    publisher = Publisher(lambda: make_producer(settings), partitions=counts)
    dead_letters = DeadLetterPublisher(publisher, topics.dead_letter)
    dead_letters.count_from_zero(topics.events, REASONS)
    group_offsets = GroupOffsets(settings, topics.events, group)
    audit = AuditedJoinPublisher(settings, topics.galleries, publisher, database)
    # A new version starts over. It requests snapshots for expired events, whatever the policy of the active version.
    policy = settings.projector_lost_events if is_active else LossPolicy.REPAIR
    join_publisher = JoinPublisher(repository, publisher, audit, topics.galleries) if is_active else None
    reply_topics = [topics.gateway_replies(number) for number in range(settings.reply_topics if is_active else 0)]

    async def check_writable() -> None:
        await versions.check_writable(version)
        await layout.confirm()

    handler = ProjectionHandler(
        repository,
        ownership,
        publisher,
        dead_letters,
        ExpiryHandler(database, repository, publisher, group_offsets, policy),
        join_publisher,
        check_writable,
        notices=Notices(publisher.has_topic, reply_topics),
    )
    broker = make_broker(settings, None if presence is None else presence.holdings(group))
    consumer = BatchConsumer(
        broker,
        topics.events,
        group,
        handler,
        dead_letters,
        max_records=settings.projector_batch_size,
        partition_bytes=PARTITION_BYTES,
        lanes=LANES,
        times=GroupTimes(settings.group_session_timeout, settings.group_rebalance_timeout),
        gate=layout,
    )
    repairs = Repairs(settings, repository, ownership, publisher, handler)
    try:
        await publisher.start()
        await broker.start()
        async with (
            watching_lag(settings, consumer) as lag_watch,
            following_layout(consumer, layout),
            watching_claims(consumer, ownership),
            AsyncExitStack() as loops,
        ):
            projection = Projection(
                version, consumer, handler, repository, ownership, publisher, group_offsets, lag_watch
            )
            background: list[tuple[str, Work]] = [
                ("repairs", repairs.run),
                ("lag", lambda: _measure(projection)),
                ("audit of the join", lambda: _audit_join(projection)),
            ]
            if join_publisher is not None:
                republisher = Republisher(database, repository, ownership, join_publisher, handler, consumer.reached)
                background.append(("republication", republisher.run))
            for name, work in background:
                # Without the version: a name is the value of a label, and every rebuild would add one.
                await loops.enter_async_context(SUPERVISOR.running(f"{name} of views", work))
            yield projection
    finally:
        deadline = stop_deadline()
        async with deadline.step("the current batch of events", BATCH):
            await consumer.give_up()
            await broker.stop()
        await publisher.stop()
        async with deadline.step("the readers of offsets", PRODUCERS):
            await audit.stop()
            await group_offsets.stop()


async def _measure(projection: Projection) -> None:
    while True:
        progress()
        with contextlib.suppress(TransientFailure, PyMongoError):
            await projection.update_lag()
        await asyncio.sleep(LAG_SECONDS)


async def _audit_join(projection: Projection) -> None:
    while True:
        progress()
        try:
            if count := await projection.handler.republish_overwritten(projection.consumer.reached):
                log.warning("records that a former owner has overwritten were republished", count=count)
        except Exception as error:
            if fault_of(error) is Fault.OURS:
                raise
            log.info("the joined topic cannot be audited", error=error)
        await asyncio.sleep(AUDIT_SECONDS)

"""Runs the archive of the events topic: a consumer with a group of its own, beside the projection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from triptych.contract.topics import EVENTS, Topics
from triptych.history import documents
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.broker import make_broker
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag import watching_lag
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.subscription import GroupTimes
from triptych.kit.mongo.driver import Database
from triptych.kit.process.clock import utc_now
from triptych.kit.process.health import Health
from triptych.kit.process.stopping import BATCH, stop_deadline
from triptych.kit.process.supervision import SUPERVISOR
from triptych.kit.startup.layout_following import LayoutOfConsumer, following_layout
from triptych.kit.startup.layout_watch import LayoutWatch
from triptych.kit.startup.provision import ensure_indexes
from triptych.kit.upgrading.presence import Presence
from triptych.projector.history.archive import Archive
from triptych.projector.history.baselines import Baselines
from triptych.projector.history.handler import HistoryHandler
from triptych.projector.settings import ProjectorSettings

PARTITION_BYTES = 1024 * 1024
LINGER_SECONDS = 0.25
"""How long events gather for a batch, at most: the history may be late, and large batches cost less."""


@asynccontextmanager
async def archiving(
    settings: ProjectorSettings,
    database: Database,
    layout_watch: LayoutWatch,
    presence: Presence,
    health: Health,
) -> AsyncIterator[None]:
    """Archive events until the block ends, if the settings want a history.

    `health` shows what the history waits for. The history makes no process unready: nothing else depends on it.

    Raises:
        StartRefused, TransientFailure: Kafka or MongoDB cannot be used as they are.
    """
    archive = Archive(database)
    await archive.adopt_retention(settings.history_retention, utc_now())
    if not settings.history_retention:
        yield
        return
    topics = Topics(settings.topic_prefix)
    await ensure_indexes(database, documents.indexes(settings.history_retention))
    # It places its commands by the counts of the process; dead letters stay where they were.
    counts = LiveCounts(topics.counts(settings.topic_partitions), layout_watch.layout.partitions)
    layout = LayoutOfConsumer(layout_watch, counts, topics.events, EVENTS, lambda: consumer.reader, holds_new=True)
    publisher = Publisher(lambda: make_producer(settings), partitions=counts)
    broker = make_broker(settings, presence.holdings(settings.history_group))
    consumer = BatchConsumer(
        broker,
        topics.events,
        settings.history_group,
        HistoryHandler(archive),
        DeadLetterPublisher(publisher, topics.dead_letter),
        max_records=settings.history_batch_size,
        partition_bytes=PARTITION_BYTES,
        times=GroupTimes(settings.group_session_timeout, settings.group_rebalance_timeout),
        gate=layout,
        linger_seconds=LINGER_SECONDS,
        label=f"{topics.events}:history",
    )
    baselines = Baselines(database, archive, publisher, topics, consumer.reached)
    try:
        await publisher.start()
        await broker.start()
        async with (
            watching_lag(settings, consumer) as lag,
            following_layout(consumer, layout),
            SUPERVISOR.running("snapshots for the history", baselines.run),
        ):

            async def detail() -> str | None:
                return lag.problem or lag.detail

            health.add_detail("history", detail)
            yield
    finally:
        deadline = stop_deadline()
        async with deadline.step("the current batch of the history", BATCH):
            await consumer.give_up()
            await broker.stop()
        await publisher.stop()

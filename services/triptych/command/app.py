"""Composition root of the command service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import uuid_utils
from starlette.applications import Starlette

from triptych.command.flow.executor import Executor
from triptych.command.flow.failed_work import JobFailures
from triptych.command.flow.former_states import FormerStates
from triptych.command.flow.independence import are_independent
from triptych.command.flow.reply_publisher import PATIENCE_SECONDS, ReplyPublisher
from triptych.command.flow.runner import JobRunner
from triptych.command.flow.sorting import REASONS
from triptych.command.flow.step_retries import RETRY_PERIOD
from triptych.command.flow.writer import Writer
from triptych.command.handler import CommandHandler
from triptych.command.provision import indexes as indexes
from triptych.command.settings import CommandSettings
from triptych.command.store.head_cache import HeadCache
from triptych.command.store.jobs import JobStore
from triptych.command.store.loader import Loader
from triptych.command.store.outbox import Outbox
from triptych.command.store.outbox_watch import OutboxWatch
from triptych.command.store.repairs import refuse_unfinished_repair
from triptych.command.store.repository import WriteModelRepository
from triptych.command.store.staging import Staging
from triptych.contract.topics import COMMANDS, Topics
from triptych.history.queries import History
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.broker import make_broker
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag import watching_lag
from triptych.kit.kafka.consuming.lanes import Lanes
from triptych.kit.kafka.consuming.topic_watch import finding_topics, watching_topics
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.subscription import GroupTimes
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.opening import answering, open_settings_database
from triptych.kit.mongo.transactions import wait_for_majority
from triptych.kit.process.dependencies import DEPENDENCIES
from triptych.kit.process.health import Health
from triptych.kit.process.stopping import BATCH, RELEASE, stop_deadline
from triptych.kit.process.supervision import SUPERVISOR
from triptych.kit.startup.claim_watch import watching_claims
from triptych.kit.startup.layout_following import LayoutOfConsumer, following_layout
from triptych.kit.startup.layout_watch import watching_layout
from triptych.kit.startup.layouts import StoredLayout
from triptych.kit.startup.provision import ensure_indexes
from triptych.kit.upgrading.presence import present
from triptych.writemodel.galleries import GALLERIES

# While MongoDB works for one lane, Python decodes and decides another. A fourth lane gains nothing (measured).
LANES = Lanes(3, from_records=200, may_split=are_independent)
# A small fetch per partition gives a batch of a backlog about as many records from each partition, and the batch takes
# as long as its largest lane. Measured: a fifth more a second than with 256 KiB.
PARTITION_BYTES = 64 * 1024


@asynccontextmanager
async def compose(
    settings: CommandSettings, make_publisher: Callable[..., Publisher] = Publisher
) -> AsyncIterator[Starlette]:
    """Start the whole service; the application that it gives serves health and metrics.

    Raises:
        StartRefused, TransientFailure: MongoDB or Kafka cannot be used in their present state.
    """
    topics = Topics(settings.topic_prefix)
    needed = [topics.commands, topics.events, topics.replies, topics.dead_letter(topics.commands)]
    names = topics.counts(settings.topic_partitions)
    async with (
        finding_topics(settings, needed) as topic_client,
        open_settings_database(settings) as database,
        present(database, "command", instance_id=settings.instance_id) as presence,
        watching_layout(
            StoredLayout(database, settings.topic_partitions), LiveCounts(names, settings.topic_partitions)
        ) as layout_watch,
        watching_topics(settings, topic_client, layout_watch.counts, layout_watch.allowed) as topic_watch,
    ):
        await ensure_indexes(database, indexes(settings))
        await refuse_unfinished_repair(database)
        group = settings.command_group
        # These change only when partitions are prepared: nothing that is in progress may be placed in two ways.
        counts = LiveCounts(names, layout_watch.layout.partitions)
        layout = LayoutOfConsumer(
            layout_watch,
            counts,
            topics.commands,
            COMMANDS,
            lambda: consumer.reader,
            holds_new=False,
        )
        publisher = make_publisher(lambda: make_producer(settings), partitions=counts)
        dead_letters = DeadLetterPublisher(publisher, topics.dead_letter)
        dead_letters.count_from_zero(topics.commands, REASONS)
        foreign_publisher = Publisher(lambda: make_producer(settings), PATIENCE_SECONDS, counts)
        handler = make_handler(
            database, publisher, foreign_publisher, dead_letters, topics, group, settings.command_job_patience, layout
        )
        broker = make_broker(settings, presence.holdings(group))
        consumer = BatchConsumer(
            broker,
            topics.commands,
            group,
            handler,
            dead_letters,
            max_records=settings.command_batch_size,
            partition_bytes=PARTITION_BYTES,
            lanes=LANES,
            times=GroupTimes(settings.group_session_timeout, settings.group_rebalance_timeout),
            gate=layout,
        )
        outbox_watch = OutboxWatch(database, consumer.reached)
        health = Health()

        async def check_topics() -> str | None:
            return topic_watch.problem

        async def check_outbox() -> str | None:
            return outbox_watch.problem

        health.add("outbox", check_outbox)
        health.add("topics", check_topics)
        health.add("mongodb", answering(database))
        health.add("kafka", publisher.problem)
        try:
            await publisher.start()
            await broker.start()
            with DEPENDENCIES.on(lambda: wait_for_majority(database), publisher.problem):
                async with (
                    watching_lag(settings, consumer) as lag,
                    following_layout(consumer, layout),
                    watching_claims(consumer, handler.ownership),
                    SUPERVISOR.running("outbox watch", outbox_watch.run),
                ):
                    lag.report_to(health, "commands")
                    yield Starlette(routes=health.routes())
        finally:
            deadline = stop_deadline()
            async with deadline.step("the current batch of commands", BATCH):
                await consumer.give_up()
                await broker.stop()
            async with deadline.step("marking published events", RELEASE):
                await handler.released()
            await asyncio.gather(publisher.stop(), foreign_publisher.stop())


def make_handler(
    database: Database,
    publisher: Publisher,
    foreign_publisher: Publisher,
    dead_letters: DeadLetterPublisher,
    topics: Topics,
    group: str,
    job_patience: timedelta = RETRY_PERIOD,
    layout: LayoutOfConsumer | None = None,
) -> CommandHandler:
    """The handler of records from the commands topic, without a consumer; claims are made in the name of `group`.

    `foreign_publisher` publishes replies to topics that are not Triptych's. The service gives up a job whose step has
    failed for `job_patience`. `layout` follows a change of the number of partitions.
    """
    ownership = Ownership(database, group, GALLERIES)
    outbox = Outbox(database, publisher, topics.events)
    jobs = JobStore(database, layout.place if layout is not None else None)
    head_cache = HeadCache()
    loader = Loader(database, head_cache)
    reply_publisher = ReplyPublisher(publisher, foreign_publisher, topics)
    repository = WriteModelRepository(database, ownership, outbox, jobs)
    writer = Writer(repository, head_cache, outbox, reply_publisher)
    executor = Executor(loader, repository, writer, reply_publisher, dead_letters, _new_event_id)
    failed_work = JobFailures(writer, jobs, loader, reply_publisher, dead_letters, _new_event_id)
    staging = Staging(database)
    former_states = FormerStates(History(database), loader, staging)
    runner = JobRunner(executor, writer, jobs, loader, staging, failed_work, former_states, _new_event_id, job_patience)
    return CommandHandler(executor, runner, ownership, publisher, reply_publisher, dead_letters, topics, layout)


def _new_event_id() -> str:
    return str(uuid_utils.uuid7())

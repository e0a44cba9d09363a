"""Composition root of the webhook relay."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette

from triptych.contract.codec.cloudevents import Reason
from triptych.contract.topics import EVENTS, Topics
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.broker import make_broker
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag import watching_lag
from triptych.kit.kafka.consuming.topic_watch import finding_topics, watching_topics
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.kafka.reading.subscription import GroupTimes
from triptych.kit.mongo.driver import PyMongoError
from triptych.kit.mongo.opening import answering, open_settings_database
from triptych.kit.mongo.transactions import wait_for_majority
from triptych.kit.process.dependencies import DEPENDENCIES
from triptych.kit.process.health import Health
from triptych.kit.process.stopping import BATCH, PRODUCERS, RELEASE, stop_deadline
from triptych.kit.process.supervision import STALLED_SECONDS, SUPERVISOR
from triptych.kit.startup.layout_following import LayoutOfConsumer, following_layout
from triptych.kit.startup.layout_watch import watching_layout
from triptych.kit.startup.layouts import StoredLayout
from triptych.kit.startup.provision import ensure_indexes
from triptych.kit.upgrading.presence import present
from triptych.webhooks.http.client import Client
from triptych.webhooks.http.resolver import Resolver
from triptych.webhooks.relay.claiming import DeliveryClaimer
from triptych.webhooks.relay.expired_events import ExpiryReporter
from triptych.webhooks.relay.handler import DeliveryPlanner
from triptych.webhooks.relay.listener_cache import ListenerCache
from triptych.webhooks.relay.listener_health import ListenerHealth
from triptych.webhooks.relay.outcome_writer import OutcomeWriter
from triptych.webhooks.relay.sender import DeliverySender, Signer
from triptych.webhooks.relay.shards import HOLDINGS, Shards
from triptych.webhooks.relay.worker import Worker
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.deliveries import DeliveryRepository
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.operational_events import OperationalEvents
from triptych.webhooks.store.provision import INDEXES as LISTENER_INDEXES
from triptych.webhooks.store.relays import SHARDS, WORKERS
from triptych.webhooks.store.sealing import make_sealer, require_same_key

INDEXES = {**LISTENER_INDEXES, WORKERS: [], SHARDS: []}
SPARE_FILES = 256


@asynccontextmanager
async def compose(settings: WebhookSettings) -> AsyncIterator[Starlette]:
    """Run the relay; the application serves its health and metrics.

    Raises:
        StartRefused: MongoDB, Kafka or the secrets key cannot be used as configured.
    """
    sealer = make_sealer(settings)
    topics = Topics(settings.topic_prefix)
    _allow_sockets(settings.webhooks_concurrency)
    async with (
        finding_topics(settings, [topics.events, topics.dead_letter(topics.events)]) as topic_client,
        open_settings_database(settings) as database,
        present(database, "webhooks", instance_id=settings.instance_id) as presence,
        watching_layout(
            StoredLayout(database, settings.topic_partitions),
            LiveCounts(topics.counts(settings.topic_partitions), settings.topic_partitions),
        ) as layout_watch,
        watching_topics(settings, topic_client, layout_watch.counts, layout_watch.allowed) as topic_watch,
    ):
        await ensure_indexes(database, INDEXES)
        await require_same_key(database, sealer)
        async with (
            Resolver(settings.webhooks_name_servers) as resolver,
            Client(settings.webhooks_allowed_networks, resolver, settings.webhooks_answer_bytes) as client,
        ):
            listener_cache = ListenerCache(database, sealer)
            holdings = presence.holdings(HOLDINGS)
            shards = Shards(database, settings.webhooks_shards, settings.webhooks_shard_lease)
            repository = DeliveryRepository(database, settings.webhooks_lease, settings.webhooks_retention, shards.id)
            outcome_writer = OutcomeWriter(repository)
            operational_events = OperationalEvents(database, settings.webhooks_retention)
            worker = Worker(
                settings,
                repository,
                DeliverySender(client, Signer(listener_cache)),
                outcome_writer,
                ListenerHealth(repository, operational_events, settings.webhooks_disable_after),
                shards.owns,
            )
            claimer = DeliveryClaimer(
                settings, repository, listener_cache, shards, worker, operational_events, holdings.left_behind
            )
            publisher = Publisher(lambda: make_producer(settings), partitions=layout_watch.counts)
            dead_letters = DeadLetterPublisher(publisher, topics.dead_letter)
            dead_letters.count_from_zero(topics.events, (reason.value for reason in Reason))
            group = settings.webhooks_group
            offsets = GroupOffsets(settings, topics.events, group)

            async def current_listeners() -> Iterable[Listener]:
                await claimer.refresh()
                return listener_cache.listeners.values()

            expiry_reporter = ExpiryReporter(offsets, operational_events, current_listeners)
            handler = DeliveryPlanner(
                repository,
                listener_cache,
                claimer,
                publisher,
                dead_letters,
                expiry_reporter,
                settings.webhooks_lease,
                settings.webhooks_retention,
            )
            broker = make_broker(settings, presence.holdings(group))
            layout = LayoutOfConsumer(
                layout_watch,
                LiveCounts((), layout_watch.layout.partitions),  # it places nothing: dead letters stay where they were
                topics.events,
                EVENTS,
                lambda: consumer.reader,
                holds_new=True,
            )
            consumer = BatchConsumer(
                broker,
                topics.events,
                group,
                handler,
                dead_letters,
                max_records=settings.webhooks_batch_size,
                times=GroupTimes(settings.group_session_timeout, settings.group_rebalance_timeout),
                gate=layout,
            )
            health = Health()

            async def check_topics() -> str | None:
                return topic_watch.problem

            async def check_claimer() -> str | None:
                return claimer.problem

            health.add("topics", check_topics)
            health.add("mongodb", answering(database))
            health.add("kafka", publisher.problem)
            health.add("deliveries", check_claimer)
            health.add_detail("losses", expiry_reporter.detail)
            await shards.succeed(holdings)
            await shards.balance()
            loops = AsyncExitStack()
            try:
                loops.enter_context(DEPENDENCIES.on(lambda: wait_for_majority(database), publisher.problem))
                # The lease of shards is a setting, and a third of it passes between two turns.
                limit = STALLED_SECONDS + settings.webhooks_shard_lease.total_seconds()
                await loops.enter_async_context(SUPERVISOR.running("shards", shards.run, stalled_seconds=limit))
                claiming = await loops.enter_async_context(
                    SUPERVISOR.running("claimer", claimer.run, may_end=lambda: claimer.is_stopping)
                )
                await publisher.start()
                await broker.start()
                async with watching_lag(settings, consumer) as lag, following_layout(consumer, layout):
                    lag.report_to(health, "events")
                    yield Starlette(routes=health.routes())
            finally:
                deadline = stop_deadline()
                async with deadline.step("the current batch of events", BATCH):
                    await consumer.give_up()
                    await broker.stop()
                claimer.stop()
                await asyncio.wait({claiming}, timeout=deadline.remaining(BATCH))
                await worker.stop()
                await outcome_writer.stop()
                await loops.aclose()
                with contextlib.suppress(PyMongoError):
                    async with deadline.step("giving up shards, whose leases end by themselves", RELEASE):
                        await shards.release()
                await publisher.stop()
                async with deadline.step("the reader of offsets", PRODUCERS):
                    await offsets.stop()


def _allow_sockets(count: int) -> None:
    """Raise the limit of open files to `count` sockets and `SPARE_FILES`, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))

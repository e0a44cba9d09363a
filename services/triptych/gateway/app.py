"""Composition root of the gateway."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from aiokafka import TopicPartition
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from triptych.contract.topics import Topics
from triptych.deadletters.administration import DeadLetters
from triptych.deadletters.store.marks import INDEXES as DEAD_LETTER_INDEXES
from triptych.gateway.access import keys
from triptych.gateway.access.keys import Keys
from triptych.gateway.access.limits import RateLimit
from triptych.gateway.api import (
    bulk,
    bulk_lines,
    changes,
    dead_letters,
    deliveries,
    events,
    galleries,
    history,
    items,
    listener_health,
    listeners,
    own_key,
    system,
)
from triptych.gateway.api.dead_letter_access import LetterAccess
from triptych.gateway.api.dependencies import GatewayState
from triptych.gateway.api.openapi import complete_openapi, operation_id
from triptych.gateway.http.budget import Budget
from triptych.gateway.http.errors import install_handlers
from triptych.gateway.http.forwarded import ForwardedHeaders
from triptych.gateway.http.middleware import OuterMiddleware
from triptych.gateway.http.request_ids import REQUEST_ID_HEADER
from triptych.gateway.http.responses import COMMON_FAILURES, failures
from triptych.gateway.lines.slots import LineSlots
from triptych.gateway.live.bounded_reads import BoundedReads
from triptych.gateway.live.event_feed import EventFeed
from triptych.gateway.live.feed import TopicFeed, following_topic
from triptych.gateway.live.streams import Streams
from triptych.gateway.pages.console_page import console_routes
from triptych.gateway.pages.operations_page import operations_routes
from triptych.gateway.pages.topics_page import topics_routes
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.command_sender import CommandSender
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER, GalleryWaiters
from triptych.gateway.writing.replies import ReplyTopic, ReplyWaiters
from triptych.gateway.writing.reply_topic import leased_reply_topic
from triptych.gateway.writing.unshown import UnshownWrites
from triptych.gateway.writing.writes import COMMAND_ID_HEADER, Writes
from triptych.history.queries import History
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.topic_watch import TopicWatch, finding_topics, watching_topics
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.monitor import KafkaMonitor, monitor_kafka
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.mongo.driver import Database, IndexModel
from triptych.kit.mongo.opening import answering, open_settings_database
from triptych.kit.process.dependencies import DEPENDENCIES
from triptych.kit.process.health import Health
from triptych.kit.process.secrets import text_of_secret
from triptych.kit.process.supervision import SUPERVISOR
from triptych.kit.process.tls import TlsFiles, server_context
from triptych.kit.startup.layout_watch import watching_layout
from triptych.kit.startup.layouts import StoredLayout
from triptych.kit.startup.lifecycle import stop_requested
from triptych.kit.startup.provision import ensure_indexes
from triptych.kit.tracing.spans import request_telemetry
from triptych.kit.upgrading.presence import present
from triptych.readmodel.item_reads import ItemReads
from triptych.readmodel.queries import Views
from triptych.status.installation import SystemStatus
from triptych.status.sharing import Shared
from triptych.webhooks.store.provision import INDEXES as LISTENER_INDEXES

# Events are read for streams only. While they come, a fetch every 200 ms costs less than one for each event.
EVENTS_GATHER_MS = 200
STREAM_SECONDS = 5.0
"""How long a new stream waits until the events topic is read, and how long for its end offsets."""
EXPOSED = ("ETag", "Retry-After", REQUEST_ID_HEADER, CONSISTENT_HEADER, COMMAND_ID_HEADER, galleries.PARTIAL_HEADER)
"""Response headers that pages in browsers may read."""
UNTRACED = ("/health/live", "/health/ready", "/metrics", "/events")
"""The ends of paths whose requests have no span. A live stream lasts for long, and ends when its client leaves."""
PREFIXES = ("/progallery", "/pro-gallery", "/_api/pro-gallery-server")
"""Clients or published documents use each of them (contract, D14). The OpenAPI document names the first one only."""


def indexes(_settings: GatewaySettings) -> Mapping[str, list[IndexModel]]:
    """Indexes of keys, listeners and dead letters; the projector creates the indexes of views."""
    return {**keys.INDEXES, **LISTENER_INDEXES, **DEAD_LETTER_INDEXES}


def tls_context(settings: GatewaySettings) -> ssl.SSLContext | None:
    """The context of the HTTPS server; None for plain HTTP. Raises StartRefused if a file cannot be used."""
    if settings.gateway_tls_certificate_file is None:
        return None
    files = TlsFiles(
        "TRIPTYCH_GATEWAY_TLS",
        certificate=settings.gateway_tls_certificate_file,
        key=settings.gateway_tls_key_file,
        password=text_of_secret(settings.gateway_tls_key_password),
    )
    minimum = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[settings.gateway_tls_minimum]
    return server_context(files, minimum)


@asynccontextmanager
async def compose(settings: GatewaySettings) -> AsyncIterator[FastAPI]:
    """The gateway, ready to serve: it follows its reply topic before the first request, and events for streams only.

    Raises:
        StartRefused: a setting, a topic or a server cannot be used as it is.
        TransientFailure: MongoDB or Kafka does not answer.
    """
    topics = Topics(settings.topic_prefix)
    reply_topics = [topics.gateway_replies(number) for number in range(settings.reply_topics)]
    needed = [topics.commands, topics.events, *reply_topics]
    async with AsyncExitStack() as stack:
        topic_client = await stack.enter_async_context(finding_topics(settings, needed))
        database = await stack.enter_async_context(open_settings_database(settings))
        await stack.enter_async_context(present(database, "gateway"))
        await ensure_indexes(database, indexes(settings))
        replies, gallery_waiters, views = ReplyWaiters(), GalleryWaiters(), Views(database)
        offsets = TopicOffsets(settings, topics.events)
        stack.push_async_callback(offsets.stop)
        kafka_monitor = await stack.enter_async_context(monitor_kafka(settings))

        async def ends_of(partitions: Iterable[int]) -> Mapping[int, int]:
            async with kafka_monitor.fail_fast(STREAM_SECONDS):
                return await offsets.ends(partitions)

        stored_layout = StoredLayout(database, settings.topic_partitions)
        counts = LiveCounts(topics.counts(settings.topic_partitions), settings.topic_partitions)
        layout_watch = await stack.enter_async_context(watching_layout(stored_layout, counts))

        @asynccontextmanager
        async def following_events() -> AsyncIterator[None]:
            async with AsyncExitStack() as following:
                async with kafka_monitor.fail_fast(STREAM_SECONDS):
                    await following.enter_async_context(event_feed.following())
                yield

        streams = Streams(
            *(settings, topics.events, following_events, ends_of),
            layout=lambda: layout_watch.layout,
            problem=lambda: kafka_monitor.problem,
        )
        event_feed = EventFeed(lambda: _following_events(settings, topics.events, streams))
        await stack.enter_async_context(SUPERVISOR.running("events for streams", event_feed.run))
        await stack.enter_async_context(_end_streams_at_stop(streams, stop_requested()))

        reply_topic = reply_topics[await stack.enter_async_context(leased_reply_topic(database, len(reply_topics)))]
        reply_feed = await stack.enter_async_context(
            following_topic(settings, reply_topic, ReplyTopic(replies, gallery_waiters).receive)
        )
        topic_watch = await stack.enter_async_context(
            watching_topics(settings, topic_client, counts, layout_watch.allowed)
        )
        stack.enter_context(DEPENDENCIES.on(answering(database), lambda: _problem_of(kafka_monitor)))
        timeout_seconds = settings.gateway_publish_timeout.total_seconds()
        publisher = Publisher(lambda: make_producer(settings), timeout_seconds, counts)
        stack.push_async_callback(publisher.stop)
        await publisher.start()
        sender = CommandSender(publisher)
        stack.push_async_callback(sender.close)
        item_reads = ItemReads(views)
        stack.push_async_callback(item_reads.stop)
        app = make_app(
            GatewayState(
                settings=settings,
                keys=Keys(database, settings.gateway_key_cache),
                limit=RateLimit(settings.gateway_requests_per_minute),
                views=views,
                history=History(database),
                item_reads=item_reads,
                unshown=UnshownWrites(database),
                gallery_waiters=gallery_waiters,
                writes=Writes(settings, topics, reply_topic, sender, kafka_monitor, replies, gallery_waiters, views),
                streams=streams,
                budget=Budget(settings.gateway_answers_limit),
                line_slots=LineSlots(settings.gateway_lines_requests),
            ),
            _health(database, [reply_feed, event_feed], kafka_monitor, topic_watch),
            topics,
        )
        letters = DeadLetters(settings, database)
        stack.push_async_callback(letters.stop)
        app.state.dead_letters = LetterAccess(letters, kafka_monitor)
        reads = BoundedReads(settings, (topics.commands, topics.events, topics.galleries), kafka_monitor)
        stack.push_async_callback(reads.stop)
        app.state.changes = changes.Sources(reads, topics, lambda: layout_watch.layout, database)
        system_status = SystemStatus(settings, database, lambda: kafka_monitor.problem)
        app.state.system = Shared(system_status.ask, system.KEPT_SECONDS)
        app.state.administration = await listeners.administration_of(settings, database)
        # So that the first write waits for neither of them: its client may have come from a gateway that is replaced.
        _prepare_routes(app)
        await publisher.prepare(topics.commands)
        yield app


@asynccontextmanager
async def _following_events(settings: GatewaySettings, topic: str, streams: Streams) -> AsyncIterator[TopicFeed]:
    """Read the events topic from its end for the streams. Raises StartRefused."""

    def restarted(offsets: Mapping[TopicPartition, int]) -> None:
        streams.restart({topic_partition.partition: offset for topic_partition, offset in offsets.items()})

    async with following_topic(
        settings, topic, streams.receive, gather_ms=EVENTS_GATHER_MS, restarted=restarted
    ) as feed:
        streams.start_at(feed.positions())
        try:
            yield feed
        finally:
            streams.end()  # those that are still open would miss events


@asynccontextmanager
async def _end_streams_at_stop(streams: Streams, stopping: asyncio.Event) -> AsyncIterator[None]:
    """End the streams when the process stops, because the server waits until every open response has ended."""

    async def end() -> None:
        await stopping.wait()
        streams.end()

    task = asyncio.create_task(end())
    try:
        yield
    finally:
        task.cancel()
        streams.end()


def make_app(state: GatewayState, health: Health, topics: Topics) -> FastAPI:
    """The HTTP application: the endpoints under each of the three prefixes, health, metrics and documentation."""
    app = FastAPI(
        title="Triptych",
        version=version("triptych"),
        servers=[{"url": "/", "description": "The gateway that this document comes from."}],
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        responses=COMMON_FAILURES,
        generate_unique_id_function=operation_id,
        telemetry=request_telemetry(lambda scope: scope["path"].endswith(UNTRACED)),
    )
    app.state.gateway = state
    install_handlers(app)
    if origins := [origin.strip() for origin in state.settings.gateway_cors_origins.split(",") if origin.strip()]:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED
        )
    app.add_middleware(OuterMiddleware, logs_all=state.settings.gateway_access_log)
    if proxies := state.settings.gateway_trusted_proxies:
        app.add_middleware(ForwardedHeaders, trusted=proxies, read=state.settings.gateway_proxy_headers)
    of_galleries = (
        galleries.router,
        items.router,
        bulk.router,
        bulk_lines.router,
        events.router,
        history.router,
    )
    for router in of_galleries:
        app.include_router(router, prefix=PREFIXES[0])
    app.state.main_routes = tuple(app.router.routes)
    # Before the routers below, which the first question about health would otherwise prepare (see the comment there).
    app.router.routes.extend(health.routes())
    for router in (listeners.router, listener_health.router, deliveries.router, dead_letters.router):
        app.include_router(router, responses=failures(404, 409, 413, 415))
    app.include_router(own_key.router)
    app.include_router(system.router)
    app.include_router(changes.router)
    app.router.routes.extend([*console_routes(), *operations_routes(), *topics_routes(topics)])
    # At the end: FastAPI prepares the routes of a router when a request first gets there, which takes a tenth of a
    # second for each prefix. Most processes never get a request with the other prefixes (`_prepare_routes`).
    for prefix in PREFIXES[1:]:
        for router in of_galleries:
            app.include_router(router, prefix=prefix, include_in_schema=False)
    bodies = (*galleries.BODIES, *items.BODIES, *bulk.BODIES)
    complete_openapi(app, [*bodies, *listeners.BODIES, *deliveries.BODIES, *dead_letters.BODIES])
    return app


def _prepare_routes(app: FastAPI) -> None:
    """Have FastAPI prepare the routes of galleries, which it would do when their first request comes."""
    scope = {"type": "http", "method": "GET", "path": PREFIXES[0], "headers": [], "query_string": b""}
    for route in app.state.main_routes:
        route.matches(scope)


async def _problem_of(kafka_monitor: KafkaMonitor) -> str | None:
    return kafka_monitor.problem


def _health(
    database: Database, feeds: Sequence[TopicFeed | EventFeed], kafka_monitor: KafkaMonitor, topic_watch: TopicWatch
) -> Health:
    health = Health()

    async def check_feeds() -> str | None:
        return kafka_monitor.problem or next((feed.problem for feed in feeds if feed.problem), None)

    health.add("mongodb", answering(database))

    async def check_topics() -> str | None:
        return topic_watch.problem

    health.add("kafka", check_feeds)
    health.add("topics", check_topics)
    return health

"""Composition root of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from aiokafka import TopicPartition
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from triptych.contract.topics import Topics
from triptych.gateway.access import keys
from triptych.gateway.access.keys import Keys
from triptych.gateway.access.limits import RateLimit
from triptych.gateway.api import bulk, deliveries, events, galleries, items, listeners
from triptych.gateway.api.asyncapi_page import asyncapi_routes
from triptych.gateway.api.dependencies import GatewayState
from triptych.gateway.api.openapi import complete_openapi, operation_id
from triptych.gateway.http.budget import Budget
from triptych.gateway.http.errors import install_handlers
from triptych.gateway.http.middleware import REQUEST_ID_HEADER, OuterMiddleware
from triptych.gateway.http.responses import ANY, failures
from triptych.gateway.live.feed import FeedRecord, TopicFeed, following
from triptych.gateway.live.streams import Streams, ends_of_topic
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.command_sender import CommandSender
from triptych.gateway.writing.kafka_monitor import KafkaMonitor, monitor_kafka
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER, GalleryWaiters
from triptych.gateway.writing.replies import ReplyWaiters
from triptych.gateway.writing.write_events import WriteEvents
from triptych.gateway.writing.writes import COMMAND_ID_HEADER, Writes
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.topic_watch import TopicWatch, watching_topics
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.mongo.driver import Database, IndexModel, open_database
from triptych.kit.process.health import Health
from triptych.kit.startup.lifecycle import stop_requested
from triptych.kit.startup.provision import ensure_indexes, require_topics
from triptych.readmodel.queries import Views
from triptych.webhooks.store.provision import INDEXES as LISTENER_INDEXES

# Writes are answered by replies and the join. Nobody waits for an event but streams and, while the read model is
# behind, answers of which it tells the content; taken one by one, they cost each lone write a millisecond.
EVENTS_TOGETHER_MS = 200
EXPOSED = ("ETag", "Retry-After", REQUEST_ID_HEADER, CONSISTENT_HEADER, COMMAND_ID_HEADER, galleries.PARTIAL_HEADER)
"""What pages in browsers may read of the answers."""
PREFIXES = ("/progallery", "/pro-gallery", "/_api/pro-gallery-server")
"""All are in use or in print (contract, D14); the first one is in the OpenAPI document."""


def indexes(_settings: GatewaySettings) -> Mapping[str, list[IndexModel]]:
    """The gateway's own collections and those it administers; those of the views are the projector's."""
    return {**keys.INDEXES, **LISTENER_INDEXES}


@asynccontextmanager
async def compose(settings: GatewaySettings) -> AsyncIterator[FastAPI]:
    """The gateway, ready to serve: it hears replies and changes of the read model before the first request.

    Raises:
        StartRefused, TransientFailure: MongoDB or Kafka cannot be used as they are.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.commands, topics.replies, topics.events, topics.galleries])
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver)
        )
        await ensure_indexes(database, indexes(settings))
        replies, echoes, heads, views = ReplyWaiters(), WriteEvents(), GalleryWaiters(), Views(database)
        streams = Streams(settings, topics.events, partial(ends_of_topic, settings, topics.events))
        await stack.enter_async_context(_ending(streams, stop_requested()))

        def hear_event(record: FeedRecord) -> None:
            echoes.hear(record)
            streams.hear(record)

        def restart_streams(places: Mapping[TopicPartition, int]) -> None:
            streams.restart({place.partition: offset for place, offset in places.items()})

        feeds = [
            await stack.enter_async_context(
                following(settings, topic, hear, together_ms=together_ms, restarted=restarted)
            )
            for topic, hear, together_ms, restarted in (
                (topics.replies, lambda record: replies.hear(record.key, record.value), None, None),
                (topics.galleries, lambda record: heads.hear(record.key, record.value), None, None),
                (topics.events, hear_event, EVENTS_TOGETHER_MS, restart_streams),
            )
        ]
        streams.begin(feeds[-1].positions())
        counts = topics.counts(settings.topic_partitions)
        topic_watch = await stack.enter_async_context(watching_topics(settings, counts))
        pulse = await stack.enter_async_context(monitor_kafka(settings))
        timeout_seconds = settings.gateway_publish_timeout.total_seconds()
        publisher = Publisher(lambda: make_producer(settings), timeout_seconds, counts)
        stack.push_async_callback(publisher.stop)
        await publisher.start()
        sender = CommandSender(publisher)
        stack.push_async_callback(sender.close)
        app = make_app(
            GatewayState(
                settings=settings,
                keys=Keys(database, settings.gateway_key_cache),
                limit=RateLimit(settings.gateway_requests_per_minute),
                views=views,
                heads=heads,
                writes=Writes(settings, topics, sender, pulse, replies, echoes, heads, views),
                streams=streams,
                budget=Budget(settings.gateway_answers_limit),
            ),
            _health(database, feeds, pulse, topic_watch),
            topics,
        )
        app.state.administration = await listeners.administration_of(settings, database)
        yield app


@asynccontextmanager
async def _ending(streams: Streams, stopping: asyncio.Event) -> AsyncIterator[None]:
    """End the streams when the process stops; the server waits for every answer that is under way."""

    async def end() -> None:
        await stopping.wait()
        streams.end()

    task = asyncio.create_task(end())
    try:
        yield
    finally:
        task.cancel()
        streams.end()


def make_app(parts: GatewayState, health: Health, topics: Topics) -> FastAPI:
    """The HTTP side: one set of endpoints under the three prefixes, health, metrics and documentation."""
    app = FastAPI(
        title="Triptych",
        version=version("triptych"),
        servers=[{"url": "/", "description": "The gateway that this document comes from."}],
        redirect_slashes=False,
        redoc_url=None,
        responses=ANY,
        generate_unique_id_function=operation_id,
    )
    app.state.parts = parts
    install_handlers(app)
    if origins := [origin.strip() for origin in parts.settings.gateway_cors_origins.split(",") if origin.strip()]:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED
        )
    app.add_middleware(OuterMiddleware)
    for prefix in PREFIXES:
        for router in (galleries.router, items.router, bulk.router, events.router):
            app.include_router(router, prefix=prefix, include_in_schema=prefix == PREFIXES[0])
    for router in (listeners.router, deliveries.router):
        app.include_router(router, responses=failures(404, 409, 413, 415))
    app.router.routes.extend([*health.routes(), *asyncapi_routes(topics)])
    complete_openapi(app, [*galleries.BODIES, *items.BODIES, *bulk.BODIES, *listeners.BODIES, *deliveries.BODIES])
    return app


def _health(database: Database, feeds: list[TopicFeed], pulse: KafkaMonitor, topic_watch: TopicWatch) -> Health:
    health = Health()

    async def check_mongo() -> str | None:
        await database.command("ping")
        return None

    async def check_feeds() -> str | None:
        return pulse.problem or next((feed.problem for feed in feeds if feed.problem), None)

    health.add("mongodb", check_mongo)

    async def check_topics() -> str | None:
        return topic_watch.problem

    health.add("kafka", check_feeds)
    health.add("topics", check_topics)
    return health

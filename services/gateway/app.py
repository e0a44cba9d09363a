"""Composition root of the gateway."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from schemas.topics import Topics
from services.gateway import galleries, items, keys
from services.gateway.answers import FailureAnswer
from services.gateway.consistency import Heads
from services.gateway.context import Parts
from services.gateway.edge import Edge
from services.gateway.errors import install_handlers
from services.gateway.feed import Feed, follow
from services.gateway.keys import Keys
from services.gateway.openapi import complete_openapi
from services.gateway.replies import Replies
from services.gateway.sender import Sender
from services.gateway.settings import GatewaySettings
from services.gateway.writes import Writes
from services.kit.brokers import make_producer
from services.kit.failures import StartRefused, TransientFailure
from services.kit.health import Health
from services.kit.mongo import Database, IndexModel, open_database
from services.kit.provision import ensure_indexes, require_topics
from services.kit.publisher import Publisher
from services.readmodel.queries import Views

PREFIXES = ("/progallery", "/pro-gallery", "/_api/pro-gallery-server")
"""All are in use or in print (wire contract, D14); the first one is in the OpenAPI document."""


def indexes(_settings: GatewaySettings) -> Mapping[str, list[IndexModel]]:
    """The gateway's own collections; those of the views are the projector's."""
    return keys.INDEXES


@asynccontextmanager
async def compose(settings: GatewaySettings) -> AsyncIterator[FastAPI]:
    """The gateway, ready to serve: it hears replies and changes of the read model before the first request.

    Raises:
        StartRefused: MongoDB or Kafka cannot be used as they are.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.commands, topics.replies, topics.galleries])
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver)
        )
        await ensure_indexes(database, indexes(settings))
        replies, heads, views = Replies(), Heads(), Views(database)
        feeds = [
            await stack.enter_async_context(follow(settings, topics.replies, replies.hear)),
            await stack.enter_async_context(follow(settings, topics.galleries, heads.hear)),
        ]
        publisher = Publisher(lambda: make_producer(settings), settings.gateway_publish_timeout.total_seconds())
        stack.push_async_callback(publisher.stop)
        try:
            await publisher.start()
        except TransientFailure as failure:
            raise StartRefused(str(failure)) from None
        sender = Sender(publisher)
        stack.push_async_callback(sender.close)
        yield make_app(
            Parts(
                settings=settings,
                keys=Keys(database, settings.gateway_key_cache),
                views=views,
                heads=heads,
                writes=Writes(settings, topics, sender, replies, heads, views),
            ),
            _health(database, feeds),
        )


def make_app(parts: Parts, health: Health) -> FastAPI:
    """The HTTP side: one set of endpoints under the three prefixes, health, metrics and documentation."""
    app = FastAPI(
        title="Triptych",
        version=version("triptych"),
        redirect_slashes=False,
        redoc_url=None,
        responses={"default": {"model": FailureAnswer, "description": "Any failure"}},
    )
    app.state.parts = parts
    install_handlers(app)
    app.add_middleware(Edge)
    for prefix in PREFIXES:
        for router in (galleries.router, items.router):
            app.include_router(router, prefix=prefix, include_in_schema=prefix == PREFIXES[0])
    app.router.routes.extend(health.routes())
    complete_openapi(app, [galleries.CreateGalleryBody, items.CreateItemBody])
    return app


def _health(database: Database, feeds: list[Feed]) -> Health:
    health = Health()

    async def check_mongo() -> str | None:
        await database.command("ping")
        return None

    async def check_feeds() -> str | None:
        return next((feed.problem for feed in feeds if feed.problem), None)

    health.add("mongodb", check_mongo)
    health.add("kafka", check_feeds)
    return health

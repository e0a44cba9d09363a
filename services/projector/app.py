"""Composition root of the projector."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from schemas.topics import Topics
from services.kit import ownership as ownership_module
from services.kit.batches import BatchConsumer
from services.kit.brokers import make_broker, make_producer
from services.kit.dead_letters import DeadLetters
from services.kit.health import Health
from services.kit.mongo import open_database
from services.kit.ownership import Ownership
from services.kit.provision import ensure_indexes, require_topics
from services.kit.publisher import Publisher
from services.projector.consumer import EventHandler
from services.projector.repository import Repository
from services.projector.settings import ProjectorSettings
from services.readmodel import queries

INDEXES = {**queries.INDEXES, **ownership_module.INDEXES}


@asynccontextmanager
async def compose(settings: ProjectorSettings) -> AsyncIterator[Starlette]:
    """Everything of the projector, running; its HTTP side is health and metrics.

    Raises:
        StartRefused: MongoDB or Kafka cannot be used as they are.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.events, topics.galleries, topics.dead_letter(topics.events)])
    async with open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver) as database:
        await ensure_indexes(database, INDEXES)
        group = f"{settings.topic_prefix}projector.v1"
        publisher = Publisher(lambda: make_producer(settings))
        ownership = Ownership(database, group)
        repository = Repository(database, ownership)
        dead_letters = DeadLetters(publisher, topics.dead_letter)
        handler = EventHandler(repository, ownership, publisher, dead_letters, topics)
        broker = make_broker(settings)
        consumer = BatchConsumer(
            broker, topics.events, group, handler, dead_letters, max_records=settings.projector_batch_size
        )
        health = Health()

        async def check_consumer() -> str | None:
            return consumer.problem

        async def check_mongo() -> str | None:
            await database.command("ping")
            return None

        async def check_completeness() -> str | None:
            count = await repository.count_incomplete()
            return f"galleries that wait for events that did not come: {count}" if count else None

        health.add("events", check_consumer)
        health.add("mongodb", check_mongo)
        health.add("completeness", check_completeness)
        try:
            await publisher.start()
            await broker.start()
            yield Starlette(routes=health.routes())
        finally:
            consumer.begin_stop()
            await broker.stop()
            await publisher.stop()

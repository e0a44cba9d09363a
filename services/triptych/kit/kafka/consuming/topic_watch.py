"""Tells when a topic is missing, was made again, or has another number of partitions than every process counts with."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from triptych.kit.kafka.errors import start_failure
from triptych.kit.kafka.reading.reader import METADATA_MAX_AGE_MS
from triptych.kit.kafka.topic_facts import TopicFacts, describe_topics
from triptych.kit.own_command import as_typed
from triptych.kit.process.settings import KitSettings

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
ANSWER_SECONDS = 5.0


class TopicWatch:
    """Compares topics with what is expected of them."""

    def __init__(self, client: AIOKafkaClient, partitions: Mapping[str, int]) -> None:
        """`partitions` says which topics are looked at, and how many partitions each has by the settings."""
        self._client = client
        self._partitions = partitions
        self._known: dict[str, TopicFacts] = {}
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with which topics, or None."""
        return self._problem

    async def check_topics(self) -> None:
        """Look once. Raises KafkaError."""
        found = await describe_topics(self._client, self._partitions)
        for name, facts in found.items():
            known = self._known.get(name)
            if facts is not None:
                if known is not None and known.topic_id != facts.topic_id:
                    log.error("topic %s was deleted and made again; what was on it is lost", name)
                self._known[name] = facts
        problem = problem_of(found, self._partitions)
        if problem != self._problem:
            if problem is not None:
                log.error("%s", problem)
            self._problem = problem

    async def run(self) -> None:
        """Look until cancelled; if Kafka is away, other checks say so."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self.check_topics()
            except (KafkaError, TimeoutError) as error:
                log.debug("cannot look at the topics: %r", error)
            except Exception:
                log.exception("cannot look at the topics")


def problem_of(found: Mapping[str, TopicFacts | None], partitions: Mapping[str, int]) -> str | None:
    """In words, what differs from the expected numbers of partitions; None if nothing does."""
    parts = []
    for name, expected in partitions.items():
        facts = found.get(name)
        if facts is None:
            parts.append(f"topic {name} does not exist (run: {as_typed('provision')})")
        elif facts.partitions != expected:
            parts.append(
                f"topic {name} has {facts.partitions} partitions, and TRIPTYCH_TOPIC_PARTITIONS says {expected}"
            )
    return "; ".join(parts) or None


@asynccontextmanager
async def watching_topics(settings: KitSettings, partitions: Mapping[str, int]) -> AsyncIterator[TopicWatch]:
    """A `TopicWatch` that has looked once, and looks as long as the block runs.

    Raises:
        NotYetAvailable: no broker answers.
    """
    client = AIOKafkaClient(
        bootstrap_servers=settings.kafka_bootstrap, client_id="triptych", metadata_max_age_ms=METADATA_MAX_AGE_MS
    )
    task: asyncio.Task[None] | None = None
    try:
        watch = TopicWatch(client, partitions)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await client.bootstrap()
                await watch.check_topics()
        except (KafkaError, TimeoutError) as error:
            raise start_failure(settings, error) from None
        task = asyncio.create_task(watch.run())
        yield watch
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await client.close()

"""Facts of topics, and their changes, as the simulated services and commands of an operator ask for them."""

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from tests.support.simulation.kafka.broker import Broker
from triptych.kit.kafka.errors import KafkaAway
from triptych.kit.kafka.topic_facts import TopicFacts

_NAMESPACE = uuid.UUID(int=1)


def topic_id(topic: str) -> uuid.UUID:
    """The id of a topic. Topics are never deleted here."""
    return uuid.uuid5(_NAMESPACE, topic)


async def describe(broker: Broker, names: Iterable[str]) -> dict[str, TopicFacts | None]:
    """Instead of `describe_topics`. Raises KafkaError."""
    wanted = list(names)
    counts = await broker.call(lambda: {name: len(broker.topics[name]) for name in wanted if name in broker.topics})
    return {name: TopicFacts(topic_id(name), counts[name]) if name in counts else None for name in wanted}


class Changes:
    """Instead of `TopicChanges`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def add_partitions(self, counts: Mapping[str, int]) -> None:
        """Give topics more partitions. Raises TransientFailure."""
        async with _answered():
            await self._broker.call(lambda: self._broker.grow(counts))

    async def configure(self, topic: str, changes: Mapping[str, str | None]) -> dict[str, str | None]:
        """Set values of a topic's configuration, which have no effect; the former ones. Raises TransientFailure."""
        configuration = self._broker.configurations.setdefault(topic, {"cleanup.policy": "compact"})

        def work() -> dict[str, str | None]:
            before = {name: configuration.get(name) for name in changes}
            configuration.update(changes)
            return before

        async with _answered():
            return await self._broker.call(work)
        raise AssertionError

    async def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Delete the records before these offsets. Raises TransientFailure."""
        async with _answered():
            await self._broker.call(lambda: self._broker.expire(topic, offsets))


@asynccontextmanager
async def changing(broker: Broker) -> AsyncIterator[Changes]:
    """Instead of `changing_topics`."""
    yield Changes(broker)


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    try:
        yield
    except KafkaError as error:
        raise KafkaAway(f"Kafka refuses to change topics: {error!r}") from error

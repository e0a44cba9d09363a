"""What the tests of the projector share: publishing histories, reading the join."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import pytest

from tests.support.installation import Installation
from tests.support.kafka import TopicReader, raw_producer, topic_reader
from triptych.contract.codec.envelope import Message

Publish: TypeAlias = Callable[[Sequence[Message]], Coroutine[Any, Any, None]]


@pytest.fixture
async def publish(installation: Installation) -> AsyncIterator[Publish]:
    """Puts messages on the topic of events, in order."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:

        async def publish(messages: Sequence[Message]) -> None:
            for message in messages:
                await producer.send(
                    installation.topics.events, message.value, message.key, headers=list(message.headers)
                )
            await producer.flush()

        yield publish


@pytest.fixture
async def joined(installation: Installation) -> AsyncIterator[TopicReader]:
    """Everything on the topic of joined galleries."""
    async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.galleries) as reader:
        yield reader

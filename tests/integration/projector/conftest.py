"""What the tests of the projector share: reading the join."""

from collections.abc import AsyncIterator

import pytest

from tests.support.installation import Installation
from tests.support.kafka import TopicReader, topic_reader
from tests.support.shards import in_all_tests as in_all_tests
from tests.support.shards import router as router


@pytest.fixture
async def joined(installation: Installation) -> AsyncIterator[TopicReader]:
    """Everything on the topic of joined galleries."""
    async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.galleries) as reader:
        yield reader

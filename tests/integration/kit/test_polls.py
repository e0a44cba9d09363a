"""A poll that waits gets its records as soon as a response has them, whatever else is in the response."""

from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import TopicPartition

from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.reading.reader import Reader
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("commands")

POLL_MS = 5_000
NO_SUCH_OFFSET = 999


@pytest.fixture
def partitions(installation: Installation) -> Sequence[TopicPartition]:
    return [TopicPartition(installation.topics.commands, number) for number in range(2)]


@pytest.fixture
async def reader(installation: Installation) -> AsyncIterator[Reader]:
    reader = make_reader(installation.settings(KitSettings), auto_offset_reset="earliest")
    await reader.start()
    yield reader
    await reader.stop()


async def test_an_error_of_one_partition_does_not_delay_the_records_of_another(
    installation: Installation, reader: Reader, partitions: Sequence[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reader._fetcher is not None
    monkeypatch.setattr(reader._fetcher, "_retry_backoff", 10 * POLL_MS / 1000)
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        await producer.send_and_wait(partitions[0].topic, b"here", partition=0)
    reader.assign(partitions)
    reader.seek(partitions[0], 0)
    reader.seek(partitions[1], NO_SUCH_OFFSET)
    found = await reader.getmany(timeout_ms=POLL_MS)
    assert [record.value for record in found.get(partitions[0], ())] == [b"here"]

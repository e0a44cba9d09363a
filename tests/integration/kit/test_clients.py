"""The producers that all processes use, on a real broker."""

from typing import get_args

import pytest

from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("events")


@pytest.mark.parametrize("compression", get_args(KitSettings.model_fields["compression"].annotation))
async def test_records_of_every_compression_are_read(installation: Installation, compression: str) -> None:
    settings = installation.settings(KitSettings, compression=compression)
    topic, value = installation.topics.events, b"harbour at dusk " * 1_000
    publisher = Publisher(lambda: make_producer(settings))
    try:
        await publisher.publish([OutgoingRecord(topic, b"key", value)])
        async with topic_reader(settings.kafka_bootstrap, topic) as reader:
            (record,) = await reader.read_until(bool, "the record")
        assert record.value == value
    finally:
        await publisher.stop()

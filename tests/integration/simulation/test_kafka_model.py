"""The simulation's model of Kafka does what a real broker does for a publisher and the members of a consumer group."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from tests.support.installation import Installation
from tests.support.simulation.group_scenario import GROUP, PARTITIONS, scenario
from tests.support.simulation.kafka.broker import Broker
from tests.support.simulation.kafka.members import SubscribingBroker, subscribe
from tests.support.simulation.kafka.offsets import Offsets
from tests.support.simulation.kafka.producer import Producer
from tests.support.simulation.loop import OUTSIDE, SimulatedLoop
from tests.support.simulation.network import Network
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming import consumer as consumer_module
from triptych.kit.kafka.consuming.broker import make_broker
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.process.settings import KitSettings


class RealKafka:
    """See `Kafka`."""

    def __init__(self, installation: Installation) -> None:
        self.topic = installation.topics.events
        self._group = f"{installation.name}.{GROUP}"
        self._settings = installation.settings(KitSettings)

    def broker(self) -> Any:
        return make_broker(self._settings)

    def publisher(self) -> Publisher:
        return Publisher(lambda: make_producer(self._settings))

    def offsets(self) -> Any:
        return GroupOffsets(self._settings, self.topic, self._group)

    async def expire(self, partition: int, offset: int) -> None:
        async with self._admin() as admin:
            await admin.delete_records({TopicPartition(self.topic, partition): RecordsToDelete(before_offset=offset)})

    async def grow(self, partitions: int) -> None:
        async with self._admin() as admin:
            await admin.create_partitions({self.topic: NewPartitions(partitions)})

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


class SimulatedKafka:
    """See `Kafka`."""

    topic = "sim.events"

    def __init__(self, loop: SimulatedLoop) -> None:
        self._broker = Broker(loop, random.Random(1), Network(random.Random(1)))
        self._broker.create(self.topic, PARTITIONS)

    def broker(self) -> Any:
        return SubscribingBroker(self._broker)

    def publisher(self) -> Publisher:
        return Publisher(lambda: Producer(self._broker))

    def offsets(self) -> Any:
        return Offsets(self._broker, self.topic, f"sim.{GROUP}")

    async def expire(self, partition: int, offset: int) -> None:
        self._broker.topics[self.topic][partition].expire(offset)

    async def grow(self, partitions: int) -> None:
        self._broker.grow({self.topic: partitions})


def on_model() -> Any:
    """What the scenario sees on the model."""
    loop = SimulatedLoop()
    try:
        with mock.patch.object(consumer_module, "subscribe", subscribe):
            work = loop.create_task(scenario(SimulatedKafka(loop)), context=OUTSIDE)
            return loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.mark.only_topics("events")
async def test_the_model_does_what_the_broker_does(installation: Installation) -> None:
    assert await asyncio.to_thread(on_model) == await scenario(RealKafka(installation))

"""Asks Kafka about the events topic: where the relay's group stands, where the topic begins and ends."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.kit.brokers import make_reader
from services.kit.failures import TransientFailure
from services.kit.settings import KitSettings


class TopicOffsets:
    """See `services.webhooks.losses.Offsets`."""

    def __init__(self, settings: KitSettings, topic: str, group: str) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group
        self._reader: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def committed(self) -> dict[int, int]:
        """The offsets that the group has committed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap, client_id="triptych")
        try:
            await admin.start()
            offsets = await admin.list_consumer_group_offsets(self._group)
        except KafkaError as error:
            raise TransientFailure(f"no offsets of {self._group}: {error!r}") from error
        finally:
            await admin.close()
        return {
            place.partition: found.offset
            for place, found in offsets.items()
            if place.topic == self._topic and found.offset >= 0
        }

    async def beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offsets that the topic still has."""
        reader = await self._reading()
        return await self._ask(reader.beginning_offsets(self._places(partitions)))

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offsets behind the last records."""
        reader = await self._reading()
        return await self._ask(reader.end_offsets(self._places(partitions)))

    async def stop(self) -> None:
        """Close the client."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()

    async def _ask(self, asking: Awaitable[Mapping[TopicPartition, int]]) -> dict[int, int]:
        try:
            return {place.partition: offset for place, offset in (await asking).items()}
        except KafkaError as error:
            raise TransientFailure(f"no offsets of {self._topic}: {error!r}") from error

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    async def _reading(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._reader is None:
                reader = make_reader(self._settings)
                try:
                    await reader.start()
                except BaseException as error:
                    await reader.stop()
                    if isinstance(error, KafkaError):
                        raise TransientFailure(f"Kafka does not answer: {error!r}") from error
                    raise
                self._reader = reader
            return self._reader

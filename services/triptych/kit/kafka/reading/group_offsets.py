"""Reads and sets the committed offsets of a consumer group on one topic, and reads where that topic begins and ends."""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader
from triptych.kit.process.settings import KitSettings


class GroupOffsets:
    """One topic, and the offsets of one consumer group on it. All methods raise TransientFailure if Kafka is away."""

    def __init__(self, settings: KitSettings, name: str, group: str) -> None:
        self._settings = settings
        self.name = name
        self.group = group
        self._reader: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def committed(self) -> dict[int, int]:
        """The offsets that the group has committed, by partition. Partitions without one are left out."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap, client_id="triptych")
        try:
            await admin.start()
            offsets = await admin.list_consumer_group_offsets(self.group)
        except KafkaError as error:
            raise TransientFailure(f"no offsets of {self.group}: {error!r}") from error
        finally:
            await admin.close()
        return {
            topic_partition.partition: committed.offset
            for topic_partition, committed in offsets.items()
            if topic_partition.topic == self.name and committed.offset >= 0
        }

    async def beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that the topic still has, by partition."""
        reader = await self._started_reader()
        try:
            found: Mapping[TopicPartition, int] = await reader.beginning_offsets(self._topic_partitions(partitions))
        except KafkaError as error:
            raise TransientFailure(f"no offsets of {self.name}: {error!r}") from error
        return {topic_partition.partition: offset for topic_partition, offset in found.items()}

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last record of the topic, by partition."""
        reader = await self._started_reader()
        try:
            found: Mapping[TopicPartition, int] = await reader.end_offsets(self._topic_partitions(partitions))
        except KafkaError as error:
            raise TransientFailure(f"no offsets of {self.name}: {error!r}") from error
        return {topic_partition.partition: offset for topic_partition, offset in found.items()}

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Set offsets of the group, which must have no members."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap, group_id=self.group, enable_auto_commit=False
        )
        try:
            await consumer.start()
            committed = {TopicPartition(self.name, partition): offset for partition, offset in offsets.items()}
            consumer.assign(list(committed))
            await consumer.commit(committed)
        except KafkaError as error:
            raise TransientFailure(f"cannot set offsets of {self.group}: {error!r}") from error
        finally:
            await consumer.stop()

    async def stop(self) -> None:
        """Close the client."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()

    def _topic_partitions(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self.name, partition) for partition in partitions]

    async def _started_reader(self) -> AIOKafkaConsumer:
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

"""Reads where a topic begins and ends, with one reader that is started when it is first needed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.errors import no_answer
from triptych.kit.kafka.topic_facts import describe_topics
from triptych.kit.process.settings import KitSettings


class TopicOffsets:
    """The first and last offsets of one topic. All methods raise TransientFailure if Kafka does not answer."""

    def __init__(self, settings: KitSettings, name: str) -> None:
        self._settings = settings
        self.name = name
        self._reader: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that the topic still has, by partition."""
        return await self._read(lambda reader, wanted: reader.beginning_offsets(wanted), partitions)

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last record of the topic, by partition."""
        return await self._read(lambda reader, wanted: reader.end_offsets(wanted), partitions)

    async def all_ends(self) -> dict[int, int]:
        """The offset after the last record of each partition that the topic has."""
        reader = await self._started_reader()
        try:
            facts = (await describe_topics(reader._client, [self.name]))[self.name]
        except KafkaError as error:
            raise self.failure(error) from error
        if facts is None:
            raise TransientFailure(f"topic {self.name} does not exist")
        return await self.ends(range(facts.partitions))

    async def stop(self) -> None:
        """Close the client."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()

    def failure(self, error: KafkaError) -> TransientFailure:
        """The failure that an error of Kafka means."""
        return TransientFailure(f"Kafka does not report the offsets of {self.name}: {error!r}")

    async def _read(
        self,
        read: Callable[[AIOKafkaConsumer, list[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]],
        partitions: Iterable[int],
    ) -> dict[int, int]:
        reader = await self._started_reader()
        try:
            found = await read(reader, [TopicPartition(self.name, partition) for partition in partitions])
        except KafkaError as error:
            raise self.failure(error) from error
        return {topic_partition.partition: offset for topic_partition, offset in found.items()}

    async def _started_reader(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._reader is None:
                reader = make_reader(self._settings)
                try:
                    await reader.start()
                except BaseException as error:
                    await reader.stop()
                    if isinstance(error, KafkaError):
                        raise no_answer(error) from error
                    raise
                self._reader = reader
            return self._reader

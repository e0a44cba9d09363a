"""Reads where a topic begins and ends, and reads and sets the committed offsets of a consumer group on it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.errors import KafkaAway, no_answer
from triptych.kit.kafka.reading.reader import Reader
from triptych.kit.kafka.security import connection_options
from triptych.kit.kafka.topic_facts import describe_topics
from triptych.kit.process.settings import KitSettings

ANSWER_SECONDS = 10.0


class TopicOffsets:
    """The first and last offsets of one topic, read by one client that is started when it is first needed.

    All methods raise TransientFailure if Kafka does not answer within `ANSWER_SECONDS`.
    """

    def __init__(self, settings: KitSettings, name: str) -> None:
        self._settings = settings
        self.name = name
        self._reader: Reader | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the client."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()

    async def beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that the topic still has, by partition."""
        return await self._read(lambda reader: reader.beginning_offsets(self._partitions(partitions)))

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last record of the topic, by partition."""
        return await self._read(lambda reader: reader.end_offsets(self._partitions(partitions)))

    async def since(self, moment: datetime, partitions: Iterable[int]) -> dict[int, int]:
        """The offset of the first record with a time of `moment` or later, by partition; without one, the end."""
        wanted = self._partitions(partitions)

        async def read(reader: AIOKafkaConsumer) -> Mapping[TopicPartition, int]:
            found = await reader.offsets_for_times(dict.fromkeys(wanted, int(moment.timestamp() * 1000)))
            ends: Mapping[TopicPartition, int] = await reader.end_offsets(wanted)
            return {one: found[one].offset if found.get(one) else ends[one] for one in wanted}

        return await self._read(read)

    async def topic_id(self) -> uuid.UUID:
        """The id of the topic; another one if the topic was deleted and created again."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                facts = (await describe_topics((await self._started_reader())._client, [self.name]))[self.name]
        except (KafkaError, TimeoutError) as error:
            raise no_answer(error) from error
        if facts is None:
            raise KafkaAway(f"topic {self.name} does not exist")
        return facts.topic_id

    async def all_ends(self) -> dict[int, int]:
        """The offset after the last record of each partition that the topic has."""

        async def read(reader: AIOKafkaConsumer) -> Mapping[TopicPartition, int]:
            facts = (await describe_topics(reader._client, [self.name]))[self.name]
            if facts is None:
                raise UnknownTopicOrPartitionError(self.name)
            ends: Mapping[TopicPartition, int] = await reader.end_offsets(self._partitions(range(facts.partitions)))
            return ends

        return await self._read(read)

    def _partitions(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self.name, partition) for partition in partitions]

    async def _read(
        self, read: Callable[[AIOKafkaConsumer], Awaitable[Mapping[TopicPartition, int]]]
    ) -> dict[int, int]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await read(await self._started_reader())
        except (KafkaError, TimeoutError) as error:
            raise no_answer(error) from error
        return {topic_partition.partition: offset for topic_partition, offset in found.items()}

    async def _started_reader(self) -> Reader:
        async with self._starting:
            if self._reader is None:
                reader = make_reader(self._settings)
                try:
                    await reader.start()
                    await reader.look_for_leaders(self.name)
                except BaseException:
                    await reader.stop()
                    raise
                self._reader = reader
            return self._reader


class GroupOffsets(TopicOffsets):
    """The offsets of one topic, and those of one consumer group on it. See `TopicOffsets` for failures."""

    def __init__(self, settings: KitSettings, name: str, group: str) -> None:
        super().__init__(settings, name)
        self.group = group

    async def committed(self) -> dict[int, int]:
        """The offsets that the group has committed, by partition. Partitions without one are left out."""
        admin = AIOKafkaAdminClient(**connection_options(self._settings), client_id="triptych")
        try:
            await admin.start()
            offsets = await admin.list_consumer_group_offsets(self.group)
        except KafkaError as error:
            raise KafkaAway(f"no offsets of {self.group}: {error!r}") from error
        finally:
            await admin.close()
        return {
            topic_partition.partition: committed.offset
            for topic_partition, committed in offsets.items()
            if topic_partition.topic == self.name and committed.offset >= 0
        }

    async def has_members(self) -> bool:
        """Whether a process is a member of the group. A process that was killed counts until its session ends."""
        admin = AIOKafkaAdminClient(**connection_options(self._settings), client_id="triptych")
        try:
            await admin.start()
            described = await admin.describe_consumer_groups([self.group])
        except KafkaError as error:
            raise KafkaAway(f"no description of {self.group}: {error!r}") from error
        finally:
            await admin.close()
        return any(group["members"] for answer in described for group in answer.to_object()["groups"])

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Set offsets of the group, which must have no members."""
        consumer = AIOKafkaConsumer(**connection_options(self._settings), group_id=self.group, enable_auto_commit=False)
        try:
            await consumer.start()
            committed = {TopicPartition(self.name, partition): offset for partition, offset in offsets.items()}
            consumer.assign(list(committed))
            await consumer.commit(committed)
        except KafkaError as error:
            raise KafkaAway(f"cannot set offsets of {self.group}: {error!r}") from error
        finally:
            await consumer.stop()

"""Reads and sets the committed offsets of a consumer group on one topic."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.reading.topic_offsets import TopicOffsets
from triptych.kit.process.settings import KitSettings


class GroupOffsets(TopicOffsets):
    """The offsets of one topic, and those of one consumer group on it. See `TopicOffsets` for failures."""

    def __init__(self, settings: KitSettings, name: str, group: str) -> None:
        super().__init__(settings, name)
        self.group = group

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

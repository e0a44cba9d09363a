"""Configuring a topic; deleting it and creating it again."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.support.installation import PARTITIONS
from tests.support.waiting import eventually


async def recreate(bootstrap: str, topic: str, partitions: int = PARTITIONS) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])

        async def is_created() -> bool:
            answer = await admin.create_topics([NewTopic(name=topic, num_partitions=partitions, replication_factor=1)])
            return bool(answer.topic_errors[0][1] == 0)

        await eventually(is_created, "the topic is created again")
    finally:
        await admin.close()
    # The broker responds before the new log has replaced the old one, and meanwhile the old log still takes records.
    topic_partitions = [TopicPartition(topic, partition) for partition in range(partitions)]
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    await reader.start()
    try:

        async def is_empty() -> bool:
            return not any((await reader.end_offsets(topic_partitions)).values())

        await eventually(is_empty, "the new topic is empty")
    finally:
        await reader.stop()


async def configure_topic(bootstrap: str, topic: str, configs: Mapping[str, str]) -> None:
    """Set configurations of a topic, and wait until the broker has them: it answers before it applies them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs)])

        async def are_in_force() -> bool:
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            (resource,) = answer.resources
            found = {name: value for name, value, *_ in resource[-1]}
            return configs.items() <= found.items()

        await eventually(are_in_force, f"{topic} has {dict(configs)}")
    finally:
        await admin.close()

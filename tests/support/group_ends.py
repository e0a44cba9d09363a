"""Knows which consumer groups of an installation have not finished their topic."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.installation import PARTITIONS, Installation
from triptych.kit.kafka import groups


async def groups_behind(installation: Installation) -> list[str]:
    """The groups that have not committed the end of each partition that they read; the views have version 1."""
    topics = installation.topics
    read = {
        groups.command_group(topics.prefix): topics.commands,
        groups.projector_group(topics.prefix, 1): topics.events,
        groups.webhooks_group(topics.prefix): topics.events,
    }
    address = installation.addresses.kafka_bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
            behind = []
            for group, topic in read.items():
                committed = await admin.list_consumer_group_offsets(group)
                ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
                if any(place not in committed or committed[place].offset < end for place, end in ends.items() if end):
                    behind.append(group)
            return behind
    finally:
        await admin.close()

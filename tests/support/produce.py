"""Publishes batches as raw bytes: batches that no client would make, and transactions that stay open."""

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NoError, NotLeaderForPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import TopicPartition

from tests.support.waiting import eventually


async def produce(bootstrap: str, topic: str, partition: int, batch: bytes) -> int:
    """Send a batch to the broker; returns its offset. Raises KafkaError if the broker refuses it."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    request = ProduceRequest(
        transactional_id=None, required_acks=-1, timeout=10_000, topics=[(topic, [(partition, batch)])]
    )

    async def offset() -> tuple[int] | None:
        await client._wait_on_metadata(topic)
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        answer = await client.send(leader, request)
        ((_, ((_, code, offset, *_),)),) = answer.topics
        if for_code(code) is NotLeaderForPartitionError:
            return None  # the topic is new, and has no leader yet
        if for_code(code) is not NoError:
            raise for_code(code)
        return (int(offset),)

    try:
        (found,) = await eventually(offset, "the broker accepts a batch")
        return found
    finally:
        await client.close()

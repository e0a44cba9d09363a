"""Checks that no record that the product publishes itself is a dead letter of the product."""

from collections.abc import Iterable

from aiokafka import TopicPartition

from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record
from triptych.kit.kafka.reading.reader import GroupReader

OURS = {b"triptych/command", b"triptych/projector", b"triptych/webhooks"}
"""The `ce_source` of the services' own records; the gateway's commands have the sources of its clients."""


async def everything_on(installation: Installation, topic: str) -> list[Record]:
    """All records that are on a topic now, each partition in order."""
    # aiokafka's own consumer cannot read header names that are not UTF-8.
    consumer = GroupReader(bootstrap_servers=installation.addresses.kafka_bootstrap, group_id=None)
    await consumer.start()
    try:
        # Partitions are assigned directly: just after subscribing there may be none, and no record would be read.
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        records: list[Record] = []
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                records += (await consumer.getmany(partition, timeout_ms=200)).get(partition, [])
        return records
    finally:
        await consumer.stop()


def ours(letters: Iterable[Record]) -> list[str]:
    """A description of each dead letter whose record the product published itself."""
    found = []
    for letter in letters:
        headers = dict(letter.headers)
        if headers.get("ce_source") in OURS or (headers.get("ce_type") or b"").startswith(b"triptych.snapshot."):
            origin, reason = headers.get("dead-letter-origin"), headers.get("dead-letter-reason")
            found.append(f"{origin!r} {reason!r} {headers.get('dead-letter-error')!r}")
    return found


async def assert_no_record_of_ours_is_dead(installation: Installation) -> None:
    """Check both dead-letter topics as they are now."""
    topics = installation.topics
    for topic in (topics.commands, topics.events):
        dead = ours(await everything_on(installation, topics.dead_letter(topic)))
        assert not dead, f"{len(dead)} records of ours on {topics.dead_letter(topic)}: {dead[:3]}"

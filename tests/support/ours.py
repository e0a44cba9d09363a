"""Checks that no record that the product publishes itself is a dead letter of the product, or breaks its schema."""

from collections.abc import Iterable

from aiokafka import TopicPartition

from tests.support.installation import Installation
from tests.support.kafka import Record
from tests.support.published import problems_of_record
from triptych.kit.kafka.reading.reader import GroupReader

OURS = {b"triptych/command", b"triptych/history", b"triptych/projector", b"triptych/webhooks"}
"""The `ce_source` of the services' own records; the gateway's commands have the sources of its clients."""


async def everything_on(installation: Installation, *topics: str) -> list[Record]:
    """All records that are on these topics now, each partition in order. A topic that does not exist has none."""
    # aiokafka's own consumer cannot read header names that are not UTF-8.
    consumer = GroupReader(bootstrap_servers=installation.addresses.kafka_bootstrap, group_id=None)
    await consumer.start()
    try:
        cluster = await consumer._client.fetch_all_metadata()
        # Partitions are assigned directly: just after subscribing there may be none, and no record would be read.
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in sorted(cluster.partitions_for_topic(topic) or ())
        ]
        if not partitions:
            return []
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
    _check_letters(await everything_on(installation, *_dead_letters(installation)))


async def assert_our_records_are_right(installation: Installation) -> None:
    """Check all topics as they are now: no record of ours is a dead letter, and each is as its schema says."""
    topics, dead_letters = installation.topics, _dead_letters(installation)
    found = await everything_on(installation, *dead_letters, topics.replies, topics.events, topics.galleries)
    _check_letters(record for record in found if record.topic in dead_letters)
    channels = {topics.replies: "replies", topics.events: "events", topics.galleries: "galleries"}
    invalid = [
        problem
        for record in found
        if record.topic in channels and is_ours(channels[record.topic], record)
        for problem in problems_of_record(channels[record.topic], record)
    ]
    assert not invalid, f"{len(invalid)} violations of published schemas: {invalid[:3]}"


def _dead_letters(installation: Installation) -> list[str]:
    return [installation.topics.dead_letter(topic) for topic in installation.topics.dead_lettering.values()]


def _check_letters(letters: Iterable[Record]) -> None:
    dead = ours(letters)
    assert not dead, f"{len(dead)} records of ours are dead letters: {dead[:3]}"


def is_ours(channel: str, record: Record) -> bool:
    """Whether the product has published this record, not a test.

    Joined records name no source. Those that tests put on the topic have no headers.
    """
    return bool(record.headers) if channel == "galleries" else dict(record.headers).get("ce_source") in OURS

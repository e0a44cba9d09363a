"""No record that the product publishes itself is ever a dead letter of the product."""

from collections.abc import Iterable

from aiokafka import TopicPartition

from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record
from triptych.kit.kafka.reading.reader import GroupReader

OURS = {b"triptych/command", b"triptych/projector", b"triptych/webhooks"}
"""`ce_source` of what services publish; the gateway's commands are its clients'."""


async def everything_on(installation: Installation, topic: str) -> list[Record]:
    """All records that a topic holds now, each partition in order."""
    # aiokafka's own consumer cannot read names of headers that are not UTF-8.
    consumer = GroupReader(bootstrap_servers=installation.addresses.kafka_bootstrap, group_id=None)
    await consumer.start()
    try:
        # Not by subscribing, after which there may be no partitions yet: nothing would be read, and nothing found.
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        records: list[Record] = []
        for place in places:
            while await consumer.position(place) < ends[place]:
                records += (await consumer.getmany(place, timeout_ms=200)).get(place, [])
        return records
    finally:
        await consumer.stop()


def ours(letters: Iterable[Record]) -> list[str]:
    """Dead letters that are records of the product's own, in words."""
    found = []
    for letter in letters:
        headers = dict(letter.headers)
        if headers.get("ce_source") in OURS or (headers.get("ce_type") or b"").startswith(b"triptych.snapshot."):
            origin, reason = headers.get("dead-letter-origin"), headers.get("dead-letter-reason")
            found.append(f"{origin!r} {reason!r} {headers.get('dead-letter-error')!r}")
    return found


async def assert_no_record_of_ours_is_dead(installation: Installation) -> None:
    """Look through both dead-letter topics as they are now."""
    topics = installation.topics
    for topic in (topics.commands, topics.events):
        dead = ours(await everything_on(installation, topics.dead_letter(topic)))
        assert not dead, f"{len(dead)} records of ours on {topics.dead_letter(topic)}: {dead[:3]}"

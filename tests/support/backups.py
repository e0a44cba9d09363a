"""Backups of a database and of topics, as an operator's tools take them, and their restoration."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient

from tests.support.installation import Installation
from tests.support.kafka import Record, raw_producer, topic_reader
from tests.support.waiting import eventually
from triptych.kit.kafka.reading.offsets import GroupOffsets, TopicOffsets
from triptych.kit.mongo.driver import Document, snapshot_session
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import ensure_topics

Documents = Mapping[str, list[Document]]


async def back_up(installation: Installation) -> Documents:
    """All documents of the database at one moment, by collection."""
    database = installation.database
    names = await database.list_collection_names()
    async with snapshot_session(database) as session:
        return {name: await database[name].find({}, session=session).to_list(None) for name in names}


async def restore(installation: Installation, backup: Documents) -> None:
    """Bring the database back to a backup. Indexes stay."""
    database = installation.database
    for name in await database.list_collection_names():
        await database[name].delete_many({})
        if backup.get(name):
            await database[name].insert_many(backup[name])


async def records_of(installation: Installation, topic: str) -> list[Record]:
    """All records of a topic, in order per partition."""
    async with TopicOffsets(installation.settings(KitSettings), topic) as offsets:
        ends = await offsets.all_ends()
        beginnings = await offsets.beginnings(ends)
    count = sum(ends[number] - beginnings[number] for number in ends)
    async with topic_reader(installation.addresses.kafka_bootstrap, topic) as reader:
        return list(await reader.read_count(count))


async def bring_back(installation: Installation, backup: Mapping[str, Iterable[Record]]) -> None:
    """Delete these topics, create them again, and fill them with older records."""
    settings = installation.settings(KitSettings)
    bootstrap = installation.addresses.kafka_bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(backup))

        async def are_gone() -> bool:
            return not set(backup) & set(await admin.list_topics())

        await eventually(are_gone, "the topics are deleted")
    finally:
        await admin.close()
    await ensure_topics(settings, installation.topic_specs)
    async with raw_producer(bootstrap) as producer:
        for topic, records in backup.items():
            for record in records:
                await producer.send(
                    topic,
                    record.value,
                    record.key,
                    partition=record.partition,
                    timestamp_ms=record.timestamp,
                    headers=list(record.headers),
                )
        await producer.flush()


async def set_offsets(installation: Installation, topic: str, group: str, records: Iterable[Record]) -> None:
    """Set a group's offsets to the end of these records, as a backup of Kafka would have them."""
    ends: defaultdict[int, int] = defaultdict(int)
    for record in records:
        ends[record.partition] += 1
    async with GroupOffsets(installation.settings(KitSettings), topic, group) as offsets:
        await offsets.commit(ends)

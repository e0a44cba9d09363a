"""The projector tells the gateway that an event names when the view and the join have the event."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.histories import History
from tests.support.installation import PARTITIONS, REPLY_TOPICS, Installation
from tests.support.kafka import Publish, TopicReader, topic_reader
from triptych.contract.codec.envelope import Message
from triptych.contract.codec.notices import Shown, decode_notice
from triptych.kit.kafka.partitions import partition_of
from triptych.projector.app import compose
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import Views


def addressed(message: Message, topic: str) -> Message:
    return message._replace(headers=(*message.headers, ("ce_noticeto", topic.encode())))


@asynccontextmanager
async def notices_of(installation: Installation, number: int) -> AsyncIterator[TopicReader]:
    topic = installation.topics.gateway_replies(number)
    async with topic_reader(installation.addresses.kafka_bootstrap, topic) as reader:
        yield reader


async def joined_records(installation: Installation, gallery_id: str) -> int:
    """The number of records in the gallery's partition of the joined topic."""
    partition = TopicPartition(installation.topics.galleries, partition_of(gallery_id.encode(), PARTITIONS))
    async with AIOKafkaConsumer(bootstrap_servers=installation.addresses.kafka_bootstrap) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets([partition])
    return ends[partition]


async def test_a_gateway_is_told_when_its_write_is_stored_and_published(
    installation: Installation, publish: Publish
) -> None:
    history = History(site_id="s").create()
    history.add_item(1)
    created, added = history.messages
    ours, elsewhere = installation.topics.gateway_replies(0), f"{installation.name}.elsewhere"
    settings = installation.settings(ProjectorSettings, reply_topics=REPLY_TOPICS + 1)
    async with compose(settings), notices_of(installation, 0) as notices:
        await publish([addressed(created, elsewhere), addressed(added, ours)])
        (notice,) = await notices.read_count(1)
        (shown,) = decode_notice(notice.value)
        (item_id,) = history.items
        assert shown == Shown("s", history.gallery_id, 2, (history.items[item_id],))
        assert await Views(installation.database).sequence_of("s", history.gallery_id) == 2
        assert await joined_records(installation, history.gallery_id) >= 2

        # After a crash before the notice, the event comes again.
        await publish([addressed(added, ours)])
        again = (await notices.read_count(2))[1]
        assert decode_notice(again.value) == [Shown("s", history.gallery_id, 2)]

        # A topic that is missing delays nobody.
        await publish([addressed(added, installation.topics.gateway_replies(REPLY_TOPICS))])
        history.rename("new")
        await publish([addressed(history.messages[-1], ours)])
        last = (await notices.read_count(3))[2]
        assert decode_notice(last.value) == [Shown("s", history.gallery_id, 3)]

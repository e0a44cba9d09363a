"""A consumer that reads the joined topic after Kafka has compacted it."""

import contextlib
from collections import Counter

import pytest

from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import Record, raw_producer, topic_reader
from tests.support.topics import configure_topic
from tests.support.waiting import eventually
from triptych.client import Galleries
from triptych.projector.app import compose
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import Views

# As early as Kafka allows. The last segment of a partition is never compacted.
COMPACTION = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "0"}


@pytest.mark.timeout(150)
async def test_a_consumer_that_comes_after_compaction_sees_what_is_right(installation: Installation) -> None:
    bootstrap, topic = installation.addresses.kafka_bootstrap, installation.topics.galleries
    await configure_topic(bootstrap, topic, {"cleanup.policy": "compact", **COMPACTION})
    kept, deleted = History().create(), History().create()
    items = [kept.add_item(order) for order in range(6)]
    for item_id in items[:4]:
        deleted.add_item(1, item_id[:-1] + ("0" if item_id[-1] != "0" else "1"))
        kept.update_item(item_id, title="changed")
    kept.delete_item(items[0])
    async with compose(installation.settings(ProjectorSettings, projector_batch_size=2)):
        await _publish(installation, kept, deleted)
        await _viewed(installation, kept, deleted)
        before = Counter(record.key for record in await _read(installation))
        assert before[kept.gallery_id.encode()] > 3
        sent = {history.gallery_id: len(history.wire) for history in (kept, deleted)}
        deleted.delete()
        kept.rename("last")

        async def is_compacted() -> bool:
            # Each round starts a new segment, so that Kafka can compact the older ones.
            kept.update_item(items[1], title=str(len(kept.wire)))
            await _publish(installation, kept, deleted, behind=sent)
            sent.update({history.gallery_id: len(history.wire) for history in (kept, deleted)})
            await _viewed(installation, kept, deleted)
            after = Counter(record.key for record in await _read(installation))
            return after[kept.gallery_id.encode()] < before[kept.gallery_id.encode()]

        await eventually(is_compacted, "compaction", deadline_seconds=90)

    consumer = Galleries()
    for record in await _read(installation):
        consumer.feed(record.key, record.value)
    assert list(consumer) == [kept.gallery_id]
    assert consumer.get(kept.gallery_id) == {**kept.head(), "items": kept.shown_items()}
    assert consumer.sequence(kept.gallery_id) == len(kept.wire)


async def _publish(installation: Installation, *histories: History, behind: dict[str, int] | None = None) -> None:
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        for history in histories:
            for message in history.messages[(behind or {}).get(history.gallery_id, 0) :]:
                await producer.send_and_wait(
                    installation.topics.events, message.value, message.key, headers=list(message.headers)
                )


async def _viewed(installation: Installation, *histories: History) -> None:
    views = Views(installation.database)

    async def is_viewed() -> bool:
        reached = [await views.sequence_of("default", history.gallery_id) for history in histories]
        return reached == [len(history.wire) for history in histories]

    await eventually(is_viewed, "all events in the views")


async def _read(installation: Installation) -> list[Record]:
    """Everything that is on the joined topic now."""
    async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.galleries) as reader:
        with contextlib.suppress(AssertionError):
            await reader.read_until(lambda _: False, "more", deadline_seconds=1.0)
        return reader.records

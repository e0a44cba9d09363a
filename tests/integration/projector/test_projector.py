"""The projector on real servers: events in, views and the join out."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from tests.support.histories import History
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Publish, Record, TopicReader, expire_records, topic_reader
from tests.support.waiting import eventually
from triptych.contract.codec.envelope import Message
from triptych.contract.joined import GalleryRecord, ItemRecord
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.mongo.driver import Database
from triptych.projector.app import compose
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import Views


def _latest(records: Sequence[Record]) -> dict[str, Any]:
    """The state of a compacted topic: the last value of each key, None for a tombstone."""
    return {record.key.decode(): json.loads(record.value) if record.value else None for record in records}


async def _join_has(joined: TopicReader, expected: dict[str, int | None]) -> dict[str, Any]:
    """The join, once each of these keys has a record of the given sequence, or a tombstone."""

    def is_there(records: list[Record]) -> bool:
        latest = _latest(records)
        return all(key in latest and (latest[key] and latest[key]["sequence"]) == at for key, at in expected.items())

    return _latest(await joined.read_until(is_there, f"{expected} in the join"))


async def _view_reaches(database: Database, history: History) -> None:
    views = Views(database)

    async def is_there() -> bool:
        return await views.sequence_of(history.site_id, history.gallery_id) == len(history.wire)

    await eventually(is_there, f"the view of {history.gallery_id} at {len(history.wire)}")


def _client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://projector")


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_events_become_views_and_the_join(
    installation: Installation, publish: Publish, joined: TopicReader, driver: str
) -> None:
    history = History(site_id="s").create()
    first, second, third = (history.add_item(order) for order in (1, 3.5, 2))
    history.update_item(first, title="moved", sortOrder=4).delete_item(second).rename("new")
    gone = History(site_id="s").create()
    gone_item = gone.add_item(1)
    gone.delete()

    await publish([*history.messages, *gone.messages])
    async with compose(installation.settings(ProjectorSettings, mongo_driver=driver)):
        join = await _join_has(
            joined,
            {
                history.gallery_id: 7,
                f"{history.gallery_id}/{first}": 5,
                f"{history.gallery_id}/{second}": None,
                f"{history.gallery_id}/{third}": 4,
                gone.gallery_id: None,
                f"{gone.gallery_id}/{gone_item}": None,
            },
        )

    page = await Views(installation.database).get_gallery("s", history.gallery_id, 10)
    assert page is not None
    assert page.to_wire() == {**history.head(), "items": history.shown_items()}
    assert await Views(installation.database).get_gallery("s", gone.gallery_id, 10) is None
    assert await installation.database["item_views"].count_documents({}) == 2

    head = GalleryRecord.model_validate(join[history.gallery_id])
    assert [item.id for item in head.items] == [first, third]
    assert (head.total_items, head.gallery.name, head.site_id) == (2, "new", "s")
    item = ItemRecord.model_validate(join[f"{history.gallery_id}/{first}"])
    assert (item.item.title, item.gallery.name) == ("moved", "new")
    for record in joined.records:
        gallery_id = record.key.partition(b"/")[0]
        assert record.partition == partition_of(gallery_id, PARTITIONS)


async def test_a_gallery_of_more_items_than_its_head_holds(
    installation: Installation, publish: Publish, joined: TopicReader
) -> None:
    history = History().create()
    for order in range(130):
        history.add_item(order)
    await publish(history.messages)
    async with compose(installation.settings(ProjectorSettings, projector_batch_size=50)):
        join = await _join_has(joined, {history.gallery_id: 131})
    head = join[history.gallery_id]
    assert (head["totalItems"], head["itemsTruncated"]) == (130, False)
    assert head["items"] == history.shown_items()[:100]


async def test_what_was_written_but_not_published_is_published_after_a_restart(
    installation: Installation, publish: Publish, joined: TopicReader
) -> None:
    history = History().create()
    kept, removed = history.add_item(1), history.add_item(2)
    history.delete_item(removed)
    await publish(history.messages)
    settings = installation.settings(ProjectorSettings)
    everything = {
        history.gallery_id: 4,
        f"{history.gallery_id}/{kept}": 2,
        f"{history.gallery_id}/{removed}": None,
    }
    async with compose(settings):
        await _join_has(joined, everything)
    # As after a crash between the transaction and the publication: the views are complete, the offsets not committed.
    await _rewind(installation)
    already = len(joined.records)

    async with compose(settings):
        await joined.read_until(
            lambda records: {record.key.decode() for record in records[already:]} >= set(everything),
            "every record again",
        )
    assert all(_latest(joined.records)[key] == _latest(joined.records[:already])[key] for key in everything)
    page = await Views(installation.database).get_gallery("default", history.gallery_id, 10)
    assert page is not None
    assert page.to_wire() == {**history.head(), "items": history.shown_items()}


async def _rewind(installation: Installation) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.addresses.kafka_bootstrap,
        group_id=f"{installation.name}.projector.v1",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(installation.topics.events, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))
    finally:
        await consumer.stop()


async def test_records_that_are_no_events_are_dead_lettered_and_their_neighbours_applied(
    installation: Installation, publish: Publish
) -> None:
    history, other = History().create(), History().create().rename("stolen")
    history.add_item(1)
    created, item_created = history.messages
    bad = [
        Message(created.key, b"{", ()),
        Message(created.key, b'{"eventType": "unknown"}', ()),
        Message(created.key, created.value, (("ce_siteid", b"\xff"),)),
    ]
    opened, renamed = other.messages
    stolen = Message(renamed.key, renamed.value, (("ce_siteid", b"another"),))
    await publish([created, *bad, item_created, opened, stolen])
    dead_letters = installation.topics.dead_letter(installation.topics.events)
    async with (
        compose(installation.settings(ProjectorSettings)),
        topic_reader(installation.addresses.kafka_bootstrap, dead_letters) as letters,
    ):
        await _view_reaches(installation.database, history)
        records = await letters.read_count(len(bad) + 1)
    reasons = {record.value: dict(record.headers)["dead-letter-reason"].decode() for record in records}
    assert [reasons[message.value] for message in (*bad, stolen)] == [
        "NOT_JSON",
        "UNKNOWN_TYPE",
        "NOT_UTF8",
        "unfit",
    ]
    view = await Views(installation.database).get_gallery("default", other.gallery_id, 1)
    assert view is not None
    assert view.sequence == 1


async def test_a_gap_stops_only_its_own_gallery_until_it_is_closed(
    installation: Installation, publish: Publish, joined: TopicReader
) -> None:
    incomplete, whole = History().create(), History().create()
    for order in range(4):
        incomplete.add_item(order)
        whole.add_item(order)
    messages = incomplete.messages
    views = Views(installation.database)
    async with compose(installation.settings(ProjectorSettings)) as app, _client(app) as client:
        await publish([*messages[:2], *messages[3:], *whole.messages])
        await _view_reaches(installation.database, whole)

        async def marked() -> bool:
            page = await views.get_gallery("default", incomplete.gallery_id, 10)
            return page is not None and page.gap == {"expected": 3, "received": 5}

        await eventually(marked, "the mark of the gap")
        page = await views.get_gallery("default", incomplete.gallery_id, 10)
        assert page is not None
        assert (page.sequence, page.gallery["totalItems"], len(page.items)) == (2, 1, 1)
        answer = await client.get("/health/ready")
        details = {"completeness": "galleries that wait for events that did not come: 1"}
        assert (answer.status_code, answer.json()) == (200, {"status": "ready", "details": details})

        await publish(messages[2:])
        await _join_has(joined, {incomplete.gallery_id: 5})
        assert (await client.get("/health/ready")).json() == {"status": "ready"}
    page = await views.get_gallery("default", incomplete.gallery_id, 10)
    assert page is not None
    assert (page.gap, page.items) == (None, incomplete.shown_items())


async def test_it_refuses_to_start_without_its_topics(installation: Installation) -> None:
    settings = installation.settings(ProjectorSettings, topic_prefix=f"none{uuid.uuid4().hex}.")
    with pytest.raises(StartRefused, match=r"lacks the topics none.*Run: .*triptych provision"):
        async with compose(settings):
            pass


async def test_events_that_expired_unread_stop_it_if_the_policy_is_to_rebuild(
    installation: Installation, publish: Publish
) -> None:
    await publish(History().create().messages)
    await expire_records(installation.addresses.kafka_bootstrap, installation.topics.events, PARTITIONS)
    settings = installation.settings(ProjectorSettings, projector_lost_events="rebuild")
    async with compose(settings) as app, _client(app) as client:

        async def is_reported() -> bool:
            answer = await client.get("/health/ready")
            return (
                answer.status_code == 503 and "have expired unread" in answer.text and "triptych rebuild" in answer.text
            )

        await eventually(is_reported, "the expired events in readiness")
        metrics = (await client.get("/metrics")).text
    assert "triptych_projection_expired_events_total" in metrics
    assert "triptych_projection_lag_records" in metrics


async def test_a_gallery_is_read_once_all_its_first_items_are_there(
    installation: Installation, publish: Publish, joined: TopicReader
) -> None:
    history = History().create(first_items=3)
    items = [history.add_item(order) for order in range(3)]
    views = Views(installation.database)
    async with compose(installation.settings(ProjectorSettings)):
        await publish(history.messages[:3])
        await _join_has(joined, {f"{history.gallery_id}/{items[1]}": 3})
        assert await views.get_gallery("default", history.gallery_id, 10) is None
        assert await views.get_item("default", history.gallery_id, items[0]) is None
        assert history.gallery_id not in _latest(joined.records)
        await publish(history.messages[3:])
        await _join_has(joined, {history.gallery_id: 4})
    page = await views.get_gallery("default", history.gallery_id, 10)
    assert page is not None
    assert page.items == history.shown_items()


async def test_a_burst_of_one_gallery_gives_one_head_record(
    installation: Installation, publish: Publish, joined: TopicReader
) -> None:
    history = History().create()
    item_id = history.add_item(1)
    for number in range(998):
        history.update_item(item_id, title=str(number))
    await publish(history.messages)
    async with compose(installation.settings(ProjectorSettings)):
        await _join_has(joined, {history.gallery_id: 1_000})
    # Kafka returns a burst in a few batches. The batch whose record was read last may not be counted yet.
    topic = {"topic": installation.topics.events}
    batches = 1 + sum(
        REGISTRY.get_sample_value(name, topic) or 0
        for name in ("triptych_batch_seconds_count", "triptych_batch_retries_total")
    )
    heads = [record for record in joined.records if record.key.decode() == history.gallery_id]
    assert len(heads) <= batches < 100
    assert len(joined.records) == 2 * len(heads)

"""`GalleryEvents` within FastStream's own test broker: typed handlers, repeats, gaps, unreadable records."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from faststream import AckPolicy, Depends
from faststream.kafka import KafkaBroker, KafkaMessage, TestKafkaBroker

from tests.support.histories import History
from triptych.client.events.sequences import Seen
from triptych.client.faststream import (
    GalleryCreated,
    GalleryDeleted,
    GalleryEvents,
    GalleryItemCreated,
    GalleryItemUpdated,
    GalleryUpdated,
    Gap,
    UnreadableEvent,
)
from triptych.contract.codec.envelope import Message
from triptych.contract.snapshots import SnapshotStarted

TOPIC = "triptych.events"


async def feed(broker: KafkaBroker, messages: Sequence[Message]) -> None:
    for message in messages:
        headers = {name: value.decode() for name, value in message.headers}
        await broker.publish(message.value, TOPIC, key=message.key, headers=headers)


def included(events: GalleryEvents) -> KafkaBroker:
    broker = KafkaBroker()
    broker.include_router(events)
    return broker


def history() -> History:
    made = History().create("One")
    item_id = made.add_item(1)
    made.rename("Two").update_item(item_id, title="t")
    return made


async def test_each_handler_gets_its_events_typed_and_once() -> None:
    events = GalleryEvents(group_id="tests")
    handled: list[tuple[str, str]] = []

    @events.on(GalleryCreated)
    async def on_gallery(event: GalleryCreated) -> None:
        handled.append(("created", event.created_event.entity.name or ""))

    @events.on(GalleryItemCreated)
    def on_item(event: GalleryItemCreated) -> None:
        handled.append(("item", event.action_event.body.item.id))

    @events.on(GalleryItemUpdated)
    async def on_change(
        event: GalleryItemUpdated,
        message: KafkaMessage,
        tenant: Annotated[str, Depends(lambda: "dependency")],
    ) -> None:
        handled.append((tenant, message.headers["ce_siteid"]))

    made = history()
    async with TestKafkaBroker(included(events)) as broker:
        await feed(broker, made.messages)
        await feed(broker, made.messages)
        assert handled == [("created", "One"), ("item", next(iter(made.items))), ("dependency", "default")]
        assert await events.sequences.get(made.gallery_id) == Seen(4)  # also those without a handler


async def test_a_gap_is_reported_and_late_events_are_handled() -> None:
    gaps: list[Gap] = []
    events = GalleryEvents(group_id="tests", on_gap=gaps.append)
    handled: list[str] = []

    @events.on(GalleryUpdated)
    async def on_update(event: GalleryUpdated) -> None:
        handled.append(event.entity_event_sequence)

    made = History().create()
    for number in range(4):
        made.rename(str(number))
    first, second, third, fourth, fifth = made.messages
    async with TestKafkaBroker(included(events)) as broker:
        await feed(broker, [first, second, fifth, third, fifth, fourth, third])
    assert gaps == [Gap(made.gallery_id, 3, 4)]
    assert handled == ["2", "5", "3", "4"]


async def test_a_gap_may_be_reported_by_a_coroutine_and_is_logged_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    waited: list[Gap] = []

    async def on_gap(gap: Gap) -> None:
        await asyncio.sleep(0)
        waited.append(gap)

    for events in (GalleryEvents(group_id="tests", on_gap=on_gap), GalleryEvents(group_id="tests")):
        made = history()
        async with TestKafkaBroker(included(events)) as broker:
            await feed(broker, [made.messages[0], made.messages[3]])
    assert len(waited) == 1
    assert f"events 2 to 3 of gallery {made.gallery_id} have not come" in caplog.text


BAD = [
    Message(b"k", b"no json", ()),
    Message(b"k", b"{}", ()),
    Message(b"k", b"", ()),
    Message(b"k", history().messages[0].value.replace(b"createdDate", b"created"), ()),
    Message(b"k", b'{"part":"Item"}', (("ce_type", b"triptych.snapshot.v1.Item"),)),
]


async def test_unreadable_records_have_a_handler_of_their_own() -> None:
    events = GalleryEvents(group_id="tests")
    refused: list[UnreadableEvent] = []

    @events.on(UnreadableEvent)
    async def on_unreadable(event: UnreadableEvent) -> None:
        refused.append(event)

    async with TestKafkaBroker(included(events)) as broker:
        await feed(broker, BAD)
    assert [one.record.value for one in refused] == [message.value for message in BAD]
    assert all(one.text for one in refused)


async def test_unreadable_records_are_logged_and_delay_nobody(caplog: pytest.LogCaptureFixture) -> None:
    events = GalleryEvents(group_id="tests")
    handled: list[Any] = []

    @events.on(GalleryCreated)
    async def on_gallery(event: GalleryCreated) -> None:
        handled.append(event)

    async with TestKafkaBroker(included(events)) as broker:
        await feed(broker, [*BAD, history().messages[0]])
    assert len(handled) == 1
    assert caplog.text.count("is not an event") == len(BAD)


async def test_snapshots_are_skipped_unless_there_is_a_handler() -> None:
    made, handled = history(), []
    silent, told = GalleryEvents(group_id="tests"), GalleryEvents(group_id="tests")

    @told.on(SnapshotStarted)
    async def on_snapshot(event: SnapshotStarted) -> None:
        handled.append(event.sequence)

    for events in (silent, told):
        async with TestKafkaBroker(included(events)) as broker:
            await feed(broker, made.snapshot())
    assert handled == [4]


@pytest.mark.parametrize(("policy", "is_seen"), [(AckPolicy.NACK_ON_ERROR, False), (AckPolicy.ACK, True)])
async def test_an_event_counts_as_handled_if_it_will_not_come_again(policy: AckPolicy, is_seen: bool) -> None:
    events = GalleryEvents(group_id="tests", retry_pause=0.01, ack_policy=policy)

    @events.on(GalleryCreated)
    async def on_gallery(event: GalleryCreated) -> None:
        raise RuntimeError("no")

    made = history()
    async with TestKafkaBroker(included(events)) as broker:
        with pytest.raises(RuntimeError):
            await feed(broker, made.messages[:1])
        assert (await events.sequences.get(made.gallery_id) == Seen(1)) is is_seen


def test_a_kind_of_event_has_one_handler() -> None:
    events = GalleryEvents(group_id="tests")
    events.on(GalleryDeleted)(lambda event: None)
    with pytest.raises(ValueError, match="GalleryDeleted has a handler already"):
        events.on(GalleryDeleted)
    with pytest.raises(ValueError, match="dict is not an event of the contract"):
        events.on(dict)


async def test_partitions_that_go_to_another_member_are_forgotten_and_those_that_stay_are_not() -> None:
    from aiokafka import TopicPartition

    events = GalleryEvents(group_id="tests")
    await events.sequences.put(0, "a", Seen(1))
    await events.sequences.put(1, "b", Seen(1))
    listener = events._subscriber._listener
    for owned in ({0, 1}, {1}):
        partitions = {TopicPartition(TOPIC, number) for number in owned}
        assert listener is not None
        await listener.on_partitions_revoked(partitions)
        await listener.on_partitions_assigned(partitions)
    assert [await events.sequences.get(one) for one in "ab"] == [None, Seen(1)]

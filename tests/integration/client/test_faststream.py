"""`GalleryEvents` on a real Kafka: restarts, failures of handlers, records that nobody can read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker

from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from triptych.client.events.sqlite import SQLiteSequences
from triptych.client.faststream import GalleryCreated, GalleryEvents, GalleryUpdated, UnreadableEvent
from triptych.contract.codec.envelope import Message

pytestmark = pytest.mark.only_topics("events")

SECONDS = 20


@pytest.fixture
async def producer(installation: Installation) -> AsyncIterator[AIOKafkaProducer]:
    async with raw_producer(installation.addresses.kafka_bootstrap) as made:
        yield made


@asynccontextmanager
async def running(installation: Installation, events: GalleryEvents) -> AsyncIterator[None]:
    broker = KafkaBroker(installation.addresses.kafka_bootstrap, allow_auto_create_topics=False)
    broker.include_router(events)
    async with broker:
        await broker.start()
        yield


def router(installation: Installation, path: Path, **options: object) -> GalleryEvents:
    return GalleryEvents(
        group_id=f"{installation.name}-group",
        topic_prefix=installation.topics.prefix,
        sequences=SQLiteSequences(path / "s.db"),
        retry_pause=0.05,
        **options,  # type: ignore[arg-type]
    )


async def put(installation: Installation, producer: AIOKafkaProducer, *messages: Message) -> None:
    for message in messages:
        await producer.send_and_wait(
            installation.topics.events, message.value, key=message.key, headers=list(message.headers)
        )


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not is_so():
            await asyncio.sleep(0.02)


async def test_a_handler_that_fails_gets_its_event_again_and_each_event_counts_once_over_restarts(
    installation: Installation, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    made = History().create("One").rename("Two").rename("Three")
    created, second, third = made.messages
    handled: list[str] = []
    failures = 2

    def with_handlers() -> GalleryEvents:
        events = router(installation, tmp_path)

        @events.on(GalleryCreated)
        async def on_created(event: GalleryCreated) -> None:
            handled.append(event.entity_event_sequence)

        @events.on(GalleryUpdated)
        async def on_updated(event: GalleryUpdated) -> None:
            nonlocal failures
            if failures:
                failures -= 1
                raise RuntimeError("not now")
            handled.append(event.entity_event_sequence)

        return events

    await put(installation, producer, created, second, created)
    async with running(installation, with_handlers()):
        await eventually(lambda: handled == ["1", "2"])
    await put(installation, producer, second, created, third)
    async with running(installation, with_handlers()):
        await eventually(lambda: handled == ["1", "2", "3"])
    assert failures == 0


async def test_records_that_are_no_events_are_told_and_the_next_ones_handled(
    installation: Installation, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    made = History().create()
    (created,) = made.messages
    odd = created._replace(headers=(*created.headers, ("odd", b"\xff"), ("reply_to", b"elsewhere")))
    told: list[str] = []
    events = router(installation, tmp_path)

    @events.on(UnreadableEvent)
    async def on_unreadable(event: UnreadableEvent) -> None:
        told.append(event.reason)

    @events.on(GalleryCreated)
    async def on_created(event: GalleryCreated) -> None:
        told.append(event.entity_id)

    await put(installation, producer, Message(created.key, b"\xff", (("ce_type", b"\xff"), ("x", b"\xfe"))))
    await producer.send_and_wait(installation.topics.events, None, key=created.key, headers=[("ce_type", None)])
    await put(installation, producer, odd)
    async with running(installation, events):
        await eventually(lambda: len(told) == 3)
    assert told == ["NOT_UTF8", "TOMBSTONE", made.gallery_id]

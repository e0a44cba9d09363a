"""What tests ask services for while these are killed and replaced, and the times at which it was done."""

import contextlib
import time
from collections.abc import Awaitable, Sequence

import httpx

from tests.support.commands import TEXT
from tests.support.histories import History
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.receiver import Receiver
from tests.support.restarts import PATIENCE_SECONDS, Ask, Instances
from tests.support.rolling_load import ReplyClock
from tests.support.sender import Sender, galleries_on
from tests.support.waiting import eventually
from triptych.readmodel.queries import Views


def commands(sender: Sender, clock: ReplyClock, galleries: Sequence[str]) -> Ask:
    """Sends a command for each of these galleries."""

    async def ask() -> Awaitable[float]:
        sent = [await sender.put("CreateItems", {"galleryId": each, "items": [TEXT]}) for each in galleries]
        await sender.producer.flush()
        return clock.all_came(sent)

    return ask


async def publish_histories(installation: Installation) -> list[History]:
    """Publish the creation of a gallery on each partition of the events topic."""
    histories = [History(gallery_id).create() for gallery_id in galleries_on(*range(PARTITIONS))]
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        for message in (message for history in histories for message in history.messages):
            await producer.send_and_wait(
                installation.topics.events, message.value, message.key, headers=list(message.headers)
            )
    return histories


def projections(installation: Installation) -> Ask:
    """Publishes events, which are to be in the views."""
    views = Views(installation.database)

    async def until_shown(histories: Sequence[History]) -> float:
        async def are_shown() -> bool:
            return all([await views.sequence_of(each.site_id, each.gallery_id) for each in histories])

        await eventually(are_shown, "the events are in the views", deadline_seconds=PATIENCE_SECONDS)
        return time.monotonic()

    async def ask() -> Awaitable[float]:
        return until_shown(await publish_histories(installation))

    return ask


def joined_records(installation: Installation) -> Ask:
    """Publishes events, whose galleries are to be on the joined topic."""

    async def until_joined(histories: Sequence[History]) -> float:
        wanted = {history.gallery_id.encode() for history in histories}
        async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.galleries) as reader:
            await reader.read_until(
                lambda records: {record.key for record in records} >= wanted,
                "the galleries are on the joined topic",
                deadline_seconds=PATIENCE_SECONDS,
            )
        return time.monotonic()

    async def ask() -> Awaitable[float]:
        return until_joined(await publish_histories(installation))

    return ask


def deliveries(installation: Installation, receiver: Receiver) -> Ask:
    """Publishes events, which are to be delivered to each listener of `receiver`."""

    async def until_delivered(histories: Sequence[History]) -> float:
        wanted = {event.id for history in histories for event in history.events}

        async def are_delivered() -> bool:
            return {request.id for request in receiver.requests} >= wanted

        await eventually(are_delivered, "the events are delivered", deadline_seconds=PATIENCE_SECONDS)
        return time.monotonic()

    async def ask() -> Awaitable[float]:
        return until_delivered(await publish_histories(installation))

    return ask


def answers(running: Instances, name: str, key: str) -> Ask:
    """Asks a gateway for galleries until it answers."""

    async def until_answered() -> float:
        headers = {"Authorization": key}
        async with httpx.AsyncClient(base_url=running.address(name), headers=headers) as client:

            async def is_answered() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/progallery/v2/galleries")).is_success
                return False

            await eventually(is_answered, f"{name} answers", deadline_seconds=PATIENCE_SECONDS)
        return time.monotonic()

    async def ask() -> Awaitable[float]:
        return until_answered()

    return ask

"""All topics of a running installation get more partitions, while producers and HTTP clients write."""

import asyncio
import contextlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from tests.support.growing import (
    FRESH,
    NOW,
    EventReader,
    Writer,
    check_galleries,
    everything_on,
    galleries_of,
    live,
    write_over_http,
)
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record, raw_producer
from tests.support.ours import ours
from tests.support.product import Gateway, running_command_service, running_gateway, running_projector
from tests.support.rebuilding import Phases
from tests.support.receiver import Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.waiting import eventually
from tests.support.write_model import audit, until_no_work_is_left
from triptych.cli.partitions.command import grow_installation, trim_installation
from triptych.cli.partitions.growing import Growing
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.client import Galleries
from triptych.contract.joined import parse_key
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.app import compose as compose_relay
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

ITEMS = int(os.environ.get("TRIPTYCH_TEST_GROWTH", "4"))
"""What each producer adds to each of its galleries before the growth, and twice as much after it."""
# Longer than a producer of this test takes to notice new partitions, unless it is one that does not.
PRODUCERS_SECONDS = 2.5
PATIENCE = {"gateway_reply_timeout": 50, "gateway_view_timeout": 30, "gateway_stream_lifetime": 3}


async def stream(gateway: Gateway, last_event_id: str | None = None) -> tuple[str, list[dict[str, Any]]]:
    """The first position of a stream of all events, and the events until it ends."""
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    text = (await gateway.client.get("/v2/events", headers=headers)).raise_for_status().text
    frames = [dict(line.split(": ", 1) for line in frame.splitlines()) for frame in text.split("\n\n") if frame]
    return frames[0]["id"], [json.loads(frame["data"]) for frame in frames if "data" in frame]


@contextlib.asynccontextmanager
async def listening(installation: Installation) -> AsyncIterator[tuple[Receiver, Listener]]:
    """A relay, and a receiver that wants all events in order."""
    await ensure_indexes(installation.database, INDEXES)
    settings = relay_settings(installation)
    admin = Admin(installation.database, make_sealer(settings))
    async with open_receiver() as receiver, compose_relay(settings):
        yield receiver, await admin.subscribe(receiver.url(), ordered=True)


@pytest.mark.timeout(240 + 10 * ITEMS)
async def test_all_topics_get_partitions_under_load(installation: Installation) -> None:
    bootstrap, topics, database = installation.addresses.kafka_bootstrap, installation.topics, installation.database
    settings = installation.settings(CliSettings)
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as running:
        for _ in range(2):  # two owners of each kind
            await running.enter_async_context(running_command_service(installation))
            await running.enter_async_context(running_projector(installation))
        receiver, listener = await running.enter_async_context(listening(installation))
        gateway = await running.enter_async_context(running_gateway(installation, **PATIENCE))
        follower = AIOKafkaConsumer(
            topics.galleries, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None, **FRESH
        )
        await follower.start()
        running.push_async_callback(follower.stop)
        # One producer notices new partitions within a second, the other one not during this test.
        fresh = Writer(installation, await running.enter_async_context(raw_producer(bootstrap, **FRESH)))
        stale = Writer(installation, await running.enter_async_context(raw_producer(bootstrap)))
        before, _ = await stream(gateway)
        writers = [asyncio.create_task(writer.write(stop)) for writer in (fresh, stale)]
        over_http = asyncio.create_task(write_over_http(gateway, stop))
        await fresh.has_sent(ITEMS)
        await grow_installation(settings, NOW, PRODUCERS_SECONDS)
        await fresh.has_sent(2 * ITEMS)
        stop.set()
        await asyncio.gather(*writers)
        counts = await over_http

        # The producers did what this test is about.
        moved = {id_ for id_ in (*fresh.sent, *stale.sent) if partition_of(id_.encode(), NOW) >= PARTITIONS}
        assert all(len(fresh.partitions[id_]) == 2 for id_ in moved & fresh.sent.keys())
        assert all(len(stale.partitions[id_]) == 1 for id_ in stale.sent)
        assert moved & stale.sent.keys()

        sent = {**fresh.sent, **stale.sent}

        async def is_carried_out() -> bool:
            wanted = {**{id_: len(titles) for id_, titles in sent.items()}, **counts}
            return await live(installation, "totalItems") == wanted

        await eventually(is_carried_out, "every command is carried out", deadline_seconds=60)
        await until_no_work_is_left(database)
        assert await verify(settings) == []

        # Each event is there once for whoever goes by the sequence, in the order in which the commands were sent.
        records = await everything_on(installation, topics.events)
        reader = EventReader()
        reader.feed(records)
        reader.check()
        for gallery_id, titles in sent.items():
            created = [event["actionEvent"]["body"]["item"] for event in reader.events[gallery_id][1:]]
            assert [item["title"] for item in created] == titles
        ids = Counter(event["id"] for events in reader.events.values() for event in events)
        assert set(ids.values()) == {1}
        await audit(database)
        # Of each gallery, later events are on the new partition, and none is on the former one after that.
        for partition_records in _by_gallery(records).values():
            assert [one.partition for one in sorted(partition_records, key=lambda one: one.timestamp)] == sorted(
                one.partition for one in partition_records
            )

        # A stream that is resumed from before has every event, each gallery's in order.
        _, missed = await stream(gateway, before)
        seen: dict[str, list[int]] = defaultdict(list)
        for event in missed:
            seen[event["entityId"]].append(int(event["entityEventSequence"]))
        assert {id_: list(dict.fromkeys(sequences)) for id_, sequences in seen.items()} == {
            id_: list(range(1, len(events) + 1)) for id_, events in reader.events.items()
        }

        # The joined topic, for a consumer that has followed it, and for one that begins now.
        galleries = Galleries()

        async def has_followed() -> bool:
            for found in (await follower.getmany(timeout_ms=200)).values():
                for record in found:
                    galleries.feed(record.key, record.value)
            return {id_: galleries.sequence(id_) for id_ in reader.events} == {
                id_: len(events) for id_, events in reader.events.items()
            }

        await eventually(has_followed, "a follower of the joined topic has everything")
        await check_galleries(installation, galleries)
        joined = await everything_on(installation, topics.galleries)
        for order in (joined, sorted(joined, key=lambda one: -one.partition)):
            await check_galleries(installation, galleries_of(order))

        # The listener gets every event, each gallery's in order.
        total = sum(len(events) for events in reader.events.values())
        delivered = {"listenerId": listener.id, "status": DeliveryStatus.DELIVERED.value}

        async def is_delivered() -> bool:
            return await database[DELIVERIES].count_documents(delivered) == total

        await eventually(is_delivered, f"{total} deliveries", deadline_seconds=60)
        assert await database[DELIVERIES].count_documents({"listenerId": listener.id}) == total
        # The id of a message is that of its event.
        received = list(dict.fromkeys(request.id for request in receiver.at("/hook")))
        for events in reader.events.values():
            expected = [event["id"] for event in events]
            assert [event_id for event_id in received if event_id in set(expected)] == expected

        # What galleries left behind is deleted, and then a consumer that begins has the same.
        with pytest.raises(StartRefused, match="may still need"):
            await trim_installation(settings, timedelta(days=1))
        await trim_installation(settings, timedelta(0))
        left = await everything_on(installation, topics.galleries)
        assert all(partition_of(parse_key(one.key)[0].encode(), NOW) == one.partition for one in left)
        await check_galleries(installation, galleries_of(left))
        assert (await gateway.client.get(f"{gateway.address}/health/ready")).status_code == 200
    for topic in (topics.commands, topics.events):
        assert not ours(await everything_on(installation, topics.dead_letter(topic)))
        assert not await everything_on(installation, topics.dead_letter(topic))


def _by_gallery(records: Iterable[Record]) -> dict[bytes, list[Record]]:
    found: dict[bytes, list[Record]] = defaultdict(list)
    for record in records:
        found[record.key].append(record)
    return found


@pytest.mark.timeout(150)
@pytest.mark.parametrize("phase", ["topics", "galleries to be published"])
async def test_an_interrupted_growth_goes_on(installation: Installation, phase: str) -> None:
    settings = installation.settings(CliSettings)
    async with (
        running_command_service(installation),
        running_projector(installation),
        raw_producer(installation.addresses.kafka_bootstrap, **FRESH) as producer,
    ):
        stop = asyncio.Event()
        writer = Writer(installation, producer)
        writing = asyncio.create_task(writer.write(stop))
        await writer.has_sent(3)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(
                "triptych.cli.partitions.command.PhaseBars", lambda: contextlib.nullcontext(Phases(after=phase))
            )
            await grow_installation(settings, NOW, 0.2)
        await writer.has_sent(3)
        await grow_installation(settings, NOW, 0)
        stop.set()
        await writing

        async def is_carried_out() -> bool:
            found = {
                one["_id"]: one["totalItems"]
                async for one in installation.database["galleries"].find({"status": "live"})
            }
            return found == {id_: len(titles) for id_, titles in writer.sent.items()}

        await eventually(is_carried_out, "every command is carried out")
        assert await verify(settings) == []
        await check_galleries(
            installation, galleries_of(await everything_on(installation, installation.topics.galleries))
        )


async def test_what_cannot_be_reached_is_refused_and_changes_nothing(installation: Installation) -> None:
    settings = installation.settings(CliSettings)
    for wrong in (PARTITIONS - 1, PARTITIONS + 1):
        with pytest.raises(StartRefused, match=f"such as {NOW}"):
            await Growing(settings, installation.database, wrong, Phases()).run(0)
    assert await Growing(settings, installation.database, PARTITIONS, Phases()).run(0) is False
    assert len(await everything_on(installation, installation.topics.commands, PARTITIONS)) == 0

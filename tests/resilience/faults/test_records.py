"""Odd records on every topic: poison, very long ones, those of aborted transactions, and all former records once more.

Commands and events of every odd kind are the subject of `e2e/test_everything_is_answered.py`. Here every topic that a
service reads or writes gets them: also the replies, the joined topic and the dead letters.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record, raw_producer
from tests.support.ours import assert_no_record_of_ours_is_dead, everything_on
from tests.support.product import Gateway, running_product
from tests.support.receiver import Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.sender import galleries_on
from tests.support.waiting import eventually
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.kit.startup.provision import ensure_indexes
from triptych.readmodel.documents import GALLERY_VIEWS
from triptych.webhooks.app import compose as compose_relay
from triptych.webhooks.store.delivery_documents import DELIVERIES
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

LONG_BYTES = 900_000
POISON: Sequence[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
    (b"null", None, []),
    (None, b"", []),
    (b"", b"", [("", b""), ("ce_type", None)]),
    (b"\xff/\xff", b"\xff\x00", [("ce_siteid", b"\xff"), ("ce_type", b"\xff")]),
    (b"poison", b"[" * 50_000, [("ce_type", b"triptych.notice.v1")]),
    (b"poison/poison", b'{"sequence":"x","gallery":3}', [("ce_type", b"triptych.reply.v1"), ("ce_siteid", b"default")]),
    (b"long", b" " * LONG_BYTES + b"{}", []),
    (b"long", b'{"gallery":"' + b"x" * LONG_BYTES, [("long", b"x" * 50_000)]),
]
"""Keys, values and headers."""


def topics_of(installation: Installation) -> list[str]:
    """Every topic of an installation."""
    return [spec.name for spec in installation.topic_specs]


async def put_odd(installation: Installation) -> None:
    """Publish odd records on every topic, among them a copy of each record that is there."""
    topics = topics_of(installation)
    found = await everything_on(installation, *topics)
    bootstrap = installation.addresses.kafka_bootstrap
    async with raw_producer(bootstrap, compression_type="gzip", max_request_size=8 << 20) as producer:
        for topic in topics:
            partitions = sorted(await producer.partitions_for(topic))
            for number, (key, value, headers) in enumerate(POISON):
                if key is None and topic == installation.topics.galleries:
                    continue  # the broker refuses it, because the topic is compacted
                await producer.send_and_wait(topic, value, key, partitions[number % len(partitions)], headers=headers)
        for record in found:
            await producer.send_and_wait(
                record.topic, record.value, record.key, record.partition, headers=list(record.headers)
            )
    async with raw_producer(bootstrap, transactional_id=f"{installation.name}.aborted") as producer:
        await producer.begin_transaction()
        for record in found:
            # What a consumer would notice: another sequence, another name, another outcome.
            value = record.value and record.value.replace(b"accepted", b"rejected").replace(b"before", b"aborted")
            await producer.send(record.topic, value, record.key, record.partition, headers=list(record.headers))
        for gallery in galleries_on(*range(PARTITIONS)):
            await producer.send(installation.topics.commands, *_creation(gallery))
        await producer.flush()
        await producer.abort_transaction()


def _creation(gallery: str) -> tuple[bytes, bytes]:
    command = {
        "specversion": "1.0",
        "type": "triptych.command.v1.CreateGallery",
        "source": "aborted",
        "id": gallery,
        "data": {"galleryId": gallery},
    }
    return orjson.dumps(command), gallery.encode()


async def write(gateway: Gateway, path: str, body: dict[str, Any] | None, method: str = "POST") -> dict[str, Any]:
    """Write over HTTP; the answer of its success."""
    answer = await gateway.client.request(method, f"/v2/galleries{path}", json=body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def galleries(gateway: Gateway, count: int) -> list[str]:
    """Make galleries: add two items, delete one, change the name."""
    made = []
    for _ in range(count):
        gallery = (await write(gateway, "", {"gallery": {"name": "before"}}))["gallery"]["id"]
        for _ in range(2):
            item = await write(gateway, f"/{gallery}/items", {"item": {"text": {"html": "before"}}})
        await write(gateway, f"/{gallery}/items/{item['item']['id']}", None, "DELETE")
        await write(gateway, f"/{gallery}", {"gallery": {"name": "after"}}, "PATCH")
        made.append(str(gallery))
    return made


async def joined_is_right(installation: Installation, deleted: Sequence[str]) -> bool:
    """Whether the last record of each gallery is that of its view, and all of a deleted gallery are tombstones."""
    last: dict[str, Record] = {
        (record.key or b"").decode(errors="replace"): record
        for record in await everything_on(installation, installation.topics.galleries)
    }
    views = {view["_id"]: view async for view in installation.database[GALLERY_VIEWS].find({"siteId": "default"})}
    for key, record in last.items():
        gallery = key.partition("/")[0]
        if gallery in deleted and record.value is not None:
            return False
        if gallery in views and key == gallery and gallery not in deleted:
            value = None if record.value is None else orjson.loads(record.value)
            if value is None or value["sequence"] != views[gallery]["sequence"]:
                return False
    return set(views) <= {key for key in last if "/" not in key}


async def events_of(installation: Installation) -> set[str]:
    """The ids of the events that the write model has published."""
    rows = await installation.database["outbox"].find({}).to_list(None)
    return {orjson.loads(event["value"])["id"] for row in rows for event in row["events"]}


async def all_are_delivered(installation: Installation, receiver: Receiver) -> bool:
    """Whether every event has one delivery, which has ended."""
    events = await events_of(installation)
    found = await installation.database[DELIVERIES].find({}).to_list(None)
    assert len({one["eventId"] for one in found}) == len(found), "an event has two deliveries"
    return {one["eventId"] for one in found if one["status"] == "delivered"} == events


@pytest.mark.timeout(180)
async def test_odd_records_on_every_topic_change_nothing_and_stop_nobody(installation: Installation) -> None:
    await ensure_indexes(installation.database, INDEXES)
    settings = relay_settings(installation)
    admin = Admin(installation.database, make_sealer(settings))
    async with (
        open_receiver() as receiver,
        running_product(installation) as gateway,
        compose_relay(settings),
    ):
        await admin.subscribe(receiver.url())
        made = await galleries(gateway, 6)
        deleted, kept = made[:2], made[2:]
        for gallery in deleted:
            await write(gateway, f"/{gallery}", None, "DELETE")
        before = {gallery: (await gateway.client.get(f"/v2/galleries/{gallery}")).json() for gallery in kept}
        await put_odd(installation)

        # Each partition, and the topic of this gateway's replies, has its odd records before these.
        for gallery in await galleries(gateway, 6):
            assert (await gateway.client.get(f"/v2/galleries/{gallery}")).json()["gallery"]["name"] == "after"
        for gallery in kept:
            assert (await gateway.client.get(f"/v2/galleries/{gallery}")).json() == before[gallery]
        for gallery in deleted:
            assert (await gateway.client.get(f"/v2/galleries/{gallery}")).status_code == 404
        await eventually(lambda: joined_is_right(installation, deleted), "the joined topic is right again")
        await eventually(lambda: all_are_delivered(installation, receiver), "every event is delivered once")
        assert await verify(installation.settings(CliSettings)) == []
        ready = await gateway.client.get(f"{gateway.address}/health/ready")
        assert ready.status_code == 200, ready.json()
        aborted = await installation.database["processed_commands"].find_one({"_id": {"$regex": "aborted"}})
        assert aborted is None
    await assert_no_record_of_ours_is_dead(installation)

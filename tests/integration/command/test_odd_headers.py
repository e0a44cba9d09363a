"""Commands with a header name that is not UTF-8 are carried out, forwarded and refused like any other."""

import uuid

import httpx

from tests.support.batches import batch
from tests.support.commands import body, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.produce import produce
from tests.support.waiting import eventually
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.process.settings import KitSettings

ODD = b"gr\xf6\xdfe"


def create(name: str) -> tuple[str, bytes]:
    """The id of a new gallery, and the command that creates it."""
    gallery_id = str(uuid.uuid4())
    return gallery_id, structured("CreateGallery", {"galleryId": gallery_id}, id=name)


async def test_every_command_is_carried_out_from_any_partition(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    names = []
    for partition in range(PARTITIONS):
        for number in range(4):
            names.append(f"{partition}-{number}")
            _, value = create(names[-1])
            odd = [(ODD, b"\xff"), (b"null", None)] if number == 1 else []
            await produce(bootstrap, topics.commands, partition, batch(value, headers=odd))
    async with compose(installation.settings(CommandSettings)), topic_reader(bootstrap, topics.replies) as replies:
        found = await replies.read_count(len(names))
    assert sorted(body(reply)["commandId"] for reply in found) == sorted(names)
    assert {body(reply)["outcome"] for reply in found} == {"accepted"}


async def test_forwarded_and_refused_records_keep_the_bytes_of_their_headers(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id, value = create("forwarded")
    wrong = (partition_of(gallery_id.encode(), PARTITIONS) + 1) % PARTITIONS
    headers = [(ODD, b"\xff"), (b"ce_note", None), (b"\xe2\x82", b"")]
    await produce(bootstrap, topics.commands, wrong, batch(value, headers=headers))
    await produce(bootstrap, topics.commands, wrong, batch(b"no command", headers=headers))
    reader = make_reader(installation.settings(KitSettings), auto_offset_reset="earliest")
    reader.subscribe(topics=[topics.commands, topics.dead_letter(topics.commands)])
    await reader.start()
    found: dict[bytes, list[tuple[bytes, bytes | None]]] = {}

    async def has_both() -> bool:
        for records in (await reader.getmany(timeout_ms=100)).values():
            for record in records:
                names = [(name.encode("utf-8", "surrogateescape"), text) for name, text in record.headers]
                if len(names) > len(headers):
                    found[record.value] = names
        return found.keys() == {value, b"no command"}

    try:
        async with compose(installation.settings(CommandSettings)):
            await eventually(has_both, "one forwarded, one refused")
    finally:
        await reader.stop()
    for names in found.values():
        assert names[: len(headers)] == headers


async def test_partitions_are_counted_by_the_settings(installation: Installation) -> None:
    """Some processes may not see an added partition yet; the partition of a gallery must not depend on that."""
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    fewer = installation.settings(CommandSettings, topic_partitions=PARTITIONS - 1)
    async with (
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.events) as events,
        compose(fewer) as app,
    ):
        for number in range(6):
            _, value = create(str(number))
            await producer.send_and_wait(topics.commands, value, partition=PARTITIONS - 1)
        found = await events.read_count(6)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            response = await client.get("/health/ready")
    for event in found:
        assert event.partition == partition_of(event.key or b"", PARTITIONS - 1)
    assert f"topic {topics.commands} has 3 partitions, and the installation uses 2" in response.text
    assert response.status_code == 503

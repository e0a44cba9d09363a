"""A projector that lost events detects it and repairs its views, with the real command service running."""

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from prometheus_client import REGISTRY

from tests.support.commands import TEXT, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.log_lines import logged
from tests.support.product import running_command_service, running_projector
from tests.support.waiting import eventually
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.readmodel.queries import Views

Send = Callable[..., Awaitable[None]]


@pytest.fixture
async def send(installation: Installation) -> AsyncIterator[Send]:
    """Puts a command on its topic."""
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:

        async def send(name: str, gallery_id: str, **data: object) -> None:
            command = structured(name, {"galleryId": gallery_id, **data})
            await producer.send_and_wait(installation.topics.commands, command, key=gallery_id.encode())

        yield send


async def _written(installation: Installation, gallery_id: str, sequence: int) -> None:
    async def is_written() -> bool:
        found = await installation.database["galleries"].find_one({"_id": gallery_id})
        pending = await installation.database["outbox"].count_documents({"pending": True})
        return found is not None and found["sequence"] == sequence and not pending

    await eventually(is_written, f"gallery {gallery_id} written at {sequence}")


async def _viewed(installation: Installation, gallery_id: str, sequence: int) -> None:
    async def is_viewed() -> bool:
        page = await Views(installation.database).get_gallery("default", gallery_id, 1)
        return page is not None and (page.sequence, page.gap) == (sequence, None)

    await eventually(is_viewed, f"gallery {gallery_id} viewed at {sequence}", deadline_seconds=40)


async def _skip_events(installation: Installation) -> None:
    """Commit the end offsets for the projector's group, so that it skips the events."""
    group_offsets = GroupOffsets(
        installation.settings(CliSettings), installation.topics.events, f"{installation.name}.projector.v1"
    )
    try:
        await group_offsets.commit(await group_offsets.ends(range(PARTITIONS)))
    finally:
        await group_offsets.stop()


async def test_a_gap_is_reported_and_repaired_by_asking_for_the_gallery(
    installation: Installation, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    known, new = str(uuid.uuid4()), str(uuid.uuid4())
    gaps = REGISTRY.get_sample_value("triptych_projection_gaps_total") or 0
    async with running_command_service(installation):
        async with running_projector(installation):
            await send("CreateGallery", known, gallery={"items": [TEXT] * 5})
            await _viewed(installation, known, 6)
        item = await installation.database["items"].find_one({"galleryId": known})
        assert item is not None
        await send("DeleteItems", known, itemIds=[item["_id"]])
        await send("CreateGallery", new, gallery={"items": [TEXT] * 3})
        await _written(installation, known, 7)
        await _written(installation, new, 4)
        await _skip_events(installation)

        async with running_projector(installation):
            await send("CreateItems", known, items=[TEXT])
            await send("CreateItems", new, items=[TEXT])
            with caplog.at_level(logging.ERROR):
                await _viewed(installation, known, 8)
                await _viewed(installation, new, 5)
            assert await verify(installation.settings(CliSettings)) == []
            lines = [
                line for line in logged(caplog.records) if line["event"].startswith("an event of a gallery is missing")
            ]
            gap = {"gallery_id": known, "expected_sequence": 7, "sequence": 8}
            assert any(gap.items() <= found.items() for line in lines for found in (line, *line.get("examples", ())))
            assert REGISTRY.get_sample_value("triptych_projection_gaps_total") == gaps + 2
            await _join_has(installation, f"{known}/{item['_id']}", None)
            # Later events are projected as usual.
            await send("CreateItems", known, items=[TEXT])
            await _viewed(installation, known, 9)


async def test_an_outdated_record_of_a_former_owner_does_not_stay(installation: Installation, send: Send) -> None:
    gallery_id = str(uuid.uuid4())
    bootstrap, topic = installation.addresses.kafka_bootstrap, installation.topics.galleries
    async with running_command_service(installation), running_projector(installation):
        await send("CreateGallery", gallery_id)
        await _viewed(installation, gallery_id, 1)
        async with topic_reader(bootstrap, topic) as reader:
            (outdated,) = await reader.read_count(1)
        await send("CreateItems", gallery_id, items=[TEXT])
        await _viewed(installation, gallery_id, 2)
        await _join_has(installation, gallery_id, b'"sequence":2')
        async with raw_producer(bootstrap) as producer:
            await producer.send_and_wait(topic, outdated.value, outdated.key, partition=outdated.partition)
        await _join_has(installation, gallery_id, b'"sequence":2', at_least=3)


async def _join_has(installation: Installation, key: str, content: bytes | None, at_least: int = 1) -> None:
    """Wait until the last of `at_least` records of the key contains `content`, or is a tombstone."""
    async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.galleries) as reader:

        def is_there(records: list[object]) -> bool:
            values = [record.value for record in records if record.key == key.encode()]  # type: ignore[attr-defined]
            return len(values) >= at_least and (
                values[-1] is None if content is None else content in (values[-1] or b"")
            )

        await reader.read_until(is_there, f"the last record of {key}")

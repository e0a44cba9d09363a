"""Nothing committed is lost, and nothing is published out of order, when a command service dies or is replaced."""

import asyncio
import signal
import uuid
from pathlib import Path

import pytest

from tests.support.commands import TEXT, body, structured
from tests.support.installation import Installation
from tests.support.kafka import Record, raw_producer, topic_reader
from tests.support.processes import service_process
from tests.support.shards import MODE, RULES
from tests.support.waiting import eventually
from tests.support.write_model import until_all_is_marked
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.kit.mongo.fencing import count_documents


@pytest.mark.skipif(MODE == RULES, reason="only this process takes its server for a cluster, and the indexes differ")
async def test_kill_between_commit_and_publish_loses_no_event(installation: Installation, tmp_path: Path) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    galleries = [str(uuid.uuid4()) for _ in range(5)]
    async with (
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.events) as events,
        topic_reader(bootstrap, topics.replies) as replies,
    ):
        for gallery_id in galleries:
            create = structured("CreateGallery", {"galleryId": gallery_id, "gallery": {"items": [TEXT, TEXT]}})
            await producer.send_and_wait(topics.commands, create, key=gallery_id.encode())

        with service_process(installation, "tests.support.dying_command_service", tmp_path) as dying:

            async def has_ended() -> bool:
                return dying.poll() is not None

            await eventually(has_ended, "the service has killed itself")
            assert dying.poll() == -signal.SIGKILL
        outbox = installation.database["outbox"]
        assert await outbox.count_documents({"pending": True}) > 0
        assert events.records == []
        committed = await count_documents(installation.database["galleries"])
        assert committed > 0

        async with compose(installation.settings(CommandSettings)):
            received = await replies.read_count(5)
            assert {body(reply)["outcome"] for reply in received} == {"accepted"}
            published = await events.read_count(15)
        for gallery_id in galleries:
            sequences = [body(event)["entityEventSequence"] for event in published if event.key == gallery_id.encode()]
            assert sequences == ["1", "2", "3"]
        assert len({body(event)["id"] for event in published}) == 15
        await until_all_is_marked(installation.database)
        assert await count_documents(installation.database["galleries"]) == 5


async def test_two_services_share_the_partitions_and_each_gallery_keeps_one_order(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    galleries = [str(uuid.uuid4()) for _ in range(6)]
    rounds = 12
    async with (
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.events) as events,
        compose(installation.settings(CommandSettings, command_batch_size=5)),
    ):

        async def send_all() -> None:
            for gallery_id in galleries:
                await producer.send(
                    topics.commands, structured("CreateGallery", {"galleryId": gallery_id}), key=gallery_id.encode()
                )
            for number in range(rounds):
                for position, gallery_id in enumerate(galleries):
                    # In every other round, any partition, as a partitioner by CRC32 would choose it.
                    await producer.send_and_wait(
                        topics.commands,
                        structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}),
                        key=gallery_id.encode(),
                        partition=(position + number) % 3 if number % 2 else None,
                    )

        sending = asyncio.create_task(send_all())
        async with compose(installation.settings(CommandSettings, command_batch_size=5)):
            await sending

            def all_seen(records: list[Record]) -> bool:
                return len({body(event)["id"] for event in records}) >= len(galleries) * (rounds + 1)

            published = await events.read_until(all_seen, "all events")
    for gallery_id in galleries:
        firsts = list(
            dict.fromkeys(
                int(body(event)["entityEventSequence"]) for event in published if event.key == gallery_id.encode()
            )
        )
        assert firsts == list(range(1, rounds + 2))

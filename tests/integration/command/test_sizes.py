"""Records at the size limits: every sender gets an answer, every byte is kept, and neighbours are served."""

import os
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from tests.support.commands import TEXT, body, header, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record, topic_reader
from tests.support.topics import configure_topic
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.contract.sizes import COMMAND_BYTES_MAX
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.letter_pieces import join_letter


@pytest.fixture
async def compressing_producer(installation: Installation) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that compresses, unlike that of the command service."""
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.addresses.kafka_bootstrap,
        compression_type="gzip",
        max_request_size=64 * 1024 * 1024,
    )
    await producer.start()
    yield producer
    await producer.stop()


async def test_every_command_that_can_be_read_is_answered_whatever_its_size(
    installation: Installation, compressing_producer: AIOKafkaProducer
) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    home = partition_of(gallery_id.encode(), PARTITIONS)
    elsewhere = (home + 1) % PARTITIONS
    items = [{**TEXT, "description": "x" * 9_000}] * 200
    large = structured("CreateItems", {"galleryId": gallery_id, "items": items}, id="moved")
    huge = structured("CreateItems", {"galleryId": gallery_id, "items": items}, id="huge") + b" " * COMMAND_BYTES_MAX
    anonymous = huge.replace(b'"id"', b'"di"', 1)
    async with (
        topic_reader(bootstrap, topics.replies) as replies,
        topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters,
        compose(installation.settings(CommandSettings, compression="none")),
    ):
        for partition, value in (
            (home, structured("CreateGallery", {"galleryId": gallery_id}, id="before")),
            (elsewhere, large),
            (home, huge),
            (home, anonymous),
            (home, large.replace(b"moved", b"stays")),
            (elsewhere, structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}, id="after")),
        ):
            await compressing_producer.send_and_wait(
                topics.commands, value, key=b"k", partition=partition, headers=[("h", b"\xff")]
            )
        answers = {body(reply)["commandId"]: body(reply) for reply in await replies.read_count(5)}
        refused = {
            command_id: [violation["violatedRule"] for violation in answer["error"]["violations"]]
            for command_id, answer in answers.items()
            if answer["outcome"] == "rejected"
        }
        assert refused == {"moved": ["MAX_SIZE"], "huge": ["MAX_SIZE"]}
        assert answers.keys() - refused.keys() == {"before", "stays", "after"}

        def are_whole(found: list[Record]) -> bool:
            pieces = [piece for letter in found if (piece := header(letter, "dead-letter-part"))]
            return len(found) > len(pieces) > 0 and len(pieces) == int(pieces[0].partition("/")[2])

        found = await letters.read_until(are_whole, "the dead letters")
        (whole,) = [letter for letter in found if not header(letter, "dead-letter-part")]
        assert (whole.key, whole.value, header(whole, "dead-letter-reason")) == (b"k", large, "TOO_LARGE")
        pieces = [letter.value for letter in found if letter is not whole]
        assert join_letter(pieces) == (b"k", anonymous, [(b"h", b"\xff")])


async def test_a_reply_that_its_topic_does_not_take_is_shortened(
    installation: Installation, compressing_producer: AIOKafkaProducer
) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    await configure_topic(bootstrap, topics.replies, {"max.message.bytes": "2000"})
    async with (
        topic_reader(bootstrap, topics.replies) as replies,
        compose(installation.settings(CommandSettings)),
    ):
        for command_id, items in (("long", [TEXT] * 400), ("bad", [{"title": 7}] * 400), ("short", [TEXT])):
            # Random ids, so that the replies do not compress.
            value = structured("CreateGallery", {"gallery": {"items": items}}, id=command_id)
            await compressing_producer.send_and_wait(topics.commands, value, headers=[("pad", os.urandom(10))])
        answers = {body(reply)["commandId"]: body(reply) for reply in await replies.read_count(3)}
    assert {command_id: answer["outcome"] for command_id, answer in answers.items()} == {
        "long": "accepted",
        "bad": "rejected",
        "short": "accepted",
    }
    assert "itemIds" not in answers["long"]
    assert len(answers["short"]["itemIds"]) == 1

"""Replies that cannot go to the topic that their senders asked for go to the usual one, and hold nobody up."""

import time
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.integration.command.conftest import Sender
from tests.support.commands import body, structured
from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from tests.support.waiting import eventually
from triptych.command.flow import reply_publisher as answers
from triptych.command.flow.reply_publisher import PATIENCE_SECONDS


@pytest.mark.parametrize("asked", ["__consumer_offsets", "no-such-topic"])
async def test_a_reply_that_cannot_go_where_it_was_asked_for_holds_nobody_up(sender: Sender, asked: str) -> None:
    topics = sender.installation.topics
    create = structured("CreateGallery", {}, id="strange", replyto=asked)
    await sender.producer.send_and_wait(topics.commands, create, partition=0)
    assert (await sender.send("CreateGallery", {}, "usual"))["outcome"] == "accepted"
    assert (await sender.reply_to("strange"))["outcome"] == "accepted"


@pytest.fixture
async def admin(installation: Installation) -> AsyncIterator[AIOKafkaAdminClient]:
    """Whoever looks after topics that are not Triptych's."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.addresses.kafka_bootstrap)
    await admin.start()
    yield admin
    await admin.close()


async def _create_topic(admin: AIOKafkaAdminClient, name: str, **config: str) -> None:
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config)])

    async def is_led() -> bool:
        (topic,) = await admin.describe_topics([name])
        return bool(topic["error_code"] == 0 and topic["partitions"][0]["leader"] >= 0)

    await eventually(is_led, f"topic {name} has a leader")


async def _ask(sender: Sender, command_id: str, reply_to: str) -> None:
    create = structured("CreateGallery", {}, id=command_id, replyto=reply_to)
    await sender.producer.send_and_wait(sender.installation.topics.commands, create, partition=0)


async def test_a_topic_that_refuses_replies_is_not_tried_for_a_while(
    sender: Sender, admin: AIOKafkaAdminClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answers, "REFUSED_SECONDS", 5.0)
    elsewhere = f"{sender.installation.name}.elsewhere"
    await _create_topic(admin, elsewhere, **{"max.message.bytes": "1"})
    for command_id in ("refused", "known"):
        await _ask(sender, command_id, elsewhere)
        assert (await sender.reply_to(command_id))["outcome"] == "accepted"
    assert len([line for line in caplog.messages if f"{elsewhere} does not take replies" in line]) == 1

    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, elsewhere, {"max.message.bytes": "100000"})])
    place = TopicPartition(elsewhere, 0)
    async with AIOKafkaConsumer(bootstrap_servers=sender.installation.addresses.kafka_bootstrap) as consumer:

        async def has_replies() -> bool:
            await _ask(sender, str(uuid.uuid4()), elsewhere)
            ends: dict[TopicPartition, int] = await consumer.end_offsets([place])
            return ends[place] > 0

        await eventually(has_replies, "a reply elsewhere")


async def test_a_topic_that_is_gone_holds_up_nobody_for_long(sender: Sender, admin: AIOKafkaAdminClient) -> None:
    elsewhere = f"{sender.installation.name}.elsewhere"
    await _create_topic(admin, elsewhere)
    await _ask(sender, "there", elsewhere)
    async with topic_reader(sender.installation.addresses.kafka_bootstrap, elsewhere) as replies:
        (reply,) = await replies.read_count(1)
        assert body(reply)["commandId"] == "there"
    await admin.delete_topics([elsewhere])

    await _ask(sender, "gone", elsewhere)
    assert (await sender.reply_to("gone"))["outcome"] == "accepted"
    # Known by now: nobody waits for it again.
    started = time.monotonic()
    for number in range(3):
        await _ask(sender, f"known-{number}", elsewhere)
        assert (await sender.reply_to(f"known-{number}"))["outcome"] == "accepted"
    assert time.monotonic() - started < PATIENCE_SECONDS

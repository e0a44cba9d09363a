"""Replies that cannot go to the requested topic go to the usual one, and delay nobody."""

import time
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.commands import body, structured
from tests.support.installation import REPLY_TOPICS, Installation
from tests.support.kafka import topic_reader
from tests.support.log_lines import logged
from tests.support.sender import Sender
from tests.support.topics import configure_topic
from tests.support.waiting import eventually
from triptych.command.flow import reply_publisher
from triptych.command.flow.reply_publisher import PATIENCE_SECONDS


@pytest.mark.parametrize("asked", ["__consumer_offsets", "no-such-topic"])
async def test_a_reply_that_cannot_go_to_the_requested_topic_delays_nobody(sender: Sender, asked: str) -> None:
    topics = sender.installation.topics
    create = structured("CreateGallery", {}, id="strange", replyto=asked)
    await sender.producer.send_and_wait(topics.commands, create, partition=0)
    assert (await sender.send("CreateGallery", {}, "usual"))["outcome"] == "accepted"
    assert (await sender.reply_to("strange"))["outcome"] == "accepted"


async def test_a_gateway_gets_the_reply_on_its_topic_and_its_events_name_the_topic(sender: Sender) -> None:
    topics, bootstrap = sender.installation.topics, sender.installation.addresses.kafka_bootstrap
    gateway_topic = topics.gateway_replies(1)
    async with topic_reader(bootstrap, gateway_topic) as replies, topic_reader(bootstrap, topics.events) as events:
        await _ask(sender, "of a gateway", gateway_topic)
        (reply,) = await replies.read_count(1)
        assert body(reply)["outcome"] == "accepted"
        assert (await sender.send("CreateGallery", {}, "of a producer"))["outcome"] == "accepted"
        named = {
            body(event)["entityId"]: dict(event.headers).get("ce_noticeto") for event in await events.read_count(2)
        }
        assert named.pop(body(reply)["galleryId"]) == gateway_topic.encode()
        assert list(named.values()) == [None]


async def test_a_reply_to_a_gateway_whose_topic_is_missing_goes_to_the_usual_one(sender: Sender) -> None:
    await _ask(sender, "nowhere", sender.installation.topics.gateway_replies(REPLY_TOPICS))
    assert (await sender.reply_to("nowhere"))["outcome"] == "accepted"


@pytest.fixture
async def admin(installation: Installation) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrator of topics that are not Triptych's."""
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
    monkeypatch.setattr(reply_publisher, "REFUSED_SECONDS", 5.0)
    foreign_topic = f"{sender.installation.name}.elsewhere"
    await _create_topic(admin, foreign_topic, **{"max.message.bytes": "1"})
    for command_id in ("refused", "known"):
        await _ask(sender, command_id, foreign_topic)
        assert (await sender.reply_to(command_id))["outcome"] == "accepted"
    refusals = logged(caplog.records, "a topic does not take replies, which go to the usual one")
    assert [line["topic"] for line in refusals] == [foreign_topic]

    await configure_topic(sender.installation.addresses.kafka_bootstrap, foreign_topic, {"max.message.bytes": "100000"})
    partition = TopicPartition(foreign_topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=sender.installation.addresses.kafka_bootstrap) as consumer:

        async def has_replies() -> bool:
            await _ask(sender, str(uuid.uuid4()), foreign_topic)
            ends: dict[TopicPartition, int] = await consumer.end_offsets([partition])
            return ends[partition] > 0

        await eventually(has_replies, "a reply on the foreign topic")


async def test_a_deleted_topic_delays_nobody_for_long(sender: Sender, admin: AIOKafkaAdminClient) -> None:
    foreign_topic = f"{sender.installation.name}.elsewhere"
    await _create_topic(admin, foreign_topic)
    await _ask(sender, "there", foreign_topic)
    async with topic_reader(sender.installation.addresses.kafka_bootstrap, foreign_topic) as replies:
        (reply,) = await replies.read_count(1)
        assert body(reply)["commandId"] == "there"
    await admin.delete_topics([foreign_topic])

    await _ask(sender, "gone", foreign_topic)
    assert (await sender.reply_to("gone"))["outcome"] == "accepted"
    # The service has remembered the failure, so nobody waits for the topic again.
    started = time.monotonic()
    for number in range(3):
        await _ask(sender, f"known-{number}", foreign_topic)
        assert (await sender.reply_to(f"known-{number}"))["outcome"] == "accepted"
    assert time.monotonic() - started < PATIENCE_SECONDS

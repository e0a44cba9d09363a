"""A gateway reads its reply topic, and events only while streams are open, so that other gateways cost it nothing."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from tests.support.backend import Backend
from tests.support.gateway import GALLERIES, StartGateway
from tests.support.installation import REPLY_TOPICS, Installation
from tests.support.waiting import eventually
from triptych.contract.codec.envelope import gallery_id_of
from triptych.gateway.live import event_feed as event_feed_module
from triptych.gateway.live import feed as feed_module


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "LAG_SECONDS", 0.05)
    monkeypatch.setattr(event_feed_module, "IDLE_SECONDS", 0.3)


def topics_read(installation: Installation) -> set[str]:
    """The topics of the installation that a reader of this process shows a lag of."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    found = {sample.labels["topic"] for sample in samples if sample.name == "triptych_lag_records"}
    return {topic for topic in found if topic.startswith(f"{installation.name}.")}


async def test_events_are_read_only_while_streams_are_open(
    installation: Installation, start_gateway: StartGateway
) -> None:
    events = installation.topics.events
    async with start_gateway() as gateway:

        async def reads(*topics: str) -> None:
            async def are_read() -> bool:
                return topics_read(installation) == {gateway.reply_topic, *topics}

            await eventually(are_read, f"{topics} are read")

        await reads()
        for _ in range(2):
            async with gateway.client.stream("GET", "/progallery/v2/events") as first:
                assert first.status_code == 200
                async with gateway.client.stream("GET", "/progallery/v2/events") as second:
                    assert second.status_code == 200
                    await reads(events)
            await reads()
        assert (await gateway.client.get("/health/ready")).status_code == 200


async def test_gateways_that_share_a_topic_answer_only_their_own_writes(
    installation: Installation, start_gateway: StartGateway, backend: Backend
) -> None:
    async with start_gateway() as one, start_gateway() as two, start_gateway() as three:
        assert {one.reply_topic, two.reply_topic} == {
            installation.topics.gateway_replies(number) for number in range(REPLY_TOPICS)
        }
        assert three.reply_topic in {one.reply_topic, two.reply_topic}
        for gateway in (one, two, three):
            posting = asyncio.create_task(gateway.client.post(GALLERIES))
            command = await backend.next_command()
            assert command.reply_to == gateway.reply_topic
            gallery_id = gallery_id_of(command)
            await backend.accept(command, gallery_id, 1)
            await backend.show(command, gallery_id, 1)
            assert (await posting).json()["gallery"]["id"] == gallery_id
            gateway.assert_nothing_waits()

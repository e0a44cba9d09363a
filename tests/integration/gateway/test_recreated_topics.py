"""The gateway continues by itself after a topic that it reads was deleted and created again."""

import pytest

from tests.support.gateway import GALLERIES, StartGateway
from tests.support.installation import Installation
from tests.support.product import running_command_service
from tests.support.topics import recreate
from tests.support.waiting import eventually
from triptych.kit.kafka.consuming import topic_watch as topic_watch_module
from triptych.kit.kafka.reading import tail as tail_module


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "INTERVAL_SECONDS", 0.2)
    monkeypatch.setattr(topic_watch_module, "INTERVAL_SECONDS", 0.2)


async def test_replies_are_read_from_a_recreated_topic(installation: Installation, start_gateway: StartGateway) -> None:
    async with running_command_service(installation), start_gateway(gateway_reply_timeout=3) as gateway:

        async def delete() -> bool:  # rejected, so the gateway needs the reply only
            answer = await gateway.client.delete(f"{GALLERIES}/00000000-0000-4000-8000-000000000000")
            return answer.status_code == 404

        await eventually(delete, "a command is answered")
        await recreate(installation.addresses.kafka_bootstrap, gateway.reply_topic, partitions=1)
        await eventually(delete, "a command is answered again")
        assert (await gateway.client.get("/health/ready")).status_code == 200


async def test_streams_end_when_their_topic_is_recreated(
    installation: Installation, start_gateway: StartGateway
) -> None:
    async with start_gateway() as gateway, gateway.client.stream("GET", "/progallery/v2/events") as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry:")
        await recreate(installation.addresses.kafka_bootstrap, installation.topics.events)
        async for _line in lines:
            pass  # until it ends


async def test_a_gateway_without_one_of_its_topics_is_not_ready(
    installation: Installation, start_gateway: StartGateway
) -> None:
    async with start_gateway(topic_partitions=12) as gateway:
        answer = await gateway.client.get("/health/ready")
        assert answer.status_code == 503
        wanted = f"topic {installation.topics.replies} has 3 partitions, and the installation uses 12"
        assert wanted in answer.json()["problems"]["topics"]

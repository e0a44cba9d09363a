"""A replayed event that its views already contain changes nothing, and is counted."""

from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from tests.support.gateway import shared
from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.ours import everything_on
from tests.support.waiting import eventually
from triptych.deadletters.administration import DeadLetters, Permission
from triptych.deadletters.model.selection import Selection
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.process.settings import KitSettings
from triptych.projector.app import compose
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import Views

pytestmark = shared("stale-events")


def count(installation: Installation, outcome: str) -> float:
    labels = {"topic": installation.topics.events, "outcome": outcome}
    return REGISTRY.get_sample_value("triptych_dead_letters_replayed_total", labels) or 0.0


@pytest.mark.parametrize("kind", ["stale", "done"])
async def test_a_replayed_event_is_applied_at_most_once(
    installation: Installation, dead_letters: DeadLetters, kind: str
) -> None:
    """A stale event is applied before it is replayed; the other one has been refused by a fault since repaired."""
    topics, views = installation.topics, Views(installation.database)
    history = History().create().rename("first").rename("second")
    messages = history.messages if kind == "stale" else history.messages[:2]
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        for message in messages:
            await producer.send_and_wait(topics.events, message.value, message.key, headers=list(message.headers))
    publisher = Publisher(lambda: make_producer(installation.settings(KitSettings)))
    example = (await everything_on(installation, topics.events))[0]
    last = history.messages[2]
    refused = replace(example, key=last.key, value=last.value, headers=last.headers)
    await DeadLetterPublisher(publisher, topics.dead_letter).dead_letter(refused, f"fault-{kind}", "why")
    await publisher.stop()
    before = {outcome: count(installation, outcome) for outcome in ("stale", "done")}
    async with compose(installation.settings(ProjectorSettings)):

        async def has_reached(sequence: int) -> bool:
            return await views.sequence_of("default", history.gallery_id) == sequence

        await eventually(lambda: has_reached(len(messages)), "the view")
        async with dead_letters.open() as letters:
            selection = Selection(reason=f"fault-{kind}")
            async for chunk in letters.scan(selection, with_content=True).chunks(letters.topics_of(selection)):
                results = await letters.replay(chunk, "somebody", Permission())
        assert [result.refusal for result in results] == [None]

        async def is_counted() -> bool:
            return count(installation, kind) == before[kind] + 1

        await eventually(is_counted, "the replay to be counted")
        view = await views.get_gallery("default", history.gallery_id, 1)
        assert view is not None
        assert (view.sequence, view.to_wire()["name"]) == (3, "second")
    assert sum(count(installation, outcome) for outcome in before) == sum(before.values()) + 1

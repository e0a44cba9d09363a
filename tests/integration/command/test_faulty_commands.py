"""Only the command that makes the code fail is dead-lettered; its neighbours are carried out."""

import uuid
from typing import Any

import pytest

from tests.support.commands import TEXT, body, header, structured
from tests.support.early_jobs import DIRECT_ITEMS
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.sender import Sender
from triptych.command.app import compose
from triptych.command.domain import decide as decide_module
from triptych.command.domain.state import Change
from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.command.settings import CommandSettings


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a command at which the domain raises."""
    change = decide_module._change

    def breaking(command: ReceivedCommand, *args: Any, **options: Any) -> Change:
        if command.envelope.command_id == "poison":
            raise ZeroDivisionError("a fault of ours")
        return change(command, *args, **options)

    monkeypatch.setattr(decide_module, "_change", breaking)
    return "poison"


async def test_a_command_that_breaks_the_domain_is_dead_lettered_and_its_neighbours_are_carried_out(
    installation: Installation, poison: str
) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    async with raw_producer(bootstrap) as producer:
        await producer.send_and_wait(
            topics.commands, structured("CreateGallery", {"galleryId": gallery_id}, id="c"), key=gallery_id.encode()
        )
        for command_id in ("a", poison, "b"):
            add = structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}, id=command_id)
            await producer.send_and_wait(topics.commands, add, key=gallery_id.encode())
    async with (
        compose(installation.settings(CommandSettings)),
        topic_reader(bootstrap, topics.replies) as replies,
        topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters,
    ):
        answers = {body(reply)["commandId"]: body(reply) for reply in await replies.read_count(4)}
        assert answers.pop(poison)["error"]["code"] == "INTERNAL"
        assert {name: answer["sequence"] for name, answer in answers.items()} == {"c": 1, "a": 2, "b": 3}
        (letter,) = await letters.read_count(1)
    assert header(letter, "dead-letter-reason") == "handler-failed"
    assert b'"id": "poison"' in letter.value


@pytest.mark.usefixtures("early_jobs")
async def test_a_command_that_breaks_the_domain_after_waiting_for_a_job_delays_nobody(
    sender: Sender, poison: str
) -> None:
    installation = sender.installation
    large, other = await sender.gallery(DIRECT_ITEMS + 1), await sender.gallery(DIRECT_ITEMS + 1)
    cleared = await sender.put("ClearGallery", {"galleryId": large})
    await sender.put("CreateItems", {"galleryId": large, "items": [TEXT]}, poison)
    after = await sender.put("CreateItems", {"galleryId": large, "items": [TEXT]})
    also = await sender.put("ClearGallery", {"galleryId": other})
    for command_id in (cleared, after, also):
        assert (await sender.reply_to(command_id))["outcome"] == "accepted"
    topics = installation.topics
    async with topic_reader(installation.addresses.kafka_bootstrap, topics.dead_letter(topics.commands)) as letters:
        (letter,) = await letters.read_count(1)
    assert b'"id": "poison"' in letter.value
    await sender.until_no_work_is_left()

"""Two services with one instance id take each other for dead: no command is lost, repeated or out of order."""

import asyncio

import pytest

from tests.support.commands import TEXT
from tests.support.installation import PARTITIONS, Installation
from tests.support.product import running_command_service
from tests.support.sender import galleries_on, sending
from tests.support.write_model import audit
from triptych.kit.process.identity import ProcessIdentity

COMMANDS = 150


async def test_a_service_that_was_taken_for_dead_does_no_harm(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProcessIdentity, "replaces", lambda _self, _other: True)
    async with sending(installation) as sender:
        galleries = galleries_on(*range(PARTITIONS))
        sent = [await sender.put("CreateGallery", {"galleryId": gallery_id}) for gallery_id in galleries]

        async def put() -> None:
            for number in range(COMMANDS):
                data = {"galleryId": galleries[number % PARTITIONS], "items": [{**TEXT, "title": str(number)}]}
                sent.append(await sender.put("CreateItems", data))
                await asyncio.sleep(0.01)

        async with running_command_service(installation):
            await sender.reply_to(sent[0])
            putting = asyncio.create_task(put())
            # It ends the membership of the first one, which works meanwhile.
            async with running_command_service(installation):
                await putting
        async with running_command_service(installation):
            for command_id in sent:
                assert (await sender.reply_to(command_id))["outcome"] == "accepted"
        for position, gallery_id in enumerate(galleries):
            titles = [str(number) for number in range(COMMANDS) if number % PARTITIONS == position]
            assert await sender.titles(gallery_id) == titles[::-1]
            await sender.events_of(gallery_id, 1 + len(titles))
    await audit(installation.database)

"""Views and join are restored from the write model: after Kafka was lost, and where the join is wrong."""

import asyncio
import contextlib
import itertools

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import running_command_service, running_projector
from tests.support.rebuilding import (
    GALLERIES,
    WRITE_SECONDS,
    Phases,
    Send,
    check_join,
    fill,
    found_wrong,
    has,
    hasty,
    spoil_join,
    views_are_written,
)
from tests.support.rebuilding import send as send
from tests.support.waiting import eventually
from triptych.cli.rebuild import rebuild
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.kit.startup.provision import ensure_topics
from triptych.projector.rebuild.join_restoration import JoinUnequal, restore_join


async def test_views_and_join_come_back_from_the_write_model_alone(installation: Installation, send: Send) -> None:
    """Kafka was lost and provisioned anew: topics begin at 0, and have never told of anything."""
    settings, topics = installation.settings(CliSettings), installation.topics
    async with running_command_service(installation), running_projector(installation):
        await fill(installation, send)
        assert await verify(settings) == []
    await make_anew(installation, topics.events, topics.galleries)
    await installation.database["gallery_views"].delete_one({"_id": GALLERIES[4]})
    async with running_command_service(installation), running_projector(installation):
        await send("CreateItems", GALLERIES[8], items=[TEXT])
        await eventually(lambda: has(installation, GALLERIES[8]), "the projector goes on")
        lines = await found_wrong(settings)
        # One gallery has come again with its last event, but not its items.
        assert {line[:36] for line in lines if line.endswith("joined topic")} == set(GALLERIES[1:])
        assert [line[:36] for line in lines if line.endswith("views")] == [GALLERIES[4]]
        await rebuild(settings)
        assert await verify(settings) == []
        await check_join(installation)
        await send("CreateItems", GALLERIES[1], items=[TEXT])
        await views_are_written(installation)
        assert await verify(settings) == []


async def make_anew(installation: Installation, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.addresses.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(names))

        async def are_gone() -> bool:
            return not set(names) & set(await admin.list_topics())

        await eventually(are_gone, "the topics are deleted")
    finally:
        await admin.close()
    await ensure_topics(installation.settings(CliSettings), installation.topic_specs)


@pytest.mark.timeout(150)
async def test_a_join_with_wrong_missing_and_foreign_records_is_put_right(
    installation: Installation, send: Send
) -> None:
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation):
        await fill(installation, send)
    ghost = await spoil_join(installation)
    assert {line[:36] for line in await found_wrong(settings)} == {*GALLERIES[0:5], ghost}
    async with running_command_service(installation), running_projector(installation):
        stop = asyncio.Event()

        async def write() -> None:
            for number in itertools.count():
                await send("CreateItems", GALLERIES[1 + number % 6], items=[TEXT])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), WRITE_SECONDS)
                    return

        writing = asyncio.create_task(write())
        # As `rebuild` does at its end.
        await restore_join(settings, installation.database, Phases())
        stop.set()
        await writing
        await views_are_written(installation)
        assert await verify(settings) == []
        assert await installation.database["join_requests"].count_documents({}) == 0
        # Whoever has read that a gallery is deleted keeps to that; this is a reader that comes later.
        await check_join(installation, is_compacted=True)


async def test_a_join_that_nobody_publishes_is_told_of(installation: Installation, send: Send) -> None:
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation):
        await fill(installation, send)
    await spoil_join(installation)
    with hasty(), pytest.raises(JoinUnequal, match="as soon as a projector runs"):
        await restore_join(settings, installation.database, Phases(), patience_seconds=0.5)
    async with running_projector(installation):

        async def is_right() -> bool:
            return await verify(settings) == []

        await eventually(is_right, "what was asked for is published", deadline_seconds=40)

"""Rebuilding the views on real servers, while the services run."""

import asyncio
import contextlib

import pytest
from prometheus_client import REGISTRY

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import running_command_service, running_projector
from tests.support.rebuilding import (
    GALLERIES,
    WRITE_SECONDS,
    Phases,
    Send,
    check_join,
    expire_events,
    fill,
    found_wrong,
    has,
    spoil,
    views_are_written,
)
from tests.support.rebuilding import send as send
from tests.support.waiting import eventually
from triptych.cli.rebuild import rebuild
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.projector.rebuild.digests import GalleryStore
from triptych.projector.rebuild.rebuild import Rebuild
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import Views
from triptych.readmodel.versions import Versions


async def test_a_rebuild_replaces_wrong_views_while_everything_goes_on(installation: Installation, send: Send) -> None:
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation):
        await fill(installation, send)
        assert await verify(settings) == []
        await spoil(installation)
        assert {line[:36] for line in await found_wrong(settings)} == set(GALLERIES[1:6])

        stop = asyncio.Event()

        async def write_and_read() -> int:
            views, rounds = Views(installation.database), 0
            while not stop.is_set():
                await send("CreateItems", GALLERIES[6 + rounds % 6], items=[TEXT])
                assert await views.get_gallery("default", GALLERIES[7], 10) is not None
                assert await views.get_gallery("default", GALLERIES[0], 10) is None
                assert (await views.list_galleries("default", 10, 0, 10))[0] >= len(GALLERIES) - 2
                rounds += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), WRITE_SECONDS)
            return rounds

        at_work = asyncio.create_task(write_and_read())
        said = await rebuild(settings)
        stop.set()
        assert await at_work > 0
        # Five were spoiled; those that were just being written may have been behind besides.
        assert 5 <= int(said.rpartition(": ")[2]) < len(GALLERIES)
        assert await Versions(installation.database).active() == 2
        await views_are_written(installation)
        assert await verify(settings) == []
        await check_join(installation)
        await send("CreateItems", GALLERIES[1], items=[TEXT])
        await views_are_written(installation)
        await check_join(installation)
    assert not {"gallery_views", "item_views"} & set(await installation.database.list_collection_names())


@pytest.mark.parametrize("phase", ["events", "galleries compared", "switching"])
async def test_an_interrupted_rebuild_goes_on(installation: Installation, send: Send, phase: str) -> None:
    settings = installation.settings(ProjectorSettings)
    async with running_command_service(installation), running_projector(installation):
        await fill(installation, send)
        await spoil(installation)
        with pytest.raises(KeyboardInterrupt):
            await Rebuild(settings, installation.database, Phases(after=phase)).run()
        assert await Versions(installation.database).active() == 1
        await send("CreateItems", GALLERIES[8], items=[TEXT])
        await eventually(lambda: has(installation, GALLERIES[8]), "the projector goes on meanwhile")

        assert await Rebuild(settings, installation.database, Phases()).run() == 5
        assert await verify(installation.settings(CliSettings)) == []
        await check_join(installation)


async def test_galleries_are_stored_alike_on_both_sides(installation: Installation, send: Send) -> None:
    """Otherwise a proof compares every gallery field by field, at four times the cost."""
    async with running_command_service(installation), running_projector(installation):
        await fill(installation, send)
        written = await GalleryStore(installation.database).combined_hash(GALLERIES)
        assert written == await GalleryStore(installation.database, 1).combined_hash(GALLERIES) is not None


async def test_a_rebuild_asks_for_what_the_topic_does_not_hold_any_more(installation: Installation, send: Send) -> None:
    asked = REGISTRY.get_sample_value("triptych_projection_repairs_total") or 0
    async with running_command_service(installation), running_projector(installation):
        await fill(installation, send)
        await spoil(installation)
        await expire_events(installation)
        assert await Rebuild(installation.settings(ProjectorSettings), installation.database, Phases()).run() == 5
        assert (REGISTRY.get_sample_value("triptych_projection_repairs_total") or 0) >= asked + len(GALLERIES[1:])
        assert await verify(installation.settings(CliSettings)) == []
        await check_join(installation)


async def test_events_that_expired_unread_are_asked_for(installation: Installation, send: Send) -> None:
    async with running_command_service(installation):
        async with running_projector(installation):
            await fill(installation, send)
        for gallery_id in GALLERIES[1:]:
            await send("CreateItems", gallery_id, items=[TEXT])
        await send("DeleteGallery", GALLERIES[11])

        async def is_written() -> bool:
            found = await installation.database["galleries"].find_one({"_id": GALLERIES[11]})
            events = await installation.database["outbox"].count_documents({"pending": True})
            return found is not None and found["status"] == "deleted" and events == 0

        await eventually(is_written, "everything written")
        await expire_events(installation)
        async with running_projector(installation):

            async def is_equal() -> bool:
                return await verify(installation.settings(CliSettings)) == []

            await eventually(is_equal, "views equal to the write model", deadline_seconds=60)
            assert await Views(installation.database).get_gallery("default", GALLERIES[11], 1) is None
            await check_join(installation)

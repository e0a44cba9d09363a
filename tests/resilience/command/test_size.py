"""Jobs on a gallery of any size use bounded memory, delay nobody, and continue after a kill."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.commands import SOURCE, TEXT
from tests.support.installation import Installation
from tests.support.product import running_projector
from tests.support.sender import Sender, sending
from tests.support.servers import Service, command_service
from tests.support.waiting import eventually
from tests.support.write_model import audit
from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID
from triptych.contract.identity import derived_gallery_id

ITEMS = int(os.environ.get("TRIPTYCH_TEST_ITEMS", "3000"))
# The promise is one second; what tests share their processors with must not make them fail.
PROMISED_SECONDS = 1.0
SLACK_SECONDS = 2.0
GROWTH_BYTES = 150 * 1024 * 1024
WORK_SECONDS = 60 + ITEMS / 100
CLONES_MAX = 5


class Bystander:
    """A client with small galleries of its own, which measures how long it waits for replies."""

    def __init__(self, sender: Sender, galleries: list[str], service: Service) -> None:
        self._sender = sender
        self._galleries = galleries
        self._service = service
        self.waits: list[float] = []
        self.memory: list[int] = []

    async def run(self) -> None:
        """Send commands one after another until cancelled."""
        number = 0
        while True:
            gallery_id = self._galleries[number % len(self._galleries)]
            number += 1
            started = time.monotonic()
            reply = await self._sender.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
            self.waits.append(time.monotonic() - started)
            assert reply["outcome"] == "accepted"
            self.memory.append(self._service.resident_bytes)


@asynccontextmanager
async def bystander(installation: Installation, service: Service) -> AsyncIterator[Bystander]:
    """A bystander that sends commands until the block ends."""
    async with sending(installation) as sender:
        made = Bystander(sender, [await sender.gallery(1) for _ in range(6)], service)
        running = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled():
                running.result()


@pytest.mark.timeout(300 + 10 * WORK_SECONDS)
async def test_clone_clear_restore_and_delete_delay_nobody_and_use_bounded_memory(
    installation: Installation, tmp_path: Path
) -> None:
    with command_service(installation, tmp_path) as service:
        async with sending(installation) as sender, running_projector(installation, history_retention=86_400):
            await eventually(service.is_ready, "the service is ready", deadline_seconds=60)
            source = await sender.gallery(ITEMS, name="Source")
            other = await sender.gallery(1)
            async with bystander(installation, service) as others:
                before = service.resident_bytes
                started = time.monotonic()
                cloned = await sender.put("CreateGallery", {"cloneFromGalleryId": source})
                reply = await sender.reply_to(cloned, deadline_seconds=WORK_SECONDS)
                clone, times = reply["galleryId"], {"clone": time.monotonic() - started}
                assert (reply["outcome"], reply["sequence"]) == ("accepted", 1 + ITEMS)
                items = installation.database["items"]
                assert await items.count_documents({"galleryId": clone}) == ITEMS
                for name, data, left in (
                    ("ClearGallery", {"galleryId": source}, 0),
                    ("RestoreGallery", {"galleryId": source, "sequence": 1 + ITEMS}, ITEMS),
                    ("DeleteGallery", {"galleryId": clone}, 0),
                ):
                    started = time.monotonic()
                    asked = await sender.put(name, data)
                    reply = await sender.reply_to(asked, deadline_seconds=WORK_SECONDS)
                    times[name] = time.monotonic() - started
                    assert reply["outcome"] == "accepted"
                    assert await items.count_documents({"galleryId": data["galleryId"]}) == left
                assert await sender.titles(source) == [str(number) for number in range(ITEMS)]
            growth = max(others.memory) - before
            print(
                f"{ITEMS} items: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in times.items())}; "
                f"memory grew by {growth / 2**20:.0f} MiB; {len(others.waits)} others waited "
                f"{sorted(others.waits)[len(others.waits) // 2] * 1000:.0f} ms at the median, "
                f"{max(others.waits) * 1000:.0f} ms at most"
            )
            assert len(others.waits) > 10
            assert max(others.waits) < PROMISED_SECONDS + SLACK_SECONDS
            assert growth < GROWTH_BYTES
            assert await sender.titles(other) == ["0"]
    await audit(installation.database)


async def begin_clone(installation: Installation, sender: Sender, source: str) -> tuple[str, str]:
    """Begin a clone, and return its command and its gallery when the first items are copied, or all of them."""
    cloned = await sender.put("CreateGallery", {"cloneFromGalleryId": source})
    clone = derived_gallery_id(DEFAULT_SITE_ID, cloned, SOURCE)
    await sender.producer.flush()

    async def is_begun() -> bool:
        # Not the job: that of an earlier clone may be left, if its process was killed at the end.
        head = await installation.database["galleries"].find_one({"_id": clone})
        return head is not None and head["totalItems"] > 0

    await eventually(is_begun, "the first items are copied", deadline_seconds=WORK_SECONDS)
    return cloned, clone


@pytest.mark.timeout(300 + 10 * WORK_SECONDS)
async def test_jobs_continue_after_a_kill(installation: Installation, tmp_path: Path) -> None:
    galleries = installation.database["galleries"]
    async with sending(installation) as sender, running_projector(installation, history_retention=86_400):
        source, half, clones = "", None, 0
        while half is None and clones < CLONES_MAX:  # a clone may end before the kill
            with command_service(installation, tmp_path) as first:
                await eventually(first.is_ready, "the service is ready", deadline_seconds=60)
                source = source or await sender.gallery(ITEMS)
                cloned, clone = await begin_clone(installation, sender, source)
                first.kill()
            await audit(installation.database)
            half, clones = await galleries.find_one({"_id": clone, "status": "building"}), clones + 1
        assert half is not None
        assert half["totalItems"] < ITEMS
        with command_service(installation, tmp_path) as second:
            too_early = await sender.put("UpdateGallery", {"galleryId": half["_id"], "gallery": {"name": "mine"}})
            reply = await sender.reply_to(cloned, deadline_seconds=WORK_SECONDS)
            assert (reply["galleryId"], reply["sequence"]) == (half["_id"], 1 + ITEMS)
            assert (await sender.reply_to(too_early))["sequence"] == 2 + ITEMS
            assert await sender.titles(half["_id"]) == [str(number) for number in range(ITEMS)]
            cleared = await sender.put("ClearGallery", {"galleryId": source})
            await sender.producer.flush()

            async def is_shrinking() -> bool:
                head = await galleries.find_one({"_id": source})
                return head is not None and head["totalItems"] < ITEMS

            await eventually(is_shrinking, "some items of the source are deleted", deadline_seconds=WORK_SECONDS)
            second.kill()
        await audit(installation.database)
        with command_service(installation, tmp_path) as third:
            reply = await sender.reply_to(cleared, deadline_seconds=WORK_SECONDS)
            assert (reply["outcome"], reply["sequence"]) == ("accepted", 1 + 2 * ITEMS)
            assert await sender.titles(source) == []
            restored = await sender.put("RestoreGallery", {"galleryId": source, "sequence": 1 + ITEMS})
            await sender.producer.flush()

            async def is_growing() -> bool:
                head = await galleries.find_one({"_id": source})
                return head is not None and head["totalItems"] > 0

            await eventually(is_growing, "some items of the source are back", deadline_seconds=WORK_SECONDS)
            third.kill()
        await audit(installation.database)
        with command_service(installation, tmp_path):
            reply = await sender.reply_to(restored, deadline_seconds=WORK_SECONDS)
            assert (reply["outcome"], reply["sequence"]) == ("accepted", 1 + 3 * ITEMS)
            assert await sender.titles(source) == [str(number) for number in range(ITEMS)]
    history = await audit(installation.database)
    assert sum(map(len, history.values())) == (1 + 3 * ITEMS) + clones * (1 + ITEMS) + 1

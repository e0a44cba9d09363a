"""Waits until everything is quiet, and then observes HTTP and MongoDB from outside, for the judge."""

import asyncio
import contextlib
from typing import Any

import httpx
import orjson

from tests.support.chaos.history import ForeignRead, History, State
from tests.support.chaos.receiver import Receivers
from tests.support.chaos.recording import Recording
from tests.support.chaos.watch import Watch
from tests.support.chaos.workload import SITES, Workload, key_of
from tests.support.group_ends import groups_behind
from tests.support.installation import PARTITIONS, Installation
from tests.support.ours import everything_on, ours
from tests.support.plain_http import NO_TLS
from tests.support.waiting import eventually
from triptych.webhooks.store.delivery_documents import DELIVERIES, OPEN_STATUSES

QUIET_SECONDS = 300.0
PAGE = 200
READERS = 8
LEFT_OVER: dict[str, tuple[str, dict[str, Any]]] = {
    "outbox rows that are not published": ("outbox", {"pending": True}),
    "jobs": ("jobs", {}),
    "parked commands": ("parked_commands", {}),
    "staged items": ("staged_items", {}),
    "open deliveries": (DELIVERIES, {"status": {"$in": list(OPEN_STATUSES)}}),
}
"""What must not be left when everything is quiet: collections and queries."""

GALLERY = {"siteId": {"$exists": True}}
"""Finds galleries, not the claims that are in the same collection."""


async def until_quiet(installation: Installation, workload: Workload, watch: Watch) -> str | None:
    """Wait until nothing is left to do; gives what is left if that does not happen."""
    waits_for: list[str] = ["nothing was looked at"]

    async def is_quiet() -> bool:
        waits_for[:] = await unfinished(installation, workload, watch)
        return not waits_for

    with contextlib.suppress(AssertionError):
        await eventually(is_quiet, "quiet", deadline_seconds=QUIET_SECONDS)
        return None
    return ", ".join(waits_for)


async def unfinished(installation: Installation, workload: Workload, watch: Watch) -> list[str]:
    """What is left to do. Work is counted when all has been written, and again when all that was written is read."""
    sent = {command.id for command in workload.commands if command.is_acknowledged}
    over_http = {answer.command for answer in workload.answers}
    found = await _left(installation)
    if missing := sent - watch.replied - over_http:
        found.append(f"{len(missing)} commands without a reply")
    outdated = 0
    async for head in installation.database["galleries"].find(GALLERY, {"sequence": 1, "status": 1}):
        joined = watch.heads.get(head["_id"])
        expected = None if head["status"] == "deleted" else head["sequence"]
        outdated += (joined and joined[0]) != expected
    if outdated:
        found.append(f"{outdated} outdated head records")
    found = found or [f"{group} has not read its topic" for group in await groups_behind(installation)]
    return found or await _left(installation)


async def _left(installation: Installation) -> list[str]:
    return [f"{count} {what}" for what, count in (await left_over(installation)).items() if count]


async def left_over(installation: Installation) -> dict[str, int]:
    """How much is left of each kind of work."""
    return {
        what: await installation.database[collection].count_documents(query)
        for what, (collection, query) in LEFT_OVER.items()
    }


async def observe(
    installation: Installation, workload: Workload, receivers: Receivers, recording: Recording, address: str
) -> History:
    """Record the state at the end. What concerns no gallery is in the history that is returned."""
    made = History(PARTITIONS, listening=frozenset(SITES), deliveries=receivers.forbidden())
    made.left_over = await left_over(installation)
    topics = installation.topics
    letters = [topics.dead_letter(topic) for topic in topics.dead_lettering.values()]
    made.dead_letters = ours(await everything_on(installation, *letters))
    async for head in installation.database["galleries"].find(GALLERY, {"sequence": 1}):
        recording.add_sequence(head["_id"], head["sequence"])
    query = {"listenerId": {"$in": list(receivers.listeners.values())}}
    fields = {"galleryId": 1, "eventId": 1, "status": 1}
    async for delivery in installation.database[DELIVERIES].find(query, fields):
        recording.add_outcome(delivery["galleryId"], delivery["eventId"], delivery["status"])
    sites = {command.gallery: command.site for command in workload.commands if command.gallery}
    await _read_galleries(recording, {**sites, **recording.sites()}, address)
    return made


async def _read_galleries(recording: Recording, sites: dict[str, str], address: str) -> None:
    """Read every gallery with the key of its site, and with the key of the other site."""
    left = list(sites.items())

    async def read() -> None:
        async with httpx.AsyncClient(base_url=f"{address}/progallery/v2/galleries", timeout=30, verify=NO_TLS) as http:
            while left:
                gallery, site = left.pop()
                recording.add_state(gallery, await _state(http, gallery, site))
                for other in SITES:
                    if other != site:
                        answer = await http.get(f"/{gallery}", headers={"Authorization": key_of(other)})
                        shown = (gallery,) if answer.is_success else ()
                        recording.add_foreign_read(gallery, ForeignRead(other, answer.status_code, shown))

    await asyncio.gather(*(read() for _ in range(READERS)))


async def _state(http: httpx.AsyncClient, gallery: str, site: str) -> State:
    items: list[dict[str, object]] = []
    while True:
        answer = await http.get(
            f"/{gallery}",
            params={"itemLimit": PAGE, "itemOffset": len(items)},
            headers={"Authorization": key_of(site)},
        )
        if answer.status_code == 404:
            return State(None)
        answer.raise_for_status()
        found = orjson.loads(answer.content)["gallery"]
        page: list[dict[str, object]] = found.pop("items")
        items += page
        if len(page) < PAGE:
            return State(found, tuple(items))

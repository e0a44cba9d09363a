"""Services of the commit before this one and of this one share an installation, during an upgrade and a return.

The former services come from a wheel of that commit, in processes that see nothing of this checkout.
"""

import asyncio
import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.commands import TEXT, body
from tests.support.former import FormerForks, FormerService, former_commit, former_forks, unpacked_wheel
from tests.support.installation import Installation
from tests.support.ours import everything_on
from tests.support.plain_http import NO_TLS
from tests.support.receiver import Received, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.sender import Sender, sending
from tests.support.servers import Service, service
from tests.support.waiting import eventually
from tests.support.write_model import audit
from triptych.cli.migrations import MIGRATIONS
from triptych.cli.provision import provision
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.contract.domain_event import EventType
from triptych.gateway.access.keys import Scope, store_key
from triptych.kit.mongo.schema_version import THIS_BUILD, StoredVersion, read_stored_version
from triptych.kit.startup.provision import ensure_indexes
from triptych.kit.upgrading.migrating import Migrator
from triptych.kit.upgrading.presence import running_processes
from triptych.webhooks.store.delivery_documents import DELIVERIES
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

SERVICES = ("command", "projector", "webhooks", "gateway")
FIELDS = {"local": True, "webhooks_allowed_networks": "127.0.0.0/8", "webhooks_shard_lease": "PT1S"}
KEY = "upgrade-key"
GALLERIES = 6
EXIF = {"$ref": "a", "$id": "b", "Make": {"x": [1, 2.5, None]}}
IMAGE = {"title": "image", "image": {"imageInfo": {"url": "https://example.com/i.jpg"}, "exif": EXIF}}
OLD_DATA = "TRIPTYCH_TEST_OLD_DATA"
"""The environment variable that names a commit whose data is read, however old it is."""
WRITES_OF_A_PHASE = 4
"""Answered writes over HTTP after each change; commands come on the topic meanwhile."""
PAUSE_SECONDS, STOP_SECONDS = 0.05, 30.0


class Load:
    """Commands on the topic, and writes over HTTP through the gateways that are in use now."""

    def __init__(self, sender: Sender, galleries: list[str]) -> None:
        self.sender = sender
        self.galleries = galleries
        self.sent: list[str] = []
        self.gateways: list[str] = []
        self.answers: Counter[int] = Counter()
        self.is_over = False
        self.idle = asyncio.Event()
        self.idle.set()

    async def put(self) -> None:
        """Publish commands until the load is over."""
        while not self.is_over:
            number = len(self.sent)
            data = {"galleryId": self.galleries[number % GALLERIES], "items": [{**TEXT, "title": str(number)}]}
            self.sent.append(await self.sender.put("CreateItems", data, f"add-{number}"))
            await asyncio.sleep(PAUSE_SECONDS)

    async def write(self) -> None:
        """Add items over HTTP until the load is over, through each gateway in turn."""
        headers = {"Authorization": KEY}
        async with httpx.AsyncClient(timeout=60, verify=NO_TLS, headers=headers) as client:
            while not self.is_over:
                if self.gateways:
                    number = self.answers.total()
                    address = self.gateways[number % len(self.gateways)]
                    path = f"/progallery/v2/galleries/{self.galleries[number % GALLERIES]}/items"
                    self.idle.clear()
                    answer = await client.post(
                        address + path, json={"item": IMAGE}, headers={"Idempotency-Key": str(uuid.uuid4())}
                    )
                    self.idle.set()
                    self.answers[answer.status_code] += 1
                await asyncio.sleep(PAUSE_SECONDS)

    async def goes_on(self) -> None:
        """Wait until writes over HTTP and commands on the topic that began from now on were answered."""
        wanted = self.answers.total() + WRITES_OF_A_PHASE

        async def are_answered() -> bool:
            return self.answers.total() >= wanted

        await eventually(are_answered, "writes are answered", deadline_seconds=60)
        await self.sender.reply_to(self.sent[-1], deadline_seconds=60)

    async def leave(self, address: str) -> None:
        """Send nothing more to a gateway, as a load balancer does before the gateway stops."""
        self.gateways.remove(address)
        await self.idle.wait()


@pytest.fixture
def forks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FormerForks]:
    """Forks of the services of a commit: the one before, unless the test names another one."""
    commit = getattr(request, "param", None) or former_commit()
    with former_forks(unpacked_wheel(commit, tmp_path)) as running:
        yield running


async def are_ready(running: dict[str, FormerService] | dict[str, Service]) -> None:
    for name, one in running.items():
        await eventually(one.is_ready, f"{name} is ready", deadline_seconds=90)


@pytest.mark.timeout(300)
async def test_an_upgrade_and_a_return_under_load(
    installation: Installation, forks: FormerForks, tmp_path: Path
) -> None:
    database = installation.database
    await store_key(database, KEY, site_id=None, scopes=list(Scope), name="upgrade")
    await ensure_indexes(database, INDEXES)
    admin = Admin(database, make_sealer(relay_settings(installation)))

    async def former_services() -> dict[str, FormerService]:
        started = {name: forks.start(installation, tmp_path, name, **FIELDS) for name in SERVICES}
        await are_ready(started)
        return started

    async def end(former: dict[str, FormerService]) -> None:
        await load.leave(former["gateway"].address)
        assert await asyncio.to_thread(forks.stop, former.values()) == [0] * len(SERVICES)

    async with open_receiver() as receiver, sending(installation) as sender:
        listener = await admin.subscribe(receiver.url())
        former = await former_services()
        load = Load(sender, [await sender.gallery(0) for _ in range(GALLERIES)])
        load.gateways.append(former["gateway"].address)
        async with asyncio.TaskGroup() as writing:
            writing.create_task(load.put())
            writing.create_task(load.write())
            await load.goes_on()

            # The upgrade: provision, new services besides the old ones, and then without them.
            await provision(installation.settings(CliSettings))
            with ExitStack() as ending:
                new = {name: ending.enter_context(service(installation, tmp_path, name, **FIELDS)) for name in SERVICES}
                await are_ready(new)
                load.gateways.append(new["gateway"].address)
                await load.goes_on()
                await end(former)
                await load.goes_on()
                assert {process.service for process in await running_processes(database)} >= set(SERVICES)
                await Migrator(database, MIGRATIONS).run()
                assert (await read_stored_version(database)).version == THIS_BUILD.version

                # The return.
                former = await former_services()
                load.gateways.append(former["gateway"].address)
                await load.goes_on()
                await load.leave(new["gateway"].address)
                await end_new(new)
            await load.goes_on()
            load.is_over = True

        assert load.answers.keys() == {200}
        for command_id in load.sent:
            assert (await sender.reply_to(command_id, deadline_seconds=60))["outcome"] == "accepted"
        await check_delivered(admin, listener.id, receiver.requests)
        await are_shown(installation)
        await end(former)
    await check_events(installation, len(load.sent) + load.answers.total())


@pytest.mark.timeout(200)
@pytest.mark.skipif(OLD_DATA not in os.environ, reason=f"{OLD_DATA} names no commit")
@pytest.mark.parametrize("forks", [os.environ.get(OLD_DATA)], indirect=True)
async def test_data_of_an_old_version_is_used_and_migrated(
    installation: Installation, forks: FormerForks, tmp_path: Path
) -> None:
    """The versions do not run at the same time. The data of the commit before is part of the test above."""
    database = installation.database
    await store_key(database, KEY, site_id=None, scopes=list(Scope), name="upgrade")
    async with open_receiver() as receiver, sending(installation) as sender:
        former: dict[str, FormerService] = {}
        for name in SERVICES:  # one after the other: early builds could not create a collection at the same time
            former[name] = forks.start(installation, tmp_path, name, **FIELDS)
            await are_ready({name: former[name]})
        listener = {"url": receiver.url(), "eventTypes": [EventType.ITEM_CREATED], "format": "standard-hmac"}
        await asked(former["gateway"], "POST", "/v1/listeners", {"listener": listener})
        gallery_id = await sender.gallery(3)
        path = f"/progallery/v2/galleries/{gallery_id}"
        await asked(former["gateway"], "POST", f"{path}/items", {"item": IMAGE})
        before = await asked(former["gateway"], "GET", path)
        assert before["gallery"]["items"][0]["image"]["exif"] == EXIF
        await receiver.until(4)
        assert await asyncio.to_thread(forks.stop, former.values()) == [0] * len(SERVICES)
        await provision(installation.settings(CliSettings))
        with ExitStack() as ending:
            new = {name: ending.enter_context(service(installation, tmp_path, name, **FIELDS)) for name in SERVICES}
            await are_ready(new)
            assert await asked(new["gateway"], "GET", path) == before
            await Migrator(database, MIGRATIONS).run()
            assert await read_stored_version(database) == StoredVersion(THIS_BUILD.version)
            await asked(new["gateway"], "POST", f"{path}/items", {"item": IMAGE})
            after = await asked(new["gateway"], "GET", path)
            assert after["gallery"]["items"][1:] == before["gallery"]["items"]
            assert after["gallery"]["items"][0]["image"]["exif"] == EXIF
            await receiver.until(5)
            await are_shown(installation)
            await end_new(new)
    for collection in ("items", "item_views"):
        assert await database[collection].count_documents({"item.image.exif": {"$type": "binData"}}) == 2


async def end_new(new: dict[str, Service]) -> None:
    """Tell services of this commit to stop."""
    statuses = await asyncio.gather(*(asyncio.to_thread(one.child.stop, STOP_SECONDS) for one in new.values()))
    assert statuses == [0] * len(SERVICES)


async def asked(one: FormerService | Service, method: str, path: str, body: object = None) -> Any:
    """The JSON of an answer of a gateway."""
    async with httpx.AsyncClient(base_url=one.address, timeout=60, verify=NO_TLS) as client:
        answer = await client.request(method, path, json=body, headers={"Authorization": KEY})
    assert answer.is_success, answer.text
    return answer.json()


async def are_shown(installation: Installation) -> None:
    """Views and joined topic are equal to the write model, as soon as all events are in them."""
    differences: list[str] = []

    async def are_equal() -> bool:
        differences[:] = await verify(installation.settings(CliSettings))
        return not differences

    await eventually(are_equal, f"no differences: {differences}", deadline_seconds=30)


async def check_events(installation: Installation, items: int) -> None:
    """Each sequence of each gallery has one event, in order, and no record is a dead letter."""
    topics, found = installation.topics, defaultdict[str, dict[int, set[str]]](dict)
    for record in await everything_on(installation, topics.events):
        event = body(record)
        if "entityEventSequence" in event:
            found[event["entityId"]].setdefault(int(event["entityEventSequence"]), set()).add(event["id"])
    assert len(found) == GALLERIES
    history = await audit(installation.database)
    for gallery_id, events in found.items():
        assert list(events) == list(range(1, len(events) + 1))
        assert [list(ids) for ids in events.values()] == [[event["id"]] for event in history[gallery_id]]
    assert sum(len(events) for events in found.values()) == GALLERIES + items
    for topic in (topics.commands, topics.events):
        assert await everything_on(installation, topics.dead_letter(topic)) == []


async def check_delivered(admin: Admin, listener_id: str, requests: list[Received]) -> None:
    """Every event was delivered, and no delivery was planned twice."""
    events = {event["id"] for events in (await audit(admin.database)).values() for event in events}

    async def are_delivered() -> bool:
        return {request.id for request in requests} >= events

    await eventually(are_delivered, "all events are delivered", deadline_seconds=60)
    planned = Counter(
        [found["eventId"] async for found in admin.database[DELIVERIES].find({"listenerId": listener_id})]
    )
    assert planned == dict.fromkeys(events, 1)

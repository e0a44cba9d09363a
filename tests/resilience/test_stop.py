"""A process that is told to stop under load ends by itself in time, also without its servers; nothing is lost."""

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.own_servers import OwnServers
from tests.support.plain_http import NO_TLS
from tests.support.receiver import Receiver, hang, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.sender import Sender, sending
from tests.support.servers import Service, service, standing_still
from tests.support.waiting import eventually
from tests.support.write_model import audit
from triptych.devstack.addresses import Addresses
from triptych.gateway.access.keys import Scope, store_key
from triptych.kit.process.stopping import FORCED_SECONDS
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.delivery_documents import DELIVERIES
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

SERVICES = ("command", "projector", "webhooks", "gateway")
FIELDS = {"local": True, "webhooks_allowed_networks": "127.0.0.0/8", "webhooks_shard_lease": "PT1S"}
KEY = "stop-key"
GALLERIES, COMMANDS, WRITES, STREAMS = 4, 120, 8, 3
RECOVERY_SECONDS = 90.0


@pytest.fixture
def stack(servers: OwnServers) -> Addresses:
    """Servers that can stand still."""
    return servers.addresses


class Load:
    """Commands on the topic, writes over HTTP, and open streams."""

    def __init__(self, sender: Sender, galleries: list[str]) -> None:
        self.sender = sender
        self.galleries = galleries
        self.sent: list[str] = []
        self.created: set[str] = set()
        self.statuses: Counter[int] = Counter()

    async def put(self, count: int) -> None:
        """Publish commands."""
        for _ in range(count):
            number = len(self.sent)
            data = {"galleryId": self.galleries[number % GALLERIES], "items": [{**TEXT, "title": str(number)}]}
            self.sent.append(await self.sender.put("CreateItems", data, f"add-{number}"))
        await self.sender.producer.flush()

    async def write(self, address: str) -> None:
        """Create a gallery over HTTP; the process may end before it answers."""
        with contextlib.suppress(httpx.TransportError):
            async with httpx.AsyncClient(base_url=address, timeout=40, verify=NO_TLS) as client:
                answer = await client.post(
                    "/progallery/v2/galleries",
                    json={"gallery": {"name": "written"}},
                    headers={"Authorization": KEY, "Idempotency-Key": str(uuid.uuid4())},
                )
                self.statuses[answer.status_code] += 1
                if answer.is_success:
                    self.created.add(answer.json()["gallery"]["id"])

    async def follow(self, address: str) -> None:
        """Read a stream until it ends."""
        with contextlib.suppress(httpx.TransportError):
            async with (
                httpx.AsyncClient(base_url=address, timeout=60, verify=NO_TLS) as client,
                client.stream("GET", "/progallery/v2/events", headers={"Authorization": KEY}) as stream,
            ):
                async for _ in stream.aiter_bytes():
                    pass


async def stop(one: Service) -> tuple[float, int]:
    """Tell a service to stop; gives the seconds until it has ended, and its exit status."""
    before = time.monotonic()
    status = await asyncio.to_thread(one.child.stop, FORCED_SECONDS + 10)
    return time.monotonic() - before, status


@contextlib.asynccontextmanager
async def all_running(installation: Installation, directory: Path) -> AsyncIterator[dict[str, Service]]:
    """The four services, ready."""
    with ExitStack() as ending:
        started = {name: ending.enter_context(service(installation, directory, name, **FIELDS)) for name in SERVICES}

        async def are_ready() -> bool:
            return all([await one.is_ready() for one in started.values()])

        await eventually(are_ready, "all services are ready", deadline_seconds=90)
        yield started
        await asyncio.to_thread(ending.close)


@pytest.mark.timeout(420)
@pytest.mark.xdist_group("own-servers")
async def test_told_to_stop_under_load(installation: Installation, servers: OwnServers, tmp_path: Path) -> None:
    database = installation.database
    await store_key(database, KEY, site_id=None, scopes=list(Scope), name="stop")
    await ensure_indexes(database, INDEXES)
    admin = Admin(database, make_sealer(relay_settings(installation)))
    async with open_receiver() as good, open_receiver() as stuck, sending(installation) as sender:
        stuck.usual = hang
        listener = await admin.subscribe(good.url())
        await admin.subscribe(stuck.url(), timeoutSeconds=30)
        load = Load(sender, [])
        for frozen in (None, "kafka", "mongo"):
            async with all_running(installation, tmp_path) as running:
                if not load.galleries:
                    load.galleries += [await sender.gallery(0) for _ in range(GALLERIES)]
                address = running["gateway"].address
                following = [asyncio.create_task(load.follow(address)) for _ in range(STREAMS)]
                await load.put(COMMANDS)
                await good.until(len(good.requests) + 1)
                await stuck.until(1)
                writing = [asyncio.create_task(load.write(address)) for _ in range(WRITES)]
                await asyncio.sleep(0.05)
                with standing_still(servers.pids(frozen)) if frozen else nullcontext():
                    ended = await asyncio.gather(*map(stop, running.values()))
                await asyncio.gather(*following, *writing)
            assert {status for _, status in ended} == {0}, (frozen, dict(zip(SERVICES, ended, strict=True)))
            assert max(seconds for seconds, _ in ended) < FORCED_SECONDS, (frozen, ended)
            print(frozen, {name: round(seconds, 1) for name, (seconds, _) in zip(SERVICES, ended, strict=True)})
        assert load.statuses.keys() <= {200, 503, 504}, load.statuses
        async with all_running(installation, tmp_path):
            await database[DELIVERIES].update_many(  # as if their leases had ended
                {"lease": {"$ne": None}, "status": "pending"}, {"$set": {"dueAt": datetime.now(UTC)}}
            )
            await check_commands(load)
            await check_deliveries(admin, listener.id, good)


async def check_commands(load: Load) -> None:
    """Every command was answered, and had its effect once and in order."""
    for command_id in load.sent:
        reply = await load.sender.reply_to(command_id, deadline_seconds=RECOVERY_SECONDS)
        assert reply["outcome"] == "accepted"
    history = await audit(load.sender.installation.database)
    assert load.created <= history.keys()
    for position, gallery_id in enumerate(load.galleries):
        titles = [str(number) for number in range(len(load.sent)) if number % GALLERIES == position]
        assert await load.sender.titles(gallery_id) == titles[::-1]
        published = await load.sender.events_of(gallery_id, 1 + len(titles))
        assert [event["id"] for event in published] == [event["id"] for event in history[gallery_id]]


async def check_deliveries(admin: Admin, listener_id: str, good: Receiver) -> None:
    """Every event was delivered, and no delivery was planned twice."""
    events = {event["id"] for events in (await audit(admin.database)).values() for event in events}

    async def are_delivered() -> bool:
        return {request.id for request in good.requests} >= events

    await eventually(are_delivered, "all events are delivered", deadline_seconds=RECOVERY_SECONDS)
    planned = Counter(
        [found["eventId"] async for found in admin.database[DELIVERIES].find({"listenerId": listener_id})]
    )
    assert planned.keys() == events
    assert set(planned.values()) == {1}

"""All services as processes of a test's own, which it kills, freezes and starts again on the same ports."""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.support.alerting import Prometheus, running_prometheus
from tests.support.commands import TEXT
from tests.support.exposed import SERVICES, scrape
from tests.support.forks import start_fork
from tests.support.installation import Installation, open_installation
from tests.support.plain_http import NO_TLS
from tests.support.receiver import Behaviour, Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.secrets import check_logs
from tests.support.sender import Sender
from tests.support.servers import Service
from tests.support.topics import configure_topic
from tests.support.waiting import eventually
from triptych.devstack.addresses import Addresses
from triptych.devstack.children import Child
from triptych.devstack.ports import LOOPBACK, free_ports
from triptych.gateway.access.keys import Scope, store_key
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

KEY = "alerts-key"
FIELDS = {
    "local": True,
    "webhooks_allowed_networks": "127.0.0.0/8",
    "webhooks_shard_lease": "PT1S",
    "webhooks_listener_concurrency": 2,
    "gateway_publish_timeout": "PT2S",
    "gateway_reply_timeout": "PT2S",
    "gateway_view_timeout": "PT3S",
}
"""Settings of all services. The gateway waits less long than usual: a rule looks at the last 5 s of its answers."""


class Fleet:
    """One process of each service. A process that starts again has the port that it had."""

    def __init__(self, installation: Installation, folder: Path, prometheus: Prometheus) -> None:
        self.installation = installation
        self.prometheus = prometheus
        self._folder = folder
        self._ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self._children: dict[str, Child] = {}
        self._starts = 0

    def start(self, name: str, **fields: object) -> None:
        """Start a service; it is not ready yet."""
        self._starts += 1
        own = {**FIELDS, f"{name}_port": self._ports[name], **fields}
        environ = {**os.environ, **self.installation.environ(**own)}
        log = self._folder / f"{name}-{self._starts}.log"
        self._children[name] = start_fork(f"triptych.{name}", env=environ, log=log)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a service."""
        os.kill(self._children[name].pid, number)

    async def kill(self, name: str) -> None:
        """Kill a service, and wait until it has ended."""
        self.send(name, signal.SIGKILL)
        await asyncio.to_thread(self._children[name].stop, 10)

    async def restart(self, name: str, **fields: object) -> None:
        """Stop a service and start it again; it is ready afterwards."""
        await asyncio.to_thread(self._children[name].stop, 20)
        self.start(name, **fields)
        await self.ready(name)

    async def ready(self, *names: str) -> None:
        """Wait until these services are ready."""

        async def are_ready() -> bool:
            return all([await self.service(name).is_ready() for name in names])

        await eventually(are_ready, f"{names} are ready", deadline_seconds=90)

    async def counts(self, name: str, metric: str) -> None:
        """Wait until a metric is above 0 in the process itself, whoever scrapes it. Give its labels with its name."""

        async def does() -> bool:
            with contextlib.suppress(OSError):
                text = await asyncio.to_thread(scrape, self.service(name).address)
                return any(float(line.split()[1]) > 0 for line in text.splitlines() if line.startswith(f"{metric} "))
            return False

        await eventually(does, f"{metric} of {name} is above 0", deadline_seconds=60)

    def service(self, name: str) -> Service:
        """A service that runs."""
        return Service(self._children[name], f"http://{LOOPBACK}:{self._ports[name]}")

    def watched(self, *absent: str) -> None:
        """Prometheus scrapes all services but these."""
        addresses = {name: f"{LOOPBACK}:{port}" for name, port in self._ports.items() if name not in absent}
        self.prometheus.watch(addresses)

    async def write(self) -> int:
        """Create a gallery over HTTP; gives the status of the answer."""
        async with httpx.AsyncClient(base_url=self.service("gateway").address, timeout=30, verify=NO_TLS) as client:
            answer = await client.post(
                "/progallery/v2/galleries",
                json={"gallery": {"name": "written"}},
                headers={"Authorization": KEY, "Idempotency-Key": str(uuid.uuid4())},
            )
            return answer.status_code

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write over HTTP again and again during the block."""

        async def keep_writing() -> None:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await self.write()
                await asyncio.sleep(0.1)

        tasks = [asyncio.create_task(keep_writing()) for _ in range(4)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Stop all services."""
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGCONT)
            child.stop(20)
        check_logs(sorted(self._folder.glob("*.log")))


@contextlib.asynccontextmanager
async def running_fleet(stack: Addresses, folder: Path) -> AsyncIterator[Fleet]:
    """All services, ready, and a Prometheus that scrapes them, during the block."""
    async with open_installation(stack) as installation:
        await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="alerts")
        await ensure_indexes(installation.database, INDEXES)
        with running_prometheus(folder / "prometheus") as prometheus:
            made = Fleet(installation, folder, prometheus)
            try:
                for name in SERVICES:
                    made.start(name)
                await made.ready(*SERVICES)
                made.watched()
                yield made
            finally:
                await asyncio.to_thread(made.stop)


async def put_items(sender: Sender, count: int) -> None:
    """Publish this number of commands, without waiting for their replies."""
    galleries = [await sender.gallery(0) for _ in range(3)]
    for number in range(count):
        await sender.put("CreateItems", {"galleryId": galleries[number % 3], "items": [TEXT] * 5})
    await sender.producer.flush()


@contextlib.asynccontextmanager
async def listening(fleet: Fleet, behaviour: Behaviour, **fields: object) -> AsyncIterator[Receiver]:
    """A listener that answers like this during the block, and is deleted at its end."""
    admin = Admin(fleet.installation.database, make_sealer(relay_settings(fleet.installation)))
    async with open_receiver() as receiver:
        receiver.usual = behaviour
        listener = await admin.subscribe(receiver.url(), **fields)
        try:
            yield receiver
        finally:
            await admin.listeners.delete(listener.site_id, listener.id)


async def set_limit(fleet: Fleet, topic: str, limit: int) -> None:
    """Lower or raise the largest size of a batch on a topic."""
    await configure_topic(fleet.installation.addresses.kafka_bootstrap, topic, {"max.message.bytes": str(limit)})


def damage_on_disk(folder: Path, found: bytes, replaced: bytes) -> None:
    """Change bytes in the files of a partition, as a bad disk does; the broker itself does not read them."""
    for file in folder.glob("*.log"):
        place = file.read_bytes().find(found)
        if place >= 0:
            with file.open("r+b") as opened:
                opened.seek(place)
                opened.write(replaced)
            return
    raise AssertionError(f"{found!r} is not in {folder}")

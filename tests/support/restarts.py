"""Services that are killed or replaced while others wait for their work, and how long these have to wait."""

import asyncio
import contextlib
import os
import signal
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.commands import TEXT
from tests.support.forks import start_fork
from tests.support.histories import History
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import TopicReader, raw_producer, topic_reader
from tests.support.plain_http import NO_TLS
from tests.support.receiver import Receiver
from tests.support.secrets import check_logs
from tests.support.sender import Sender, galleries_on
from tests.support.servers import Service
from tests.support.waiting import eventually
from triptych.devstack.children import Child, start_child
from triptych.devstack.ports import LOOPBACK, free_ports
from triptych.readmodel.queries import Views

FIELDS = {"local": True, "webhooks_allowed_networks": "127.0.0.0/8"}
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 90.0

Ask = Callable[[], Awaitable[Awaitable[float]]]
"""Asks for work on each partition; the inner awaitable gives the time at which all of it was done."""


@dataclass(frozen=True)
class Wait:
    """How long work had to wait, in seconds."""

    from_kill: float
    from_start: float
    """Since the process was started, imports included."""
    from_ready: float
    """Since the process was ready; 0 if the work was done before."""


class Instances:
    """Processes of the services. `command-1` is a command service; one that starts again keeps its port."""

    def __init__(self, installation: Installation, folder: Path, *, are_forks: bool, **fields: object) -> None:
        """Forks have imported everything when they start, which real processes have not."""
        self.installation = installation
        self._folder = folder
        self._are_forks = are_forks
        self._fields = {**FIELDS, **fields}
        self._ports: dict[str, int] = {}
        self._children: dict[str, Child] = {}
        self._starts = 0

    def start(self, name: str) -> None:
        """Start a process; it is not ready yet."""
        service = name.partition("-")[0]
        if name not in self._ports:
            (self._ports[name],) = free_ports(1)
        self._starts += 1
        own = {**self._fields, f"{service}_port": self._ports[name]}
        environ = {**os.environ, **self.installation.environ(**own)}
        log = self._folder / f"{name}-{self._starts}.log"
        module = f"triptych.{service}"
        if self._are_forks:
            self._children[name] = start_fork(module, env=environ, log=log)
        else:
            self._children[name] = start_child([sys.executable, "-m", module], env=environ, log=log)

    def address(self, name: str) -> str:
        """Where a process serves HTTP."""
        return f"http://{LOOPBACK}:{self._ports[name]}"

    async def ready(self, *names: str) -> float:
        """Wait until these processes are ready; gives the time."""

        async def are_ready() -> bool:
            return all([await Service(self._children[name], self.address(name)).is_ready() for name in names])

        await eventually(are_ready, f"{names} are ready", deadline_seconds=PATIENCE_SECONDS)
        return time.monotonic()

    async def kill(self, name: str) -> float:
        """Kill a process and wait until it has ended; gives the time of the kill."""
        before = time.monotonic()
        os.killpg(self._children[name].pid, signal.SIGKILL)
        await asyncio.to_thread(self._children[name].stop, 10)
        return before

    async def stop(self, name: str) -> None:
        """Tell a process to stop, and wait until it has ended."""
        assert await asyncio.to_thread(self._children[name].stop, 30) == 0, name

    def end(self) -> None:
        """Stop all processes, and check their logs."""
        for child in self._children.values():
            child.stop(20)
        check_logs(sorted(self._folder.glob("*.log")))


@contextlib.asynccontextmanager
async def instances(
    installation: Installation, folder: Path, *, are_forks: bool, **fields: object
) -> AsyncIterator[Instances]:
    """No process yet; those that are started are stopped at the end of the block."""
    made = Instances(installation, folder, are_forks=are_forks, **fields)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.end)


async def restart_after_kill(running: Instances, name: str, ask: Ask) -> Wait:
    """Kill a process, start it again at once, and ask it for work meanwhile."""
    killed_at = await running.kill(name)
    started_at = time.monotonic()
    running.start(name)
    done = await ask()
    done_at, ready_at = await asyncio.gather(done, running.ready(name))
    return Wait(done_at - killed_at, done_at - started_at, max(0.0, done_at - ready_at))


async def take_over_after_kill(running: Instances, name: str, ask: Ask) -> float:
    """Kill one of several processes, and ask the others for its work; gives the seconds since the kill."""
    killed_at = await running.kill(name)
    done = await ask()
    return await done - killed_at


async def until_shared(installation: Installation, group: str, members: int) -> None:
    """Wait until a consumer group has this number of members and does not divide partitions anew."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.addresses.kafka_bootstrap)
    await admin.start()
    try:

        async def is_stable() -> bool:
            for described in await admin.describe_consumer_groups([group]):
                for _error, _group, state, _type, _protocol, found, *_ in described.groups:
                    return state == "Stable" and len(found) == members
            return False

        await eventually(is_stable, f"{group} has {members} members", deadline_seconds=PATIENCE_SECONDS)
    finally:
        await admin.close()


class ReplyClock:
    """When the reply to each command came first, by the command's id."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self.came: dict[str, float] = {}

    async def run(self) -> None:
        """Read replies until cancelled."""
        while True:
            for records in (await self._reader._consumer.getmany(timeout_ms=1_000)).values():
                now = time.monotonic()
                for record in records:
                    self.came.setdefault(record.key.decode(), now)

    async def all_came(self, command_ids: Sequence[str]) -> float:
        """Wait for the replies to these commands; gives the time of the last."""

        async def are_there() -> bool:
            return self.came.keys() >= set(command_ids)

        await eventually(are_there, "all replies", deadline_seconds=PATIENCE_SECONDS)
        return max(self.came[command_id] for command_id in command_ids)


@contextlib.asynccontextmanager
async def reply_clock(installation: Installation) -> AsyncIterator[ReplyClock]:
    """A clock of replies that runs during the block."""
    async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.replies) as reader:
        clock = ReplyClock(reader)
        running = asyncio.create_task(clock.run())
        try:
            yield clock
        finally:
            running.cancel()
            await asyncio.wait({running})


def commands(sender: Sender, clock: ReplyClock, galleries: Sequence[str]) -> Ask:
    """Sends a command for each of these galleries."""

    async def ask() -> Awaitable[float]:
        sent = [await sender.put("CreateItems", {"galleryId": each, "items": [TEXT]}) for each in galleries]
        await sender.producer.flush()
        return clock.all_came(sent)

    return ask


async def publish_histories(installation: Installation) -> list[History]:
    """Publish the creation of a gallery on each partition of the events topic."""
    histories = [History(gallery_id).create() for gallery_id in galleries_on(*range(PARTITIONS))]
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        for message in (message for history in histories for message in history.messages):
            await producer.send_and_wait(
                installation.topics.events, message.value, message.key, headers=list(message.headers)
            )
    return histories


def projections(installation: Installation) -> Ask:
    """Publishes events, which are to be in the views."""
    views = Views(installation.database)

    async def until_shown(histories: Sequence[History]) -> float:
        async def are_shown() -> bool:
            return all([await views.sequence_of(each.site_id, each.gallery_id) for each in histories])

        await eventually(are_shown, "the events are in the views", deadline_seconds=PATIENCE_SECONDS)
        return time.monotonic()

    async def ask() -> Awaitable[float]:
        return until_shown(await publish_histories(installation))

    return ask


def deliveries(installation: Installation, receiver: Receiver) -> Ask:
    """Publishes events, which are to be delivered to each listener of `receiver`."""

    async def until_delivered(histories: Sequence[History]) -> float:
        wanted = {event.id for history in histories for event in history.events}

        async def are_delivered() -> bool:
            return {request.id for request in receiver.requests} >= wanted

        await eventually(are_delivered, "the events are delivered", deadline_seconds=PATIENCE_SECONDS)
        return time.monotonic()

    async def ask() -> Awaitable[float]:
        return until_delivered(await publish_histories(installation))

    return ask


class Load:
    """Commands on the topic at a steady rate, and writes over HTTP, each repeated at another gateway if one is away."""

    def __init__(
        self, sender: Sender, clock: ReplyClock, galleries: Sequence[str], gateways: Sequence[str] = ()
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._galleries = galleries
        self._gateways = gateways
        self._sent: dict[str, float] = {}
        self.writes: list[float] = []
        """The seconds of each write over HTTP."""

    @contextlib.asynccontextmanager
    async def running(self, key: str = "") -> AsyncIterator[None]:
        """Send during the block, and wait for all answers at its end."""
        stop = asyncio.Event()
        sending = [asyncio.create_task(self._send(stop))]
        if self._gateways:
            sending.append(asyncio.create_task(self._write(stop, key)))
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*sending)
        await self._clock.all_came(list(self._sent))

    def delays(self) -> list[float]:
        """The seconds from each command to its reply."""
        return [self._clock.came[command_id] - at for command_id, at in self._sent.items()]

    async def _send(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for gallery_id in self._galleries:
                at = time.monotonic()
                self._sent[await self._sender.put("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})] = at
            await asyncio.sleep(0.1)

    async def _write(self, stop: asyncio.Event, key: str) -> None:
        async with httpx.AsyncClient(timeout=30, verify=NO_TLS, headers={"Authorization": key}) as client:
            turn = 0
            while not stop.is_set():
                before, request = time.monotonic(), str(uuid.uuid4())
                while not await self._is_written(client, self._gateways[turn % len(self._gateways)], request):
                    turn += 1
                    await asyncio.sleep(0.05)
                self.writes.append(time.monotonic() - before)
                turn += 1

    @staticmethod
    async def _is_written(client: httpx.AsyncClient, address: str, request: str) -> bool:
        try:
            answer = await client.post(
                f"{address}/progallery/v2/galleries",
                json={"gallery": {"name": "written"}},
                headers={"Idempotency-Key": request},
            )
        except httpx.TransportError:
            return False
        assert answer.status_code in (200, 503, 504), answer.text
        return answer.status_code == 200


def summary(what: str, seconds: Sequence[float]) -> str:
    """Count, median and maximum, in words."""
    return (
        f"{what}: {len(seconds)} times, median {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s, "
        f"all {[round(each, 1) for each in seconds]}"
    )

"""While MongoDB or Kafka stalls or dies, nothing is skipped, lost, doubled or put out of order."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.commands import TEXT, body
from tests.support.installation import Installation, open_installation
from tests.support.kafka import Record, topic_reader
from tests.support.ours import assert_no_record_of_ours_is_dead
from tests.support.own_servers import OwnServers
from tests.support.sender import Sender, sending
from tests.support.servers import Service, command_line, command_service, standing_still
from tests.support.servers import service as running_service
from tests.support.waiting import eventually
from tests.support.write_model import audit
from triptych.devstack.addresses import Addresses
from triptych.devstack.children import start_child
from triptych.devstack.ports import is_free

OUTAGE_SECONDS = float(os.environ.get("TRIPTYCH_TEST_OUTAGE", "8"))
RECOVERY_SECONDS = 60.0
# One worker, so that the servers, and the service that lives through all that befalls them, start once.
pytestmark = [pytest.mark.xdist_group("own-servers"), pytest.mark.asyncio(loop_scope="module")]
GALLERIES = 6
OTHERS = ("projector", "webhooks")


@pytest.fixture(scope="module")
def stack(servers: OwnServers) -> Addresses:
    """Servers that can be stopped."""
    return servers.addresses


@dataclass
class Producer:
    """A client that adds items to several galleries, one after the other, and remembers the titles of each gallery."""

    sender: Sender
    galleries: list[str]
    sent: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    async def add(self, count: int) -> None:
        """Publish `count` commands."""
        for _ in range(count):
            gallery_id = self.galleries[self.count % len(self.galleries)]
            title = str(self.count)
            data = {"galleryId": gallery_id, "items": [{**TEXT, "title": title}]}
            await self.sender.put("CreateItems", data, f"add-{title}")
            self.sent.setdefault(gallery_id, []).append(title)
            self.count += 1
        await self.sender.producer.flush()

    async def check_all(self, deadline_seconds: float) -> None:
        """Check that every command was answered and had its effect once, in order."""
        for number in range(self.count):
            reply = await self.sender.reply_to(f"add-{number}", deadline_seconds=deadline_seconds)
            assert reply["outcome"] == "accepted"
        history = await audit(self.sender.installation.database)
        for gallery_id, titles in self.sent.items():
            assert await self.sender.titles(gallery_id) == titles[::-1]
            assert len(history[gallery_id]) == 1 + len(titles)
            published = await self.sender.events_of(gallery_id, 1 + len(titles))
            assert [event["id"] for event in published] == [event["id"] for event in history[gallery_id]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(stack: Addresses) -> AsyncIterator[Installation]:
    """An installation in which no record of the product's own is dead afterwards."""
    async with open_installation(stack) as made:
        yield made
        await assert_no_record_of_ours_is_dead(made)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Producer, Service]]:
    """A service, and a producer for its galleries."""
    with command_service(installation, tmp_path_factory.mktemp("service")) as service:
        async with sending(installation) as sender:
            await eventually(service.is_ready, "the service is ready", deadline_seconds=60)
            yield Producer(sender, [await sender.gallery(0) for _ in range(GALLERIES)]), service


@pytest_asyncio.fixture(loop_scope="module")
async def at_work(started: tuple[Producer, Service]) -> tuple[Producer, Service]:
    """The same, once some commands more are answered."""
    producer, _ = started
    await producer.add(50)
    await producer.check_all(30)
    return started


async def committed_offsets(installation: Installation) -> dict[int, int]:
    """The committed offsets of the command service's consumer group, by partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.addresses.kafka_bootstrap)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(f"{installation.name}.command.v1")
    finally:
        await admin.close()
    topic = installation.topics.commands
    return {
        found.partition: meta.offset for found, meta in offsets.items() if found.topic == topic and meta.offset >= 0
    }


async def check_nothing_was_skipped(installation: Installation, offsets: dict[int, int], at: datetime) -> None:
    """Check that every command below these offsets had an outcome at that time."""
    topic = installation.topics.commands
    done = installation.database["processed_commands"].find({"at": {"$lte": at}, "reply": {"$exists": True}})
    finished = {outcome["reply"]["commandId"] async for outcome in done}
    async with topic_reader(installation.addresses.kafka_bootstrap, topic) as commands:

        def are_read(records: list[Record]) -> bool:
            ends = {record.partition: record.offset + 1 for record in records}
            return all(ends.get(partition, 0) >= offset for partition, offset in offsets.items())

        await commands.read_until(are_read, "all commands below the committed offsets")
        passed = [record for record in commands.records if record.offset < offsets.get(record.partition, 0)]
    assert passed
    assert {body(record)["id"] for record in passed} <= finished


async def unready_through(service: Service, seconds: float) -> float:
    """Check that the service becomes unready and stays so for `seconds`; gives its processor time in seconds."""
    ends = time.monotonic() + seconds

    async def is_unready() -> bool:
        return not await service.is_ready()

    await eventually(is_unready, "readiness is false", deadline_seconds=seconds)
    started = service.cpu_seconds
    while time.monotonic() < ends:
        assert not await service.is_ready()
        await asyncio.sleep(0.5)
    return service.cpu_seconds - started


@pytest.mark.timeout(180 + 4 * OUTAGE_SECONDS)
async def test_mongodb_stands_still(
    installation: Installation, at_work: tuple[Producer, Service], servers: OwnServers
) -> None:
    producer, service = at_work
    await producer.add(50)
    with standing_still(servers.pids("mongo")):
        stopped_at = datetime.now(UTC)
        await producer.add(100)
        used = await unready_through(service, OUTAGE_SECONDS)
        offsets = await committed_offsets(installation)
    assert used < 0.3 * OUTAGE_SECONDS
    await producer.add(10)
    await producer.check_all(RECOVERY_SECONDS)
    await check_nothing_was_skipped(installation, offsets, stopped_at)
    await eventually(service.is_ready, "the service is ready again", deadline_seconds=RECOVERY_SECONDS)


@pytest.mark.timeout(180 + 4 * OUTAGE_SECONDS)
async def test_kafka_stands_still(
    installation: Installation, at_work: tuple[Producer, Service], servers: OwnServers, tmp_path: Path
) -> None:
    producer, service = at_work
    with ExitStack() as stack:
        others = [stack.enter_context(running_service(installation, tmp_path, name, local=True)) for name in OTHERS]
        for other in others:
            await eventually(other.is_ready, "the others are ready", deadline_seconds=60)
        await producer.add(100)
        with standing_still(servers.pids("kafka")):
            used = await unready_through(service, OUTAGE_SECONDS)
            assert not any([await other.is_ready() for other in others])
    assert used < 0.3 * OUTAGE_SECONDS
    await producer.add(10)
    await producer.check_all(RECOVERY_SECONDS)
    await eventually(service.is_ready, "the service is ready again", deadline_seconds=RECOVERY_SECONDS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", ["mongo", "kafka"])
async def test_a_server_dies_and_comes_back_with_what_it_had(
    installation: Installation,
    at_work: tuple[Producer, Service],
    servers: OwnServers,
    tmp_path: Path,
    server: str,
) -> None:
    producer, service = at_work
    await producer.add(100)
    (pid,) = servers.pids(server)
    command = command_line(pid)
    os.kill(pid, signal.SIGKILL)

    async def is_unready() -> bool:
        return not await service.is_ready()

    await eventually(is_unready, "readiness is false")
    restarted = start_child(command, log=tmp_path / f"{server}.log")
    servers.restarted.append(restarted)
    addresses = {"mongo": installation.addresses.mongo_uri, "kafka": installation.addresses.kafka_bootstrap}
    port = int(re.findall(r":(\d+)", addresses[server])[0])
    # Should it not come back, its log says why.
    await asyncio.to_thread(restarted.wait_until, lambda: not is_free(port), what=server, timeout=RECOVERY_SECONDS)
    await producer.add(10)
    await producer.check_all(RECOVERY_SECONDS)
    await eventually(service.is_ready, "the service is ready again", deadline_seconds=RECOVERY_SECONDS)

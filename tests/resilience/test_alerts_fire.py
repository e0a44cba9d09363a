"""Real faults of real services make a real Prometheus report the alerts that name them, and no longer afterwards.

The rules are those of deploy/observability, with shorter times (tests/support/alerting.py). Runs if
`TRIPTYCH_TEST_ALERTS` is set and the program `prometheus` is installed.

Five alerts are left to promtool:
* TriptychHandlerFailed, TriptychRecordsIgnored and TriptychDeliveriesStuck report bugs of the code, which no fault from
  outside causes.
* TriptychLeasesLost needs a relay that stands still again and again for longer than its leases. They last longer than
  the longest timeout of a listener, 30 s.
* TriptychClockWrong needs a machine whose clock is wrong. `tests/resilience/faults/test_clocks.py` has such clocks.
"""

import asyncio
import os
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from tests.support.alerting import Prometheus
from tests.support.commands import TEXT
from tests.support.exposed import SERVICES
from tests.support.fleet import Fleet, damage_on_disk, listening, put_items, running_fleet, set_limit
from tests.support.installation import PARTITIONS
from tests.support.kafka import expire_records
from tests.support.receiver import hang, status
from tests.support.sender import Sender, galleries_on, sending
from tests.support.servers import pids_of, servers_alone, standing_still
from triptych.devstack.addresses import Addresses
from triptych.readmodel.versions import names_of

pytestmark = [
    pytest.mark.skipif("TRIPTYCH_TEST_ALERTS" not in os.environ, reason="takes minutes; `make soak` runs it"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
    pytest.mark.xdist_group("alerts"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the servers of these tests store their data."""
    return tmp_path_factory.mktemp("servers").resolve()


@pytest.fixture(scope="module")
def stack(data: Path) -> Iterator[Addresses]:
    """Servers that can stand still, for these tests alone."""
    with servers_alone(data) as addresses:
        yield addresses


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """All services, ready, and a Prometheus that scrapes them."""
    async with running_fleet(stack, tmp_path_factory.mktemp("alerts")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sender(fleet: Fleet) -> AsyncIterator[Sender]:
    """A producer of commands."""
    async with sending(fleet.installation) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def alerts(fleet: Fleet) -> AsyncIterator[Prometheus]:
    """Prometheus, while no alert fires; what a test has caused is over when the next one begins."""
    await fleet.prometheus.resolves()
    yield fleet.prometheus
    await fleet.prometheus.resolves()


async def test_a_service_is_killed_again_and_again(fleet: Fleet, alerts: Prometheus) -> None:
    await fleet.kill("projector")
    await alerts.fires("TriptychDown", job="triptych-projector")
    for number in range(4):
        before = await alerts.started_at("projector")
        fleet.start("projector")
        await alerts.until_seen("projector", before)
        if number < 3:
            await fleet.kill("projector")
    await alerts.fires("TriptychRestarts", job="triptych-projector")
    await fleet.ready("projector")


async def test_prometheus_knows_no_process_of_a_service(fleet: Fleet, alerts: Prometheus) -> None:
    fleet.watched("webhooks")
    await alerts.fires("TriptychAbsent", job="triptych-webhooks")
    fleet.watched()


async def test_two_builds_run(fleet: Fleet, alerts: Prometheus) -> None:
    await fleet.restart("gateway", build_commit="0000000")
    await alerts.fires("TriptychVersionsDiffer")
    await fleet.restart("gateway")


async def test_the_projector_is_stopped(fleet: Fleet, alerts: Prometheus) -> None:
    fleet.send("projector", signal.SIGSTOP)
    try:
        async with fleet.writing():
            await alerts.all_fire("TriptychDown", "TriptychReadModelLate", "TriptychRequestsSlow")
    finally:
        fleet.send("projector", signal.SIGCONT)
    await fleet.ready("projector")


async def test_the_command_service_is_stopped(fleet: Fleet, alerts: Prometheus) -> None:
    fleet.send("command", signal.SIGSTOP)
    try:
        async with fleet.writing():
            await alerts.all_fire("TriptychDown", "TriptychRepliesLate", "TriptychRequestsFail")
    finally:
        fleet.send("command", signal.SIGCONT)
    await fleet.ready("command")


async def test_a_producer_leaves_a_transaction_open(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    topics = fleet.installation.topics
    producer = AIOKafkaProducer(
        bootstrap_servers=fleet.installation.addresses.kafka_bootstrap, transactional_id="alerts"
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        for partition in range(PARTITIONS):
            await producer.send_and_wait(topics.commands, b"open", partition=partition)
        for gallery_id in galleries_on(*range(PARTITIONS)):
            await sender.put("CreateGallery", {"galleryId": gallery_id})
        await sender.producer.flush()
        await alerts.fires("TriptychLag", job="triptych-command", topic=topics.commands)
        await alerts.fires("TriptychStalled", job="triptych-command", topic=topics.commands)
        await producer.abort_transaction()
    finally:
        await producer.stop()


async def test_kafka_stands_still(fleet: Fleet, sender: Sender, alerts: Prometheus, data: Path) -> None:
    await put_items(sender, 3_000)
    with standing_still(pids_of(data / "kafka")):
        async with fleet.writing():
            await alerts.all_fire("TriptychWaiting", "TriptychOutboxWaiting", "TriptychRequestsFail", "TriptychStalled")
            await alerts.fires("TriptychLag", job="triptych-command")
    await fleet.ready(*SERVICES)


async def test_mongodb_stands_still(fleet: Fleet, sender: Sender, alerts: Prometheus, data: Path) -> None:
    await put_items(sender, 1_000)
    with standing_still(pids_of(data / "mongo")):
        await alerts.fires("TriptychRetrying", 100, job="triptych-command", cause="mongodb")
        await alerts.fires("TriptychLag", job="triptych-command")
        for job in ("triptych-command", "triptych-webhooks"):
            await alerts.fires("TriptychWaiting", job=job)
    await fleet.ready(*SERVICES)


async def test_topics_have_records_that_nobody_can_read(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    topics = fleet.installation.topics
    for topic in (topics.commands, topics.events, topics.replies, topics.galleries):
        await sender.producer.send_and_wait(topic, b"\xff no JSON", key=b"no gallery")
    await alerts.fires("TriptychDeadLetters", job="triptych-command", topic=topics.commands)
    await alerts.fires("TriptychDeadLetters", job="triptych-projector", topic=topics.events)


async def test_the_disk_of_a_broker_loses_a_bit(fleet: Fleet, sender: Sender, alerts: Prometheus, data: Path) -> None:
    topic = fleet.installation.topics.commands
    await fleet.kill("command")
    await alerts.fires("TriptychDown", job="triptych-command")
    await sender.producer.send_and_wait(topic, b"to be damaged", partition=1)
    damage_on_disk(data / "kafka" / "records" / f"{topic}-1", b"to be damaged", b"to be dam\x00ged")
    fleet.start("command")
    await alerts.fires("TriptychUnreadableRecords", job="triptych-command", topic=topic)
    await fleet.ready("command")


async def test_a_document_of_the_database_is_damaged(fleet: Fleet, alerts: Prometheus) -> None:
    views = fleet.installation.database[names_of(1).galleries]
    await views.insert_one({"_id": str(uuid.uuid4()), "siteId": "damaged", "gap": {"received": 2}})
    await alerts.fires("TriptychLoopFailed", job="triptych-projector", loop="repairs of views")
    await views.delete_one({"siteId": "damaged"})


async def test_a_sender_sends_what_is_refused(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    async def keep_sending() -> None:
        while True:
            await sender.put("CreateItems", {"galleryId": str(uuid.uuid4()), "items": [TEXT]})
            await asyncio.sleep(0.1)

    task = asyncio.create_task(keep_sending())
    await alerts.fires("TriptychCommandsRejected")
    task.cancel()


async def test_a_listener_refuses(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    async with listening(fleet, status(500)) as receiver:
        await fleet.counts("webhooks", 'triptych_webhook_listeners{state="active"}')
        for _ in range(8):
            await sender.gallery(0)
        await alerts.all_fire("TriptychListenersFailing", "TriptychDeliveriesDead")
        receiver.usual = status(200)
        await sender.gallery(0)
        await alerts.resolves()


async def test_a_listener_is_gone(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    async with listening(fleet, status(410)):
        await sender.gallery(0)
        await alerts.fires("TriptychListenerDisabled")


async def test_a_listener_hangs(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    async with listening(fleet, hang, timeoutSeconds=3) as receiver:
        for _ in range(30):
            await sender.gallery(0)
        await alerts.fires("TriptychDeliveriesLate")
        receiver.usual = status(200)


async def test_the_limit_of_a_topic_is_lowered(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    gallery_id = await sender.gallery(0)
    topic = fleet.installation.topics.events

    async def keep_sending() -> None:  # the broker says that a limit is in force shortly before it is
        while True:
            items = [{**TEXT, "title": os.urandom(100).hex()} for _ in range(50)]
            await sender.put("CreateItems", {"galleryId": gallery_id, "items": items})
            await asyncio.sleep(0.5)

    await set_limit(fleet, topic, 1_234)
    task = asyncio.create_task(keep_sending())
    try:
        await alerts.fires("TriptychBatchesTooLarge", job="triptych-command", topic=topic)
    finally:
        task.cancel()
        await set_limit(fleet, topic, 20_000_000)


async def test_events_expire_while_their_readers_are_down(fleet: Fleet, sender: Sender, alerts: Prometheus) -> None:
    """Prometheus scrapes the new processes only when they have counted the loss, and has forgotten the old ones."""
    readers = {
        "projector": "triptych_projection_expired_events_total",
        "webhooks": "triptych_webhook_expired_events_total",
    }
    async with listening(fleet, status(200)):
        for name in readers:
            await fleet.kill(name)
        await alerts.fires("TriptychDown", job="triptych-projector")
        fleet.watched(*readers)
        for _ in range(6):
            await sender.gallery(1)
        installation = fleet.installation
        await expire_records(installation.addresses.kafka_bootstrap, installation.topics.events, PARTITIONS)
        await asyncio.sleep(20)  # longer than the window of the rule; events are kept for much longer than 15 minutes
        await fleet.kill("command")  # which would send what the projector lacks
        for name in readers:
            fleet.start(name)
        for name, metric in readers.items():
            await fleet.counts(name, metric)
        fleet.watched()
        await alerts.fires("TriptychEventsExpired", job="triptych-projector")
        await alerts.fires("TriptychEventsExpired", job="triptych-webhooks")
        await alerts.fires("TriptychGalleriesIncomplete")
        fleet.start("command")
        await fleet.ready(*SERVICES)


async def test_the_machine_takes_a_process_off_its_processor(fleet: Fleet, alerts: Prometheus) -> None:
    async def keep_taking() -> None:
        while True:
            fleet.send("webhooks", signal.SIGSTOP)
            await asyncio.sleep(0.7)
            fleet.send("webhooks", signal.SIGCONT)
            await asyncio.sleep(0.3)

    task = asyncio.create_task(keep_taking())
    try:
        await alerts.fires("TriptychEventLoopBlocked", job="triptych-webhooks")
    finally:
        task.cancel()
        fleet.send("webhooks", signal.SIGCONT)

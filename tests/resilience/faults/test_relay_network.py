"""The network between the relay and MongoDB, Kafka or a receiver fails: no delivery is lost, and repeats are few."""

import asyncio
import itertools
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from tests.support.faulty_link import FaultyLink, anything, commits_offsets, faulty_link, writes
from tests.support.histories import History
from tests.support.installation import PARTITIONS, Installation, open_installation
from tests.support.kafka import raw_producer
from tests.support.ours import assert_no_record_of_ours_is_dead
from tests.support.own_servers import OwnServers
from tests.support.receiver import Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.restarts import instances
from tests.support.sender import galleries_on
from tests.support.waiting import eventually
from triptych.contract.codec.envelope import encode_event
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

pytestmark = [
    pytest.mark.xdist_group("own-servers"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]
long = pytest.mark.skipif("TRIPTYCH_TEST_OUTAGE" not in os.environ, reason="part of `make soak`")

BACK_SECONDS = 15.0
"""How soon deliveries go on once the network is well, and the longest that one may wait."""
INTERVAL_SECONDS = 0.05
"""Between two events."""
BEFORE_SECONDS, AFTER_SECONDS = 0.3, 0.5
REPEATS_MAX = 1
"""How often the same event may come once more, if it is not its receiver's answer that is lost."""
RETRY_SECONDS = [0.2] * 30
TIMEOUT_SECONDS = 2

Fault = Callable[[FaultyLink], AbstractAsyncContextManager[None]]


@dataclass
class Relay:
    """A relay that reaches MongoDB, Kafka and its receiver through links; the installation's address avoids them."""

    installation: Installation
    receiver: Receiver
    links: dict[str, FaultyLink]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(servers: OwnServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Relay]:
    """The relay, once for all faults."""
    async with (
        open_installation(servers.addresses) as direct,
        servers.links() as (to_mongo, to_kafka, addresses),
        open_receiver() as receiver,
        faulty_link("http", receiver.port) as to_receiver,
        instances(
            replace(direct, addresses=addresses),
            tmp_path_factory.mktemp("relay"),
            are_forks=True,
            webhooks_minimum_wait=1,
        ) as running,
    ):
        await ensure_indexes(direct.database, INDEXES)
        admin = Admin(direct.database, make_sealer(relay_settings(direct)))
        url = f"http://127.0.0.1:{to_receiver.port}/hook"
        await admin.subscribe(url, retryDelays=RETRY_SECONDS, timeoutSeconds=TIMEOUT_SECONDS)
        running.start("webhooks-1")
        await running.ready("webhooks-1")
        yield Relay(direct, receiver, {"mongo": to_mongo, "kafka": to_kafka, "receiver": to_receiver})


def slow(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """Each message takes a while."""
    return link.slow(0.1)


def lost_writes(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """MongoDB stores deliveries and outcomes, and the connection ends before its answer."""
    return link.losing_answers(writes)


def lost_offsets(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """Kafka stores offsets, and the connection ends before its answer."""
    return link.losing_answers(commits_offsets)


def lost_answers(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """The receiver has the delivery, and the connection ends before its answer."""
    return link.losing_answers(anything)


def half_open(link: FaultyLink) -> AbstractAsyncContextManager[None]:
    """Connections stay open and carry nothing, then and afterwards."""
    return link.swallowing()


@asynccontextmanager
async def publishing(installation: Installation) -> AsyncIterator[dict[str, float]]:
    """Publish events of a gallery on each partition during the block; when each was acknowledged, by its id."""
    sent: dict[str, float] = {}
    histories = [History(gallery_id).create() for gallery_id in galleries_on(*range(PARTITIONS))]

    async def publish() -> None:
        async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
            for number in itertools.count():
                history = histories[number % PARTITIONS]
                if number >= PARTITIONS:
                    history.rename(f"{number}")
                wire = history.wire[-1]
                message = encode_event(
                    wire, site_id=history.site_id, correlation_id="c", causation_id="c", traceparent=None
                )
                await producer.send_and_wait(
                    installation.topics.events, message.value, message.key, headers=list(message.headers)
                )
                sent[wire["id"]] = time.monotonic()
                await asyncio.sleep(INTERVAL_SECONDS)

    task = asyncio.create_task(publish())
    try:
        yield sent
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize(
    ("server", "fault", "seconds"),
    [
        ("mongo", lost_writes, 0.5),
        ("kafka", lost_offsets, 0.5),
        ("receiver", lost_answers, 0.5),
        pytest.param("mongo", slow, 5, marks=long),
        pytest.param("kafka", slow, 5, marks=long),
        pytest.param("receiver", slow, 5, marks=long),
        pytest.param("mongo", half_open, 10, marks=long),
        pytest.param("kafka", half_open, 10, marks=long),
        pytest.param("receiver", half_open, 10, marks=long),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_no_delivery_is_lost_and_few_are_repeated(
    relay: Relay, server: str, fault: Fault, seconds: float
) -> None:
    link, receiver = relay.links[server], relay.receiver
    receiver.requests.clear()

    async def has_struck() -> bool:
        return bool(link.struck)

    async with publishing(relay.installation) as sent:
        await asyncio.sleep(BEFORE_SECONDS)
        async with fault(link):
            await asyncio.sleep(seconds)
            await eventually(has_struck, "the fault concerns something")
        well_at = time.monotonic()
        await asyncio.sleep(AFTER_SECONDS)

    async def have_ended() -> bool:
        ids = {"eventId": {"$in": list(sent)}}
        done = {**ids, "status": DeliveryStatus.DELIVERED.value}
        return await relay.installation.database[DELIVERIES].count_documents(done) == len(sent)

    await eventually(have_ended, "each event has one delivery, which has arrived", deadline_seconds=90)
    came: dict[str, float] = {}
    for request in receiver.requests:
        came.setdefault(request.id, request.at)
    assert came.keys() >= sent.keys()
    waits = [came[event] - max(at, well_at) for event, at in sent.items() if came[event] > well_at]
    repeats = Counter(request.id for request in receiver.requests if request.id in sent)
    print(
        f"\n{server}, {fault.__name__}, {link.struck} times: {len(sent)} events, {repeats.total() - len(sent)} repeats,"
        f" after the fault the next {min(waits):.2f} s, median {statistics.median(waits):.2f} s, at most"
        f" {max(waits):.2f} s"
    )
    if server != "receiver":
        assert max(repeats.values()) <= 1 + REPEATS_MAX
    assert repeats.total() - len(sent) <= link.struck
    assert max(waits) < BACK_SECONDS
    await assert_no_record_of_ours_is_dead(relay.installation)

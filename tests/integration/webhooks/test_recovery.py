"""A relay killed at any step sends each delivery, at most once more than without the kill."""

import asyncio
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import Publish, members_leave
from tests.support.processes import service_process
from tests.support.receiver import Receiver, hang, status
from tests.support.relay import Admin, OpenRelay
from tests.support.waiting import eventually
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")

FIELDS = {"local": True, "webhooks_allowed_networks": "127.0.0.0/8", "webhooks_shard_lease": "PT1S"}
EVENTS = 40


def history_of(events: int) -> History:
    history = History().create()
    for number in range(events - 1):
        history.rename(f"{number}")
    return history


async def leases_end(installation: Installation) -> None:
    """As if the time of all leases of a dead process, and of its membership in the consumer group, had passed."""
    database = installation.database

    async def quiet() -> bool:
        running = await database.client.admin.command(
            {"currentOp": 1, "active": True, "ns": f"{database.name}.{DELIVERIES}"}
        )
        return not running["inprog"]

    await eventually(quiet, "what the dead process had sent is written")
    await database[DELIVERIES].update_many(
        {"lease": {"$ne": None}, "status": "pending"}, {"$set": {"dueAt": datetime.now(UTC)}}
    )
    await members_leave(installation.addresses.kafka_bootstrap, f"{installation.topics.prefix}webhooks.v1")


@pytest.mark.parametrize(
    ("die_at", "ordered"),
    [
        ("plan:before", False),
        ("plan:after", True),
        ("claim:after", True),
        ("write:before", False),
        ("write:after", True),
    ],
)
async def test_killed_at_a_step(
    installation: Installation,
    open_relay: OpenRelay,
    admin: Admin,
    publish: Publish,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    die_at: str,
    ordered: bool,
) -> None:
    monkeypatch.setenv("DIE_AT", die_at)
    listener = await admin.subscribe(receiver.url(), ordered=ordered)
    history = history_of(EVENTS)
    await publish(history.messages)
    with service_process(installation, "tests.support.dying_relay", tmp_path, **FIELDS) as child:

        async def dead() -> bool:
            return child.poll() is not None

        await eventually(dead, "the relay has died")
        assert child.poll() == -signal.SIGKILL
    await leases_end(installation)
    async with open_relay(webhooks_shard_lease=1):
        await admin.until(listener, DeliveryStatus.DELIVERED, EVENTS)
    received = Counter(request.id for request in receiver.requests)
    assert set(received) == {event.id for event in history.events}
    assert max(received.values()) <= 2
    assert len(await admin.deliveries(listener)) == EVENTS


async def test_killed_under_load_again_and_again(
    installation: Installation,
    open_relay: OpenRelay,
    admin: Admin,
    publish: Publish,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    listener = await admin.subscribe(receiver.url())
    histories = [history_of(50) for _ in range(6)]
    kills = 2
    for kill in range(kills):
        with service_process(installation, "triptych.webhooks", tmp_path, **FIELDS) as child:
            await publish([message for history in histories[3 * kill : 3 * kill + 3] for message in history.messages])
            await receiver.until(150 * kill + 50)
            os.kill(child.pid, signal.SIGKILL)
            await asyncio.to_thread(child.stop, 5)
        await leases_end(installation)
    async with open_relay(webhooks_shard_lease=1):
        await admin.until(listener, DeliveryStatus.DELIVERED, 300, deadline_seconds=60)
    received = Counter(request.id for request in receiver.requests)
    assert set(received) == {event.id for history in histories for event in history.events}
    assert max(received.values()) <= 1 + kills


async def test_the_successor_of_a_killed_relay_sends_at_once_what_was_in_flight(
    installation: Installation,
    open_relay: OpenRelay,
    admin: Admin,
    publish: Publish,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    receiver.script = [hang, hang]
    ordered = await admin.subscribe(receiver.url("/ordered"), ordered=True)
    listener = await admin.subscribe(receiver.url("/hook"))
    await publish(history_of(2).messages[:1])
    lasting = {**FIELDS, "webhooks_shard_lease": "PT60S", "group_session_timeout": "PT30S"}
    with service_process(installation, "triptych.webhooks", tmp_path, **lasting) as child:
        await receiver.until(1, "/ordered")
        await receiver.until(1)
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.stop, 5)
    before = time.monotonic()
    async with open_relay(webhooks_shard_lease=60, group_session_timeout=30):
        (delivery,) = await admin.until(listener, DeliveryStatus.DELIVERED)
        assert delivery["attempts"] == 2
        await admin.until(ordered, DeliveryStatus.DELIVERED)
    assert time.monotonic() - before < 30 < WebhookSettings().webhooks_lease.total_seconds()


async def test_an_interrupted_attempt_takes_nothing_from_the_schedule(
    installation: Installation,
    open_relay: OpenRelay,
    admin: Admin,
    publish: Publish,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIE_AT", "write:before")
    receiver.usual = status(500)
    listener = await admin.subscribe(receiver.url(), retryDelays=[0.05, 0.05])
    await publish(History().create().messages)
    with service_process(installation, "tests.support.dying_relay", tmp_path, **FIELDS) as child:

        async def dead() -> bool:
            return child.poll() is not None

        await eventually(dead, "the relay has died")
    await leases_end(installation)
    async with open_relay(webhooks_shard_lease=1):
        (delivery,) = await admin.until(listener, DeliveryStatus.DEAD)
    # The attempt that was never recorded, and the three of the schedule.
    assert len(receiver.requests) == 4
    assert (delivery["attempts"], delivery["failures"], len(delivery["log"])) == (4, 3, 3)


async def test_stopping_finishes_requests_in_flight_and_releases_the_others(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    may_answer = asyncio.Event()

    async def slow(request: object) -> object:
        await may_answer.wait()
        return await status(200)(request)  # type: ignore[arg-type]

    receiver.usual = slow  # type: ignore[assignment]
    listener = await admin.subscribe(receiver.url())
    async with open_relay(webhooks_listener_concurrency=2):
        await publish(history_of(10).messages)
        await receiver.until(2)
        asyncio.get_running_loop().call_later(0.2, may_answer.set)
    assert len(await admin.deliveries(listener, DeliveryStatus.DELIVERED)) == len(receiver.requests)
    waiting = await admin.deliveries(listener, DeliveryStatus.PENDING)
    assert {delivery["lease"] for delivery in waiting} <= {None}
    assert {delivery["attempts"] for delivery in waiting} <= {0}

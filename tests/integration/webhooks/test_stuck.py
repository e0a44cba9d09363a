"""Due deliveries that nobody sends, although all servers answer, make the relay unready."""

import pytest
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.receiver import Receiver, hang
from tests.support.relay import Admin, OpenRelay
from tests.support.waiting import eventually
from triptych.webhooks.relay import claiming
from triptych.webhooks.relay.claiming import DeliveryClaimer
from triptych.webhooks.relay.worker import Worker
from triptych.webhooks.store.deliveries import DeliveryRepository
from triptych.webhooks.store.delivery_documents import DeliveryStatus

STUCK = "triptych_webhook_stuck_listeners"


@pytest.fixture(autouse=True)
def claimers(monkeypatch: pytest.MonkeyPatch) -> list[DeliveryClaimer]:
    """The claimers of the test, which look often and lose patience early."""
    made: list[DeliveryClaimer] = []
    whole = DeliveryClaimer.run

    async def run(self: DeliveryClaimer) -> None:
        made.append(self)
        await whole(self)

    monkeypatch.setattr(DeliveryClaimer, "run", run)
    monkeypatch.setattr(claiming, "STUCK_SECONDS", 1.5)
    monkeypatch.setattr(claiming, "SCAN_SECONDS", 0.1)
    return made


async def test_due_deliveries_that_are_not_claimed_are_reported_until_they_are(
    open_relay: OpenRelay,
    admin: Admin,
    publish: Publish,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    claimers: list[DeliveryClaimer],
) -> None:
    listener = await admin.subscribe(receiver.url())

    async def claim_none(*_arguments: object) -> list[object]:
        return []

    with monkeypatch.context() as planted:
        planted.setattr(DeliveryRepository, "claim", claim_none)
        planted.setattr(Worker, "free_claims", property(lambda _worker: 0))  # nothing is planned as claimed either
        async with open_relay():
            await publish(History().create().messages)

            async def is_reported() -> bool:
                return f"one of them {listener.id}" in (claimers[0].problem or "")

            await eventually(is_reported, "the waiting deliveries are reported")
            assert REGISTRY.get_sample_value(STUCK) == 1
            planted.undo()
            await admin.until(listener, DeliveryStatus.DELIVERED)

            async def is_well() -> bool:
                return claimers[0].problem is None and REGISTRY.get_sample_value(STUCK) == 0

            await eventually(is_well, "nothing waits any more")


async def test_a_relay_that_cannot_ask_for_due_deliveries_waits_for_all_to_see(
    open_relay: OpenRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waited() -> float:
        return REGISTRY.get_sample_value("triptych_waiting_seconds", {"for": "due deliveries to be claimed"}) or 0.0

    async def fail(*_arguments: object) -> dict[str, object]:
        raise AutoReconnect

    async def waits() -> bool:
        return waited() > 0.5

    async def has_what_it_waited_for() -> bool:
        return not waited()

    async with open_relay():
        with monkeypatch.context() as planted:
            planted.setattr(DeliveryRepository, "due", fail)
            await eventually(waits, "the wait grows over several attempts")
        await eventually(has_what_it_waited_for, "the wait is over")


async def test_a_listener_that_is_slow_is_no_fault_of_the_relay(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver, claimers: list[DeliveryClaimer]
) -> None:
    receiver.usual = hang
    await admin.subscribe(receiver.url(), timeoutSeconds=1)
    history = History().create()
    for number in range(20):
        history.rename(f"{number}")
    async with open_relay(webhooks_listener_concurrency=1):
        await publish(history.messages)
        await receiver.until(4)
        assert claimers[0].problem is None

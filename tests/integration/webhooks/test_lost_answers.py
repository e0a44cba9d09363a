"""A delivery whose claim was stored, and whose answer was lost, is sent soon, and not when its lease ends."""

import time
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.receiver import Receiver
from tests.support.relay import Admin, OpenRelay
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.deliveries import DeliveryRepository
from triptych.webhooks.store.delivery_documents import DeliveryStatus

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")

SOON_SECONDS = 15.0


@pytest.mark.parametrize(("method", "is_ordered"), [("plan", False), ("_claim", True), ("promote", True)])
async def test_a_claim_whose_answer_is_lost_is_released(
    open_relay: OpenRelay,
    admin: Admin,
    publish: Publish,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    is_ordered: bool,
) -> None:
    listener = await admin.subscribe(receiver.url(), ordered=is_ordered)
    beside = await admin.subscribe(receiver.url("/beside"))
    whole: Any = getattr(DeliveryRepository, method)
    lost: list[str] = []

    async def lose_the_first_answer(*args: Any) -> Any:
        result = await whole(*args)
        if not lost:
            lost.append(method)
            raise AutoReconnect("connection closed")
        return result

    monkeypatch.setattr(DeliveryRepository, method, lose_the_first_answer)
    begun = time.monotonic()
    async with open_relay():
        await publish(History().create().messages)
        for one in (listener, beside):
            (delivery,) = await admin.until(one, DeliveryStatus.DELIVERED)
            assert delivery["attempts"] == 1
    assert lost == [method]
    assert time.monotonic() - begun < SOON_SECONDS < WebhookSettings().webhooks_lease.total_seconds()

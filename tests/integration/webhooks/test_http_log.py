"""The log of deliveries over HTTP, filled by a relay: its shapes, and sending again."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import Publish
from tests.support.listeners_api import UNKNOWN, client_of_gateway, create
from tests.support.receiver import Receiver, status
from tests.support.relay import Admin, OpenRelay
from tests.support.waiting import eventually
from triptych.contract.base import WireModel
from triptych.gateway.api import listener_models as answers
from triptych.webhooks.store.delivery_documents import DeliveryStatus


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway."""
    async with client_of_gateway(installation) as client:
        yield client


async def test_answers_have_the_documented_shapes(
    client: httpx.AsyncClient, open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    receiver.script = [status(500)]
    created = await create(client, receiver.url(), retryDelays=[])
    path = f"/listeners/{created['listener']['id']}"
    listener = await admin.listeners.get("default", created["listener"]["id"])
    assert listener is not None
    async with open_relay():
        await publish(History().create().messages)
        await admin.until(listener, DeliveryStatus.DEAD)
        await admin.until_operational_events({"delivery.dead"})
    page = (await client.get(f"{path}/deliveries")).json()
    shapes: list[tuple[type[WireModel], Any]] = [
        (answers.SecretAnswer, created),
        (answers.ListenerAnswer, (await client.get(path)).json()),
        (answers.ListenersAnswer, (await client.get("/listeners")).json()),
        (answers.DeliveriesAnswer, page),
        (answers.LoggedDeliveryAnswer, (await client.get(f"/deliveries/{page['deliveries'][0]['id']}")).json()),
        (answers.EventDeliveriesAnswer, (await of_event(client, page["deliveries"][0]["eventId"])).json()),
        (answers.ProgressAnswer, (await client.post(f"{path}/replay")).json()),
        (answers.OperationalEventsAnswer, (await client.get("/operational-events")).json()),
        (answers.HealthAnswer, (await client.get(f"{path}/health")).json()),
        (answers.DeletedAnswer, (await client.delete(path)).json()),
    ]
    for shape, answer in shapes:
        assert shape.model_validate(answer).model_dump(mode="json", by_alias=True) == answer


async def of_event(client: httpx.AsyncClient, event_id: str, site_id: str = "default") -> httpx.Response:
    return await client.get("/deliveries", params={"eventId": event_id}, headers={"wix-site-id": site_id})


def nothing_left(seen: int) -> dict[str, Any]:
    return {"queued": 0, "cursor": None, "seen": seen, "throughDate": None}


async def test_the_log_and_sending_again(
    client: httpx.AsyncClient, open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    receiver.script = [status(500, b"no \xff", X_Reason="mood")]
    created = await create(client, receiver.url(), retryDelays=[])
    path = f"/listeners/{created['listener']['id']}"
    listener = await admin.listeners.get("default", created["listener"]["id"])
    assert listener is not None
    history = History().create()
    async with open_relay():
        await publish(history.messages)
        await admin.until(listener, DeliveryStatus.DEAD)
        (listed,) = (await client.get(f"{path}/deliveries", params={"status": "dead"})).json()["deliveries"]
        assert (listed["eventId"], listed["reason"], listed["attempts"]) == (history.events[0].id, "exhausted", 1)
        shown = (await client.get(f"/deliveries/{listed['id']}")).json()["delivery"]
        (caused,) = (await of_event(client, listed["eventId"])).json()["deliveries"]
        assert (caused["id"], caused["log"]) == (listed["id"], shown["log"])
        assert (await of_event(client, listed["eventId"], "another")).json() == {"deliveries": []}
        assert (await of_event(client, UNKNOWN)).json() == {"deliveries": []}
        (attempt,) = shown["log"]
        assert (attempt["status"], attempt["answer"], attempt["failure"]) == (500, "no \ufffd", None)
        assert attempt["requestHeaders"]["webhook-id"] == history.events[0].id
        assert attempt["latencySeconds"] > 0
        assert shown["body"].encode() == receiver.requests[0].body

        resent = (await client.post(f"/deliveries/{listed['id']}/resend")).json()["delivery"]
        assert (resent["manual"], resent["eventId"]) == (True, listed["eventId"])
        await admin.until(listener, DeliveryStatus.DELIVERED, 1)
        assert (await client.post(f"{path}/resend-dead")).json() == nothing_left(seen=1)
        replayed = (await client.post(f"{path}/replay", json={"galleryId": history.gallery_id})).json()
        assert replayed == {**nothing_left(seen=1), "queued": 1, "throughDate": listed["eventTime"]}
        await admin.until(listener, DeliveryStatus.DELIVERED, 2)

        async def told() -> list[dict[str, Any]]:
            events: list[dict[str, Any]] = (await client.get("/operational-events")).json()["operationalEvents"]
            return events

        (event,) = await eventually(told, "the operational event")
        assert (event["type"], event["listenerId"]) == ("delivery.dead", listener.id)
        sent = (await client.post(f"{path}/test")).json()["delivery"]
        assert (sent["manual"], sent["eventType"]) == (True, created["listener"]["eventTypes"][0])
        await admin.until(listener, DeliveryStatus.DELIVERED, 3)
        tested = (await client.get(f"/deliveries/{sent['id']}")).json()["delivery"]
        assert json.loads(tested["body"])["data"]["originatedFrom"] == "Test"
        assert tested["body"].encode() == receiver.requests[-1].body
    assert (await client.get(f"/deliveries/{UNKNOWN}")).status_code == 404
    other = {"wix-site-id": "other"}
    assert (await client.get(f"/deliveries/{listed['id']}", headers=other)).status_code == 404
    assert (await client.post(f"/deliveries/{listed['id']}/resend", headers=other)).status_code == 404
    assert (await client.get("/operational-events", headers=other)).json()["operationalEvents"] == []

"""No delivery reaches a forbidden address, in any spelling or by any name (docs/architecture/README.md, I7)."""

import socket
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.name_server import open_name_server
from tests.support.receiver import Receiver, open_receiver, status
from tests.support.relay import SITE, Admin, OpenRelay
from triptych.webhooks.http.client import Client
from triptych.webhooks.http.resolver import Resolver
from triptych.webhooks.model.addresses import ForbiddenAddress, parse_networks
from triptych.webhooks.model.delivery import AttemptFailure
from triptych.webhooks.relay.sender import classify
from triptych.webhooks.store.delivery_documents import DeliveryStatus

pytestmark = pytest.mark.only_topics("events", "events.dead-letter")

LOOPBACK = parse_networks(["127.0.0.0/8"])


async def post(url: str, *, allowed: Any = (), servers: Sequence[str] = ()) -> int:
    async with Resolver(servers) as resolver, Client(allowed, resolver, 0) as client:
        status = (await client.post(url, {}, b"x", 5)).status
    assert status is not None
    return status


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
    ],
)
async def test_spellings_of_loopback(receiver: Receiver, host: str) -> None:
    with pytest.raises(Exception, match=r".*") as caught:
        await post(receiver.url(host=host))
    assert classify(caught.value) is AttemptFailure.FORBIDDEN_ADDRESS
    assert receiver.requests == []


async def test_a_name_with_an_allowed_and_a_forbidden_address(receiver: Receiver) -> None:
    async with open_name_server({"both.example": ("93.184.215.14", "127.0.0.1")}) as server:
        with pytest.raises(ForbiddenAddress):
            await post(receiver.url(host="both.example"), servers=[server.address])
    assert receiver.requests == []


async def test_a_name_that_changes_between_check_and_dial(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[str] = []

    class Witness(socket.socket):
        def __init__(self, family: int, kind: int, protocol: int) -> None:
            super().__init__(family, kind, protocol)
            dialled.append("socket")
            server.addresses = {"rebinding.example": ("127.0.0.1",)}
            raise OSError("not here")

    async with open_name_server({"rebinding.example": ("93.184.215.14",)}) as server:
        monkeypatch.setattr("triptych.webhooks.http.connector.socket.socket", Witness)
        # The checked address is dialled: the name is not looked up again.
        with pytest.raises(OSError, match="not here"):
            await post(receiver.url(host="rebinding.example"), servers=[server.address])
        assert dialled == ["socket"]
        with pytest.raises(ForbiddenAddress):
            await post(receiver.url(host="rebinding.example"), servers=[server.address])
    assert receiver.requests == []


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    async with open_receiver() as inner:
        receiver.script = [status(307, Location=inner.url())]
        assert await post(receiver.url(), allowed=LOOPBACK) == 307
        assert inner.requests == []


async def test_a_refusal_is_final_and_flags_the_listener(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url())
    async with open_relay(webhooks_allowed_networks=""):
        await publish(History().create().messages)
        (delivery,) = await admin.until(listener, DeliveryStatus.DEAD)

        assert (delivery["reason"], delivery["attempts"]) == ("forbidden-address", 1)
        assert receiver.requests == []
        events = await admin.until_operational_events({"delivery.dead", "listener.address-forbidden"})
    assert {event["siteId"] for event in events} == {SITE}
    problem = (await admin.current(listener)).problem
    assert problem is not None
    assert "TRIPTYCH_WEBHOOKS_ALLOWED_NETWORKS" in problem

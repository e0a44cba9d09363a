"""No delivery reaches a forbidden address, however it is spelt, resolved or hinted at (design, section 6, I7)."""

import socket
from typing import Any

import aiohttp
import pytest

from services.listeners.deliveries import DeliveryStatus
from services.webhooks.addresses import ForbiddenAddress, parse_networks
from services.webhooks.connector import open_session
from services.webhooks.delivery import Failure
from services.webhooks.sender import classify
from tests.integration.webhooks.conftest import SITE, Admin, OpenRelay, Publish
from tests.support.histories import History
from tests.support.receiver import Receiver, open_receiver, status

LOOPBACK = parse_networks(["127.0.0.0/8"])


async def post(url: str, *, allowed: Any = ()) -> int:
    async with open_session(allowed) as session, session.post(url, data=b"x", allow_redirects=False) as response:
        return response.status


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
    assert classify(caught.value) is Failure.FORBIDDEN_ADDRESS
    assert receiver.requests == []


@pytest.mark.parametrize("addresses", [["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"]])
async def test_a_name_that_leads_both_ways(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    names_resolve_to(monkeypatch, lambda: addresses)
    with pytest.raises(ForbiddenAddress):
        await post(receiver.url(host="both.example"))
    assert receiver.requests == []


async def test_a_name_that_changes_between_check_and_dial(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]
    dialled: list[str] = []
    names_resolve_to(monkeypatch, lambda: answers.pop(0) if len(answers) > 1 else answers[0])

    class Witness(socket.socket):
        def __init__(self, family: int, kind: int, protocol: int) -> None:
            super().__init__(family, kind, protocol)
            dialled.append("socket")
            raise OSError("not here")

    monkeypatch.setattr("services.webhooks.connector.socket.socket", Witness)
    # The address that was checked is the one dialled: the second answer is never asked for.
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(receiver.url(host="rebinding.example"))
    assert (dialled, len(answers)) == (["socket"], 1)
    with pytest.raises(ForbiddenAddress):
        await post(receiver.url(host="rebinding.example"))
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
        events = await admin.until_operations({"delivery.dead", "listener.address-forbidden"})
    assert {event["siteId"] for event in events} == {SITE}
    problem = (await admin.current(listener)).problem
    assert problem is not None
    assert "TRIPTYCH_WEBHOOKS_ALLOWED_NETWORKS" in problem


def names_resolve_to(monkeypatch: pytest.MonkeyPatch, addresses: Any) -> None:
    real = socket.getaddrinfo

    def lookup(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if not str(host).endswith(".example"):
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses()]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

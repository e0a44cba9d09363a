"""A whole relay accepts odd responses, keeps registered URLs, and is not delayed by unanswered names."""

import time
from contextlib import AsyncExitStack

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.name_server import open_name_server
from tests.support.raw_server import open_raw_server
from tests.support.receiver import Receiver
from tests.support.relay import Admin, OpenRelay
from triptych.webhooks.store.delivery_documents import DeliveryStatus

DEAD = 8
ODD = {
    "retry-after": b"Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "large": b"Content-Security-Policy: " + b"x" * 9_000,
    "many": b"\r\n".join(b"X-%d: v" % number for number in range(200)),
    "space": b"X-Foo : bar",
    "close": b"Connection: close",
}


async def test_a_200_is_a_200(open_relay: OpenRelay, admin: Admin, publish: Publish) -> None:
    async with AsyncExitStack() as stack:
        servers = {}
        for name, odd in ODD.items():
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + odd + b"\r\n\r\nok, and more"
            servers[name] = await stack.enter_async_context(open_raw_server(answer))
        await stack.enter_async_context(open_relay())
        target = "/a/../%7Eb?sig=%2Fx%2f&e=@"
        listeners = {
            name: await admin.subscribe(server.url(target), retryDelays=[]) for name, server in servers.items()
        }
        await publish(History().create().messages)
        for name, listener in listeners.items():
            (delivery,) = await admin.until(listener, DeliveryStatus.DELIVERED)
            assert (delivery["attempts"], delivery["failures"]) == (1, 0), name
            assert servers[name].targets == [target], name


async def test_unanswered_names_delay_neither_other_listeners_nor_a_stop(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    async with open_name_server({}) as server:
        async with open_relay(webhooks_name_servers=server.address):
            dead = [await admin.subscribe(f"http://shop{number}.dead.example/") for number in range(DEAD)]
            await admin.subscribe(receiver.url())
            await publish(History().create().messages)
            await receiver.until(1, deadline_seconds=20)
            assert server.asked
            history = History().create()
            published = time.monotonic()
            await publish(history.messages)
            await receiver.until(2, deadline_seconds=1)
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 10
        assert stopping - published < 1
    (delivery,) = (await admin.deliveries(dead[0]))[:1]
    assert delivery["log"][0]["failure"] == "name-resolution"

"""What a client may rely on over HTTP: reading its own writes on any gateway, also those that it did not wait for."""

import asyncio

import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import KEY, Gateway, running_gateway
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("http-consistency")]


async def test_a_write_that_was_answered_is_seen_through_every_gateway(gateway: Gateway, shared: Installation) -> None:
    async with running_gateway(shared) as other:
        one = gateway
        other.client.headers["wix-site-id"] = one.client.headers["wix-site-id"]
        gallery = (await one.client.post("/v2/galleries")).raise_for_status().json()["gallery"]
        path = f"/v2/galleries/{gallery['id']}"
        for count in range(1, 21):
            # Taking turns, without a position: whoever reads, and wherever, sees it.
            writer, reader = (one, other) if count % 2 else (other, one)
            item = (await writer.client.post(f"{path}/items", json={"item": TEXT})).raise_for_status().json()["item"]
            assert (await reader.client.get(f"{path}/items")).json()["items"][0] == item
            assert (await reader.client.get(path)).json()["gallery"]["totalItems"] == count


async def test_a_client_that_leaves_has_written_all_the_same(gateway: Gateway) -> None:
    gallery_id = (await gateway.client.post("/v2/galleries")).json()["gallery"]["id"]
    host, port = gateway.address.removeprefix("http://").split(":")
    for count in range(1, 6):
        _, writer = await asyncio.open_connection(host, int(port))
        body = b'{"item":{"text":{"html":"x"}}}'
        path = f"/progallery/v2/galleries/{gallery_id}/items"
        names = f"Host: x\r\nAuthorization: {KEY}\r\nwix-site-id: {gateway.client.headers['wix-site-id']}"
        head = f"POST {path} HTTP/1.1\r\n{names}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.transport.abort()

        async def has_all(count: int = count) -> bool:
            found = await gateway.client.get(f"/v2/galleries/{gallery_id}")
            return bool(found.json()["gallery"]["totalItems"] == count)

        await eventually(has_all, f"{count} items are there")

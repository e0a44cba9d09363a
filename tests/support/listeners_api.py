"""Clients of the HTTP interface that administers listeners."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.installation import Installation
from tests.support.product import running_gateway

CREATED = "wix.pro_gallery.gallery_v2_created"


UNKNOWN = "00000000-0000-4000-8000-000000000000"


@asynccontextmanager
async def client_of_gateway(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway, with a key for everything."""
    async with running_gateway(installation, local=True) as gateway:
        gateway.client.base_url = httpx.URL(f"{gateway.address}/v1")
        yield gateway.client


async def create(client: httpx.AsyncClient, url: str = "https://example.com/h", **fields: Any) -> dict[str, Any]:
    listener = {"url": url, "eventTypes": [CREATED], **fields}
    answer = await client.post("/listeners", json={"listener": listener})
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created

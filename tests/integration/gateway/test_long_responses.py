"""Responses with more items than a gateway holds in memory at a time."""

import asyncio
import uuid
from typing import Any

from tests.support.backend import Backend, item
from tests.support.gateway import GALLERIES, RunningGateway, StartGateway
from triptych.readmodel.weighing import LARGE_BYTES

ITEM_BYTES = 250_000
COUNT = 40


async def stored(backend: Backend) -> tuple[str, list[dict[str, Any]]]:
    """A gallery with 10 MB of items, in display order."""
    gallery_id = str(uuid.uuid4())
    items = [item(str(uuid.uuid4()), float(COUNT - index)) for index in range(COUNT)]
    for one in items:
        one["text"] = {"html": "x" * ITEM_BYTES}
    await backend.store(gallery_id, COUNT + 1, items)
    return gallery_id, items


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in items]


async def test_pages_by_offset_are_complete_and_others_are_short(gateway: RunningGateway, backend: Backend) -> None:
    (gallery_id, items), _ = await stored(backend), await stored(backend)
    whole, client = gateway.state.budget.free, gateway.client

    got = (await client.get(f"{GALLERIES}/{gallery_id}", params={"itemLimit": 200})).json()["gallery"]
    assert (got["totalItems"], ids(got["items"])) == (COUNT, ids(items))
    asked: dict[str, str]
    for asked in ({}, {"type": "TEXT"}):
        query: dict[str, str | int] = {"itemLimit": 38, "itemOffset": 1, **asked}
        listed = (await client.get(f"{GALLERIES}/{gallery_id}/items", params=query)).json()
        assert (list(listed), ids(listed["items"])) == (["items"], ids(items[1:39]))

    # A page by cursor may be short; its nextCursor is where to continue.
    found: list[str] = []
    cursor: str | None = ""
    sizes: list[int] = []
    while cursor is not None:
        query = {"itemLimit": 200, "cursor": cursor}
        answer = await client.get(f"{GALLERIES}/{gallery_id}/items", params=query)
        sizes.append(len(answer.content))
        found, cursor = [*found, *ids(answer.json()["items"])], answer.json().get("nextCursor")
    assert (found, len(sizes)) == (ids(items), 2)
    assert max(sizes) <= LARGE_BYTES

    # The galleries of a page share the room; totalItems is the number of all items.
    answer = await client.get(GALLERIES, params={"itemLimit": 100})
    assert len(answer.content) <= LARGE_BYTES
    assert answer.headers["X-Triptych-Partial"] == "items"
    assert [(one["totalItems"], len(one["items"])) for one in answer.json()["galleries"]] == [(COUNT, 16), (COUNT, 16)]

    answer = await client.get(GALLERIES, params={"itemLimit": 1})
    assert (len(answer.json()["galleries"]), "X-Triptych-Partial" in answer.headers) == (2, False)
    assert gateway.state.budget.free == whole


async def test_all_responses_together_hold_no_more_than_the_limit(
    start_gateway: StartGateway, backend: Backend
) -> None:
    gallery_id, items = await stored(backend)
    async with start_gateway(gateway_answers_limit=2 * LARGE_BYTES) as gateway:
        # One client stops reading, and then closes its connection.
        async with gateway.client.stream("GET", f"{GALLERIES}/{gallery_id}", params={"itemLimit": 200}) as stopped:
            assert stopped.status_code == 200
            assert gateway.state.budget.free <= LARGE_BYTES
        answers = await asyncio.gather(
            *(gateway.client.get(f"{GALLERIES}/{gallery_id}", params={"itemLimit": 200}) for _ in range(4))
        )
        assert all(ids(answer.json()["gallery"]["items"]) == ids(items) for answer in answers)
        assert gateway.state.budget.free == 2 * LARGE_BYTES

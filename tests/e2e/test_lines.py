"""Items by the thousand, on the whole product: in order, visible at the end of the response, and safe to repeat."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.product import KEY, Gateway
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("http")]
LINES = {"Content-Type": "application/x-ndjson"}
COUNT = 1_200


def lines(first: int, count: int) -> bytes:
    return b"".join(b'{"title":"%d","text":{"html":"x"}}\n' % number for number in range(first, first + count))


async def new_gallery(gateway: Gateway) -> str:
    body = {"gallery": {"items": [{"title": "older", "text": {"html": "x"}}]}}
    answer = await gateway.client.post("/v2/galleries", json=body)
    return f"/v2/galleries/{answer.raise_for_status().json()['gallery']['id']}"


async def shown(gateway: Gateway, path: str) -> list[dict[str, Any]]:
    """All items of a gallery, as shown."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        query: dict[str, str | int] = {"itemLimit": 200, "cursor": cursor}
        page = (await gateway.client.get(f"{path}/items", params=query)).raise_for_status().json()
        found += page["items"]
        cursor = page.get("nextCursor")
    return found


def results(answer: httpx.Response) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    *found, last = [json.loads(line) for line in answer.text.splitlines()]
    return found, last


async def test_thousands_of_lines_with_bad_neighbours_are_shown_in_their_order(gateway: Gateway) -> None:
    path = await new_gallery(gateway)
    placed = [b'{"title":"first","text":{"html":"x"},"sortOrder":9e15}', b'{"text":{"html":"x"},"sortOrder":9e15}']
    body = lines(0, 700) + b"{\n" + b"\n".join(placed) + b"\n" + lines(700, COUNT - 700)
    answer = await gateway.client.post(f"{path}/items/bulk/lines", content=body, headers=LINES)
    found, last = results(answer)
    assert (last["isComplete"], last["isShown"]) == (True, True)
    assert last["bulkActionMetadata"] == {"totalSuccesses": COUNT + 1, "totalFailures": 2}
    refused = {one["line"]: one for one in found if one["status"] != 200}
    assert {line: one["status"] for line, one in refused.items()} == {701: 400, 703: 409}
    assert refused[703]["details"]["applicationError"]["data"]["field"] == "item.sortOrder"
    items = await shown(gateway, path)
    assert [item.get("title") for item in items] == ["first", "older", *map(str, range(COUNT))]
    created = [one["id"] for one in found if one["status"] == 200 and one["line"] != 702]
    assert [item["id"] for item in items[2:]] == created
    again = await gateway.client.post(
        f"{path}/items/bulk/lines",
        content=body,
        headers={**LINES, "Idempotency-Key": answer.headers["X-Triptych-Command-Id"]},
    )
    assert results(again)[0] == found
    assert len(await shown(gateway, path)) == COUNT + 2


async def test_an_import_that_was_cut_is_completed_by_the_same_request(gateway: Gateway) -> None:
    path = await new_gallery(gateway)
    url, body = f"{gateway.address}/progallery{path}/items/bulk/lines", lines(0, COUNT)
    key = {
        **LINES,
        "Idempotency-Key": "import",
        "Authorization": KEY,
        "wix-site-id": gateway.client.headers["wix-site-id"],
    }
    is_cut = asyncio.Event()

    async def cut() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2 + 7]
        await is_cut.wait()

    async with httpx.AsyncClient() as other:
        posting = asyncio.create_task(other.post(url, content=cut(), headers=key, timeout=60))

        async def has_begun() -> bool:
            return len((await gateway.client.get(f"{path}/items")).json()["items"]) > 1

        await eventually(has_begun, "some items are there", deadline_seconds=60)
        posting.cancel()
        await asyncio.wait({posting})
    found, last = results(await gateway.client.post(f"{path}/items/bulk/lines", content=body, headers=key))
    assert (last["isComplete"], last["bulkActionMetadata"]["totalSuccesses"]) == (True, COUNT)
    items = await shown(gateway, path)
    assert [item["title"] for item in items] == ["older", *map(str, range(COUNT))]
    assert [item["id"] for item in items[1:]] == [one["id"] for one in found]
    other_body = await gateway.client.post(f"{path}/items/bulk/lines", content=lines(5, 3), headers=key)
    assert other_body.status_code == 422
    later = body + lines(COUNT, 400)
    found, last = results(await gateway.client.post(f"{path}/items/bulk/lines", content=later, headers=key))
    # The last chunk was incomplete, and is another one now; the lines after it are new.
    assert {one["status"] for one in found[:1000]} == {200}
    assert {one["status"] for one in found[1000:1500]} == {422}
    assert {one["status"] for one in found[1500:]} == {200}
    assert len(await shown(gateway, path)) == 1 + COUNT + 100

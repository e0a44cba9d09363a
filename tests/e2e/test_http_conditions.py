"""Keys and conditions of writes over HTTP: one key means one request, and no condition is ignored."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import Gateway
from triptych.gateway.access.keys import store_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("http-conditions")]
GALLERIES = "/v2/galleries"


async def new_gallery(gateway: Gateway, count: int) -> tuple[str, list[str]]:
    """The path of a new gallery, and its items' ids."""
    answer = await gateway.client.post(GALLERIES, json={"gallery": {"items": [TEXT] * count}})
    gallery = answer.raise_for_status().json()["gallery"]
    return f"{GALLERIES}/{gallery['id']}", [item["id"] for item in gallery["items"]]


LINES = {"Content-Type": "application/x-ndjson"}


async def request(gateway: Gateway, method: str, url: str, body: Any, headers: dict[str, str]) -> httpx.Response:
    """Send a write; a body of bytes has lines."""
    if isinstance(body, bytes):
        return await gateway.client.request(method, url, content=body, headers={**headers, **LINES})
    return await gateway.client.request(method, url, json=body, headers=headers)


def writes(path: str, ids: list[str]) -> list[tuple[str, str, Any]]:
    """A request of every kind that writes to a gallery; those with one effect in two spellings are two kinds."""
    return [
        ("POST", f"{path}/items", {"item": TEXT}),
        ("POST", f"{path}/items", {"item": {**TEXT, "title": "another"}}),
        ("PATCH", path, {"gallery": {"name": "changed"}}),
        ("PATCH", f"{path}/items/{ids[0]}", {"item": {"title": "changed"}}),
        ("POST", f"{path}/items/{ids[0]}/move", {"to": "end"}),
        ("POST", f"{path}/items/move", {"itemIds": ids[:2], "to": "end"}),
        ("POST", f"{path}/items/bulk/lines", b'{"text":{"html":"x"}}\n' * 2),
        ("POST", f"{path}/rebalance", None),
        ("POST", f"{path}/restore", {"sequence": 2}),
        ("POST", f"{path}/items/bulk", {"items": [TEXT, TEXT]}),
        ("POST", f"{path}/items/bulk", {"items": [{**TEXT, "title": "another"}, TEXT]}),
        ("POST", f"{path}/items/bulk", {"items": [TEXT, TEXT, TEXT]}),
        ("POST", f"{path}/items/delete", {"itemIds": ids[1:2]}),
        ("DELETE", f"{path}/items/{ids[1]}", None),
        ("DELETE", f"{path}/items?itemsIds={ids[1]}", None),
        ("DELETE", f"{path}/items", None),
        ("DELETE", path, None),
        ("POST", GALLERIES, {"gallery": {"name": "new"}}),
        ("POST", GALLERIES, {"cloneFromGalleryId": path.rpartition("/")[2]}),
    ]


async def test_one_key_is_one_request_whatever_the_other_is(gateway: Gateway) -> None:
    async def send(write: tuple[str, str, Any], key: str) -> httpx.Response:
        return await request(gateway, *write, {"Idempotency-Key": key})

    async def check(number: int) -> None:
        path, ids = await new_gallery(gateway, 3)
        requests, key = writes(path, ids), f"key-{number}"
        first = await send(requests[number], key)
        assert first.status_code == 200, requests[number]
        state = await gateway.client.get(path)
        others = [other for other in requests if other is not requests[number]]
        for other, refused in zip(others, await asyncio.gather(*(send(o, key) for o in others)), strict=True):
            if isinstance(other[2], bytes) and state.status_code == 404:
                assert refused.status_code == 404  # before anything is read
                continue
            assert refused.status_code == 422, (requests[number], other, refused.text)
            error = refused.json()["details"]["applicationError"]
            assert (error["code"], error["description"]) == (
                "IDEMPOTENCY_KEY_REUSED",
                "the idempotency key belongs to another request",
            )
        after = await gateway.client.get(path)
        assert (after.status_code, after.text) == (state.status_code, state.text)
        if state.status_code == 200:
            again = await send(requests[number], key)
            assert (again.status_code, again.text) == (200, first.text), requests[number]

    await asyncio.gather(*(check(number) for number in range(len(writes("", ["", ""])))))


async def test_no_client_names_a_part_of_a_bulk(gateway: Gateway) -> None:
    path, _ = await new_gallery(gateway, 1)
    bulk = {"items": [{**TEXT, "title": str(number)} for number in range(3)]}
    for key in ("b/0", "b/1", "b/2"):
        made = await gateway.client.post(f"{path}/items", json={"item": TEXT}, headers={"Idempotency-Key": key})
        assert made.status_code == 200
    answer = await gateway.client.post(f"{path}/items/bulk", json=bulk, headers={"Idempotency-Key": "b"})
    assert answer.json()["bulkActionMetadata"] == {"totalSuccesses": 3, "totalFailures": 0}
    assert (await gateway.client.get(path)).json()["gallery"]["totalItems"] == 7


async def test_keys_belong_to_the_client_that_chose_them(gateway: Gateway, shared: Installation) -> None:
    await store_key(shared.database, "second", site_id=None, scopes=["manage", "read"], name="another client")
    clients = [{}, {"Authorization": "second"}, {"wix-site-id": "other"}]
    made = [
        await gateway.client.post(GALLERIES, json={}, headers={"Idempotency-Key": "order-1", **client})
        for client in clients
    ]
    assert len({answer.raise_for_status().json()["gallery"]["id"] for answer in made}) == 3


async def test_no_write_ignores_a_condition(gateway: Gateway) -> None:
    path, ids = await new_gallery(gateway, 2)
    await gateway.client.patch(path, json={"gallery": {"name": "n"}})
    before = (await gateway.client.get(path)).text
    conditions = [
        {"If-Match": '"3"'},
        {"If-Match": '"1", "2-0123456789abcdef"'},
        {"If-Match": 'W/"4"'},
        {"If-Match": '"unknown"'},
        {"If-None-Match": "*"},
    ]
    for method, url, body in writes(path, ids):
        for headers in conditions:
            refused = await request(gateway, method, url, body, headers)
            assert refused.status_code == 412, (method, url, headers, refused.text)
            assert refused.json()["details"]["applicationError"]["code"] == "SEQUENCE_CONFLICT"
        wrong = await request(gateway, method, url, body, {"If-None-Match": '"4"'})
        assert wrong.json()["details"]["validationError"]["fieldViolations"][0]["field"] == "If-None-Match"
    assert (await gateway.client.get(path)).text == before


async def test_one_matching_tag_of_a_list_is_enough(gateway: Gateway) -> None:
    path, _ = await new_gallery(gateway, 1)
    bulk = {"items": [TEXT, TEXT]}
    answer = await gateway.client.post(f"{path}/items/bulk", json=bulk, headers={"If-Match": '"9", W/"1", "2"'})
    assert answer.json()["bulkActionMetadata"] == {"totalSuccesses": 2, "totalFailures": 0}
    headers = [("If-Match", '"x,y"'), ("If-Match", '"4"'), ("If-Match", '"5"')]
    renamed = await gateway.client.patch(path, json={"gallery": {"name": "n"}}, headers=headers)
    assert renamed.status_code == 200

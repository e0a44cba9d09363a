"""The history over HTTP on the whole product: events by pages, a gallery as it was, and each refusal."""

import uuid
from typing import Any

import httpx
import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import Gateway
from triptych.history.documents import HISTORY_GALLERIES
from triptych.history.retention import read_retention

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("http-history")]


async def get(gateway: Gateway, path: str, **query: Any) -> Any:
    return (await gateway.client.get(path, params=query)).raise_for_status().json()


def refusal(response: httpx.Response) -> tuple[int, str, dict[str, Any]]:
    error = response.json()["details"]["applicationError"]
    return response.status_code, error["code"], {name: at for name, at in error["data"].items() if name != "galleryId"}


async def eventful(gateway: Gateway) -> tuple[str, list[dict[str, Any]]]:
    """The path of a gallery, and its state after each write, by sequence from 3 on."""
    client = gateway.client
    body = {"gallery": {"name": "N", "items": [{"title": "a", **TEXT}, {"title": "b", **TEXT}]}}
    made = (await client.post("/v2/galleries", json=body)).raise_for_status().json()["gallery"]
    path, (first, second) = f"/v2/galleries/{made['id']}", [item["id"] for item in made["items"]]
    states = [await get(gateway, path)]
    for method, url, content in (
        ("PATCH", f"{path}/items/{first}", {"item": {"title": "c"}}),
        ("POST", f"{path}/items/{first}/move", {"to": "end"}),
        ("DELETE", f"{path}/items/{second}", None),
        ("PATCH", path, {"gallery": {"name": "M"}}),
        ("POST", f"{path}/items", {"item": {"title": "d", **TEXT}}),
    ):
        (await client.request(method, url, json=content)).raise_for_status()
        states.append(await get(gateway, path))
    return path, [state["gallery"] for state in states]


async def test_a_gallery_as_it_was_after_each_write(gateway: Gateway) -> None:
    path, states = await eventful(gateway)
    for sequence, state in enumerate(states, 3):
        shown = await get(gateway, f"{path}/as-of", sequence=sequence)
        assert shown == {"sequence": sequence, "gallery": state}
    page = await get(gateway, f"{path}/as-of", sequence=3, itemLimit=1)
    rest = await get(gateway, f"{path}/as-of/items", sequence=3, itemLimit=1, cursor=page["nextCursor"])
    assert [*page["gallery"]["items"], *rest["items"]] == states[0]["items"]
    assert "nextCursor" not in rest
    assert await get(gateway, f"{path}/as-of") == {"sequence": 8, "gallery": states[-1]}
    by_time = await get(gateway, f"{path}/as-of", time="2999-01-01T00:00:00Z")
    assert by_time == {"sequence": 8, "gallery": states[-1]}


async def test_the_events_of_a_gallery_say_what_happened_and_who_did_it(gateway: Gateway) -> None:
    path, _ = await eventful(gateway)
    found = await get(gateway, f"{path}/as-of", sequence=8)
    newest = await get(gateway, f"{path}/history", limit=2)
    assert (newest["completeThrough"], newest["earliestSequence"]) == (8, 1)
    assert [event["sequence"] for event in newest["events"]] == [8, 7]
    first = newest["events"][0]
    assert first["type"] == "gallery_item_created"
    assert first["event"]["actionEvent"]["body"]["item"] == found["gallery"]["items"][0]
    assert first["source"].startswith("triptych/gateway/")
    rest = await get(gateway, f"{path}/history", cursor=newest["nextCursor"])
    assert [event["sequence"] for event in rest["events"]] == [6, 5, 4, 3, 2, 1]
    created = await get(gateway, f"{path}/history", type="gallery_item_created", order="oldest")
    assert [event["sequence"] for event in created["events"]] == [2, 3, 8]
    of_item = await get(gateway, f"{path}/history", itemId=created["events"][0]["itemId"])
    assert [event["type"] for event in of_item["events"]] == [
        "gallery_item_updated", "gallery_item_updated", "gallery_item_created",
    ]  # fmt: skip


async def test_a_deleted_gallery_keeps_its_history(gateway: Gateway) -> None:
    path, states = await eventful(gateway)
    position = (await gateway.client.delete(path)).raise_for_status().headers["x-wix-consistent"]
    listed = await gateway.client.get(f"{path}/history", headers={"x-wix-consistent": position})
    assert listed.json()["events"][0]["type"] == "deleted"
    assert await get(gateway, f"{path}/as-of", sequence=8) == {"sequence": 8, "gallery": states[-1]}
    gone = await gateway.client.get(f"{path}/as-of", params={"sequence": listed.json()["completeThrough"]})
    assert refusal(gone)[:2] == (404, "NOT_FOUND")


async def test_each_refusal_has_a_name(gateway: Gateway, shared: Installation) -> None:
    path, _ = await eventful(gateway)
    client = gateway.client
    await get(gateway, f"{path}/as-of", sequence=8)
    late = await client.get(f"{path}/as-of", params={"sequence": 9})
    assert refusal(late) == (409, "FAILED_PRECONDITION", {"completeThrough": 8})
    early = await client.get(f"{path}/as-of", params={"time": "2001-01-01T00:00:00Z"})
    assert refusal(early)[:2] == (404, "NOT_FOUND")
    unknown = f"/v2/galleries/{uuid.uuid4()}"
    for url in (f"{unknown}/history", f"{unknown}/as-of?sequence=1", f"{unknown}/as-of/items?sequence=1"):
        assert refusal(await client.get(url))[:2] == (404, "NOT_FOUND")
    for query in ("?sequence=1&time=2001-01-01T00:00:00Z", "?sequence=0", "?time=x", "?sequence=1&itemLimit=0"):
        assert (await client.get(f"{path}/as-of{query}")).status_code == 400
    for url in (f"{path}/history?cursor=x", f"{path}/history?type=x", f"{path}/as-of/items?sequence=1&cursor=x"):
        assert (await client.get(url)).status_code == 400

    galleries = shared.database[HISTORY_GALLERIES]
    await galleries.update_one({"_id": path.rpartition("/")[2]}, {"$set": {"completeFrom": 5}})
    assert refusal(await client.get(f"{path}/as-of?sequence=4")) == (
        410, "OUT_OF_RANGE", {"completeThrough": 8, "earliestSequence": 5},
    )  # fmt: skip
    await galleries.delete_one({"_id": path.rpartition("/")[2]})
    assert (await get(gateway, f"{path}/history"))["events"] == []
    assert await read_retention(shared.database) is not None

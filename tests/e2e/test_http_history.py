"""The history over HTTP on the whole product: events by pages, a gallery as it was, and each refusal."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.own_cli import printed, typed
from tests.support.product import Gateway
from tests.support.waiting import eventually
from triptych.cli.exits import ExitStatus
from triptych.cli.settings import CliSettings
from triptych.cli.status.collecting import collect
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
    # A request that is made before the history has the last event waits for it.
    assert await get(gateway, f"{path}/as-of") == {"sequence": 8, "gallery": states[-1]}
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


def content(gallery: dict[str, Any]) -> list[dict[str, Any]]:
    """The items without what a restore may change: dates, and the ids of items that were deleted meanwhile."""
    changing = ("id", "createdDate", "updatedDate")
    return [{name: value for name, value in item.items() if name not in changing} for item in gallery["items"]]


async def restored(gateway: Gateway, path: str, **body: Any) -> dict[str, Any]:
    response = await gateway.client.post(f"{path}/restore", json=body)
    gallery: dict[str, Any] = response.raise_for_status().json()["gallery"]
    return gallery


async def test_a_gallery_goes_back_to_each_of_its_states(gateway: Gateway) -> None:
    path, states = await eventful(gateway)
    for sequence in (3, 8, 5, 7, 4):
        wanted = states[sequence - 3]
        assert await restored(gateway, path, sequence=sequence) == await whole(gateway, path)
        now = await whole(gateway, path)
        assert content(now) == content(wanted)
        assert (now["name"], now["sortOrder"], now["totalItems"]) == (
            wanted["name"], wanted["sortOrder"], wanted["totalItems"],
        )  # fmt: skip
    # An item that was there all the time keeps its id and its first date; one that was deleted has a new id.
    first = states[0]["items"][0]
    kept = next(item for item in now["items"] if item["id"] == first["id"])
    assert kept["createdDate"] == first["createdDate"]
    deleted = states[0]["items"][1]["id"]
    assert deleted not in [item["id"] for item in now["items"]]
    before = await get(gateway, f"{path}/history")
    await restored(gateway, path, sequence=4)
    assert await get(gateway, f"{path}/history") == before, "a restore of the present state changes nothing"


async def whole(gateway: Gateway, path: str) -> dict[str, Any]:
    gallery: dict[str, Any] = (await get(gateway, path))["gallery"]
    return gallery


async def test_items_that_have_exchanged_their_sort_orders_exchange_them_back(gateway: Gateway) -> None:
    client = gateway.client
    items = [{"title": str(number), "sortOrder": number, **TEXT} for number in range(400)]
    made = (await client.post("/v2/galleries", json={"gallery": {"items": items}})).raise_for_status().json()
    path = f"/v2/galleries/{made['gallery']['id']}"
    then = [item async for item in pages(gateway, path)]
    turned = [{"id": item["id"], "sortOrder": 399 - item["sortOrder"]} for item in then]
    (await client.patch(path, json={"gallery": {"items": turned}})).raise_for_status()
    gone = [item["id"] for item in then[::7]]
    (await client.post(f"{path}/items/delete", json={"itemIds": gone})).raise_for_status()
    (await client.post(f"{path}/items", json={"item": {"title": "new", "sortOrder": 350, **TEXT}})).raise_for_status()
    await restored(gateway, path, sequence=401)
    now = [item async for item in pages(gateway, path)]
    assert content({"items": now}) == content({"items": then})
    assert [item["id"] for item in now if item["id"] not in gone][:5] == [
        now_item["id"] if then_item["id"] in gone else then_item["id"]
        for now_item, then_item in zip(now, then, strict=True)
    ][:5]
    assert (await client.post(f"{path}/items", json={"item": {"title": "top", **TEXT}})).status_code == 200
    assert (await whole(gateway, path))["items"][0]["title"] == "top"


async def pages(gateway: Gateway, path: str) -> AsyncIterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = await get(gateway, f"{path}/items", itemLimit=200, cursor=cursor)
        for item in page["items"]:
            yield item
        if "nextCursor" not in page:
            return
        cursor = page["nextCursor"]


async def test_a_deleted_gallery_comes_back_as_a_new_one(gateway: Gateway) -> None:
    path, states = await eventful(gateway)
    (await gateway.client.delete(path)).raise_for_status()
    refused = await gateway.client.post(f"{path}/restore", json={"sequence": 8})
    assert refusal(refused)[:2] == (404, "NOT_FOUND")
    copy = await restored(gateway, path, sequence=8, asNewGallery=True)
    assert copy["id"] != states[-1]["id"]
    assert copy["name"] == states[-1]["name"]
    assert [item["title"] for item in copy["items"]] == [item["title"] for item in states[-1]["items"]]
    assert (await whole(gateway, f"/v2/galleries/{copy['id']}"))["totalItems"] == len(copy["items"])
    assert (await gateway.client.get(path)).status_code == 404


async def test_the_status_shows_how_far_the_history_is_behind(gateway: Gateway, shared: Installation) -> None:
    await eventful(gateway)

    async def is_caught_up() -> bool:
        report = await collect(shared.settings(CliSettings), {}, lambda: datetime.now(UTC))
        assert report.kafka is not None, report.problems()
        lags = {lag.group.removeprefix(shared.topics.prefix): lag for lag in report.kafka.lag}
        assert lags.keys() == {"command.v1", "webhooks.v1", "projector.v1", "history.v1"}
        assert lags["history.v1"].topic == shared.topics.events
        return lags["history.v1"].records == 0

    await eventually(is_caught_up, "the history is not behind")


async def test_what_cannot_be_restored_is_refused_by_name(gateway: Gateway, shared: Installation) -> None:
    path, _ = await eventful(gateway)
    client = gateway.client
    for refused, expected in (
        ({"sequence": 9}, (409, "FAILED_PRECONDITION", {"completeThrough": 8})),
        ({"time": "2001-01-01T00:00:00Z"}, (404, "NOT_FOUND", {"earliestSequence": 1, "completeThrough": 8})),
    ):
        assert refusal(await client.post(f"{path}/restore", json=refused)) == expected
    wrong: list[dict[str, Any]] = [{}, {"sequence": 1, "time": "2001-01-01T00:00:00Z"}, {"sequence": 0}, {"time": "x"}]
    for body in wrong:
        assert (await client.post(f"{path}/restore", json=body)).status_code == 400
    unknown = await client.post(f"/v2/galleries/{uuid.uuid4()}/restore", json={"sequence": 1, "asNewGallery": True})
    assert refusal(unknown)[:2] == (404, "NOT_FOUND")
    conflict = await client.post(f"{path}/restore", json={"sequence": 3}, headers={"If-Match": '"3"'})
    assert refusal(conflict)[:2] == (412, "SEQUENCE_CONFLICT")
    # The gallery takes commands again after a restore that was refused.
    (await client.patch(path, json={"gallery": {"name": "after"}})).raise_for_status()
    # Its sort order belongs to another gallery now.
    taken = (await whole(gateway, path))["sortOrder"]
    (await client.patch(path, json={"gallery": {"sortOrder": taken + 0.5}})).raise_for_status()
    (await client.post("/v2/galleries", json={"gallery": {"sortOrder": taken}})).raise_for_status()
    assert (await restored(gateway, path, sequence=3))["sortOrder"] == taken + 0.5
    assert await read_retention(shared.database) is not None


async def test_the_history_of_a_gallery_is_forgotten_on_request(gateway: Gateway, shared: Installation) -> None:
    path, states = await eventful(gateway)
    gallery_id = path.rpartition("/")[2]
    await get(gateway, f"{path}/as-of", sequence=8)
    forgotten = await typed(shared, "forget-history", gallery_id, "--json")
    assert printed(forgotten) == [{"galleryId": gallery_id, "removed": 8}]
    assert (await get(gateway, f"{path}/history"))["events"] == []
    assert await whole(gateway, path) == states[-1]
    assert (await typed(shared, "forget-history", "nothing")).exit_code == ExitStatus.REFUSED
    # With the next change, the gallery gets a new beginning from a snapshot.
    (await gateway.client.patch(path, json={"gallery": {"name": "after"}})).raise_for_status()

    async def is_shown() -> bool:
        return (await gateway.client.get(f"{path}/as-of", params={"sequence": 9})).status_code == 200

    await eventually(is_shown, "a snapshot is in the history", deadline_seconds=60)
    early = await gateway.client.get(f"{path}/as-of", params={"sequence": 8})
    assert refusal(early) == (410, "OUT_OF_RANGE", {"completeThrough": 9, "earliestSequence": 9})
    assert content((await get(gateway, f"{path}/as-of", sequence=9))["gallery"]) == content(states[-1])

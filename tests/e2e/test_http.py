"""HTTP on the whole product: every route, to its own caller and to a stranger, and what the contract does not know."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import Gateway
from triptych.cli.demo import DEMO
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEMO_KEY, DEV_KEY, GALLERY_ID, ITEM_IDS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("http")]
LINES = {"Content-Type": "application/x-ndjson"}
IMAGE = {
    "title": "Sea",
    "tags": {"values": ["sea", "blue"]},
    "image": {"imageInfo": {"url": "https://example.com/s.jpg"}},
}


def text(title: str, **fields: Any) -> dict[str, Any]:
    return {"title": title, **TEXT, **fields}


async def new_gallery(gateway: Gateway, *titles: str) -> tuple[str, dict[str, str]]:
    """The path of a new gallery, and its items' ids by title."""
    body = {"gallery": {"items": [text(title) for title in titles]}}
    gallery = (await gateway.client.post("/v2/galleries", json=body)).raise_for_status().json()["gallery"]
    return f"/v2/galleries/{gallery['id']}", {item["title"]: item["id"] for item in gallery["items"]}


async def titles_of(gateway: Gateway, path: str) -> list[str]:
    """The titles of a gallery's items, as shown."""
    items = (await gateway.client.get(f"{path}/items")).raise_for_status().json()["items"]
    return [item["title"] for item in items]


def documented(gateway: Gateway, prefix: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation in the OpenAPI document below a prefix."""
    for path, operations in gateway.app.openapi()["paths"].items():
        if path.startswith(prefix):
            for method, operation in operations.items():
                yield method.upper(), path.removeprefix("/progallery"), operation


async def test_a_stranger_sees_and_changes_nothing(gateway: Gateway, shared: Installation) -> None:
    path, ids = await new_gallery(gateway, "a", "b")
    before = await gateway.client.get(path)
    await store_key(shared.database, "stranger", site_id="other", scopes=list(Scope), name="stranger")
    item, item_id = f"{path}/items/{ids['a']}", ids["a"]
    requests: dict[str, tuple[str, str, Any]] = {
        "getGallery": ("GET", path, None),
        "createGallery": ("POST", "/v2/galleries", {"cloneFromGalleryId": path.rpartition("/")[2]}),
        "updateGallery": ("PATCH", path, {"gallery": {"name": "stolen"}}),
        "deleteGallery": ("DELETE", path, None),
        "rebalanceGallery": ("POST", f"{path}/rebalance", None),
        "restoreGallery": ("POST", f"{path}/restore", {"sequence": 1}),
        "streamGallery": ("GET", f"{path}/events", None),
        "listHistory": ("GET", f"{path}/history", None),
        "getGalleryAsOf": ("GET", f"{path}/as-of?sequence=1", None),
        "listItemsAsOf": ("GET", f"{path}/as-of/items?sequence=1", None),
        "listItems": ("GET", f"{path}/items", None),
        "getItem": ("GET", item, None),
        "createItem": ("POST", f"{path}/items", {"item": TEXT}),
        "updateItem": ("PATCH", item, {"item": {"title": "stolen"}}),
        "deleteItem": ("DELETE", item, None),
        "deleteItems": ("DELETE", f"{path}/items?itemsIds={item_id}", None),
        "bulkDeleteItems": ("POST", f"{path}/items/delete", {"itemIds": [item_id]}),
        "moveItem": ("POST", f"{item}/move", {"to": "end"}),
        "moveItems": ("POST", f"{path}/items/move", {"itemIds": [item_id], "to": "end"}),
        "bulkCreateItems": ("POST", f"{path}/items/bulk", {"items": [TEXT]}),
        "bulkCreateLines": ("POST", f"{path}/items/bulk/lines", b'{"text":{"html":"stolen"}}\n'),
    }
    # These name no gallery; what they show to a stranger is below, and in the tests of streams.
    everything = {operation["operationId"] for _, _, operation in documented(gateway, "/progallery")}
    assert everything - set(requests) == {"listGalleries", "streamSite"}
    stranger = {"Authorization": "stranger", "wix-site-id": "other"}
    for name, (method, url, body) in requests.items():
        if isinstance(body, bytes):
            refused = await gateway.client.request(method, url, content=body, headers={**stranger, **LINES})
        else:
            refused = await gateway.client.request(method, url, json=body, headers=stranger)
        error = refused.json()["details"].get("applicationError", {})
        assert (refused.status_code, error.get("code")) == (404, "NOT_FOUND"), name
        assert "stolen" not in refused.text
    cleared = await gateway.client.delete(f"{path}/items", headers=stranger)
    assert cleared.status_code == 404
    # Its own gallery does not open a way to items of others.
    own = (await gateway.client.post("/v2/galleries", headers=stranger)).json()["gallery"]["id"]
    for method, url, body in [
        ("GET", f"/v2/galleries/{own}/items/{item_id}", None),
        ("PATCH", f"/v2/galleries/{own}/items/{item_id}", {"item": {"title": "stolen"}}),
        ("DELETE", f"/v2/galleries/{own}/items/{item_id}", None),
        ("POST", f"/v2/galleries/{own}/items/{item_id}/move", {"to": "end"}),
    ]:
        assert (await gateway.client.request(method, url, json=body, headers=stranger)).status_code == 404
    skipped = await gateway.client.post(
        f"/v2/galleries/{own}/items/delete", json={"itemIds": [item_id]}, headers=stranger
    )
    assert skipped.json() == {"itemIds": []}
    listed = (await gateway.client.get("/v2/galleries", headers=stranger)).json()
    assert [gallery["id"] for gallery in listed["galleries"]] == [own]
    # Not even under a position or an idempotency key of the other site.
    carried = {**stranger, "X-Wix-Consistent": "not ours", "Idempotency-Key": "theirs"}
    assert (await gateway.client.post(f"{path}/items", json={"item": TEXT}, headers=carried)).status_code == 404
    after = await gateway.client.get(path)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])


async def test_every_example_works_when_pasted(product: Gateway, shared: Installation) -> None:
    await store_key(shared.database, DEV_KEY, site_id=None, scopes=list(Scope), name="of a local stack")
    client, headers = product.client, {"Idempotency-Key": DEMO_KEY, "Authorization": DEV_KEY}
    client.headers["wix-site-id"] = "default"  # that of the demo gallery
    demo = (await client.post("/v2/galleries", json={"gallery": DEMO}, headers=headers)).json()["gallery"]
    assert demo["id"] == GALLERY_ID
    assert tuple(item["id"] for item in demo["items"]) == ITEM_IDS

    def is_deletion(operation: tuple[str, str, dict[str, Any]]) -> tuple[bool, int]:
        return operation[0] == "DELETE", -len(operation[1])

    for method, template, operation in sorted(documented(product, "/progallery"), key=is_deletion):
        if "text/event-stream" in operation["responses"]["200"]["content"]:
            continue  # endless
        path = template
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["examples"]["demo"]["value"])
        content = operation.get("requestBody", {}).get("content", {})
        if lines := content.get(LINES["Content-Type"]):
            answer = await client.request(method, path, content=lines["example"].encode(), headers=LINES)
            assert answer.text.count('"status":200') == 2
        else:
            answer = await client.request(method, path, json=content.get("application/json", {}).get("example"))
        assert answer.status_code == 200, (method, path, answer.text)


async def test_items_by_cursor_and_filter(gateway: Gateway) -> None:
    path, _ = await new_gallery(gateway, *"abcdefg")
    for number in range(3):
        body = {"item": {**IMAGE, "title": f"image {number}"}}
        (await gateway.client.post(f"{path}/items", json=body)).raise_for_status()

    async def page(**query: Any) -> dict[str, Any]:
        answer = (await gateway.client.get(f"{path}/items", params=query)).raise_for_status()
        content: dict[str, Any] = answer.json()
        return content

    first = await page(cursor="", itemLimit=4)
    assert [item["title"] for item in first["items"]] == ["image 2", "image 1", "image 0", "a"]
    # What comes before the place of a cursor does not move it.
    await gateway.client.post(f"{path}/items", json={"item": text("new")})
    await gateway.client.delete(f"{path}/items/{first['items'][0]['id']}")
    second = await page(cursor=first["nextCursor"], itemLimit=4)
    third = await page(cursor=second["nextCursor"], itemLimit=4)
    assert [item["title"] for item in (*second["items"], *third["items"])] == list("bcdefg")
    assert "nextCursor" not in third
    assert "nextCursor" not in await page(itemLimit=1)
    assert [item["title"] for item in (await page(type="IMAGE"))["items"]] == ["image 1", "image 0"]
    assert [item["title"] for item in (await page(tag="sea", itemOffset=1))["items"]] == ["image 0"]
    assert (await page(tag="se"))["items"] == []
    assert (await page(type="TEXT", tag="sea"))["items"] == []
    filtered = await page(type="TEXT", cursor="", itemLimit=1)
    following = await page(type="TEXT", cursor=filtered["nextCursor"], itemLimit=2)
    assert [item["title"] for item in following["items"]] == ["a", "b"]
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "", "itemOffset": 1}, "itemOffset"),
        ({"type": "AUDIO"}, "type"),
        ({"tag": ""}, "tag"),
    ]
    for query, field in refusals:
        refused = await gateway.client.get(f"{path}/items", params=query)
        violations = refused.json()["details"]["validationError"]["fieldViolations"]
        assert (refused.status_code, [violation["field"] for violation in violations]) == (400, [field])


async def test_items_are_moved(gateway: Gateway) -> None:
    path, ids = await new_gallery(gateway, "a", "b", "c", "d")
    for title, where, expected in [
        ("d", {"to": "start"}, "dabc"),
        ("a", {"to": "end"}, "dbca"),
        ("a", {"before": ids["b"]}, "dabc"),
        ("d", {"after": ids["b"]}, "abdc"),
    ]:
        moved = await gateway.client.post(f"{path}/items/{ids[title]}/move", json=where)
        assert (moved.status_code, moved.json()["item"]["title"]) == (200, title)
        assert "".join(await titles_of(gateway, path)) == expected
    for where, field in [({}, "to"), ({"to": "end", "before": ids["b"]}, "to"), ({"before": ids["a"]}, "before")]:
        refused = await gateway.client.post(f"{path}/items/{ids['a']}/move", json=where)
        violations = refused.json()["details"]["validationError"]["fieldViolations"]
        assert (refused.status_code, [violation["field"] for violation in violations]) == (400, [field])
    missing = await gateway.client.post(f"{path}/items/{ids['a']}/move", json={"after": str(uuid.uuid4())})
    assert missing.status_code == 404


async def test_sort_orders_are_rebalanced(gateway: Gateway) -> None:
    path, ids = await new_gallery(gateway, "a", "b")
    for title, place in (("a", 1), ("b", 1 - 2**-52)):
        body = {"item": {"sortOrder": place}}
        (await gateway.client.patch(f"{path}/items/{ids[title]}", json=body)).raise_for_status()
    balanced = (await gateway.client.post(f"{path}/rebalance")).raise_for_status().json()["gallery"]
    assert [item["title"] for item in balanced["items"]] == ["a", "b"]
    assert balanced["items"][0]["sortOrder"] - balanced["items"][1]["sortOrder"] > 1000


async def test_items_are_created_each_on_its_own(gateway: Gateway) -> None:
    path, _ = await new_gallery(gateway, "old")
    taken = (await gateway.client.get(f"{path}/items")).json()["items"][0]["sortOrder"]
    items = [text("1"), {"title": 2}, text("3", sortOrder=taken), {"title": "4"}, text("5"), None]
    answer = await gateway.client.post(f"{path}/items/bulk", json={"items": items}, headers={"Idempotency-Key": "b"})
    assert (answer.status_code, answer.json()["bulkActionMetadata"]) == (200, {"totalSuccesses": 2, "totalFailures": 4})
    results = [result["itemMetadata"] for result in answer.json()["results"]]
    assert [result["originalIndex"] for result in results] == list(range(6))
    assert [result["success"] for result in results] == [True, False, False, False, True, False]
    fields = [
        [violation["field"] for violation in result["error"]["data"]["fieldViolations"]]
        for result in results
        if not result["success"] and result["error"]["code"] == "INVALID_ARGUMENT"
    ]
    assert fields == [["items[1].title"], ["items[3]"], ["items[5]"]]
    assert (results[2]["error"]["code"], results[2]["error"]["data"]["field"]) == (
        "ALREADY_EXISTS",
        "items[2].sortOrder",
    )
    # In the order given, before the older ones; and visible.
    assert await titles_of(gateway, path) == ["1", "5", "old"]
    shown = (await gateway.client.get(f"{path}/items")).json()["items"]
    assert [item["id"] for item in shown[:2]] == [results[0]["id"], results[4]["id"]]
    repeated = await gateway.client.post(f"{path}/items/bulk", json={"items": items}, headers={"Idempotency-Key": "b"})
    assert repeated.json() == answer.json()
    assert await titles_of(gateway, path) == ["1", "5", "old"]
    nowhere = await gateway.client.post(f"/v2/galleries/{uuid.uuid4()}/items/bulk", json={"items": [TEXT]})
    assert (nowhere.status_code, nowhere.json()["details"]["applicationError"]["code"]) == (404, "NOT_FOUND")


async def test_five_hundred_items_at_once(gateway: Gateway) -> None:
    path, _ = await new_gallery(gateway)
    items = [text(str(number), description="x" * 4_000) for number in range(500)]
    answer = (await gateway.client.post(f"{path}/items/bulk", json={"items": items})).raise_for_status()
    assert answer.json()["bulkActionMetadata"] == {"totalSuccesses": 500, "totalFailures": 0}
    first = (await gateway.client.get(f"{path}/items?itemLimit=200")).json()["items"]
    assert [item["title"] for item in first] == [str(number) for number in range(200)]
    assert (await gateway.client.get(path)).json()["gallery"]["totalItems"] == 500
    refused = await gateway.client.post(f"{path}/items/bulk", json={"items": [TEXT] * 501})
    assert refused.status_code == 400


async def test_reads_are_not_sent_twice(gateway: Gateway) -> None:
    path, ids = await new_gallery(gateway, "a")
    reads = ["/v2/galleries", path, f"{path}/items", f"{path}/items/{ids['a']}"]
    tags = [(await gateway.client.get(read)).headers["ETag"] for read in reads]
    for read, tag in zip(reads, tags, strict=True):
        for condition in (tag, f'"other", W/{tag}', "*"):
            unchanged = await gateway.client.get(read, headers={"If-None-Match": condition})
            assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
    await gateway.client.patch(f"{path}/items/{ids['a']}", json={"item": {"title": "b"}})
    for read, tag in zip(reads, tags, strict=True):
        changed = await gateway.client.get(read, headers={"If-None-Match": tag})
        assert (changed.status_code, changed.headers["ETag"] != tag) == (200, True)


async def test_a_write_that_expects_another_state_is_refused(gateway: Gateway) -> None:
    path, ids = await new_gallery(gateway, "a", "b")
    item = f"{path}/items/{ids['a']}"
    old = (await gateway.client.get(item)).headers["ETag"]
    await gateway.client.patch(path, json={"gallery": {"name": "changed meanwhile"}})

    async def write(method: str, url: str, body: Any, tag: str) -> httpx.Response:
        return await gateway.client.request(method, url, json=body, headers={"If-Match": tag})

    writes: list[tuple[str, str, Any]] = [
        ("PATCH", item, {"item": {"title": "x"}}),
        ("PATCH", path, {"gallery": {"name": "x"}}),
        ("POST", f"{path}/items", {"item": TEXT}),
        ("POST", f"{item}/move", {"to": "end"}),
        ("POST", f"{path}/rebalance", None),
        ("POST", f"{path}/items/delete", {"itemIds": [ids["a"]]}),
        ("DELETE", f"{path}/items?itemsIds={ids['a']}", None),
        ("DELETE", f"{path}/items", None),
        ("DELETE", item, None),
        ("DELETE", path, None),
    ]
    for method, url, body in writes:
        refused = await write(method, url, body, old)
        error = refused.json()["details"]["applicationError"]
        assert (refused.status_code, error["code"], error["data"]) == (412, "SEQUENCE_CONFLICT", {"sequence": 4}), url
    wrong = await write("PATCH", path, {"gallery": {"name": "x"}}, "W/old")
    assert wrong.json()["details"]["validationError"]["fieldViolations"][0]["field"] == "If-Match"
    for method, url, body in writes:
        tag = (await gateway.client.get(path)).headers["ETag"]
        assert (await write(method, url, body, tag)).status_code in (200, 404), url
    assert (await gateway.client.get(path)).status_code == 404

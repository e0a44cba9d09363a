"""Defaults of sort orders on real servers, where what is taken has to be looked up."""

from typing import Any

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import running_product


async def test_defaults_keep_off_what_the_same_call_asks_for(installation: Installation) -> None:
    async with running_product(installation) as gateway:
        client = gateway.client
        body = {"gallery": {"items": [{**TEXT, "sortOrder": 9e14}, TEXT]}}
        gallery = (await client.post("/v2/galleries", json=body)).raise_for_status().json()["gallery"]
        path = f"/v2/galleries/{gallery['id']}"
        moved = await client.post(f"{path}/items/{gallery['items'][1]['id']}/move", json={"to": "start"})
        first = moved.raise_for_status().json()["item"]["sortOrder"] + 1
        added = await client.post(f"{path}/items", json={"item": {**TEXT, "sortOrder": first}})
        kept = {"id": added.raise_for_status().json()["item"]["id"], "sortOrder": first}
        changed = await client.patch(path, json={"gallery": {"items": [kept, {"text": {"html": "n"}}]}})
        assert changed.status_code == 200, changed.text
        assert [item["sortOrder"] for item in changed.json()["gallery"]["items"]][:2] == [first + 1, first]
        # Each item of a bulk is a call of its own; those that ask for nothing take what is left.
        items: list[dict[str, Any]] = [{**TEXT, "sortOrder": first + 2}, TEXT, {**TEXT, "sortOrder": first + 3}, TEXT]
        bulk = (await client.post(f"{path}/items/bulk", json={"items": items})).raise_for_status().json()
        assert bulk["bulkActionMetadata"]["totalSuccesses"] == 4, bulk
        shown = (await client.get(path)).json()["gallery"]["items"]
        assert [item["sortOrder"] for item in shown][:4] == [first + 5, first + 4, first + 3, first + 2]
        ids = [result["itemMetadata"]["id"] for result in bulk["results"]]
        assert [item["id"] for item in shown][:2] == [ids[1], ids[3]]

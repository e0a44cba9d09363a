"""Free-form objects are the same everywhere: answer, event, join, webhook, snapshot and clone; also old ones."""

import json
from typing import Any

from hypothesis import given, settings

from tests.support.commands import body
from tests.support.free_form import OBJECTS
from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from tests.support.product import running_product
from tests.support.receiver import Receiver
from tests.support.relay import Admin, relay_settings
from triptych.command.store.documents import body_of
from triptych.kit.mongo.driver import Database
from triptych.projector.rebuild.digests import GalleryStore
from triptych.webhooks.app import compose as compose_webhooks
from triptych.webhooks.store.delivery_documents import DeliveryStatus

EXAMPLES = 24
REFERENCE = {"$ref": "a", "$id": "b", "x": [{"$id": {}, "$ref": "c", "$db": "d"}]}


def examples() -> list[dict[str, Any]]:
    """The same few every time."""
    found: list[dict[str, Any]] = [REFERENCE]

    @settings(max_examples=EXAMPLES - 1, derandomize=True, database=None)
    @given(OBJECTS)
    def collect(value: dict[str, Any]) -> None:
        found.append(value)

    collect()
    return found


def new_item(number: int, value: dict[str, Any]) -> dict[str, Any]:
    if number % 2:
        return {"title": str(number), "image": {"imageInfo": {"url": "https://example.com/i.jpg"}, "exif": value}}
    return {"title": str(number), "text": {"html": "h", "css": value}}


def spelling(item: dict[str, Any]) -> str:
    """The free-form object of an item, as JSON: 1 and 1.0 are two."""
    return json.dumps(item["text"]["css"] if "text" in item else item["image"]["exif"])


async def test_any_object_comes_out_everywhere_as_it_went_in(
    installation: Installation, admin: Admin, receiver: Receiver
) -> None:
    values = examples()
    expected = [json.dumps(value) for value in values]
    topics, bootstrap = installation.topics, installation.addresses.kafka_bootstrap
    listener = await admin.subscribe(receiver.url("/all"))
    async with (
        running_product(installation) as gateway,
        compose_webhooks(relay_settings(installation)),
        topic_reader(bootstrap, topics.events) as events,
        topic_reader(bootstrap, topics.galleries) as joined,
    ):
        items = [new_item(number, value) for number, value in enumerate(values)]
        created = (await gateway.client.post("/v2/galleries", json={"gallery": {"items": items}})).raise_for_status()
        gallery = created.json()["gallery"]
        assert [spelling(item) for item in gallery["items"]] == expected
        # Every item is read from the write model and written again.
        patches = [{"id": item["id"], "title": "T"} for item in gallery["items"]]
        path = f"/v2/galleries/{gallery['id']}"
        (await gateway.client.patch(path, json={"gallery": {"items": patches}})).raise_for_status()
        one = f"{path}/items/{gallery['items'][0]['id']}"
        for wanted in ({"title": "U"}, {"title": "V"}):
            changed = (await gateway.client.patch(one, json={"item": wanted})).raise_for_status()
            assert spelling(changed.json()["item"]) == expected[0]
        copied = await gateway.client.post("/v2/galleries", json={"cloneFromGalleryId": gallery["id"]})
        for shown in (copied.raise_for_status(), await gateway.client.get(path)):
            assert [spelling(item) for item in shown.json()["gallery"]["items"]] == expected

        count = 2 * (1 + len(values)) + 1 + len(values) + 2
        told = [body(record) for record in await events.read_count(count)]
        contents = [event["actionEvent"]["body"] for event in told if "actionEvent" in event]
        heard = [spelling(content.get("item") or content["updatedItem"]) for content in contents]
        assert sorted(heard) == sorted(expected * 3 + [expected[0]] * 2)
        records = await joined.read_until(lambda found: len({record.key for record in found}) == 50, "all keys")
        values_by_key = {record.key: body(record) for record in records}
        singles = [spelling(value["item"]) for value in values_by_key.values() if "itemId" in value]
        assert sorted(singles) == sorted(expected * 2)
        await admin.until(listener, DeliveryStatus.DELIVERED, count)
        posted = [json.loads(request.body)["data"] for request in receiver.at("/all")]
        contents = [event["actionEvent"]["body"] for event in posted if "actionEvent" in event]
        assert sorted(spelling(content.get("item") or content["updatedItem"]) for content in contents) == sorted(heard)
        await _is_the_same_on_both_sides(installation.database, gallery["id"])


async def test_objects_stored_by_earlier_versions_are_read_changed_and_compared(installation: Installation) -> None:
    database = installation.database
    async with running_product(installation) as gateway:
        items = [new_item(number, REFERENCE) for number in range(2)]
        created = (await gateway.client.post("/v2/galleries", json={"gallery": {"items": items}})).raise_for_status()
        gallery = created.json()["gallery"]
        for name in ("items", "item_views"):
            async for document in database[name].find({"galleryId": gallery["id"]}):
                await database[name].update_one({"_id": document["_id"]}, {"$set": {"item": body_of(document["item"])}})
        path = f"/v2/galleries/{gallery['id']}"
        assert (await gateway.client.get(path)).json()["gallery"]["items"] == gallery["items"]
        changed = await gateway.client.patch(f"{path}/items/{gallery['items'][0]['id']}", json={"item": {"title": "T"}})
        assert changed.raise_for_status().json()["item"]["text"]["css"] == REFERENCE
        await _is_the_same_on_both_sides(database, gallery["id"])


async def _is_the_same_on_both_sides(database: Database, gallery_id: str) -> None:
    written, viewed = [
        await source.digests([gallery_id]) for source in (GalleryStore(database), GalleryStore(database, 1))
    ]
    assert written == viewed
    assert written[gallery_id].content is not None

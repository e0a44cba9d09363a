"""The main job, as checks on any running Triptych: commands become replies, events, the join, and answers over HTTP."""

import uuid
from typing import Any

import httpx

from tests.support.commands import TEXT, body, header, structured
from tests.support.kafka import Record, TopicReader, raw_producer, topic_reader
from tests.support.waiting import eventually
from triptych.contract.topics import Topics

IMAGE = {"title": "Sea", "image": {"imageInfo": {"url": "https://example.com/sea.jpg"}}}


async def send_commands_as_a_stranger(bootstrap: str, topics: Topics, client: httpx.AsyncClient) -> str:
    """Create a gallery and add items over Kafka, and check everything that follows from it. Returns its id.

    `client` reads the default site; its paths begin with `/v2`.
    """
    gallery_id = str(uuid.uuid4())
    async with (
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
        topic_reader(bootstrap, topics.events) as events,
        topic_reader(bootstrap, topics.galleries) as joined,
    ):
        create = structured(
            "CreateGallery", {"galleryId": gallery_id, "gallery": {"name": "N", "items": [IMAGE, TEXT]}}
        )
        await producer.send_and_wait(topics.commands, create, key=gallery_id.encode())
        add = structured("CreateItems", {"galleryId": gallery_id, "items": [IMAGE, TEXT]})
        await producer.send_and_wait(topics.commands, add, key=gallery_id.encode())

        answers = [body(reply) for reply in await read_about(replies, gallery_id, 2)]
        # Replies are on the partitions of their commands' ids, so they may come in any order.
        outcomes = {(answer["outcome"], answer["sequence"]) for answer in answers}
        assert outcomes == {("accepted", 3), ("accepted", 5)}
        published = await read_about(events, gallery_id, 5)
        assert [header(event, "ce_sequence") for event in published] == ["1", "2", "3", "4", "5"]
        await check_joined(joined, gallery_id, sequence=5, items=4)

        async def gallery_at_five() -> dict[str, Any] | None:
            response = await client.get(f"/v2/galleries/{gallery_id}")
            return response.json()["gallery"] if response.json().get("gallery", {}).get("totalItems") == 4 else None

        gallery = await eventually(gallery_at_five, "the view shows all items")
        created = [body(event)["actionEvent"]["body"]["item"] for event in published[1:]]
        # Newest first, and each list in the order given.
        assert gallery["items"] == [created[2], created[3], created[0], created[1]]
        assert gallery["name"] == "N"
    return gallery_id


async def send_requests(bootstrap: str, topics: Topics, client: httpx.AsyncClient) -> None:
    """Create a gallery and an item over HTTP, and check everything that follows from it.

    `client` uses a site that has no galleries; its paths begin with `/v2`.
    """
    async with topic_reader(bootstrap, topics.events) as events, topic_reader(bootstrap, topics.galleries) as joined:
        response = await client.post("/v2/galleries", json={"gallery": {"name": "N", "items": [IMAGE, TEXT]}})
        assert response.status_code == 200
        gallery = response.json()["gallery"]
        assert (gallery["totalItems"], [item["type"] for item in gallery["items"]]) == (2, ["IMAGE", "TEXT"])
        path = f"/v2/galleries/{gallery['id']}"

        response = await client.post(f"{path}/items", json={"item": IMAGE})
        assert response.status_code == 200
        item = response.json()["item"]
        # A write that was answered can be read, by anybody, at once.
        read = (await client.get(path)).json()["gallery"]
        assert read["items"] == [item, *gallery["items"]]
        assert (await client.get(f"{path}/items")).json() == {"items": read["items"]}
        listed = (await client.get("/v2/galleries")).json()
        assert (listed["totalGalleries"], listed["galleries"][0]["id"]) == (1, gallery["id"])

        published = await read_about(events, gallery["id"], 4)
        assert [header(event, "ce_sequence") for event in published] == ["1", "2", "3", "4"]
        await check_joined(joined, gallery["id"], sequence=4, items=3)


async def read_about(reader: TopicReader, gallery_id: str, count: int) -> list[Record]:
    """The records of a gallery on a topic of replies or events, once there are `count`."""

    def about(records: list[Record]) -> list[Record]:
        return [record for record in records if gallery_id.encode() in (record.value or b"")]

    what = f"{count} records about the gallery"
    return about(await reader.read_until(lambda records: len(about(records)) >= count, what))


async def check_joined(reader: TopicReader, gallery_id: str, *, sequence: int, items: int) -> None:
    """The latest record of each key of a gallery is the gallery at `sequence` with all of its items."""
    key = gallery_id.encode()

    def of_gallery(records: list[Record]) -> list[Record]:
        return [record for record in records if record.key.startswith(key)]

    def latest(records: list[Record]) -> dict[bytes, dict[str, Any]]:
        return {record.key: body(record) for record in of_gallery(records)}

    def is_there(records: list[Record]) -> bool:
        return latest(records).get(key, {}).get("sequence") == sequence

    records = await reader.read_until(is_there, f"the gallery at {sequence}")
    state = latest(records)
    head = state.pop(key)
    assert (head["totalItems"], len(head["items"])) == (items, items)
    assert set(state) == {f"{gallery_id}/{item['id']}".encode() for item in head["items"]}
    assert [state[f"{gallery_id}/{item['id']}".encode()]["item"] for item in head["items"]] == head["items"]
    assert len({record.partition for record in of_gallery(records)}) == 1

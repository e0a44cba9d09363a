"""The main job on real servers: commands over Kafka and HTTP become replies, events, the join, and answers."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.commands import TEXT, body, header, structured
from tests.support.installation import Installation
from tests.support.kafka import Record, TopicReader, raw_producer, topic_reader
from tests.support.waiting import eventually
from triptych.command.app import compose as compose_command
from triptych.command.settings import CommandSettings
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.app import compose as compose_gateway
from triptych.gateway.settings import GatewaySettings
from triptych.projector.app import compose as compose_projector
from triptych.projector.settings import ProjectorSettings

KEY = "e2e-key"
IMAGE = {"title": "Sea", "image": {"imageInfo": {"url": "https://example.com/sea.jpg"}}}


@asynccontextmanager
async def running(installation: Installation, **fields: object) -> AsyncIterator[httpx.AsyncClient]:
    """All three services, and a client of the gateway."""
    await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="e2e")
    async with (
        compose_command(installation.settings(CommandSettings, **fields)),
        compose_projector(installation.settings(ProjectorSettings, **fields)),
        compose_gateway(installation.settings(GatewaySettings, **fields)) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://gateway/progallery", headers={"Authorization": KEY}
        ) as client,
    ):
        yield client


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_commands_of_a_stranger(installation: Installation, driver: str) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    async with (
        running(installation, mongo_driver=driver) as client,
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

        answers = [body(reply) for reply in await replies.read_count(2)]
        assert [(answer["outcome"], answer["sequence"]) for answer in answers] == [("accepted", 3), ("accepted", 5)]
        published = await events.read_count(5)
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


async def test_the_same_over_http(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    async with (
        running(installation) as client,
        topic_reader(bootstrap, topics.events) as events,
        topic_reader(bootstrap, topics.galleries) as joined,
    ):
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

        published = await events.read_count(4)
        assert [header(event, "ce_sequence") for event in published] == ["1", "2", "3", "4"]
        await check_joined(joined, gallery["id"], sequence=4, items=3)


async def test_another_site_sees_nothing(installation: Installation) -> None:
    async with running(installation) as client:
        created = (await client.post("/v2/galleries", headers={"wix-site-id": "red"})).json()["gallery"]
        assert (await client.get(f"/v2/galleries/{created['id']}", headers={"wix-site-id": "red"})).status_code == 200
        path = f"/v2/galleries/{created['id']}"
        assert (await client.get(path, headers={"wix-site-id": "blue"})).status_code == 404
        refused = await client.post(f"{path}/items", json={"item": TEXT}, headers={"wix-site-id": "blue"})
        assert refused.status_code == 404
        listed = (await client.get("/v2/galleries", headers={"wix-site-id": "blue"})).json()
        assert listed == {"totalGalleries": 0, "galleries": []}


async def check_joined(reader: TopicReader, gallery_id: str, *, sequence: int, items: int) -> None:
    """The latest record of each key is the gallery at `sequence` with all of its items."""
    key = gallery_id.encode()

    def latest(records: list[Record]) -> dict[bytes, dict[str, Any]]:
        return {record.key: body(record) for record in records}

    def is_there(records: list[Record]) -> bool:
        return latest(records).get(key, {}).get("sequence") == sequence

    records = await reader.read_until(is_there, f"the gallery at {sequence}")
    state = latest(records)
    head = state.pop(key)
    assert (head["totalItems"], len(head["items"])) == (items, items)
    assert set(state) == {f"{gallery_id}/{item['id']}".encode() for item in head["items"]}
    assert [state[f"{gallery_id}/{item['id']}".encode()]["item"] for item in head["items"]] == head["items"]
    assert len({record.partition for record in records}) == 1

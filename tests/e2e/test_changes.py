"""One change from the request to the receiver over HTTP, and the state of the installation for operators."""

import uuid
from typing import Any

import httpx
import pytest

from tests.support.installation import Installation
from tests.support.product import KEY, Gateway
from tests.support.waiting import eventually
from triptych.gateway.access.keys import store_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("changes-http")]
TEXT = {"title": "hi", "text": {"html": "<p>x</p>"}}


async def read(gateway: Gateway, path: str, **params: Any) -> httpx.Response:
    return await gateway.client.get(f"{gateway.address}{path}", params=params)


async def made(gateway: Gateway) -> tuple[str, str]:
    """The ids of a gallery and its only item."""
    created = await gateway.client.post("/v2/galleries", json={"gallery": {"name": "Sea"}})
    gallery_id = created.json()["gallery"]["id"]
    item = await gateway.client.post(f"/v2/galleries/{gallery_id}/items", json={"item": TEXT})
    return gallery_id, item.json()["item"]["id"]


async def test_the_last_events_have_their_places_and_are_those_of_the_site(gateway: Gateway) -> None:
    gallery_id, item_id = await made(gateway)
    await made(gateway)
    answer = (await read(gateway, "/v1/events", galleryId=gallery_id)).json()
    newest, first = answer["events"]
    assert [one["type"] for one in answer["events"]] == ["gallery_item_created", "created"]
    assert (newest["itemId"], newest["sequence"], newest["event"]["entityId"]) == (item_id, 2, gallery_id)
    assert newest["place"]["partition"] == first["place"]["partition"]
    assert newest["place"]["offset"] > first["place"]["offset"]
    assert newest["place"]["topic"].endswith("events")
    assert len((await read(gateway, "/v1/events")).json()["events"]) == 4
    assert len((await read(gateway, "/v1/events", type="created", limit=1)).json()["events"]) == 1
    gateway.client.headers["wix-site-id"] = uuid.uuid4().hex
    assert (await read(gateway, "/v1/events", galleryId=gallery_id)).json()["events"] == []


async def test_a_change_is_shown_with_its_command_its_answer_and_its_joined_record(gateway: Gateway) -> None:
    gallery_id, item_id = await made(gateway)
    (event,) = (await read(gateway, "/v1/events", galleryId=gallery_id, limit=1)).json()["events"]
    place = f"{event['place']['partition']}-{event['place']['offset']}"

    async def is_joined() -> Any:
        answer = await read(gateway, f"/v1/galleries/{gallery_id}/changes/2", place=place)
        change = answer.raise_for_status().json()["change"]
        return change if change["joined"] else None

    change = await eventually(is_joined, "the joined record")
    assert change["event"] == event
    command = change["command"]
    assert (command["id"], command["type"], command["reply"]["outcome"]) == (
        event["commandId"],
        "CreateItems",
        "accepted",
    )
    assert command["source"].startswith("triptych/gateway/")
    assert command["place"]["topic"].endswith("commands")
    assert command["place"]["date"] <= command["carriedOutDate"]
    assert change["joined"]["key"] == f"{gallery_id}/{item_id}"
    assert (change["joined"]["value"]["item"]["id"], change["joined"]["sequence"]) == (item_id, 2)

    async def is_archived() -> Any:
        answer = await read(gateway, f"/v1/galleries/{gallery_id}/changes/1")
        return answer.json()["change"] if answer.status_code == 200 else None

    archived = await eventually(is_archived, "the history")
    assert archived["event"]["place"]["offset"] < event["place"]["offset"], "found by its time"
    assert archived["command"]["type"] == "CreateGallery"


async def test_a_place_is_no_way_to_other_events(gateway: Gateway) -> None:
    gallery_id, _ = await made(gateway)
    (event,) = (await read(gateway, "/v1/events", galleryId=gallery_id, limit=1)).json()["events"]
    partition, offset = event["place"]["partition"], event["place"]["offset"]
    path = f"/v1/galleries/{gallery_id}/changes/99"
    for place in (f"{partition}-{offset}", f"{partition}-{offset + 10**6}", f"{partition + 1}-0", "999999-0"):
        assert (await read(gateway, path, place=place)).status_code == 404, place
    assert (await read(gateway, path, place="3")).status_code == 400
    gateway.client.headers["wix-site-id"] = uuid.uuid4().hex
    other = await read(gateway, f"/v1/galleries/{gallery_id}/changes/2", place=f"{partition}-{offset}")
    assert other.status_code == 404


async def test_operators_see_how_the_installation_is(gateway: Gateway, shared: Installation) -> None:
    await made(gateway)
    assert (await read(gateway, "/v1/system")).status_code == 403, "a site is named"
    del gateway.client.headers["wix-site-id"]
    system = (await read(gateway, "/v1/system")).json()["system"]
    assert (system["kafka"], system["mongodb"]) == ({"reached": True, "problem": None},) * 2
    assert {lag["group"].split(".")[-2] for lag in system["lag"]} == {"command", "projector", "webhooks", "history"}
    assert {process["service"] for process in system["processes"]} == {"command", "projector", "gateway"}
    assert "no process of the service webhooks was seen in the last 30 s" in system["problems"]
    assert system["jobs"]["oldest"] == []
    assert len(system["deadLetters"]) == 2
    for key, site_id, scopes in (("bound", "s", ["operate"]), ("reader", None, ["read"])):
        await store_key(shared.database, key, site_id=site_id, scopes=scopes, name="tests")
        gateway.client.headers["Authorization"] = key
        assert (await read(gateway, "/v1/system")).status_code == 403, key
    gateway.client.headers["Authorization"] = KEY

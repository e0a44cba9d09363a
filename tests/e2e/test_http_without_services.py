"""What a client may rely on over HTTP while a service is away: writes are answered, and once; reads are not stale."""

from functools import partial
from typing import Any

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import running_command_service, running_gateway, running_projector
from tests.support.waiting import eventually
from triptych.gateway.api.galleries import PARTIAL_HEADER
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER
from triptych.gateway.writing.writes import COMMAND_ID_HEADER

IMAGE = {"title": "Sea", "image": {"imageInfo": {"url": "https://example.com/sea.jpg"}}}
NOTHING = {"message": "", "details": {}}


async def test_while_the_projector_is_paused(installation: Installation) -> None:
    """Writes are answered, from the write model; reads wait, and then say so instead of being stale."""
    async with (
        running_command_service(installation),
        running_gateway(installation, gateway_view_timeout=0.5) as one,
        running_gateway(installation, gateway_view_timeout=0.5) as other,
    ):
        async with running_projector(installation):
            answer = (await one.client.post("/v2/galleries", json={"gallery": {"name": "N"}})).raise_for_status()
            path = f"/v2/galleries/{answer.json()['gallery']['id']}"

        created = await one.client.post("/v2/galleries", json={"gallery": {"name": "M", "items": [IMAGE, TEXT]}})
        assert created.status_code == 200
        gallery = created.json()["gallery"]
        assert (gallery["name"], gallery["totalItems"]) == ("M", 2)
        assert [item["type"] for item in gallery["items"]] == ["IMAGE", "TEXT"]
        added = await one.client.post(f"{path}/items", json={"item": IMAGE})
        assert added.status_code == 200
        item = added.json()["item"]
        patched = await one.client.patch(f"{path}/items/{item['id']}", json={"item": {"title": "T"}})
        assert patched.json()["item"] == {**item, "title": "T", "updatedDate": patched.json()["item"]["updatedDate"]}
        renamed = await one.client.patch(path, json={"gallery": {"name": "R"}})
        assert (renamed.json()["gallery"]["name"], renamed.json()["gallery"]["totalItems"]) == ("R", 1)
        assert renamed.json()["gallery"]["items"] == [patched.json()["item"]]
        assert PARTIAL_HEADER not in renamed.headers
        gone = await one.client.delete(f"{path}/items/{item['id']}", headers={CONSISTENT_HEADER: "of somebody else"})
        assert (gone.status_code, gone.json()) == (200, {"itemId": item["id"]})
        cleared = await one.client.request("DELETE", f"{path}/items")
        assert (cleared.json()["gallery"]["totalItems"], cleared.json()["gallery"]["items"]) == (0, [])
        for position, read in [(created, "/v2/galleries"), (gone, path), (cleared, path), (gone, f"{path}/items")]:
            stale = await other.client.get(read, headers={CONSISTENT_HEADER: position.headers[CONSISTENT_HEADER]})
            assert (stale.status_code, stale.json(), stale.headers["Retry-After"]) == (503, NOTHING, "1")

        async with running_projector(installation):

            async def caught_up() -> dict[str, Any] | None:
                headers = {CONSISTENT_HEADER: cleared.headers[CONSISTENT_HEADER]}
                found = await other.client.get(path, headers=headers)
                return found.json()["gallery"] if found.status_code == 200 else None

            shown = await eventually(caught_up, "the read model shows the last write")
            assert (shown["name"], shown["totalItems"], shown["items"]) == ("R", 0, [])
            # And what the writes told was the truth.
            assert (await other.client.get(f"/v2/galleries/{gallery['id']}")).json()["gallery"] == gallery


async def test_a_position_of_a_write_not_yet_visible_is_carried_on(installation: Installation) -> None:
    async with (
        running_command_service(installation),
        running_gateway(installation, gateway_view_timeout=0.5) as gateway,
    ):
        first = await gateway.client.post("/v2/galleries")
        carried = {CONSISTENT_HEADER: first.headers[CONSISTENT_HEADER]}
        second = await gateway.client.post("/v2/galleries", headers=carried)
        positions = second.headers[CONSISTENT_HEADER].split(",")
        assert positions == [f"{second.json()['gallery']['id']}:1", first.headers[CONSISTENT_HEADER]]
        async with running_projector(installation):
            visible = {CONSISTENT_HEADER: second.headers[CONSISTENT_HEADER]}

            async def is_visible() -> bool:
                return (await gateway.client.get("/v2/galleries", headers=visible)).status_code == 200

            await eventually(is_visible, "both galleries are shown")
            third = await gateway.client.post("/v2/galleries", headers=visible)
            assert third.headers[CONSISTENT_HEADER] == f"{third.json()['gallery']['id']}:1"


async def test_a_write_that_timed_out_is_not_done_twice(installation: Installation) -> None:
    async with running_projector(installation), running_gateway(installation, gateway_reply_timeout=0.3) as gateway:
        lost = await gateway.client.post("/v2/galleries", json={"gallery": {"name": "Once"}})
        assert (lost.status_code, lost.json()) == (504, NOTHING)
        again = {"Idempotency-Key": lost.headers[COMMAND_ID_HEADER]}
        async with running_command_service(installation):

            async def answered(name: str) -> Any:
                answer = await gateway.client.post("/v2/galleries", json={"gallery": {"name": name}}, headers=again)
                return answer if answer.status_code != 504 else None  # a reply may take longer than the gateway waits

            first = await eventually(partial(answered, "Once"), "the write is answered")
            second = await eventually(partial(answered, "Once"), "its repetition is answered")
            assert (first.status_code, second.status_code) == (200, 200)
            assert first.json() == second.json()
            other = await eventually(partial(answered, "Other"), "another write with the same key is answered")
            assert other.status_code == 422, "the key belongs to another request"
            assert (await gateway.client.get("/v2/galleries")).json()["totalGalleries"] == 1

"""Live events over HTTP: what happens, as it happens, and what was missed in between."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import jsonschema_rs
import orjson
import pytest
import pytest_asyncio

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import Gateway, running_gateway
from tests.support.waiting import eventually
from triptych.gateway.access.keys import Scope, store_key

DEADLINE_SECONDS = 20
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("http-streams")]


class Frame(NamedTuple):
    """A Server-Sent Event; one without data only tells the place of the stream."""

    id: str
    event: str
    data: dict[str, Any]

    @property
    def sequence(self) -> int:
        return int(self.data["entityEventSequence"])


class Listener:
    """Reads a stream as the HTML standard says."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def fields(self) -> dict[str, str]:
        """The fields of the next frame, with or without an event."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for line in self._lines:
                if not line:
                    return fields
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
        raise EOFError

    async def frame(self) -> Frame:
        """The next frame, with or without an event."""
        fields = await self.fields()
        return Frame(fields["id"], fields.get("event", ""), orjson.loads(fields.get("data", "{}")))

    async def event(self) -> Frame:
        """The next event."""
        while not (frame := await self.frame()).data:
            pass
        return frame

    async def ends(self) -> bool:
        """Whether the stream ends, after whatever it still has to say."""
        try:
            while True:
                await self.frame()
        except EOFError:
            return True


@asynccontextmanager
async def listening(gateway: Gateway, path: str, since: str | None = None, **headers: str) -> AsyncIterator[Listener]:
    """A stream that has begun."""
    given = {**headers, **({} if since is None else {"Last-Event-ID": since})}
    async with gateway.client.stream("GET", path, headers=given) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Listener(response)


async def new_gallery(gateway: Gateway, **headers: str) -> str:
    answer = (await gateway.client.post("/v2/galleries", headers=headers)).raise_for_status()
    return f"/v2/galleries/{answer.json()['gallery']['id']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def second(shared: Installation) -> AsyncIterator[Gateway]:
    """A second gateway."""
    async with running_gateway(shared) as running:
        yield running


@pytest.fixture
def other(second: Gateway, gateway: Gateway) -> Gateway:
    """The second gateway, and a client of the same site."""
    second.client.headers["wix-site-id"] = gateway.client.headers["wix-site-id"]
    return second


@asynccontextmanager
async def gateway_with(installation: Installation, **fields: object) -> AsyncIterator[Gateway]:
    """A gateway with settings of its own, and a client with a site that no other test uses."""
    async with running_gateway(installation, **fields) as running:
        running.client.headers["wix-site-id"] = uuid.uuid4().hex
        yield running


async def test_events_as_they_happen(gateway: Gateway, other: Gateway) -> None:
    path, elsewhere = await new_gallery(gateway), await new_gallery(gateway)
    async with listening(gateway, "/v2/events") as site, listening(other, f"{path}/events") as gallery:
        await site.frame()
        await gallery.frame()
        await gateway.client.post(f"{elsewhere}/items", json={"item": TEXT})
        item = (await gateway.client.post(f"{path}/items", json={"item": TEXT})).json()["item"]
        await gateway.client.patch(path, json={"gallery": {"name": "N"}})
        await gateway.client.delete(path)
        heard = [await gallery.event() for _ in range(4)]
        assert [frame.event for frame in heard] == [
            "gallery_item_created",
            "updated",
            "gallery_item_deleted",
            "deleted",
        ]
        assert [frame.sequence for frame in heard] == [2, 3, 4, 5]
        assert heard[0].data["actionEvent"]["body"]["item"] == item
        everything = [await site.event() for _ in range(5)]
        of_gallery = [frame.data for frame in everything if frame.data["entityId"] == path.rpartition("/")[2]]
        assert of_gallery == [frame.data for frame in heard]


@pytest.mark.parametrize("path", ["/v2/events", "/v2/galleries/{galleryId}/events"])
async def test_an_event_is_as_documented(gateway: Gateway, path: str) -> None:
    document = (await gateway.client.get(f"{gateway.address}/openapi.json")).json()
    answer = document["paths"][f"/progallery{path}"]["get"]["responses"]["200"]
    gallery = await new_gallery(gateway)
    async with listening(gateway, path.format(galleryId=gallery.rpartition("/")[2])) as stream:
        await stream.frame()
        await gateway.client.post(f"{gallery}/items", json={"item": TEXT})
        event = await stream.fields()
    jsonschema_rs.validate(answer["content"]["text/event-stream"]["schema"], event)
    assert event["event"] == "gallery_item_created"


async def test_a_stream_goes_on_where_it_broke(gateway: Gateway, other: Gateway) -> None:
    galleries = [await new_gallery(gateway) for _ in range(4)]
    async with listening(gateway, "/v2/events") as site, listening(gateway, f"{galleries[0]}/events") as gallery:
        since_site, since_gallery = (await site.frame()).id, (await gallery.frame()).id
    written = []
    for number in range(12):
        path = galleries[number % 4]
        body = {"item": {"title": str(number), **TEXT}}
        written.append((await gateway.client.post(f"{path}/items", json=body)).json()["item"])
    # Through the other gateway: a place is the same everywhere.
    async with listening(other, "/v2/events", since_site) as site:
        missed = [await site.event() for _ in range(12)]
        later = (await gateway.client.post(f"{galleries[1]}/items", json={"item": TEXT})).json()["item"]
        live = await site.event()
    items = [frame.data["actionEvent"]["body"]["item"] for frame in (*missed, live)]
    assert sorted(item["id"] for item in items) == sorted(item["id"] for item in (*written, later))
    for number in range(4):
        mine = [item["title"] for item in items if item in written[number::4]]
        assert mine == [item["title"] for item in written[number::4]]
    # In the middle of what was missed, neither less nor more comes than what is behind it.
    async with listening(other, "/v2/events", missed[6].id) as site:
        rest = [(await site.event()).data["id"] for _ in range(6)]
    # Galleries keep their order, but nothing says how events of several partitions interleave.
    assert sorted(rest) == sorted(frame.data["id"] for frame in (*missed[7:], live))
    async with listening(other, f"{galleries[0]}/events", since_gallery) as gallery:
        assert [(await gallery.event()).sequence for _ in range(3)] == [2, 3, 4]


@pytest.mark.usefixtures("product")
async def test_a_stream_that_cannot_go_on_says_so(shared: Installation) -> None:
    async with gateway_with(shared, gateway_stream_resume=3) as gateway:
        path = await new_gallery(gateway)
        async with listening(gateway, f"{path}/events") as stream:
            place = (await stream.frame()).id
        for _ in range(4):
            await gateway.client.post(f"{path}/items", json={"item": TEXT})
        partition, _, offset = place.partition(":")
        for since, status in [
            (place, 410),
            (f"{partition}:{int(offset) + 100}", 410),
            ("99:0", 410),
            ("nonsense", 400),
            (f"{place},", 400),
        ]:
            refused = await gateway.client.get(f"{path}/events", headers={"Last-Event-ID": since})
            assert refused.status_code == status, since
        async with listening(gateway, f"{path}/events", f"{partition}:{int(offset) + 2}") as stream:
            assert [(await stream.event()).sequence for _ in range(2)] == [4, 5]


async def test_a_stranger_hears_nothing(gateway: Gateway, shared: Installation) -> None:
    await store_key(shared.database, "stranger", site_id="other", scopes=list(Scope), name="stranger")
    async with listening(gateway, "/v2/events") as ours:
        before = (await ours.frame()).id
        path = await new_gallery(gateway)
        await ours.event()
    stranger = {"Authorization": "stranger", "wix-site-id": "other"}
    assert (await gateway.client.get(f"{path}/events", headers=stranger)).status_code == 404
    async with listening(gateway, "/v2/events", before, **stranger) as theirs:
        await gateway.client.post(f"{path}/items", json={"item": TEXT})
        own = await new_gallery(gateway, **stranger)
        heard = await theirs.event()
        assert heard.data["entityId"] == own.rpartition("/")[2]


@pytest.mark.usefixtures("product")
async def test_a_quiet_stream_lives_on_for_its_time(shared: Installation) -> None:
    fields = {"gateway_stream_heartbeat": 0.05, "gateway_stream_lifetime": 1}
    async with gateway_with(shared, **fields) as gateway:
        async with listening(gateway, "/v2/events") as stream:
            first = await stream.frame()
            path = await new_gallery(gateway, **{"wix-site-id": "another"})
            # What happened elsewhere moves the place on, so that nobody has to look through it again.
            while (later := await stream.frame()).id == first.id:
                pass
            assert later.data == {}
            assert await stream.ends()
        async with listening(gateway, f"{path}/events", **{"wix-site-id": "another"}) as stream:
            gateway.app.state.gateway.streams.end()
            assert await stream.ends()

        async def nobody_listens() -> bool:
            return len(gateway.app.state.gateway.streams) == 0

        await eventually(nobody_listens, "no stream is open")


@pytest.mark.usefixtures("product")
async def test_streams_are_bounded(shared: Installation) -> None:
    async with gateway_with(shared, gateway_streams=1) as gateway:
        async with listening(gateway, "/v2/events"):
            refused = await gateway.client.get("/v2/events")
            error = refused.json()["details"]["applicationError"]
            assert (refused.status_code, error["code"]) == (429, "RESOURCE_EXHAUSTED")
            assert refused.headers["Retry-After"]

        async def is_free() -> bool:
            async with gateway.client.stream("GET", "/v2/events") as response:
                return response.status_code == 200

        await eventually(is_free, "the place of the stream that was left is free")

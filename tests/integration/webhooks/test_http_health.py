"""The health of listeners and the log by event type, over HTTP, from deliveries that were planted."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.installation import Installation, open_installation
from tests.support.listeners_api import UNKNOWN, client_of_gateway, create
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Document
from triptych.webhooks.store.delivery_documents import DELIVERIES, new_delivery
from triptych.webhooks.store.health import health_stages
from triptych.webhooks.store.listener_documents import Listener, listener_of
from triptych.webhooks.store.listeners import LISTENERS
from triptych.webhooks.store.relays import WORKERS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("webhooks-http")]

NOW = datetime.now(UTC).replace(microsecond=0)
CREATED, DELETED = "wix.pro_gallery.gallery_v2_created", "wix.pro_gallery.gallery_v2_deleted"
SITE = "health"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stack: Addresses) -> AsyncIterator[Installation]:
    """An installation of its own: whether a relay runs is a question about all of it."""
    async with open_installation(stack) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway on it, for one site."""
    async with client_of_gateway(shared) as client:
        client.headers["wix-site-id"] = SITE
        yield client


async def created(client: httpx.AsyncClient, shared: Installation) -> Listener:
    wire = (await create(client))["listener"]
    found = await shared.database[LISTENERS].find_one({"_id": wire["id"]})
    assert found is not None
    return listener_of(found)


def attempt(seconds_ago: float, status: int | None, seconds: float = 0.02) -> Document:
    at = NOW - timedelta(seconds=seconds_ago)
    return {"at": at, "url": "", "headers": {}, "status": status, "failure": None, "text": "", "seconds": seconds}


def planted(listener: Listener, *log: Document, event_type: str = CREATED, **fields: Any) -> Document:
    event = {"_id": UNKNOWN, "eventType": event_type, "galleryId": UNKNOWN, "sequence": 1, "occurredAt": NOW}
    return {**new_delivery(listener, event, NOW, manual=True), "log": list(log), **fields}


async def test_the_health_of_a_listener(client: httpx.AsyncClient, shared: Installation) -> None:
    listener = await created(client, shared)
    hour = timedelta(hours=1)
    ended: dict[str, Any] = {"status": "delivered", "expiresAt": NOW + hour}
    await shared.database[DELIVERIES].insert_many(
        [
            *(planted(listener, attempt(60, 200), **ended) for _ in range(14)),
            planted(listener, attempt(70, 503, 1.5), attempt(50, 204), **ended),
            *(planted(listener, attempt(5, 500), dueAt=NOW + hour * number) for number in range(1, 6)),
            planted(listener, status="dead"),
            planted(listener, dueAt=NOW - hour),
            planted(listener, status="waiting"),
            planted(listener, status="cancelled"),
        ]
    )
    answer = (await client.get(f"/listeners/{listener.id}/health")).json()
    (health,) = answer["health"]
    assert health.pop("nextAttemptDate") == f"{NOW + hour:%Y-%m-%dT%H:%M:%S}.000Z"
    assert health.pop("oldestDueDate") == f"{NOW - hour:%Y-%m-%dT%H:%M:%S}.000Z"
    assert health.pop("sinceDate") == f"{NOW - timedelta(seconds=70):%Y-%m-%dT%H:%M:%S}.000Z"
    answers = {"circuit": "half-open", "attempts": 21, "succeeded": 15, "p95Seconds": 0.02}
    assert health == {"listenerId": listener.id, **answers, "due": 1, "later": 5, "waiting": 1, "dead": 1}
    assert (answer["hasRelay"], answer["cursor"]) == (False, None)
    await shared.database[WORKERS].insert_one({"_id": "relay", "until": datetime.now(UTC) + hour})
    assert (await client.get(f"/listeners/{listener.id}/health")).json()["hasRelay"]
    await shared.database[WORKERS].delete_one({"_id": "relay"})


async def test_health_has_the_pages_of_the_list(client: httpx.AsyncClient, shared: Installation) -> None:
    for _ in range(3):
        await create(client)
    query: dict[str, Any] = {"limit": 2}
    seen: list[str] = []
    while True:
        listed, health = [(await client.get(path, params=query)).json() for path in ("/listeners", "/listener-health")]
        ids = [one["listenerId"] for one in health["health"]]
        assert (ids, health["cursor"]) == ([one["id"] for one in listed["listeners"]], listed["cursor"])
        seen += ids
        if listed["cursor"] is None:
            break
        query["cursor"] = listed["cursor"]
    assert len(seen) >= 3
    other = {"wix-site-id": "other"}
    assert (await client.get("/listener-health", headers=other)).json()["health"] == []
    assert (await client.get(f"/listeners/{seen[0]}/health", headers=other)).status_code == 404
    assert (await client.get("/listener-health", params={"limit": 21})).status_code == 400


async def test_the_cost_of_health_does_not_grow(client: httpx.AsyncClient, shared: Installation) -> None:
    """However many deliveries there are, the query reads a bounded number of them, by indexes."""
    listener = await created(client, shared)
    later = NOW + timedelta(hours=1)
    many = [
        planted(listener, attempt(9, 200), status=status, dueAt=due)
        for status, due in (("delivered", NOW), ("dead", NOW), ("pending", NOW), ("pending", later), ("waiting", NOW))
        for _ in range(1_500)
    ]
    await shared.database[DELIVERIES].insert_many(many)
    (health,) = (await client.get(f"/listeners/{listener.id}/health")).json()["health"]
    assert [health[name] for name in ("attempts", "due", "later", "waiting", "dead")] == [100, *[1_000] * 4]
    stages = health_stages(SITE, [listener.id], NOW)
    explain = {"aggregate": LISTENERS, "pipeline": stages, "cursor": {}}
    plan = await shared.database.command({"explain": explain, "verbosity": "executionStats"})
    for stage in plan["stages"]:
        if "$lookup" in stage:
            name = stage["$lookup"]["as"]
            assert stage["collectionScans"] == 0, name
            most = 100 if name in ("ended", "tried") else 1_000
            assert stage["totalDocsExamined"] <= most, name
            assert stage["totalKeysExamined"] <= most + 5, name


async def test_the_log_of_one_event_type(
    client: httpx.AsyncClient, shared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = await created(client, shared)
    types = [DELETED, *[CREATED] * 12, DELETED, DELETED]  # the oldest first
    many = [planted(listener, event_type=one, status="dead" if one == DELETED else "pending") for one in types]
    await shared.database[DELIVERIES].insert_many(many)
    wanted = [one["_id"] for one in reversed(many) if one["eventType"] == DELETED]
    path = f"/listeners/{listener.id}/deliveries"

    async def pages(**query: Any) -> list[list[str]]:
        found: list[list[str]] = []
        while True:
            page = (await client.get(path, params=query)).json()
            found.append([delivery["id"] for delivery in page["deliveries"]])
            if page["cursor"] is None:
                return found
            query["cursor"] = page["cursor"]

    assert await pages(eventType=DELETED) == [wanted]
    assert await pages(eventType=DELETED, status="dead", limit=2) == [wanted[:2], wanted[2:]]
    assert await pages(eventType=DELETED, status="delivered") == [[]]
    monkeypatch.setattr("triptych.webhooks.store.resending.SEARCHED", 5)
    assert await pages(eventType=DELETED) == [wanted[:2], [], wanted[2:], []]
    assert [len(page) for page in await pages(eventType=CREATED, limit=2)] == [2, 2, 2, 2, 2, 2, 0]
    assert (await client.get(path, params={"eventType": "nope"})).status_code == 400

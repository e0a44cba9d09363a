"""Reads: from the views, limited to the caller's site, and not older than the caller's last write."""

import asyncio
import uuid

import pytest

from tests.support.backend import DATE, Backend, item
from tests.support.gateway import GALLERIES, RunningGateway, StartGateway
from triptych.gateway.app import PREFIXES
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER

G, I1, I2 = (str(uuid.uuid4()) for _ in range(3))
HEAD = {"id": G, "name": "N", "totalItems": 2, "sortOrder": 1, "createdDate": DATE}


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_four_reads(gateway: RunningGateway, backend: Backend, prefix: str) -> None:
    await backend.store(G, 3, [item(I1, 1), item(I2, 2.5)])
    galleries = f"{prefix}/v2/galleries"
    for path, expected in {
        f"{galleries}": {"totalGalleries": 1, "galleries": [{**HEAD, "items": [item(I2, 2.5), item(I1, 1)]}]},
        f"{galleries}?itemLimit=1&limit=3&offset=0": {
            "totalGalleries": 1,
            "galleries": [{**HEAD, "items": [item(I2, 2.5)]}],
        },
        f"{galleries}?offset=1": {"totalGalleries": 1, "galleries": []},
        f"{galleries}/{G.upper()}?galleryId={I1}": {"gallery": {**HEAD, "items": [item(I2, 2.5), item(I1, 1)]}},
        f"{galleries}/{G}?itemLimit=200&itemOffset=1": {"gallery": {**HEAD, "items": [item(I1, 1)]}},
        f"{galleries}/{G}/items?itemLimit=1": {"items": [item(I2, 2.5)]},
        f"{galleries}/{G}/items?itemOffset=2147483647": {"items": []},
        f"{galleries}/{G}/items/{I1}?galleryId={I2}&itemId={I2}": {"item": item(I1, 1)},
    }.items():
        answer = await gateway.client.get(path)
        assert (answer.status_code, answer.json()) == (200, expected), path


async def test_what_does_not_exist_or_belongs_to_another_site(gateway: RunningGateway, backend: Backend) -> None:
    await backend.store(G, 3, [item(I1, 1)])
    other_site = {"wix-site-id": "other"}
    for path, headers, data in [
        (f"{GALLERIES}/{I2}", {}, {"galleryId": I2}),
        (f"{GALLERIES}/{I2}/items", {}, {"galleryId": I2}),
        (f"{GALLERIES}/{I2}/items/{I1}", {}, {"galleryId": I2, "itemId": I1}),
        (f"{GALLERIES}/{G}/items/{I2}", {}, {"galleryId": G, "itemId": I2}),
        (f"{GALLERIES}/{G}", other_site, {"galleryId": G}),
        (f"{GALLERIES}/{G}/items", other_site, {"galleryId": G}),
        (f"{GALLERIES}/{G}/items/{I1}", other_site, {"galleryId": G, "itemId": I1}),
    ]:
        answer = await gateway.client.get(path, headers=headers)
        error = answer.json()["details"]["applicationError"]
        assert (answer.status_code, error["code"], error["data"]) == (404, "NOT_FOUND", data), path
    assert (await gateway.client.get(GALLERIES, headers=other_site)).json() == {"totalGalleries": 0, "galleries": []}


async def test_every_wrong_parameter_is_reported(gateway: RunningGateway) -> None:
    answer = await gateway.client.get(f"{GALLERIES}/nope?itemLimit=201&itemOffset=")
    violations = answer.json()["details"]["validationError"]["fieldViolations"]
    assert answer.status_code == 400
    assert [(found["field"], found["violatedRule"], found["data"]) for found in violations] == [
        ("galleryId", "FORMAT", {"expected": "GUID"}),
        ("itemLimit", "MAX", {"threshold": 200}),
        ("itemOffset", "FORMAT", {"expected": "integer"}),
    ]
    answer = await gateway.client.get(f"{GALLERIES}?limit=11&offset=-1&itemLimit=0")
    violations = answer.json()["details"]["validationError"]["fieldViolations"]
    assert [found["field"] for found in violations] == ["limit", "offset", "itemLimit"]


async def test_a_read_waits_for_the_position_that_it_carries(gateway: RunningGateway, backend: Backend) -> None:
    await backend.store(G, 4)
    reading = asyncio.create_task(gateway.client.get(f"{GALLERIES}/{G}", headers={CONSISTENT_HEADER: f"{G}:6"}))
    await backend.store(G, 5)
    await backend.store(G, 6, [item(I1)])
    assert (await reading).json()["gallery"]["totalItems"] == 1
    gateway.assert_nothing_waits()


async def test_a_read_that_would_be_too_old_says_so(start_gateway: StartGateway, backend: Backend) -> None:
    await backend.store(G, 4)
    async with start_gateway(gateway_view_timeout=0.2) as gateway:
        answer = await gateway.client.get(GALLERIES, headers={CONSISTENT_HEADER: f"{G}:5"})
        assert (answer.status_code, answer.json()) == (503, {"message": "", "details": {}})
        assert answer.headers["Retry-After"] == "1"
        for reached in (f"{G}:4", "somebody else's"):
            answer = await gateway.client.get(f"{GALLERIES}/{G}", headers={CONSISTENT_HEADER: reached})
            assert answer.status_code == 200
        gateway.assert_nothing_waits()

"""Reads: from the views, limited to the caller's site, and not older than the caller's last write."""

import asyncio
import uuid

import pytest

from tests.support.backend import DATE, Backend, item
from tests.support.gateway import GALLERIES, RunningGateway, StartGateway, shared
from triptych.gateway.app import PREFIXES
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER

pytestmark = shared("reads of the gateway")


@pytest.fixture
def site(gateway: RunningGateway) -> str:
    """A site that no other test uses; the gateway's client names it."""
    gateway.client.headers["wix-site-id"] = site_id = uuid.uuid4().hex
    return site_id


def new_ids() -> tuple[str, str, str]:
    """The ids of a gallery and of two items."""
    return str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_four_reads(gateway: RunningGateway, backend: Backend, site: str, prefix: str) -> None:
    gallery_id, item_1, item_2 = new_ids()
    head = {"id": gallery_id, "name": "N", "totalItems": 2, "sortOrder": 1, "createdDate": DATE}
    await backend.store(gallery_id, 3, [item(item_1, 1), item(item_2, 2.5)], site_id=site)
    galleries = f"{prefix}/v2/galleries"
    for path, expected in {
        f"{galleries}": {"totalGalleries": 1, "galleries": [{**head, "items": [item(item_2, 2.5), item(item_1, 1)]}]},
        f"{galleries}?itemLimit=1&limit=3&offset=0": {
            "totalGalleries": 1,
            "galleries": [{**head, "items": [item(item_2, 2.5)]}],
        },
        f"{galleries}?offset=1": {"totalGalleries": 1, "galleries": []},
        f"{galleries}/{gallery_id.upper()}?galleryId={item_1}": {
            "gallery": {**head, "items": [item(item_2, 2.5), item(item_1, 1)]}
        },
        f"{galleries}/{gallery_id}?itemLimit=200&itemOffset=1": {"gallery": {**head, "items": [item(item_1, 1)]}},
        f"{galleries}/{gallery_id}/items?itemLimit=1": {"items": [item(item_2, 2.5)]},
        f"{galleries}/{gallery_id}/items?itemOffset=2147483647": {"items": []},
        f"{galleries}/{gallery_id}/items/{item_1}?galleryId={item_2}&itemId={item_2}": {"item": item(item_1, 1)},
    }.items():
        answer = await gateway.client.get(path)
        assert (answer.status_code, answer.json()) == (200, expected), path


async def test_what_does_not_exist_or_belongs_to_another_site(
    gateway: RunningGateway, backend: Backend, site: str
) -> None:
    gallery_id, item_1, item_2 = new_ids()
    await backend.store(gallery_id, 3, [item(item_1, 1)], site_id=site)
    other_site = {"wix-site-id": "other"}
    for path, headers, data in [
        (f"{GALLERIES}/{item_2}", {}, {"galleryId": item_2}),
        (f"{GALLERIES}/{item_2}/items", {}, {"galleryId": item_2}),
        (f"{GALLERIES}/{item_2}/items/{item_1}", {}, {"galleryId": item_2, "itemId": item_1}),
        (f"{GALLERIES}/{gallery_id}/items/{item_2}", {}, {"galleryId": gallery_id, "itemId": item_2}),
        (f"{GALLERIES}/{gallery_id}", other_site, {"galleryId": gallery_id}),
        (f"{GALLERIES}/{gallery_id}/items", other_site, {"galleryId": gallery_id}),
        (f"{GALLERIES}/{gallery_id}/items/{item_1}", other_site, {"galleryId": gallery_id, "itemId": item_1}),
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


async def test_a_read_waits_for_the_position_that_it_carries(
    gateway: RunningGateway, backend: Backend, site: str
) -> None:
    gallery_id, item_1, _ = new_ids()
    await backend.store(gallery_id, 4, site_id=site)
    reading = asyncio.create_task(
        gateway.client.get(f"{GALLERIES}/{gallery_id}", headers={CONSISTENT_HEADER: f"{gallery_id}:6"})
    )
    await backend.store(gallery_id, 5, site_id=site)
    await backend.store(gallery_id, 6, [item(item_1)], site_id=site)
    assert (await reading).json()["gallery"]["totalItems"] == 1
    gateway.assert_nothing_waits()


async def test_a_read_that_would_be_too_old_says_so(start_gateway: StartGateway, backend: Backend) -> None:
    gallery_id, _, _ = new_ids()
    await backend.store(gallery_id, 4)
    async with start_gateway(gateway_view_timeout=0.2) as gateway:
        answer = await gateway.client.get(GALLERIES, headers={CONSISTENT_HEADER: f"{gallery_id}:5"})
        assert (answer.status_code, answer.json()) == (503, {"message": "", "details": {}})
        assert answer.headers["Retry-After"] == "1"
        for reached in (f"{gallery_id}:4", "somebody else's"):
            answer = await gateway.client.get(f"{GALLERIES}/{gallery_id}", headers={CONSISTENT_HEADER: reached})
            assert answer.status_code == 200
        gateway.assert_nothing_waits()

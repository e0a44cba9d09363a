"""Measures how fast pages of 50 items are read over HTTP: the gateway, and one find behind the smallest HTTP server."""

import asyncio
import uuid

import aiohttp

from benchmarks.http_load import Request, at_a_time, until_ready
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from benchmarks.statistics import percentile
from benchmarks.usage import Meter
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.gateway.access.keys import store_key
from triptych.kit.mongo.driver import Document
from triptych.kit.startup.provision import ensure_indexes
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS, gallery_document, item_document
from triptych.readmodel.queries import INDEXES

KEY = "benchmark"
GALLERY_ID = str(uuid.UUID(int=1, version=4))
ITEMS, PAGE = 500, 50
WIDTH, WIDE = 16, 5_000
SINGLE, WARM_UP = 1_000, 500
STOP_SECONDS = 30.0
DATE = "2025-01-01T00:00:00.000Z"


async def _fill(of_round: Round) -> None:
    """Store a gallery as the projector does."""
    await ensure_indexes(of_round.database, INDEXES)
    gallery = {"id": GALLERY_ID, "name": "N", "sortOrder": 1, "createdDate": DATE}
    head = gallery_document("default", gallery, total_items=ITEMS, sequence=ITEMS + 1)
    await of_round.database[GALLERY_VIEWS].insert_one(head)
    await of_round.database[ITEM_VIEWS].insert_many([_item(number) for number in range(ITEMS)])


def _item(number: int) -> Document:
    item = {
        "id": str(uuid.UUID(int=number, version=4)),
        "sortOrder": number,
        "title": f"Photo {number}",
        "description": "Morning light over the harbour, taken from the north pier just after the fog had lifted.",
        "type": "IMAGE",
        "image": {
            "imageInfo": {"id": f"{number}~mv2.jpg", "url": "https://example.com/a.jpg", "height": 3024, "width": 4032},
            "focalPoint": {"x": 0.5, "y": 0.375},
            "quality": 90,
        },
        "tags": {"values": ["harbour", "morning", "boats"]},
        "createdDate": DATE,
        "updatedDate": DATE,
    }
    return item_document("default", GALLERY_ID, item, number + 2)


async def _measure(request: Request, meter: Meter) -> Figures:
    await at_a_time(request, WIDTH, WARM_UP)
    single, _ = await at_a_time(request, 1, SINGLE)
    usage = meter.read()
    _, rate = await at_a_time(request, WIDTH, WIDE)
    return {
        "reads_per_second": rate,
        "one_at_a_time_p50_ms": percentile(single, 0.5),
        "one_at_a_time_p99_ms": percentile(single, 0.99),
        **meter.since(usage, WIDE),
    }


async def _play(of_round: Round, child: Child, ready: str, url: str) -> Figures:
    try:
        await until_ready(child, ready)
        async with aiohttp.ClientSession(headers={"Authorization": KEY}) as session:

            async def request() -> None:
                async with session.get(url) as answer:
                    body = await answer.read()
                    if answer.status != 200 or body.count(b'"sortOrder"') != PAGE:
                        raise RoundFailed(f"a read was answered with {answer.status}")

            return await _measure(request, of_round.meter([child]))
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)


async def product(of_round: Round) -> Figures:
    """The operation listGalleryItems, with authentication, site and ETag."""
    await _fill(of_round)
    await store_key(of_round.database, KEY, site_id=None, scopes=["read"], name=KEY)
    (port,) = free_ports(1)
    child = of_round.start("triptych.gateway", gateway_port=port)
    base = f"http://127.0.0.1:{port}"
    return await _play(
        of_round, child, f"{base}/health/ready", f"{base}/progallery/v2/galleries/{GALLERY_ID}/items?itemLimit={PAGE}"
    )


async def floor(of_round: Round) -> Figures:
    """A find and `orjson.dumps`."""
    await _fill(of_round)
    (port,) = free_ports(1)
    child = of_round.start("benchmarks.baselines.http_read_floor", str(port), GALLERY_ID)
    return await _play(of_round, child, f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/")


SCENARIO = Scenario(
    name="http-read",
    description=f"pages of {PAGE} items of a gallery of {ITEMS} over HTTP, {WIDTH} at a time",
    variants={"product": product, "floor": floor},
)

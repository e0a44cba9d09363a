"""Measures how fast items are created by the thousand: as lines over HTTP, and as commands over the topic."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp

from benchmarks.http_load import until_ready
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from benchmarks.simulation import photo
from triptych.client import Commands, create_many
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.gateway.access.keys import store_key

KEY = "benchmark"
ITEMS = 40_000
WARM_UP = 2_000
STOP_SECONDS = 30.0


@asynccontextmanager
async def _services(of_round: Round, *names: str) -> AsyncIterator[tuple[dict[str, int], list[Child]]]:
    """Run these services until the block ends; their ports and processes."""
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    children = []
    with ExitStack() as stack:
        for name, port in ports.items():
            logged = replace(of_round, folder=of_round.folder / name)
            child = logged.start(f"triptych.{name}", **{f"{name}_port": port})
            children.append(child)
            stack.callback(child.stop, STOP_SECONDS)
            await until_ready(child, f"http://127.0.0.1:{port}/health/ready")
        yield ports, children


async def product(of_round: Round) -> Figures:
    """One request with lines, until its response ends and every reader sees the items."""
    await store_key(of_round.database, KEY, site_id=None, scopes=["read", "manage"], name=KEY)
    async with (
        _services(of_round, "command", "projector", "gateway") as (ports, children),
        aiohttp.ClientSession(headers={"Authorization": KEY}) as session,
    ):
        address = f"http://127.0.0.1:{ports['gateway']}/progallery/v2/galleries"

        async def send(count: int) -> float:
            async with session.post(address) as made:
                path = f"{address}/{(await made.json())['gallery']['id']}/items/bulk/lines"
            body = b"".join(json.dumps(photo(number, f"Photo {number}")).encode() + b"\n" for number in range(count))
            started = time.perf_counter()
            async with session.post(path, data=body, headers={"Content-Type": "application/x-ndjson"}) as answer:
                last = b""
                async for line in answer.content:
                    last = line
            seconds = time.perf_counter() - started
            end = json.loads(last)
            if not end["isShown"] or end["bulkActionMetadata"] != {"totalSuccesses": count, "totalFailures": 0}:
                raise RoundFailed(f"the response ended with {end}")
            return seconds

        await send(WARM_UP)
        meter = of_round.meter(children)
        usage = meter.read()
        seconds = await send(ITEMS)
        figures = {"items_per_second": ITEMS / seconds, **meter.since(usage, ITEMS)}
    await _check(of_round, "item_views")
    return figures


async def topic(of_round: Round) -> Figures:
    """The same items by `create_many` of the Python client, until the last reply."""
    async with _services(of_round, "command", "projector") as (_, children):
        settings = of_round.settings
        async with Commands(settings.kafka_bootstrap, source="bench", topic_prefix=settings.topic_prefix) as commands:

            async def send(count: int) -> float:
                gallery_id = str(uuid.uuid4())
                await commands.create_gallery(gallery_id=gallery_id)
                items = [photo(number, f"Photo {number}") for number in range(count)]
                started = time.perf_counter()
                created = 0
                async for reply in create_many(commands, gallery_id, items):
                    created += len(reply.item_ids or ())
                if created != count:
                    raise RoundFailed(f"{count} items were sent, and {created} created")
                return time.perf_counter() - started

            await send(WARM_UP)
            meter = of_round.meter(children)
            usage = meter.read()
            seconds = await send(ITEMS)
            figures = {"items_per_second": ITEMS / seconds, **meter.since(usage, ITEMS)}
    await _check(of_round, "items")
    return figures


async def _check(of_round: Round, collection: str) -> None:
    stored = await of_round.database[collection].count_documents({})
    if stored != ITEMS + WARM_UP:
        raise RoundFailed(f"{ITEMS + WARM_UP} items were created, and {stored} are in {collection}")


SCENARIO = Scenario(
    name="http-lines",
    description=f"{ITEMS:,} images in one gallery, as lines of one HTTP request until every reader sees them, and as"
    " commands of 500 items over the topic until the last reply",
    variants={"product": product, "topic": topic},
)

"""Measures how long an HTTP write takes until every reader sees it, compared with the network hops alone."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp

from benchmarks.figures import CPU
from benchmarks.http_load import Request, at_a_time, at_rate, together, until_ready
from benchmarks.process import tree_cpu_seconds
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from benchmarks.statistics import percentile
from benchmarks.usage import Meter
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.gateway.access.keys import store_key

KEY = "benchmark"
STEADY_PER_SECOND, STEADY = 20, 400
SINGLE = 200
WIDTH, WIDER, WIDE = 32, 128, 2_000
"""Requests in flight, twice, and how many are sent in each of the two cases."""
TOGETHER = 40 * WIDTH
# Enough for a second batch on every partition: Kafka creates two index files for it, which takes up to 40 ms.
WARM_UP = 400
STOP_SECONDS = 30.0
BODY = {
    "item": {
        "title": "Photo",
        "description": "Morning light over the harbour, taken from the north pier just after the fog had lifted.",
        "image": {"imageInfo": {"url": "https://example.com/harbour.jpg"}, "quality": 90},
        "tags": {"values": ["harbour", "morning"]},
    }
}
GALLERIES = 50


async def _measure(request: Request, meter: Meter, processes: Mapping[str, Child]) -> Figures:
    await at_a_time(request, 4, WARM_UP)
    steady = await at_rate(request, STEADY_PER_SECOND, STEADY)
    single, _ = await at_a_time(request, 1, SINGLE)
    usage = meter.read()
    wide = await _wide(request, processes, WIDTH)
    used = meter.since(usage, WIDE)
    return {
        "at_20_a_second_p50_ms": percentile(steady, 0.5),
        "at_20_a_second_p99_ms": percentile(steady, 0.99),
        "one_at_a_time_p50_ms": percentile(single, 0.5),
        "one_at_a_time_p99_ms": percentile(single, 0.99),
        **wide,
        **used,
        **await _wide(request, processes, WIDER),
        **await _together(request, meter),
    }


async def _wide(request: Request, processes: Mapping[str, Child], width: int) -> Figures:
    """The latencies and the rate with `width` requests in flight, and the processor time of each process."""
    before = {name: tree_cpu_seconds(child.pid) for name, child in processes.items()}
    times, rate = await at_a_time(request, width, WIDE)
    return {
        f"{width}_at_a_time_p50_ms": percentile(times, 0.5),
        f"{width}_at_a_time_p99_ms": percentile(times, 0.99),
        f"{width}_at_a_time_per_second": rate,
        **{
            f"{width}_at_a_time_{name}{CPU}": 1_000 * (tree_cpu_seconds(child.pid) - before[name]) / WIDE
            for name, child in processes.items()
        },
    }


async def _together(request: Request, meter: Meter) -> Figures:
    """The rate and the processor time with the largest batches that `WIDTH` requests in flight can make."""
    usage = meter.read()
    rate = await together(request, WIDTH, TOGETHER)
    used = meter.since(usage, TOGETHER)
    total = {f"{WIDTH}_together_{name}": value for name, value in used.items() if name == f"total{CPU}"}
    return {f"{WIDTH}_together_per_second": rate, **total}


WRITES = WARM_UP + STEADY + SINGLE + 2 * WIDE + TOGETHER


def _connector() -> aiohttp.TCPConnector:
    """Connections without a limit: aiohttp's own one is 100."""
    return aiohttp.TCPConnector(limit=0)


@asynccontextmanager
async def _services(of_round: Round) -> AsyncIterator[tuple[str, dict[str, Child]]]:
    """Run the product until the block ends; the address of its gateway, and the processes by service."""
    await store_key(of_round.database, KEY, site_id=None, scopes=["read", "manage"], name=KEY)
    children: dict[str, Child] = {}
    with ExitStack() as stack:
        ports = free_ports(3)
        for name, port in zip(("command", "projector", "gateway"), ports, strict=True):
            logged = replace(of_round, folder=of_round.folder / name)
            child = logged.start(f"triptych.{name}", **{f"{name}_port": port})
            children[name] = child
            stack.callback(child.stop, STOP_SECONDS)
            await until_ready(child, f"http://127.0.0.1:{port}/health/ready")
        yield f"http://127.0.0.1:{ports[-1]}/progallery/v2/galleries", children


async def product(of_round: Round) -> Figures:
    """The operation createGalleryItem, which is answered when every reader sees the item."""
    async with (
        _services(of_round) as (address, children),
        aiohttp.ClientSession(headers={"Authorization": KEY}, connector=_connector()) as session,
    ):
        galleries = []
        for _ in range(GALLERIES):
            async with session.post(address) as answer:
                galleries.append((await answer.json())["gallery"]["id"])
        turn = 0

        async def request() -> None:
            nonlocal turn
            turn += 1
            async with session.post(f"{address}/{galleries[turn % GALLERIES]}/items", json=BODY) as answer:
                if answer.status != 200 or "id" not in (await answer.json())["item"]:
                    raise RoundFailed(f"a write was answered with {answer.status}")

        figures = await _measure(request, of_round.meter([*children.values()]), children)
    stored = await of_round.database["item_views"].count_documents({})
    if stored != WRITES:
        raise RoundFailed(f"{WRITES} writes, {stored} items")
    return figures


async def floor(of_round: Round) -> Figures:
    """Two Kafka round trips, one transaction and one view write."""
    (port,) = free_ports(1)
    child = of_round.start("benchmarks.baselines.http_write_floor", str(port))
    try:
        address = f"http://127.0.0.1:{port}/"
        await until_ready(child, address)
        async with aiohttp.ClientSession(connector=_connector()) as session:

            async def request() -> None:
                async with session.post(address, json=BODY) as answer:
                    if uuid.UUID((await answer.json())["_id"]).version != 4:
                        raise RoundFailed("a write was answered wrongly")

            figures = await _measure(request, of_round.meter([child]), {})
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)
    stored = await of_round.database["views"].count_documents({})
    if stored != WRITES:
        raise RoundFailed(f"{WRITES} writes, {stored} items")
    return figures


SCENARIO = Scenario(
    name="http-write",
    description="one item over HTTP until every reader sees it, and the raw hops of it",
    variants={"product": product, "floor": floor},
)

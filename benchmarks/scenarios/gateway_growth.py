"""Measures whether a gateway works more when others write too: its processor time for each of its own writes."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import aiohttp

from benchmarks.http_load import Request, at_rate, until_ready
from benchmarks.process import tree_cpu_seconds
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from benchmarks.scenarios.http_write import BODY, KEY, STOP_SECONDS
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.gateway.access.keys import store_key

OTHERS = (0, 1, 3)
"""How many other gateways write as much at the same time."""
PER_SECOND, WRITES, WARM_UP = 20, 400, 100
GALLERIES = 12
"""Of each gateway, so that every gateway writes to most partitions."""


async def product(of_round: Round) -> Figures:
    """The operation createGalleryItem through several gateways. The first one is measured."""
    await store_key(of_round.database, KEY, site_id=None, scopes=["read", "manage"], name=KEY)
    figures: Figures = {}
    requests: list[Request] = []
    async with aiohttp.ClientSession(headers={"Authorization": KEY}) as session:
        with ExitStack() as stack:
            for name in ("command", "projector"):
                await _started(of_round, stack, name, name)
            for others in OTHERS:
                while len(requests) <= others:
                    child, address = await _started(of_round, stack, "gateway", f"gateway-{len(requests)}")
                    if not requests:
                        measured = child
                    requests.append(await _writing(session, f"{address}/progallery/v2/galleries"))
                await _all_at_rate(requests, WARM_UP)
                begun = tree_cpu_seconds(measured.pid)
                await _all_at_rate(requests, WRITES)
                figures[f"cpu_ms_per_write_with_{others}"] = 1_000 * (tree_cpu_seconds(measured.pid) - begun) / WRITES
    stored = await of_round.database["item_views"].count_documents({})
    expected = sum(1 + others for others in OTHERS) * (WARM_UP + WRITES)
    if stored != expected:
        raise RoundFailed(f"{expected} writes, {stored} items")
    alone = figures[f"cpu_ms_per_write_with_{OTHERS[0]}"]
    figures["growth"] = figures[f"cpu_ms_per_write_with_{OTHERS[-1]}"] / alone
    return figures


async def _started(of_round: Round, stack: ExitStack, service: str, name: str) -> tuple[Child, str]:
    """A service that is ready, and its address."""
    (port,) = free_ports(1)
    child = replace(of_round, folder=of_round.folder / name).start(f"triptych.{service}", **{f"{service}_port": port})
    stack.callback(child.stop, STOP_SECONDS)
    address = f"http://127.0.0.1:{port}"
    await until_ready(child, f"{address}/health/ready")
    return child, address


async def _writing(session: aiohttp.ClientSession, address: str) -> Request:
    """Create galleries through a gateway; the result adds an item to one of them in turn."""
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

    return request


async def _all_at_rate(requests: list[Request], count: int) -> None:
    await asyncio.gather(*(at_rate(request, PER_SECOND, count) for request in requests))


SCENARIO = Scenario(
    name="gateway-growth",
    description=f"processor time of a gateway for each of its writes, {PER_SECOND} a second, while"
    f" {', '.join(map(str, OTHERS))} others write as much; growth is the last against the first",
    variants={"product": product},
)

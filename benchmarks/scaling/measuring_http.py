"""Measures points of the relay and of the gateway: deliveries to listeners, and writes and reads over HTTP."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.http_load import at_a_time
from benchmarks.process import peak_rss_mib
from benchmarks.scaling import loads, stored
from benchmarks.scaling.measuring import committed, expire, observe, used
from benchmarks.scaling.points import Conditions, Measured
from benchmarks.scaling.stage import Service, Stage, batches, staged, stop
from benchmarks.scenario import ROOT, RoundFailed
from benchmarks.scenarios.http_write import BODY
from benchmarks.servers import Servers
from benchmarks.simulation import gallery_id
from benchmarks.webhooks import events_of, message_of, subscribe_in
from triptych.devstack.children import start_child
from triptych.devstack.ports import free_ports
from triptych.devstack.stack import Addresses
from triptych.gateway.access.keys import store_key
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.webhooks.store.delivery_documents import DELIVERIES

KEY = "scaling"
WARM_UP = 400
STOP_SECONDS = 30.0


async def measure_relay(
    conditions: Conditions, addresses: Addresses, servers: Servers, folder: Path, measured: Measured
) -> dict[str, float]:
    """The figures of events that relays deliver to listeners on this machine. Raises RoundFailed."""
    async with staged(conditions, addresses, servers, folder, None) as stage, _receiver(stage) as port:
        await subscribe_in(stage.database, port, conditions.listeners, "standard-hmac")
        fields = {"local": True, "webhooks_allowed_networks": "127.0.0.0/8"}
        services = await stage.start("webhooks", conditions.processes, **fields)
        offsets = GroupOffsets(stage.settings, stage.topics.events, f"{stage.name}.webhooks.v1")

        async def done() -> int:
            """The recorded deliveries, or the events that were read if nobody wants them."""
            if conditions.listeners:
                return int(await stage.database[DELIVERIES].count_documents({"status": "delivered"}))
            return await committed(offsets)

        async def load(count: int, _: int, per_second: int) -> Callable[[], Awaitable[None]]:
            messages = [message_of(event) for event in events_of(count)]
            records = [OutgoingRecord(stage.topics.events, each.key, each.value, each.headers) for each in messages]
            return lambda: loads.publish(stage, records, per_second)

        try:
            figures = await observe(stage, services, stage.topics.events, load, done, max(1, conditions.listeners))
        finally:
            await stop(services)
            await offsets.stop()
        return figures | await expire(stage, measured)


@asynccontextmanager
async def _receiver(stage: Stage) -> AsyncIterator[int]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.baselines.webhooks_receiver", str(port)]
    child = start_child(command, log=stage.folder / f"{stage.name}-receiver.log", cwd=ROOT)
    try:
        yield port
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)


async def measure_writes(
    conditions: Conditions, addresses: Addresses, servers: Servers, folder: Path, _: Measured
) -> dict[str, float]:
    """The figures of items that are created over HTTP: of gateways, command service, projector and servers."""
    async with staged(conditions, addresses, servers, folder, None) as stage:
        await store_key(stage.database, KEY, site_id=None, scopes=["read", "manage"], name=KEY)
        services: list[Service] = []
        try:
            for name, processes in (("command", 1), ("projector", 1), ("gateway", conditions.processes)):
                services += await stage.start(name, processes)
            async with aiohttp.ClientSession(headers={"Authorization": KEY}) as session:
                addresses_of = _addresses(services)
                galleries = []
                for _number in range(conditions.galleries):
                    async with session.post(addresses_of[0]) as answer:
                        galleries.append((await answer.json())["gallery"]["id"])
                turn = 0

                async def request() -> None:
                    nonlocal turn
                    turn += 1
                    url = f"{addresses_of[turn % len(addresses_of)]}/{galleries[turn % len(galleries)]}/items"
                    async with session.post(url, json=BODY) as answer:
                        if answer.status != 200 or "id" not in (await answer.json())["item"]:
                            raise RoundFailed(f"a write was answered with {answer.status}")

                return await _observe_requests(stage, services, request)
        finally:
            await stop(services)


async def measure_reads(
    conditions: Conditions, addresses: Addresses, servers: Servers, folder: Path, _: Measured
) -> dict[str, float]:
    """The figures of pages of items that are read over HTTP: of gateways and servers."""
    database_name = stored.name_of(conditions.galleries, conditions.items)
    async with staged(conditions, addresses, servers, folder, database_name) as stage:
        if conditions.galleries > 10_000 and conditions.cache_mib > 1_000:
            await stored.load_into_cache(stage.database, conditions.part)
        await store_key(stage.database, KEY, site_id=None, scopes=["read", "manage"], name=KEY)
        services = await stage.start("gateway", conditions.processes)
        try:
            async with aiohttp.ClientSession(headers={"Authorization": KEY}) as session:
                addresses_of = _addresses(services)
                chosen = loads.draws(conditions, conditions.operations + WARM_UP, 3)

                async def request() -> None:
                    number = chosen.pop()
                    address = addresses_of[number % len(addresses_of)]
                    url = f"{address}/{gallery_id(number)}/items?itemLimit={conditions.items}"
                    async with session.get(url) as answer:
                        body = await answer.read()
                        if answer.status != 200 or body.count(b'"sortOrder"') != conditions.items:
                            raise RoundFailed(f"a read was answered with {answer.status}")

                return await _observe_requests(stage, services, request)
        finally:
            await stop(services)


async def _observe_requests(
    stage: Stage, services: list[Service], request: Callable[[], Awaitable[None]]
) -> dict[str, float]:
    await at_a_time(request, stage.conditions.in_flight, WARM_UP)
    await asyncio.sleep(1.0)
    counted = await _batches(stage, services)
    began = await stage.read(services)
    await at_a_time(request, stage.conditions.in_flight, stage.conditions.operations)
    figures = used(began, await stage.read(services))
    figures |= {name: value - counted[name] for name, value in (await _batches(stage, services)).items()}
    return {**figures, "peak_rss_mib": max(peak_rss_mib(each.child.pid) for each in services if each.name == "gateway")}


async def _batches(stage: Stage, services: list[Service]) -> dict[str, float]:
    """The batches of the services behind the gateway, by figure."""
    topics = {"command": stage.topics.commands, "projector": stage.topics.events}
    return {
        f"batches_{each.name}": await batches([each], topics[each.name]) for each in services if each.name in topics
    }


def _addresses(services: list[Service]) -> list[str]:
    gateways = [service for service in services if service.name == "gateway"]
    return [f"http://127.0.0.1:{service.port}/progallery/v2/galleries" for service in gateways]


MEASURES = {"relay": measure_relay, "write": measure_writes, "read": measure_reads}

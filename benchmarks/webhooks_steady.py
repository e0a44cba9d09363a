"""Measures a relay that is already running: a steady stream of events, and one event to many listeners."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from benchmarks.statistics import percentile
from benchmarks.webhooks import (
    POLL_SECONDS,
    STOP_SECONDS,
    events_of,
    message_of,
    running_receiver,
    subscribe,
)
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.app import INDEXES
from triptych.webhooks.store.delivery_documents import DELIVERIES

READY_SECONDS = 60.0
WARM_UP = 50


@asynccontextmanager
async def running_relay(of_round: Round) -> AsyncIterator[Child]:
    """Run a relay until the block ends."""
    fields = {"webhooks_port": 0, "local": True, "webhooks_allowed_networks": "127.0.0.0/8"}
    relay = of_round.start("triptych.webhooks", **fields)
    try:
        yield relay
    finally:
        await asyncio.to_thread(relay.stop, STOP_SECONDS)


@asynccontextmanager
async def hanging_server() -> AsyncIterator[int]:
    """Run a server that accepts connections and never responds; its port."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def steady(of_round: Round, events: int, per_second: float, *, troubled: bool) -> Figures:
    """The latencies of a good listener; if `troubled`, with another that hangs and one that refuses connections."""
    (port,) = free_ports(1)
    async with running_receiver(of_round, port) as receiver, hanging_server() as stuck:
        await subscribe(of_round, port, 1, "standard-hmac")
        if troubled:
            (closed,) = free_ports(1)
            await subscribe(of_round, stuck, 1, "standard-hmac")
            await subscribe(of_round, closed, 1, "standard-hmac")
        good = await of_round.database["listeners"].find_one({"url": f"http://127.0.0.1:{port}/0"})
        assert good is not None
        publisher = Publisher(lambda: make_producer(of_round.settings))
        try:
            async with running_relay(of_round) as relay:
                meter = of_round.meter([relay], [receiver])
                await _publish_steadily(of_round, publisher, WARM_UP, per_second)
                await _delivered(of_round, good["_id"], WARM_UP)
                usage = meter.read()
                await _publish_steadily(of_round, publisher, events, per_second)
                latencies = (await _delivered(of_round, good["_id"], WARM_UP + events))[WARM_UP:]
                used = meter.since(usage, events)
        finally:
            await publisher.stop()
    return {"p50_ms": percentile(latencies, 0.5), "p99_ms": percentile(latencies, 0.99), **used}


def fan_out_scenario(dialect: str, listeners: int) -> Scenario:
    """The scenario of one event to many listeners in one dialect: the relay, and the floor."""

    async def product(of_round: Round) -> Figures:
        (port,) = free_ports(1)
        await subscribe(of_round, port, listeners, dialect)
        return await _fan_out(of_round, port, listeners, running_relay(of_round))

    async def floor(of_round: Round) -> Figures:
        (port,) = free_ports(1)
        await ensure_indexes(of_round.database, INDEXES)
        return await _fan_out(of_round, port, listeners, _running_floor(of_round, port, listeners, dialect))

    return Scenario(
        name=f"webhooks-fan-out-{dialect}",
        description=f"one event to {listeners} listeners on loopback, {dialect}, to the last recorded answer",
        variants={"product": product, "floor": floor},
    )


@asynccontextmanager
async def _running_floor(of_round: Round, port: int, listeners: int, dialect: str) -> AsyncIterator[Child]:
    floor = of_round.start("benchmarks.baselines.webhooks_floor", str(port), str(listeners), dialect)
    try:
        yield floor
    finally:
        await asyncio.to_thread(floor.stop, STOP_SECONDS)


async def _fan_out(of_round: Round, port: int, listeners: int, running: AbstractAsyncContextManager[Child]) -> Figures:
    """How long one event takes until all listeners have responded, on a sender that is warm."""
    async with running_receiver(of_round, port) as receiver:
        publisher = Publisher(lambda: make_producer(of_round.settings))
        try:
            async with running as sender:
                meter = of_round.meter([sender], [receiver])
                for number in (1, 2):
                    usage = meter.read()
                    await _publish_steadily(of_round, publisher, 1, 1_000)
                    latencies = await _delivered(of_round, None, number * listeners)
                    used = meter.since(usage, listeners)
        finally:
            await publisher.stop()
    return {"last_answer_ms": max(latencies[listeners:]), **used}


async def _publish_steadily(of_round: Round, publisher: Publisher, count: int, per_second: float) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(count):
        await asyncio.sleep(max(0.0, started + number / per_second - loop.time()))
        message = message_of(events_of(1)[0])  # made now, because its time is the time of publication
        await publisher.publish([OutgoingRecord(of_round.topics.events, message.key, message.value, message.headers)])


async def _delivered(of_round: Round, listener_id: str | None, count: int) -> list[float]:
    """The milliseconds from each event to its recorded response, in order of the events."""
    query = {"status": "delivered", **({} if listener_id is None else {"listenerId": listener_id})}
    deadline = asyncio.get_running_loop().time() + READY_SECONDS
    while await of_round.database[DELIVERIES].count_documents(query) < count:
        if asyncio.get_running_loop().time() > deadline:
            raise RoundFailed(f"not {count} deliveries within {READY_SECONDS:g} s")
        await asyncio.sleep(POLL_SECONDS)
    found = await of_round.database[DELIVERIES].find(query).sort([("occurredAt", 1)]).to_list(None)
    return [(row["log"][-1]["at"] - row["occurredAt"]) / timedelta(milliseconds=1) for row in found]

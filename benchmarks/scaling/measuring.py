"""Measures one point: starts the processes, warms them up, and relates what all processes use to the operations."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import TopicPartition

from benchmarks.process import peak_rss_mib
from benchmarks.scaling import loads, stored
from benchmarks.scaling.points import WARM_UPS, Conditions, Measured
from benchmarks.scaling.stage import Reading, Service, Stage, batches, staged, stop
from benchmarks.scenario import RoundFailed
from benchmarks.servers import Servers
from triptych.devstack.stack import Addresses
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.reading.offsets import GroupOffsets

IDLE_SECONDS = 8.0
SETTLE_SECONDS = 1.0
DEADLINE_SECONDS = 90.0
POLL_SECONDS = 0.05
LOG_CHARACTERS = 2_000
EXPIRING = {
    "command": {"processed_commands": "at", "outbox": "publishedAt"},
    "relay": {"deliveries": "expiresAt", "webhook_events": "expiresAt"},
}
"""Collections whose documents expire, with the field that says when, by the part that stores them."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Done = Callable[[], Awaitable[int]]
Load = Callable[[int, int, int], Awaitable[Callable[[], Awaitable[None]]]]
"""Prepares operations from their number, a seed and a rate; the result carries them out."""


async def measure(
    conditions: Conditions, addresses: Addresses, servers: Servers, folder: Path, measured: Measured
) -> dict[str, float]:
    """The figures of a point of a service that works from a topic; sizes of what it stores go to `measured`.

    Raises:
        RoundFailed: a process ended or was too slow, or the number of its results is wrong.
    """
    database_name = stored.name_of(conditions.galleries, conditions.items)
    async with staged(conditions, addresses, servers, folder, database_name) as stage:
        if conditions.galleries > 10_000 and conditions.cache_mib > 1_000:
            await stored.load_into_cache(stage.database, conditions.part)
        services = await stage.start(conditions.part, conditions.processes)
        try:
            figures = await (_of_commands if conditions.part == "command" else _of_projection)(stage, services)
        finally:
            await stop(services)
        return figures | await expire(stage, measured)


async def _of_commands(stage: Stage, services: Sequence[Service]) -> dict[str, float]:
    topic = stage.topics.events
    reader = make_reader(stage.settings)
    await reader.start()

    async def done() -> int:
        partitions = [TopicPartition(topic, number) for number in range(stage.conditions.partitions)]
        return sum((await reader.end_offsets(partitions)).values())

    async def load(count: int, seed: int, per_second: int) -> Callable[[], Awaitable[None]]:
        records = loads.commands(stage, count, seed)
        return lambda: loads.publish(stage, records, per_second)

    try:
        return await observe(stage, services, stage.topics.commands, load, done)
    finally:
        await reader.stop()


async def _of_projection(stage: Stage, services: Sequence[Service]) -> dict[str, float]:
    topic = stage.topics.events
    offsets = GroupOffsets(stage.settings, topic, f"{stage.name}.projector.v1")
    maker = loads.EventMaker(stage)

    async def done() -> int:
        return await committed(offsets)

    async def load(count: int, seed: int, per_second: int) -> Callable[[], Awaitable[None]]:
        records = await maker.events(count, seed)
        return lambda: loads.publish(stage, records, per_second)

    try:
        return await observe(stage, services, topic, load, done)
    finally:
        await offsets.stop()


async def committed(offsets: GroupOffsets) -> int:
    """The records that a group has finished; 0 while the broker has no coordinator for a new group yet."""
    with suppress(TransientFailure):
        return sum((await offsets.committed()).values())
    return 0


async def observe(
    stage: Stage, services: Sequence[Service], topic: str, load: Load, done: Done, results: int = 1
) -> dict[str, float]:
    """Carry out a warm-up and the operations, and measure from before the first operation to the last result.

    `done` counts results; each operation has `results` of them. Warm-up operations come before, and are not counted.
    """
    conditions = stage.conditions
    expected = 0
    for number in range(WARM_UPS):
        await (await load(conditions.warm_up, 10 + number, 0))()
        expected += conditions.warm_up * results
        await _until(done, expected, services)
    act = await load(conditions.operations, 2, conditions.per_second) if conditions.operations else None
    await asyncio.sleep(SETTLE_SECONDS)
    counted, records = await batches(services, topic), stage.records_bytes()
    began = await stage.read(services)
    if act is None:
        await asyncio.sleep(IDLE_SECONDS)
    else:
        await act()
        expected += conditions.operations * results
        await _until(done, expected, services)
    ended = await stage.read(services)
    finished = await batches(services, topic)
    await asyncio.sleep(SETTLE_SECONDS / 2)
    if act is not None and await done() != expected:
        raise RoundFailed(f"{await done()} results, not the {expected} expected ones")
    grown = {f"topic_bytes_{name}": size - records.get(name, 0) for name, size in stage.records_bytes().items()}
    return {
        **used(began, ended),
        "batches": finished - counted,
        "peak_rss_mib": max(peak_rss_mib(service.child.pid) for service in services),
        **{name: float(size) for name, size in grown.items() if size > 0},
    }


def used(began: Reading, ended: Reading) -> dict[str, float]:
    """The figures between two readings: seconds, processor seconds by kind of process, pages read and network bytes."""
    return {
        "seconds": ended.at - began.at,
        **{f"cpu_{kind}": seconds - began.cpu[kind] for kind, seconds in ended.cpu.items()},
        "pages_read": ended.pages - began.pages,
        "mongod_network_bytes": ended.network - began.network,
    }


async def expire(stage: Stage, measured: Measured) -> dict[str, float]:
    """Delete what expires later, by the index that MongoDB uses for it, and measure that.

    The figures are the number of commands or deliveries, and the processor seconds of mongod for all that they stored.
    """
    spent, count = 0.0, 0
    for collection, field in EXPIRING.get(stage.conditions.part, {}).items():
        size = await stored.size_of(stage.database, collection)
        before = (await stage.read([])).cpu["mongod"]
        deleted = await stage.database[collection].delete_many({field: {"$gt": LONG_AGO}})
        spent += (await stage.read([])).cpu["mongod"] - before
        count = max(count, deleted.deleted_count)
        if size is not None and count:
            measured.keep_size(collection, size.for_each(count) if collection == "outbox" else size)
    return {"expired": float(count), "cpu_expiry": spent} if count else {}


async def _until(done: Done, expected: int, services: Sequence[Service]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (count := await done()) < expected:
        for service in services:
            if (code := service.child.poll()) is not None:
                end_of_log = service.child.log.read_text(errors="replace")[-LOG_CHARACTERS:]
                raise RoundFailed(f"{service.name} ended with exit code {code}:\n{end_of_log}")
        if time.monotonic() > deadline:
            raise RoundFailed(f"{count} of {expected} results after {DEADLINE_SECONDS:g} s")
        await asyncio.sleep(POLL_SECONDS)

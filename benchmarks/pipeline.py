"""Measures a process that turns a topic full of commands into events."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import chain, islice

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.process import peak_rss_mib
from benchmarks.scenario import PARTITIONS, Figures, Round, RoundFailed
from benchmarks.simulation import SimulatedGallery
from benchmarks.statistics import events_per_second
from benchmarks.usage import Meter, Usage
from benchmarks.workload import Ends, EventRecord, Workload, WrongEvents, head_of, items_of
from triptych.command.app import indexes
from triptych.command.settings import CommandSettings
from triptych.devstack.children import Child
from triptych.kit.kafka.clients import make_producer, make_reader
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.mongo.driver import ASCENDING, DESCENDING
from triptych.kit.mongo.fencing import all_documents
from triptych.kit.startup.provision import ensure_indexes

DEADLINE_SECONDS = 120.0
STOP_SECONDS = 30.0
# A request for the end offsets costs next to nothing. Reading the events meanwhile would use the cores.
POLL_SECONDS = 0.1
PUBLISHED_AT_ONCE = STORED_AT_ONCE = 5_000
LOG_LINES = 30


async def measure(of_round: Round, workload: Workload, module: str, *args: str, **fields: object) -> Figures:
    """Run `python -m module` on a full commands topic until all events are published, and check the events.

    The processor time of the process before the first events is `starting_cpu_seconds`; the other figures of processor
    time begin with them.
    `fields` are settings of the process.

    Raises:
        RoundFailed: the process ended or was too slow, or events or write model do not match the commands.
    """
    await _prepare(of_round, workload)
    async with _events_topic(of_round) as (reader, partitions):
        child = of_round.start(module, *args, **fields)
        try:
            used = await _watch(child, of_round.meter([child]), reader, partitions, workload.commands)
        finally:
            await asyncio.to_thread(child.stop, STOP_SECONDS)
        # After the process has stopped, so that surplus events are found.
        events = await _read_all(reader, partitions)
    try:
        workload.check(events)
        workload.check_ends(await _ends(of_round))
        rate = events_per_second([record.timestamp for record in events])
    except (WrongEvents, ValueError) as error:
        raise RoundFailed(str(error)) from None
    return {"events_per_second": rate, **used}


async def store(of_round: Round, galleries: Sequence[SimulatedGallery]) -> None:
    """Store galleries with their items, with the product's indexes."""
    await ensure_indexes(of_round.database, indexes(CommandSettings.model_validate(of_round.settings.model_dump())))
    await of_round.database["galleries"].insert_many(head_of(gallery) for gallery in galleries)
    items = chain.from_iterable(items_of(gallery) for gallery in galleries)
    while chunk := list(islice(items, STORED_AT_ONCE)):
        await of_round.database["items"].insert_many(chunk, ordered=False)


async def _prepare(of_round: Round, workload: Workload) -> None:
    await store(of_round, workload.stored())
    publisher = Publisher(lambda: make_producer(of_round.settings))
    records = workload.records(of_round.topics.commands)
    try:
        for start in range(0, len(records), PUBLISHED_AT_ONCE):
            await publisher.publish(records[start : start + PUBLISHED_AT_ONCE])
    finally:
        await publisher.stop()


@asynccontextmanager
async def _events_topic(of_round: Round) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    reader = make_reader(of_round.settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        topic = of_round.topics.events
        yield reader, [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    finally:
        await reader.stop()


async def _watch(
    child: Child, meter: Meter, reader: AIOKafkaConsumer, partitions: list[TopicPartition], expected: int
) -> Figures:
    """Wait for all events; the processor time and memory used."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    first: tuple[int, Usage] | None = None
    while True:
        if (code := child.poll()) is not None:
            raise RoundFailed(f"the process ended with exit code {code}.\n{_end_of_log(child)}")
        count = sum((await reader.end_offsets(partitions)).values())
        if count and first is None:
            first = (count, meter.read())
        if count >= expected and first is not None:
            if count == first[0]:
                raise RoundFailed("all events came between two polls: too few to measure their cost")
            return {
                **meter.since(first[1], count - first[0]),
                "starting_cpu_seconds": first[1].services,
                "peak_rss_mib": peak_rss_mib(child.pid),
            }
        if time.monotonic() > deadline:
            raise RoundFailed(f"{count} of {expected} events after {DEADLINE_SECONDS:g} s.\n{_end_of_log(child)}")
        await asyncio.sleep(POLL_SECONDS)


def _end_of_log(child: Child) -> str:
    return "\n".join(child.log.read_text(errors="replace").splitlines()[-LOG_LINES:])


async def _read_all(reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> list[EventRecord]:
    """All events on the topic, in order per partition."""
    reader.assign(list(partitions))
    ends = await reader.end_offsets(partitions)
    events: list[EventRecord] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(events) < sum(ends.values()):
        if time.monotonic() > deadline:
            raise RoundFailed(f"read only {len(events)} events of {sum(ends.values())}")
        for records in (await reader.getmany(timeout_ms=500)).values():
            events.extend(records)
    return events


async def _ends(of_round: Round) -> Ends:
    """The state of the write model."""
    heads = all_documents(of_round.database["galleries"], {"sequence": 1, "totalItems": 1})
    ends: Ends = {head["_id"]: (head["sequence"], head["totalItems"], []) async for head in heads}
    display_order = [("galleryId", ASCENDING), ("sortOrder", DESCENDING)]
    async for item in of_round.database["items"].find({}, {"galleryId": 1, "item.title": 1}).sort(display_order):
        ends[item["galleryId"]][2].append(item["item"]["title"])
    return ends

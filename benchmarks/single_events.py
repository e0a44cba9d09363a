"""Measures how long a single event takes to reach the view and the joined topic."""

import asyncio
import time

import orjson
from aiokafka import TopicPartition

from benchmarks.event_workload import EventWorkload
from benchmarks.process import peak_rss_mib
from benchmarks.projecting import caught_up, check, fill
from benchmarks.scenario import PARTITIONS, Figures, Round, RoundFailed
from benchmarks.statistics import percentile
from triptych.kit.kafka.clients import make_producer, make_reader
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.app import indexes

PERIOD_SECONDS = 0.05
DEADLINE_SECONDS = 10.0
# These events are not measured: Kafka creates a partition's two index files at its second batch, which takes up to
# 40 ms here, on each partition of both topics.
WARM_UP = 100


async def measure_single_events(
    of_round: Round, workload: EventWorkload, events: int, module: str, group: str, *args: str, **fields: object
) -> Figures:
    """Let `python -m module` read the creation of the galleries, and then send single changes, 20 a second.

    The last `events` changes are measured, from sending the event to the arrival of the gallery's head record. The
    view is written before that record.

    Raises:
        RoundFailed: a head record did not come, or views or join do not match the events.
    """
    await ensure_indexes(of_round.database, indexes())
    await fill(of_round, workload.beginnings())
    child = of_round.start(module, *args, **fields)
    meter = of_round.meter([child])
    publisher = Publisher(lambda: make_producer(of_round.settings))
    reader = make_reader(of_round.settings, fetch_max_wait_ms=1_000)
    await reader.start()
    sent: dict[tuple[str, int], float] = {}
    arrived: dict[tuple[str, int], float] = {}

    async def read_heads() -> None:
        async for record in reader:
            if b"/" in record.key:
                continue
            gallery_id, sequence = record.key.decode(), orjson.loads(record.value)["sequence"]
            now = time.perf_counter()
            # Changes that were projected together have one head record.
            for event in sent:
                if event[0] == gallery_id and event[1] <= sequence:
                    arrived.setdefault(event, now)

    reading = None
    try:
        await caught_up(of_round, child, group)
        reader.assign([TopicPartition(of_round.topics.galleries, number) for number in range(PARTITIONS)])
        await reader.seek_to_end()
        reading = asyncio.create_task(read_heads())
        begun, usage = time.perf_counter(), meter.read()
        for number, record in enumerate(workload.changes(WARM_UP + events)):
            if number == WARM_UP:
                usage = meter.read()
            await asyncio.sleep(max(0.0, begun + number * PERIOD_SECONDS - time.perf_counter()))
            event = ((record.key or b"").decode(), int(orjson.loads(record.value or b"")["entityEventSequence"]))
            sent[event] = time.perf_counter()
            await publisher.publish([record._replace(topic=of_round.topics.events)])
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not sent.keys() <= arrived.keys():
            if time.monotonic() > deadline:
                raise RoundFailed(f"{len(sent.keys() - arrived.keys())} of {len(sent)} head records did not come")
            await asyncio.sleep(0.05)
        used = meter.since(usage, events)
        rss = peak_rss_mib(child.pid)
    finally:
        if reading is not None:
            reading.cancel()
        await reader.stop()
        await publisher.stop()
        await asyncio.to_thread(child.stop, 30)
    await check(of_round, workload)
    times = [1000 * (arrived[event] - at) for event, at in list(sent.items())[WARM_UP:]]
    return {
        "p50_ms": percentile(times, 0.5),
        "p99_ms": percentile(times, 0.99),
        **used,
        "peak_rss_mib": rss,
    }

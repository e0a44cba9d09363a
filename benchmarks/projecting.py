"""Measures a process that turns a topic full of events into views and the joined topic."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import TopicPartition

from benchmarks.event_workload import EventWorkload
from benchmarks.process import peak_rss_mib
from benchmarks.scenario import PARTITIONS, Figures, Round, RoundFailed
from benchmarks.usage import Meter, Usage, per_thousand
from triptych.devstack.children import Child
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_producer, make_reader
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.mongo.fencing import all_documents
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.app import indexes

DEADLINE_SECONDS = 240.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
PUBLISHED_AT_ONCE = 5_000
LOG_LINES = 30


class Sample(NamedTuple):
    """The number of events that a group has committed, and the processor time used, at one moment."""

    events: int
    at: float
    usage: Usage


async def fill(of_round: Round, records: Iterable[OutgoingRecord]) -> int:
    """Publish records to the events topic; their number."""
    publisher = Publisher(lambda: make_producer(of_round.settings))
    count = 0
    try:
        chunk: list[OutgoingRecord] = []
        for record in records:
            chunk.append(record._replace(topic=of_round.topics.events))
            if len(chunk) == PUBLISHED_AT_ONCE:
                await publisher.publish(chunk)
                count += len(chunk)
                chunk = []
        await publisher.publish(chunk)
        return count + len(chunk)
    finally:
        await publisher.stop()


async def measure(
    of_round: Round, workload: EventWorkload, module: str, group: str, *args: str, **fields: object
) -> Figures:
    """Run `python -m module` until its group has read all events on the topic, and check the views and the join.

    The rate and the processor time are measured from the first committed batch on.

    Raises:
        RoundFailed: the process ended or was too slow, or views or join do not match the events.
    """
    await ensure_indexes(of_round.database, indexes())
    group_offsets = GroupOffsets(of_round.settings, of_round.topics.events, of_round.settings.topic_prefix + group)
    child = of_round.start(module, *args, **fields)
    try:
        first, last = await _watch(child, of_round.meter([child]), group_offsets)
        if first.events == last.events:
            raise RoundFailed("all events were read between two polls: too few to measure a rate")
        done = last.events - first.events
        figures = {
            "events_per_second": done / (last.at - first.at),
            **per_thousand(first.usage, last.usage, done),
            "peak_rss_mib": peak_rss_mib(child.pid),
        }
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)
        await group_offsets.stop()
    await check(of_round, workload)
    return figures


async def caught_up(of_round: Round, child: Child, group: str) -> None:
    """Wait until the process has read all events on the topic. Raises RoundFailed."""
    group_offsets = GroupOffsets(of_round.settings, of_round.topics.events, of_round.settings.topic_prefix + group)
    try:
        await _watch(child, of_round.meter([child]), group_offsets)
    finally:
        await group_offsets.stop()


async def _watch(child: Child, meter: Meter, group_offsets: GroupOffsets) -> tuple[Sample, Sample]:
    """The first sample after an event was read, and the first sample after all events were read."""
    expected = sum((await group_offsets.ends(range(PARTITIONS))).values())
    deadline = time.monotonic() + DEADLINE_SECONDS
    first: Sample | None = None
    while True:
        if (code := child.poll()) is not None:
            raise RoundFailed(f"the process ended with exit code {code}.\n{_end_of_log(child)}")
        count = 0
        with contextlib.suppress(TransientFailure):  # a broker that has just started has no coordinator yet
            count = sum((await group_offsets.committed()).values())
        if count and first is None:
            first = Sample(count, time.monotonic(), meter.read())
        if count >= expected and first is not None:
            return first, Sample(count, time.monotonic(), meter.read())
        if time.monotonic() > deadline:
            raise RoundFailed(f"{count} of {expected} events after {DEADLINE_SECONDS:g} s.\n{_end_of_log(child)}")
        await asyncio.sleep(POLL_SECONDS)


async def check(of_round: Round, workload: EventWorkload) -> None:
    """Compare every view and every joined record with the events. Raises RoundFailed."""
    database = of_round.database
    heads = {found["_id"]: found async for found in all_documents(database["gallery_views"])}
    items = {found["item"]["id"]: found async for found in database["item_views"].find({})}
    workload.check_views(heads, items)
    workload.check_join(await latest(of_round))


async def latest(of_round: Round) -> dict[bytes, bytes | None]:
    """The last value of each key on the joined topic."""
    found: dict[bytes, bytes | None] = {}
    reader = make_reader(of_round.settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        partitions = [TopicPartition(of_round.topics.galleries, number) for number in range(PARTITIONS)]
        ends = await reader.end_offsets(partitions)
        reader.assign([partition for partition in partitions if ends[partition]])
        while any([await reader.position(partition) < ends[partition] for partition in reader.assignment()]):
            for records in (await reader.getmany(timeout_ms=500)).values():
                found.update((record.key, record.value) for record in records)
    finally:
        await reader.stop()
    return found


def _end_of_log(child: Child) -> str:
    return "\n".join(child.log.read_text(errors="replace").splitlines()[-LOG_LINES:])

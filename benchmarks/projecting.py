"""Measures a process that turns a topic full of events into views and the joined topic."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import TopicPartition

from benchmarks.event_workload import EventWorkload
from benchmarks.process import cpu_seconds, peak_rss_mib
from benchmarks.scenario import Figures, Round, RoundFailed
from triptych.devstack.children import Child
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_producer, make_reader
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.group_offsets import GroupOffsets
from triptych.kit.mongo.fencing import all_documents
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.app import indexes

DEADLINE_SECONDS = 240.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
PUBLISHED_AT_ONCE = 5_000
LOG_LINES = 30


class Look(NamedTuple):
    """What a group had committed at a moment, and what its process had used."""

    events: int
    at: float
    cpu_seconds: float


async def fill(of_round: Round, records: Iterable[OutgoingRecord]) -> int:
    """Put records on the events topic; how many."""
    publisher = Publisher(lambda: make_producer(of_round.settings))
    count = 0
    try:
        portion: list[OutgoingRecord] = []
        for record in records:
            portion.append(record._replace(topic=of_round.topics.events))
            if len(portion) == PUBLISHED_AT_ONCE:
                await publisher.publish(portion)
                count += len(portion)
                portion = []
        await publisher.publish(portion)
        return count + len(portion)
    finally:
        await publisher.stop()


async def measure(
    of_round: Round, workload: EventWorkload, module: str, group: str, *args: str, **fields: object
) -> Figures:
    """Run `python -m module` on the events that are on the topic until its group has read them, and check everything.

    Rates and processor time leave out what comes before the first committed batch.

    Raises:
        RoundFailed: the process ended or was too slow, or views or join are not what the events ask for.
    """
    await ensure_indexes(of_round.database, indexes())
    topic = GroupOffsets(of_round.settings, of_round.topics.events, of_round.settings.topic_prefix + group)
    child = of_round.start(module, *args, **fields)
    try:
        first, last = await _watch(child, topic)
        if first.events == last.events:
            raise RoundFailed("everything was read between two looks: too little to tell a rate")
        done = last.events - first.events
        figures = {
            "events_per_second": done / (last.at - first.at),
            "cpu_seconds_per_1000": 1000 * (last.cpu_seconds - first.cpu_seconds) / done,
            "peak_rss_mib": peak_rss_mib(child.pid),
        }
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)
        await topic.stop()
    await check(of_round, workload)
    return figures


async def caught_up(of_round: Round, child: Child, group: str) -> None:
    """Wait until the process has read everything that is on the topic. Raises RoundFailed."""
    topic = GroupOffsets(of_round.settings, of_round.topics.events, of_round.settings.topic_prefix + group)
    try:
        await _watch(child, topic)
    finally:
        await topic.stop()


async def _watch(child: Child, topic: GroupOffsets) -> tuple[Look, Look]:
    """The first look at which something was read, and the first at which everything was."""
    expected, deadline = sum((await topic.ends(range(12))).values()), time.monotonic() + DEADLINE_SECONDS
    first: Look | None = None
    while True:
        if (code := child.poll()) is not None:
            raise RoundFailed(f"the process ended with exit code {code}.\n{_end_of_log(child)}")
        count = 0
        with contextlib.suppress(TransientFailure):  # a broker just started has no coordinator yet
            count = sum((await topic.committed()).values())
        look = Look(count, time.monotonic(), cpu_seconds(child.pid))
        if count and first is None:
            first = look
        if count >= expected and first is not None:
            return first, look
        if look.at > deadline:
            raise RoundFailed(f"{count} of {expected} events after {DEADLINE_SECONDS:g} s.\n{_end_of_log(child)}")
        await asyncio.sleep(POLL_SECONDS)


async def check(of_round: Round, workload: EventWorkload) -> None:
    """Compare every view and every joined record with what the events come to. Raises RoundFailed."""
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
        places = [TopicPartition(of_round.topics.galleries, number) for number in range(12)]
        ends = await reader.end_offsets(places)
        reader.assign([place for place in places if ends[place]])
        while any([await reader.position(place) < ends[place] for place in reader.assignment()]):
            for records in (await reader.getmany(timeout_ms=500)).values():
                found.update((record.key, record.value) for record in records)
    finally:
        await reader.stop()
    return found


def _end_of_log(child: Child) -> str:
    return "\n".join(child.log.read_text(errors="replace").splitlines()[-LOG_LINES:])

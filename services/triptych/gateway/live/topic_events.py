"""Finds events on the events topic, with their places there: the last ones, or a single one; within bounds."""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.envelope import EventHeaders, event_headers
from triptych.contract.codec.events import Event, decode_event
from triptych.contract.domain_event import slug_of
from triptych.gateway.live.bounded_reads import BoundedReads
from triptych.gateway.live.subscription import EventFilter

EXAMINED_MAX = 1_000
"""Records that the list of the last events examines, of all partitions together."""
FOUND_BYTES = 2 * 1024 * 1024
"""Bytes of events in that list, unless the newest one has more."""
SEARCHED_MAX = 500
"""Records of a partition that the search for a single event reads."""
CLOCKS_DIFFER = timedelta(seconds=2)


class TopicEvent(NamedTuple):
    """An event, what its headers say, and its record."""

    event: Event
    headers: EventHeaders
    record: ConsumerRecord[Any, Any]


class Recent(NamedTuple):
    """The last events, newest first; `examined` counts the records that were read for them."""

    events: list[TopicEvent]
    examined: int
    is_whole: bool
    """Whether all records that are stored were examined."""


async def recent_events(
    reads: BoundedReads, topic: str, partitions: Iterable[int], event_filter: EventFilter, slug: str | None, limit: int
) -> Recent:
    """The last events that pass the filter. Raises TransientFailure or StartRefused."""
    stored = await reads.stored(topic, partitions)
    count = max(1, EXAMINED_MAX // max(1, len(stored)))
    ranges = {partition: (max(begin, end - count), end) for partition, (begin, end) in stored.items()}
    found: list[TopicEvent] = []
    examined = held = 0
    async with aclosing(reads.read(topic, ranges)) as records:
        async for record in records:
            examined += 1
            if (one := _event_of(record, event_filter)) is None or slug not in (None, slug_of(one.event.event_type)):
                continue
            found.append(one)
            held += len(record.value)
            if len(found) > 2 * limit or held > 2 * FOUND_BYTES:
                found = _newest(found, limit)
                held = sum(len(kept.record.value) for kept in found)
    is_whole = all(ranges[partition][0] == begin for partition, (begin, _) in stored.items())
    return Recent(_newest(found, limit), examined, is_whole)


async def find_event(
    reads: BoundedReads,
    topic: str,
    places: Iterable[int],
    event_filter: EventFilter,
    sequence: int,
    start: tuple[int, int] | datetime,
) -> TopicEvent | None:
    """The event with this sequence of the gallery in the filter; None if it is not found within the bounds.

    Args:
        reads, topic: where to look.
        places: the partitions on which the gallery's records may be.
        event_filter: names site and gallery.
        sequence: of the event.
        start: partition and offset of the event, or its time.

    Raises:
        StartRefused, TransientFailure: Kafka does not answer.
    """
    if isinstance(start, datetime):
        ranges = await reads.since(topic, start - CLOCKS_DIFFER, places, SEARCHED_MAX)
    else:
        partition, offset = start
        ranges = {partition: (offset, offset + 1)} if partition in places else {}
    if not ranges:
        return None
    async with aclosing(reads.read(topic, ranges)) as records:
        async for record in records:
            one = _event_of(record, event_filter)
            if one is not None and one.event.sequence == sequence:
                return one
    return None


def _event_of(record: ConsumerRecord[Any, Any], event_filter: EventFilter) -> TopicEvent | None:
    if not event_filter.includes(record):
        return None
    try:
        return TopicEvent(decode_event(record.value), event_headers(record.headers), record)
    except Undecodable:
        return None


def _newest(found: list[TopicEvent], limit: int) -> list[TopicEvent]:
    """The newest events within the limits, newest first. Events of one gallery are in the order of their sequences."""

    def age(one: TopicEvent) -> tuple[int, int, int]:
        return one.record.timestamp, one.record.partition, one.record.offset

    kept: list[TopicEvent] = []
    held = 0
    for one in sorted(found, key=age, reverse=True)[:limit]:
        held += len(one.record.value)
        if kept and held > FOUND_BYTES:
            break
        kept.append(one)
    return kept

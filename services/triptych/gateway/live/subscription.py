"""Owns what one live stream carries: its filter, and the events and heartbeats that are queued for it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from triptych.contract.domain_event import EventType
from triptych.gateway.live.feed import FeedRecord
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

QUEUE_MAX = 1_000
"""Events queued for a slow client. Beyond, its stream ends, and the client resumes it where it ended."""
QUEUE_BYTES = 8 * 1024 * 1024
"""Bytes of events queued for a slow client. Beyond, its stream ends in the same way."""
_TYPES = {event_type.value.encode(): event_type for event_type in EventType}

Positions: TypeAlias = Mapping[int, int]
"""The offset of the next record by partition. An event id of a stream is the text of such positions."""


def type_of(record: FeedRecord) -> EventType | None:
    """The type of the domain event in this record; None for any other record, such as a snapshot record."""
    return _TYPES.get(dict(record.headers).get("ce_type") or b"")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a stream carries: those of a site, or those of one of its galleries."""

    site_id: str
    gallery_id: str | None = None

    def includes(self, record: FeedRecord) -> bool:
        """Whether the stream carries the event in this record."""
        if self.gallery_id is not None and record.key != self.gallery_id.encode():
            return False
        if record.value is None:
            return False
        return dict(record.headers).get("ce_siteid") == self.site_id.encode() and type_of(record) is not None


class Heartbeat(NamedTuple):
    """What a stream says without an event: up to where the topic has been read for it, and why no events can come."""

    positions: Positions
    problem: str | None


class Subscription:
    """The queue of one stream. The stream begins at `start_positions`, the offset of its first record by partition."""

    def __init__(self, event_filter: EventFilter, start_positions: Positions) -> None:
        self.event_filter = event_filter
        self.start_positions = start_positions
        self.quiet_since = time.monotonic()
        """When something was queued last."""
        self._queue: asyncio.Queue[FeedRecord | Heartbeat | None] = asyncio.Queue(QUEUE_MAX)
        self._queued_bytes = 0
        self._has_ended = False

    def offer(self, record: FeedRecord) -> None:
        """Queue a record; if the queue is full, end the stream after the records that are queued already."""
        if self._has_ended:
            return
        size = len(record.value or b"")
        if self._queue.qsize() >= QUEUE_MAX - 1 or (self._queued_bytes and self._queued_bytes + size > QUEUE_BYTES):
            log.warning("a stream was ended, because its client reads too slowly", site_id=self.event_filter.site_id)
            self.end()
        else:
            self._queued_bytes += size
            self._queue.put_nowait(record)
            self.quiet_since = time.monotonic()

    def beat(self, heartbeat: Heartbeat) -> None:
        """Queue a heartbeat, unless something is queued: then the client hears from the stream in any case."""
        if not self._has_ended and self._queue.empty():
            self._queue.put_nowait(heartbeat)
            self.quiet_since = time.monotonic()

    def end(self) -> None:
        """End the stream after the records that are queued already."""
        if not self._has_ended:
            self._has_ended = True
            self._queue.put_nowait(None)

    async def next(self) -> FeedRecord | Heartbeat | None:
        """The next record or heartbeat, or None when the stream has ended."""
        while True:
            queued = await self._queue.get()
            if queued is None or isinstance(queued, Heartbeat):
                return queued
            self._queued_bytes -= len(queued.value or b"")
            if queued.offset >= self.start_positions.get(queued.partition, 0):
                return queued

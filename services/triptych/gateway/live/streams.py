"""Live streams of events: who listens, what is kept for each of them, and what was missed while nobody listened."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from triptych.contract.domain_event import EventType
from triptych.gateway.http.errors import RETRY_AFTER, ApplicationFailure, HttpFailure, bad_header
from triptych.gateway.live.feed import FeedRecord
from triptych.gateway.settings import GatewaySettings
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.partitions import partition_of

log = logging.getLogger(__name__)

LAST_EVENT_ID_HEADER = "Last-Event-ID"
QUEUE_MAX = 1_000
"""Events kept for a client that reads too slowly; then its stream ends, and it comes again where it was."""
QUEUE_BYTES = 8 * 1024 * 1024
"""The same for large ones."""
_POLL_MS = 200
_TYPES = {event_type.value.encode(): event_type for event_type in EventType}
_PLACES = re.compile(r"[0-9]{1,6}:[0-9]{1,18}(?:,[0-9]{1,6}:[0-9]{1,18})*")

Positions: TypeAlias = Mapping[int, int]
"""The offset of the next record by partition: what a stream's event ids stand for."""

EndsOf: TypeAlias = Callable[[Iterable[int]], Awaitable[Positions]]
"""Where the topic ends in these partitions. Raises Failure."""


def type_of(record: FeedRecord) -> EventType | None:
    """The type of the domain event in this record; None for what is none, such as a part of a snapshot."""
    return _TYPES.get(dict(record.headers).get("ce_type") or b"")


def parse_event_id(event_id: str) -> dict[int, int]:
    """The places that an event id stands for.

    Raises:
        Invalid: it is not one of ours.
    """
    if not _PLACES.fullmatch(event_id):
        raise bad_header(LAST_EVENT_ID_HEADER, "the id of an event of this stream")
    pairs = (pair.split(":") for pair in event_id.split(","))
    return {int(partition): int(offset) for partition, offset in pairs}


def format_event_id(places: Positions) -> str:
    """The event id that stands for these places."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(places.items()))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a stream carries: those of a site, or of one of its galleries."""

    site_id: str
    gallery_id: str | None = None

    def includes(self, record: FeedRecord) -> bool:
        """Whether the stream carries the event in this record."""
        if self.gallery_id is not None and record.key != self.gallery_id.encode():
            return False
        if record.value is None:
            return False
        return dict(record.headers).get("ce_siteid") == self.site_id.encode() and type_of(record) is not None


class Subscription:
    """What one stream carries, from `begins` on: the offset of its first record by partition."""

    def __init__(self, wanted: Wanted, begins: Positions) -> None:
        self.wanted = wanted
        self.begins = begins
        self._queue: asyncio.Queue[FeedRecord | None] = asyncio.Queue(QUEUE_MAX)
        self._queued_bytes = 0
        self._has_ended = False

    def offer(self, record: FeedRecord) -> None:
        """Keep the record for the stream; end it after those kept already if they are too many."""
        if self._has_ended:
            return
        size = len(record.value or b"")
        if self._queue.qsize() >= QUEUE_MAX - 1 or (self._queued_bytes and self._queued_bytes + size > QUEUE_BYTES):
            log.warning("a stream of site %s reads too slowly and is ended", self.wanted.site_id)
            self.end()
        else:
            self._queued_bytes += size
            self._queue.put_nowait(record)

    def end(self) -> None:
        """Let the stream end."""
        if not self._has_ended:
            self._has_ended = True
            self._queue.put_nowait(None)

    async def next(self, timeout_seconds: float) -> FeedRecord | None:
        """The next record, None when the stream has to end. Raises TimeoutError when there is none in time."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                record = await self._queue.get()
                if record is not None:
                    self._queued_bytes -= len(record.value or b"")
                if record is None or record.offset >= self.begins.get(record.partition, 0):
                    return record


class Streams:
    """The open streams; hears the events topic."""

    def __init__(self, settings: GatewaySettings, topic: str, ends_of: EndsOf) -> None:
        self._settings = settings
        self._topic = topic
        self._ends_of = ends_of
        self._places: dict[int, int] = {}
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def begin(self, places: Positions) -> None:
        """Say where hearing begins."""
        for partition, offset in places.items():
            self._places.setdefault(partition, offset)

    def hear(self, record: FeedRecord) -> None:
        """Take a record of the events topic."""
        self._places[record.partition] = record.offset + 1
        for subscription in self._subscriptions:
            if subscription.wanted.includes(record):
                subscription.offer(record)

    def restart(self, places: Positions) -> None:
        """Hearing goes on elsewhere, since the topic is another: nobody can tell what a stream has missed."""
        self._places.update(places)
        self.end()

    def end(self) -> None:
        """End every stream; clients come again, to another gateway."""
        for subscription in self._subscriptions:
            subscription.end()

    @asynccontextmanager
    async def subscribe(self, wanted: Wanted) -> AsyncIterator[Subscription]:
        """Everything wanted that happens from now on.

        Raises:
            Refused: there are too many streams.
            Failure: 503 if Kafka does not tell where its topic ends.
        """
        if len(self._subscriptions) >= self._settings.gateway_streams:
            raise ApplicationFailure(
                429, "RESOURCE_EXHAUSTED", "too many streams are open", headers={"Retry-After": "10"}
            )
        subscription = Subscription(wanted, self.places_of(wanted))
        self._subscriptions.add(subscription)
        try:
            # Later than where hearing stands, which is a little behind.
            subscription.begins = await self._ends_of(subscription.begins)
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def places_of(self, wanted: Wanted) -> dict[int, int]:
        """Where hearing stands now, in the partitions that matter."""
        if wanted.gallery_id is None:
            return dict(self._places)
        partition = partition_of(wanted.gallery_id.encode(), self._settings.topic_partitions)
        return {partition: self._places.get(partition, 0)}

    @asynccontextmanager
    async def replay(self, since: Positions, until: Positions) -> AsyncIterator[AsyncIterator[FeedRecord]]:
        """All records between two places, wanted or not, read anew.

        Raises:
            Refused: 410 if they are not kept any more, or are too many.
        """
        async with _reading(self._settings) as reader:
            ends = {TopicPartition(self._topic, partition): end for partition, end in until.items()}
            starts = await reader.beginning_offsets(list(ends))
            counts = [end - since.get(place.partition, -1) for place, end in ends.items()]
            is_kept = all(starts[place] <= since.get(place.partition, -1) for place in ends)
            if not is_kept or min(counts) < 0 or sum(counts) > self._settings.gateway_stream_resume:
                raise ApplicationFailure(
                    410, "OUT_OF_RANGE", "the stream cannot go on from there: read the state, then begin anew"
                )
            behind = {place: end for place, end in ends.items() if since[place.partition] < end}
            reader.assign(list(behind))
            for place in behind:
                reader.seek(place, since[place.partition])
            yield _read(reader, behind)


async def ends_of_topic(settings: GatewaySettings, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The offset behind the last record of each partition. Raises Failure: 503 if Kafka does not answer."""
    async with _reading(settings) as reader:
        ends = await reader.end_offsets([TopicPartition(topic, partition) for partition in partitions])
    return {place.partition: end for place, end in ends.items()}


@asynccontextmanager
async def _reading(settings: GatewaySettings) -> AsyncIterator[AIOKafkaConsumer]:
    # Offsets of another topic of this name, that was deleted, are refused instead of taken for those of this one.
    reader = make_reader(settings, auto_offset_reset="none")
    try:
        await reader.start()
        yield reader
    except KafkaError as error:
        log.warning("Kafka does not answer: %r", error)
        raise HttpFailure(503, RETRY_AFTER) from error
    finally:
        await reader.stop()


async def _read(reader: AIOKafkaConsumer, behind: dict[TopicPartition, int]) -> AsyncIterator[FeedRecord]:
    while behind:
        for place, records in (await reader.getmany(*behind, timeout_ms=_POLL_MS)).items():
            for record in records:
                if record.offset < behind[place]:
                    yield record
        for place in list(behind):
            if await reader.position(place) >= behind[place]:
                del behind[place]

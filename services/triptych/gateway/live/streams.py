"""Owns the live streams of events: which are open, where the topic has been read to, and what a resumed one missed."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from triptych.gateway.http.errors import RETRY_AFTER, ApplicationFailure, HttpFailure, bad_header
from triptych.gateway.live.feed import FeedRecord
from triptych.gateway.live.heartbeats import Heartbeats
from triptych.gateway.live.subscription import EventFilter, Positions, Subscription
from triptych.gateway.settings import GatewaySettings
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader
from triptych.kit.kafka.layout import Layout
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

LAST_EVENT_ID_HEADER = "Last-Event-ID"
_POLL_MS = 200
_EVENT_ID = re.compile(r"[0-9]{1,6}:[0-9]{1,18}(?:,[0-9]{1,6}:[0-9]{1,18})*")

EndsOf: TypeAlias = Callable[[Iterable[int]], Awaitable[Positions]]
"""Returns the end offsets of these partitions of the topic. Raises TransientFailure."""

Following: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
"""Every record that is published while the block runs is received (`Streams.receive`). Raises TransientFailure."""


def parse_event_id(event_id: str) -> dict[int, int]:
    """The positions that an event id names.

    Raises:
        InvalidRequest: it is not an event id of this product.
    """
    if not _EVENT_ID.fullmatch(event_id):
        raise bad_header(LAST_EVENT_ID_HEADER, "the id of an event of this stream")
    pairs = (pair.split(":") for pair in event_id.split(","))
    return {int(partition): int(offset) for partition, offset in pairs}


def format_event_id(positions: Positions) -> str:
    """The event id that names these positions."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(positions.items()))


class Streams:
    """The open streams, and the positions up to which the events topic has been read."""

    def __init__(
        self,
        settings: GatewaySettings,
        topic: str,
        following: Following,
        ends_of: EndsOf,
        layout: Callable[[], Layout] | None = None,
        problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`layout` gives the number of partitions; by default, it is that of the settings.

        `problem` says why no events can come at the moment; None if they can.
        """
        self.problem = problem
        self._settings = settings
        self._layout = layout or (lambda: Layout(settings.topic_partitions))
        self._topic = topic
        self._following = following
        self._ends_of = ends_of
        self._positions: dict[int, int] = {}
        self._subscriptions: set[Subscription] = set()
        self._heartbeats = Heartbeats(
            self._subscriptions,
            settings.gateway_stream_heartbeat.total_seconds(),
            lambda subscription: self.positions_of(subscription.event_filter),
            lambda: self.problem(),
        )

    def __len__(self) -> int:
        return len(self._subscriptions)

    def start_at(self, positions: Positions) -> None:
        """Set the positions from which the events topic is read from now on, before the first record comes."""
        self._positions = dict(positions)

    def receive(self, record: FeedRecord) -> None:
        """Process a record of the events topic."""
        self._positions[record.partition] = record.offset + 1
        for subscription in self._subscriptions:
            if subscription.event_filter.includes(record):
                subscription.offer(record)

    def restart(self, positions: Positions) -> None:
        """Continue at these positions of a topic that was deleted and created again.

        End every stream, since nobody can say which events it has missed.
        """
        self._positions.update(positions)
        self.end()

    def end(self) -> None:
        """End every stream; its client resumes it, at this or another gateway."""
        for subscription in self._subscriptions:
            subscription.end()

    @asynccontextmanager
    async def subscribe(self, event_filter: EventFilter) -> AsyncIterator[Subscription]:
        """A stream of the events that pass the filter, from the end of the topic on.

        Raises:
            ApplicationFailure: 429, too many streams are open.
            HttpFailure: 503, the topic cannot be read, or Kafka does not report its end offsets.
        """
        if len(self._subscriptions) >= self._settings.gateway_streams:
            raise ApplicationFailure(
                429, "RESOURCE_EXHAUSTED", "too many streams are open", headers={"Retry-After": "10"}
            )
        subscription = Subscription(event_filter, {})
        self._subscriptions.add(subscription)
        self._heartbeats.begin()
        async with AsyncExitStack() as stack:
            stack.callback(self._subscriptions.discard, subscription)
            try:
                await stack.enter_async_context(self._following())
                # The positions of this process are a little behind the end of the topic. Records up to the end are left
                # out, and those after it are received, because reading began before.
                subscription.start_positions = await self._ends_of(self.positions_of(event_filter))
            except TransientFailure as error:
                raise _away(error) from error
            yield subscription

    def positions_of(self, event_filter: EventFilter) -> dict[int, int]:
        """The current positions in the partitions that can have events for the filter."""
        if event_filter.gallery_id is None:
            return dict(self._positions)
        places = self._layout().places(event_filter.gallery_id.encode())
        return {partition: self._positions.get(partition, 0) for partition in sorted(places)}

    @asynccontextmanager
    async def replay(self, since: Positions, until: Positions) -> AsyncIterator[AsyncIterator[FeedRecord]]:
        """Read all records between two positions again, whether or not they pass a filter.

        Records of one gallery come in their order, also if partitions were added meanwhile: partitions that were added
        are read after the former ones.

        Raises:
            ApplicationFailure: 410, the topic no longer has all of them, or they are too many.
        """
        layout = self._layout()
        since = with_added(since, layout)
        async with _reading(self._settings) as reader:
            ends = {TopicPartition(self._topic, partition): end for partition, end in until.items()}
            starts = await reader.beginning_offsets(list(ends))
            counts = [end - since.get(topic_partition.partition, -1) for topic_partition, end in ends.items()]
            is_kept = all(
                starts[topic_partition] <= since.get(topic_partition.partition, -1) for topic_partition in ends
            )
            if not is_kept or min(counts) < 0 or sum(counts) > self._settings.gateway_stream_resume:
                raise ApplicationFailure(
                    410, "OUT_OF_RANGE", "the stream cannot continue from there: read the state, then open a new stream"
                )
            unread = {
                topic_partition: end for topic_partition, end in ends.items() if since[topic_partition.partition] < end
            }
            yield _read_in_order(reader, unread, since, layout)


def with_added(positions: Positions, layout: Layout) -> Positions:
    """The positions that an event id names, and the beginnings of partitions that were added after it was given."""
    added: dict[int, int] = {}
    for growth in layout.growths:
        if positions and max(positions) < growth.former:
            added |= dict.fromkeys(range(growth.former, growth.partitions), 0)
    return {**added, **positions}


def in_order(partitions: Iterable[int], layout: Layout) -> list[list[int]]:
    """The partitions in groups: those of the first layout, and then those that each growth has added."""
    left, groups = sorted(partitions), []
    for former in (*(growth.former for growth in layout.growths), layout.partitions):
        groups.append([partition for partition in left if partition < former])
        left = [partition for partition in left if partition >= former]
    return [group for group in (*groups, left) if group]


@asynccontextmanager
async def _reading(settings: GatewaySettings) -> AsyncIterator[AIOKafkaConsumer]:
    # "none" refuses offsets of a deleted topic of the same name; otherwise they would be taken for this topic's.
    reader = make_reader(settings, auto_offset_reset="none")
    try:
        await reader.start()
        yield reader
    except KafkaError as error:
        raise _away(error) from error
    finally:
        await reader.stop()


def _away(error: Exception) -> HttpFailure:
    log.warning("a stream cannot begin", error=error)
    return HttpFailure(503, RETRY_AFTER)


async def _read_in_order(
    reader: AIOKafkaConsumer, unread: Mapping[TopicPartition, int], since: Positions, layout: Layout
) -> AsyncIterator[FeedRecord]:
    by_partition = {topic_partition.partition: topic_partition for topic_partition in unread}
    for group in in_order(by_partition, layout):
        assigned = {by_partition[partition]: unread[by_partition[partition]] for partition in group}
        reader.assign(list(assigned))
        for topic_partition in assigned:
            reader.seek(topic_partition, since[topic_partition.partition])
        async for record in _read(reader, assigned):
            yield record


async def _read(reader: AIOKafkaConsumer, unread: dict[TopicPartition, int]) -> AsyncIterator[FeedRecord]:
    while unread:
        for topic_partition, records in (await reader.getmany(*unread, timeout_ms=_POLL_MS)).items():
            for record in records:
                if record.offset < unread[topic_partition]:
                    yield record
        for topic_partition in list(unread):
            if await reader.position(topic_partition) >= unread[topic_partition]:
                del unread[topic_partition]

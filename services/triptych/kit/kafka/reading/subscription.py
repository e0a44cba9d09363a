"""Makes a FastStream batch subscriber that passes records on as they are: raw, unacknowledged, without delay."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import ConsumerStoppedError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from triptych.kit.backoff import Backoff
from triptych.kit.kafka.reading.pace import Pace
from triptych.kit.kafka.reading.reader import IncomingRecord

# How often a member shows that it lives, and asks whether it has to join again: a rebalance begins with that answer.
HEARTBEAT_MS = 500
HEARTBEATS_PER_SESSION = 4
# How long one poll waits when nothing comes.
POLL_MS = 1_000
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """How long a group waits for a member."""

    session: timedelta = timedelta(seconds=6)
    """Without a sign of life for this time, a member is expelled."""
    rebalance: timedelta = timedelta(seconds=9)
    """A member that has not joined again within this time after a rebalance began is expelled."""

    @property
    def revocation_seconds(self) -> float:
        """How long a rebalance waits for the current batch of a member. The rest is for the request to join."""
        return self.rebalance.total_seconds() / 2

    @property
    def session_ms(self) -> int:
        """The session in milliseconds."""
        return self.session // timedelta(milliseconds=1)

    @property
    def rebalance_ms(self) -> int:
        """The time for a rebalance in milliseconds."""
        return self.rebalance // timedelta(milliseconds=1)

    @property
    def heartbeat_ms(self) -> int:
        """The interval of the signs of life, in milliseconds."""
        return min(HEARTBEAT_MS, self.session_ms // HEARTBEATS_PER_SESSION)


Consume = Callable[[Sequence[IncomingRecord]], Awaitable[None]]


def subscribe(
    broker: KafkaBroker,
    topic: str,
    group: str,
    consume: Consume,
    on_batch: Callable[[Sequence[IncomingRecord]], None],
    on_poll_error: Callable[[Exception], None],
    listener: ConsumerRebalanceListener,
    *,
    max_records: int,
    partition_bytes: int,
    times: GroupTimes,
    linger_seconds: float = 0.0,
) -> BatchSubscriber:
    """Subscribe `consume` to one topic: it gets one batch after another once the broker has started.

    Args:
        broker: not started yet.
        topic: to read, from its beginning where the group has no offsets.
        group: the consumer group.
        consume: is awaited before the next batch is polled; commits offsets.
        on_batch: is called with a batch at the moment when the positions move past it.
        on_poll_error: is called with the error of a failed poll. No position has moved; the next poll follows a pause.
        listener: of rebalances.
        max_records: in a batch.
        partition_bytes: fetched from a partition at a time. Records that do not fit into the batch wait in memory.
        times: of the group.
        linger_seconds: how long records gather before the next poll, at most, after a small batch of several records.
            After a single record and after a large batch, the poll follows at once.
    """
    subscriber = broker.subscriber(
        topic,
        batch=True,
        group_id=group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        listener=listener,
        max_records=max_records,
        max_partition_fetch_bytes=partition_bytes,
        session_timeout_ms=times.session_ms,
        rebalance_timeout_ms=times.rebalance_ms,
        heartbeat_interval_ms=times.heartbeat_ms,
        isolation_level="read_committed",
        parser=_parser_of(lambda: subscriber.consumer),
        decoder=_raw_records,
    )
    subscriber(consume)
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    pace = Pace(linger_seconds)

    async def next_records(consumer: AIOKafkaConsumer) -> tuple[IncomingRecord, ...]:
        if pause := pace.pause():
            await asyncio.sleep(pause)
        try:
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=max_records)
        except ConsumerStoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - FastStream would hide it
            on_poll_error(error)
            await backoff.pause()
            return ()
        backoff.reset()
        records = tuple(chain.from_iterable(found.values()))
        pace.polled(len(records))
        on_batch(records)
        return records

    # FastStream's own method sleeps after every empty poll, for as long as the poll took. A single record would wait
    # for the end of that sleep, or the service would have to poll all the time. (An idle service takes 1 % of a core
    # this way; with polls of 5 ms it took 5 %.)
    subscriber.get_msg = next_records  # type: ignore[method-assign]
    return subscriber


def _parser_of(consumer_of: Callable[[], AIOKafkaConsumer | None]) -> Any:
    async def parse(records: tuple[IncomingRecord, ...]) -> KafkaMessage:
        # FastStream's own parser skips records whose headers are not UTF-8.
        consumer = consumer_of()
        assert consumer is not None  # noqa: S101
        return KafkaMessage(body=b"", raw_message=records, consumer=consumer)

    return parse


async def _raw_records(message: Any) -> Sequence[IncomingRecord]:
    """Return the records undecoded: the handler decodes each record on its own."""
    records: Sequence[IncomingRecord] = message.raw_message
    return records

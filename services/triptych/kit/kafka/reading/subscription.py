"""A FastStream batch subscriber that hands over records as they are: raw, unacknowledged, and as soon as they come."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import ConsumerStoppedError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from triptych.kit.kafka.reading.reader import IncomingRecord

REBALANCE_TIMEOUT_MS = 30_000
SESSION_TIMEOUT_MS = 10_000
# How long one poll waits when nothing comes.
POLL_MS = 1_000
PAUSE_SECONDS = 0.5

Consume = Callable[[Sequence[IncomingRecord]], Awaitable[None]]


def subscribe(
    broker: KafkaBroker,
    topic: str,
    group: str,
    consume: Consume,
    take: Callable[[Sequence[IncomingRecord]], None],
    fail: Callable[[Exception], None],
    listener: ConsumerRebalanceListener,
    *,
    max_records: int,
    partition_bytes: int,
) -> BatchSubscriber:
    """Let `consume` take batches of one topic, one after the other, from when the broker starts.

    Args:
        broker: not started yet.
        topic: to read, from its beginning where the group has no offsets.
        group: the consumer group.
        consume: is awaited before the next batch is taken; it commits.
        take: is told of a batch at the moment at which positions move behind it.
        fail: is told why a poll has failed; no position has moved, and the next poll comes after a pause.
        listener: of rebalances.
        max_records: of a batch.
        partition_bytes: fetched of a partition at a time; what does not fit into the batch waits in memory.
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
        session_timeout_ms=SESSION_TIMEOUT_MS,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        isolation_level="read_committed",
        parser=_parser_of(lambda: subscriber.consumer),
        decoder=_raw_records,
    )
    subscriber(consume)

    async def next_records(consumer: AIOKafkaConsumer) -> tuple[IncomingRecord, ...]:
        try:
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=max_records)
        except ConsumerStoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - FastStream would tell nobody
            fail(error)
            await asyncio.sleep(PAUSE_SECONDS)
            return ()
        records = tuple(chain.from_iterable(found.values()))
        take(records)
        return records

    # FastStream's own sleeps after every poll that gave nothing, for as long as it has polled; a lone record has to
    # wait for the end of that, or the service has to poll all the time (an idle one takes 1 % of a core this way, and
    # took 5 with polls of 5 ms).
    subscriber.get_msg = next_records  # type: ignore[method-assign]
    return subscriber


def _parser_of(consumer_of: Callable[[], AIOKafkaConsumer | None]) -> Any:
    async def parse(records: tuple[IncomingRecord, ...]) -> KafkaMessage:
        # FastStream's own parser passes over records whose headers are not UTF-8.
        consumer = consumer_of()
        assert consumer is not None  # noqa: S101
        return KafkaMessage(body=b"", raw_message=records, consumer=consumer)

    return parse


async def _raw_records(message: Any) -> Sequence[IncomingRecord]:
    """FastStream's decoder, switched off: each record is judged on its own by the handler."""
    records: Sequence[IncomingRecord] = message.raw_message
    return records

"""Computes the size of records on the wire, and reads the size limits of topics (`max.message.bytes`).

A broker measures batches as they arrive, compressed and with their header. Sizes are checked before sending, because a
batch that the broker refuses leaves a gap in the sequence of an idempotent producer: the partition's next batch fails.
"""

import math
import time
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.admin import DescribeConfigsRequest

from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.telemetry import RECORDS_TOO_LARGE

log = get_logger(__name__)

BATCH_OVERHEAD, RECORD_OVERHEAD, FIELD_OVERHEAD = 61, 26, 5
"""Bytes of a batch's header, and the most that a record and each of its fields need for their lengths."""
OTHER = "other"
"""Instead of the name of a topic that is not ours, in metrics."""
UNLIMITED = 2**31 - 1
KNOWN_SECONDS, REFUSING_SECONDS = 60.0, 1.0
"""How long a limit is used before it is read again: for a large record, and for a record larger than the limit."""
LARGE_BYTES = 64 * 1024
"""A smaller record does not cause a known limit to be read again."""
_TOPIC = 2  # Kafka's number for the resource type
_SETTING = "max.message.bytes"


def bound(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> int:
    """An upper bound in bytes for a batch of this one record, with any codec."""
    size = BATCH_OVERHEAD + RECORD_OVERHEAD + len(key or b"") + len(value or b"")
    for name, text in headers:
        size += 4 * len(name) + len(text or b"") + 2 * FIELD_OVERHEAD
    return expanded(size)


def expanded(size: int) -> int:
    """The most bytes that a codec makes of `size` incompressible bytes (snappy's bound). aiokafka sends the result."""
    return size + size // 6 + 64


def exact(batch: BatchBuilder) -> int:
    """Bytes of a batch as it would be sent, after compression. Builds the batch, so it cannot be sent afterwards."""
    return len(batch._build())


class TopicLimits:
    """The size limits of topics, read from Kafka when needed, and corrected when brokers refuse a batch."""

    def __init__(self, own_topics: Iterable[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        """`own_topics` are counted by name. Others come from senders, who may name any topic for their replies."""
        self._clock = clock
        self._refused = {topic: RECORDS_TOO_LARGE.labels(topic) for topic in (*own_topics, OTHER)}
        self._known: dict[str, tuple[int, float]] = {}

    async def of(self, topic: str, producer: AIOKafkaProducer, size: int) -> int:
        """Bytes that a batch for this topic may have. A limit that cannot be read counts as unlimited.

        Args:
            topic: exists.
            producer: started.
            size: bytes of the largest record to send. A small record does not cause an old limit to be read again.
        """
        limit, read_at = self._known.get(topic, (UNLIMITED, None))
        max_age = REFUSING_SECONDS if size > limit else KNOWN_SECONDS if size > LARGE_BYTES else math.inf
        if read_at is None or self._clock() - read_at > max_age:
            limit = await _read_limit(producer, topic) or limit
            self._known[topic] = (limit, self._clock())
        return limit

    async def correct(self, topic: str, producer: AIOKafkaProducer, refused_bytes: int) -> None:
        """Lower the limit after a broker has refused a batch of this size."""
        self._refused.get(topic, self._refused[OTHER]).inc()
        known, _ = self._known.get(topic, (UNLIMITED, None))
        limit = min(await _read_limit(producer, topic) or known, refused_bytes - 1)
        self._known[topic] = (limit, self._clock())
        log.warning("a topic takes smaller batches than expected", topic=topic, limit_bytes=limit)


async def _read_limit(producer: AIOKafkaProducer, topic: str) -> int | None:
    client = producer.client
    request = DescribeConfigsRequest([(_TOPIC, topic, [_SETTING])])
    try:
        response = await client.send(client.get_random_node(), request)
    except KafkaError as error:
        log.warning("the limit of a topic cannot be read", topic=topic, error=error)
        return None
    for resource in response.resources:
        for name, value, *_ in resource[4]:
            if name == _SETTING and value:
                return int(value)
    return None

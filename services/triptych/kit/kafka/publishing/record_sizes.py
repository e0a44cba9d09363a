"""How large records are on the wire, and how large a topic's limit (`max.message.bytes`) lets them be.

A broker measures batches as they come, compressed and with their header. It must not be asked to find out: a batch that
it refuses leaves a gap in the sequence of an idempotent producer, and the next batch of the partition fails for it.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.admin import DescribeConfigsRequest

from triptych.kit.process.telemetry import RECORDS_TOO_LARGE

log = logging.getLogger(__name__)

BATCH_OVERHEAD, RECORD_OVERHEAD, FIELD_OVERHEAD = 61, 26, 5
"""The header of a batch and, at most, what a record and each of its fields need for their lengths."""
UNLIMITED = 2**31 - 1
KNOWN_SECONDS, REFUSING_SECONDS = 60.0, 1.0
"""How long a limit is relied on before a large record, or one that it seems to forbid, has it read again."""
LARGE_BYTES = 64 * 1024
_TOPIC = 2  # Kafka's number for the kind of resource
_SETTING = "max.message.bytes"


def bound(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Bytes that a batch of this one record cannot exceed, whatever a codec makes of it."""
    size = BATCH_OVERHEAD + RECORD_OVERHEAD + len(key or b"") + len(value or b"")
    for name, text in headers:
        size += 4 * len(name) + len(text or b"") + 2 * FIELD_OVERHEAD
    return expanded(size)


def expanded(size: int) -> int:
    """The most that a codec makes of incompressible bytes (snappy's bound); aiokafka sends what comes out."""
    return size + size // 6 + 64


def exact(batch: BatchBuilder) -> int:
    """Bytes of a batch as it would be sent, after compression. It cannot be sent any more: it is built once."""
    return len(batch._build())


class TopicLimits:
    """The limits of topics, read from Kafka when they are needed, and corrected by what brokers refuse."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[int, float]] = {}

    async def of(self, topic: str, producer: AIOKafkaProducer, size: int) -> int:
        """Bytes that a batch for this topic may have; a limit that cannot be read is left to the broker.

        Args:
            topic: that exists.
            producer: started.
            size: of the largest record that is to be sent; a small one does not have an old limit read again.
        """
        limit, read_at = self._known.get(topic, (UNLIMITED, None))
        relied_on = REFUSING_SECONDS if size > limit else KNOWN_SECONDS if size > LARGE_BYTES else math.inf
        if read_at is None or self._clock() - read_at > relied_on:
            limit = await _read_limit(producer, topic) or limit
            self._known[topic] = (limit, self._clock())
        return limit

    async def correct(self, topic: str, producer: AIOKafkaProducer, refused_bytes: int) -> None:
        """Learn from a batch of this size, which a broker has just refused."""
        RECORDS_TOO_LARGE.labels(topic).inc()
        known, _ = self._known.get(topic, (UNLIMITED, None))
        limit = min(await _read_limit(producer, topic) or known, refused_bytes - 1)
        self._known[topic] = (limit, self._clock())
        log.warning("topic %s takes batches of %d bytes at most", topic, limit)


async def _read_limit(producer: AIOKafkaProducer, topic: str) -> int | None:
    client = producer.client
    request = DescribeConfigsRequest([(_TOPIC, topic, [_SETTING])])
    try:
        response = await client.send(client.get_random_node(), request)
    except KafkaError as error:
        log.warning("the limit of topic %s cannot be read: %r", topic, error)
        return None
    for resource in response.resources:
        for name, value, *_ in resource[4]:
            if name == _SETTING and value:
                return int(value)
    return None

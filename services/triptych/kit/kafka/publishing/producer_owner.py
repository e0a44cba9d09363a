"""Owns the one producer of a publisher: makes it when it is first needed, replaces it when it is broken, closes it."""

import asyncio
import contextlib
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from triptych.kit.kafka.errors import no_answer
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.stopping import PRODUCERS, stop_deadline

log = get_logger(__name__)

# A producer that is replaced, or whose process stops, has this time to send what it has; and half of it to give up.
STOP_TIMEOUT_SECONDS = 5.0


class ProducerOwner:
    """The producer that is in use, and those that are still closing."""

    def __init__(self, make: Callable[[], AIOKafkaProducer]) -> None:
        """`make` makes a producer that is not started."""
        self._make = make
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def current(self) -> AIOKafkaProducer:
        """The producer in use, started. Raises TransientFailure if no broker answers."""
        async with self._starting:
            if self._producer is None:
                producer = self._make()
                try:
                    await producer.start()
                except BaseException as error:
                    await _close(producer)
                    if isinstance(error, KafkaError):
                        raise no_answer(error) from error
                    raise
                self._producer = producer
            return self._producer

    def is_current(self, producer: AIOKafkaProducer) -> bool:
        """Whether this producer is in use, so that nobody has replaced it."""
        return self._producer is producer

    def replace(self, broken: AIOKafkaProducer) -> bool:
        """Close this producer in the background, and use a new one from now on; False if it was replaced already."""
        if self._producer is not broken:
            return False
        log.warning("the Kafka producer is replaced")
        self._producer = None
        self._close_soon(broken)
        return True

    async def stop(self) -> None:
        """Close the producer, within the share of the stop (decision 26)."""
        producer, self._producer = self._producer, None
        if producer is not None:
            self._close_soon(producer)
        async with stop_deadline().step("a Kafka producer", PRODUCERS):
            await asyncio.gather(*self._closing, return_exceptions=True)

    def _close_soon(self, producer: AIOKafkaProducer) -> None:
        closing = asyncio.create_task(_close(producer))
        self._closing.add(closing)
        closing.add_done_callback(self._on_closed)

    def _on_closed(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        if not closing.cancelled() and (error := closing.exception()) is not None:
            log.error("a Kafka producer was not closed", exc_info=error)


async def _close(producer: AIOKafkaProducer) -> None:
    # Stopping flushes, which can wait for a broker that is gone. The caller must not wait that long.
    try:
        async with asyncio.timeout(min(STOP_TIMEOUT_SECONDS, stop_deadline().remaining(PRODUCERS))):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        log.warning("the Kafka producer did not close cleanly", error=error)
        # If stopping is interrupted, aiokafka's sender retries for ever, and there is no public way to end it.
        await producer.client.close()
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS / 2):
                await producer._sender.close()

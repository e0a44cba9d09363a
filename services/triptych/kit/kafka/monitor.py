"""Checks twice a second whether Kafka answers, so that work for a client fails at once while it does not.

A consumer needs no monitor: it waits for Kafka in any case. Its service asks Kafka when its readiness is asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.brokers import BrokersClient
from triptych.kit.kafka.errors import NO_ANSWER, no_answer
from triptych.kit.kafka.reading.reader import METADATA_MAX_AGE_MS
from triptych.kit.kafka.refusals import starting
from triptych.kit.kafka.security import connection_options
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import SUPERVISOR, progress

log = get_logger(__name__)

INTERVAL_SECONDS = 0.5
# A refused connection fails at once; this limit is for a broker that accepts the connection and is slow.
ANSWER_SECONDS = 5.0
# Of several brokers, a silent one must leave time to ask another. Otherwise one dead machine would fail all writes.
BROKER_SECONDS = ANSWER_SECONDS / 2


class KafkaMonitor:
    """A circuit breaker that calls `ask` at intervals; `ask` raises KafkaError or hangs while Kafka is away."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._is_lost = False
        self._limits: set[asyncio.Timeout] = set()

    @property
    def problem(self) -> str | None:
        """None as long as Kafka answers."""
        return NO_ANSWER if self._is_lost else None

    @asynccontextmanager
    async def fail_fast(self, seconds: float) -> AsyncIterator[None]:
        """Run a block that needs Kafka, for at most `seconds`.

        Raises:
            TransientFailure: Kafka does not answer, stops answering while the block runs, or the block takes too long.
                Whatever the block awaits is cancelled.
        """
        if self._is_lost:
            raise TransientFailure(NO_ANSWER)
        try:
            async with asyncio.timeout(seconds) as limit:
                self._limits.add(limit)
                try:
                    yield
                finally:
                    self._limits.discard(limit)
        except TimeoutError:
            raise TransientFailure(NO_ANSWER if self._is_lost else f"it took more than {seconds:g} s") from None

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            progress()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._ask()
            except (KafkaError, TimeoutError) as error:
                if not self._is_lost:
                    log.warning("Kafka does not answer", error=str(no_answer(error)))
                    self._trip()
            else:
                self._is_lost = False
            await asyncio.sleep(INTERVAL_SECONDS)

    def _trip(self) -> None:
        self._is_lost = True
        limits, self._limits = self._limits, set()
        for limit in limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def monitor_kafka(settings: KitSettings) -> AsyncIterator[KafkaMonitor]:
    """Monitor the brokers while the block runs.

    Raises:
        NotYetAvailable: no broker answers.
    """
    # The monitor has its own connection: on a consumer's connection, a question waits behind a fetch, which waits for
    # records.
    client = make_client(settings)
    try:
        async with starting(settings, ANSWER_SECONDS):
            await client.bootstrap()
        async with running_monitor(client.ask) as monitor:
            yield monitor
    finally:
        await client.close()


def make_client(settings: KitSettings) -> BrokersClient:
    """A client that asks another broker if one is silent, and forgets a dead broker when the others do. Not started."""
    has_one = "," not in settings.kafka_bootstrap
    return BrokersClient(
        **connection_options(settings),
        client_id="triptych",
        request_timeout_ms=int(1000 * (ANSWER_SECONDS if has_one else BROKER_SECONDS)),
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )


@asynccontextmanager
async def running_monitor(ask: Callable[[], Awaitable[object]]) -> AsyncIterator[KafkaMonitor]:
    """Run a monitor while the block runs."""
    monitor = KafkaMonitor(ask)
    async with SUPERVISOR.running("Kafka monitor", monitor.run):
        yield monitor

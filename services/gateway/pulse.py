"""Knows within a second whether Kafka answers, so that writes are refused at once while it does not."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from services.kit.failures import StartRefused, TransientFailure
from services.kit.settings import KitSettings

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.5
# A connection refused is known at once; a broker that only takes its time gets some.
ANSWER_SECONDS = 5.0
T = TypeVar("T")


class Pulse:
    """Asks the same question again and again; `ask` raises KafkaError or does not return when Kafka is away."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._lost = asyncio.Event()

    @property
    def problem(self) -> str | None:
        """None as long as Kafka answers."""
        return "Kafka does not answer" if self._lost.is_set() else None

    async def during(self, work: Awaitable[T]) -> T:
        """The result of work that needs Kafka.

        Raises:
            TransientFailure: Kafka does not answer, or ceased to while the work went on, which is cancelled.
        """
        working, losing = asyncio.ensure_future(work), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((working, losing), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise TransientFailure("Kafka does not answer")
            return await working
        finally:
            working.cancel()
            losing.cancel()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._ask()
            except (KafkaError, TimeoutError) as error:
                if not self._lost.is_set():
                    log.warning("Kafka does not answer: %r", error)
                self._lost.set()
            except Exception:
                log.exception("cannot tell whether Kafka answers")
            else:
                self._lost.clear()
            await asyncio.sleep(INTERVAL_SECONDS)


@asynccontextmanager
async def feel_pulse(settings: KitSettings) -> AsyncIterator[Pulse]:
    """The pulse of the brokers as long as the block runs.

    Raises:
        StartRefused: no broker answers.
    """
    # A connection of its own: on those of consumers, questions wait behind fetches that wait for records.
    client = AIOKafkaClient(bootstrap_servers=settings.kafka_bootstrap, client_id="triptych")
    try:
        try:
            await client.bootstrap()
        except KafkaConnectionError:
            raise StartRefused(
                f"Kafka does not answer at {settings.kafka_bootstrap} (TRIPTYCH_KAFKA_BOOTSTRAP)."
            ) from None
        async with beating(client.fetch_all_metadata) as pulse:
            yield pulse
    finally:
        await client.close()


@asynccontextmanager
async def beating(ask: Callable[[], Awaitable[object]]) -> AsyncIterator[Pulse]:
    """A pulse that runs as long as the block."""
    pulse = Pulse(ask)
    task = asyncio.create_task(pulse.run())
    try:
        yield pulse
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

"""Reads topics of replies from their end, and hands each reply to the call that waits for it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

from pydantic import ValidationError

from triptych.client.kafka import AIOKafkaConsumer, KafkaError, WholeTopic
from triptych.contract.replies import Reply

log = logging.getLogger(__name__)

POLL_MS = 1000
PAUSE_SECONDS = 0.5


class Replies:
    """The replies to the commands of one client."""

    def __init__(self, make_consumer: Callable[[], AIOKafkaConsumer]) -> None:
        """`make_consumer` makes a consumer outside any group that is not started."""
        self._make_consumer = make_consumer
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}
        self._topics: set[str] = set()
        self._open = AsyncExitStack()
        self._opening = asyncio.Lock()
        self.problem: Exception | None = None
        """Why replies cannot be read at the moment, or None."""

    @contextmanager
    def expect(self, correlation_id: bytes) -> Iterator[asyncio.Future[Reply]]:
        """A future of the reply with this correlation id; enter before sending the command."""
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = answered
        try:
            yield answered
        finally:
            del self._waiting[correlation_id]

    async def read(self, topic: str) -> None:
        """Read a topic from its present end until `close`: what is published after the return is received.

        Nothing happens if the topic is read already. Raises KafkaError, also if the topic does not exist.
        """
        async with self._opening:
            if topic in self._topics:
                return
            async with AsyncExitStack() as opened:
                consumer = self._make_consumer()
                opened.push_async_callback(consumer.stop)
                await consumer.start()
                whole = WholeTopic(consumer, topic)
                await whole.require()
                await whole.find()
                await whole.assign_ends()
                reading = asyncio.create_task(self._read(consumer, whole))
                opened.push_async_callback(_end, reading)
                self._open.push_async_callback(opened.pop_all().aclose)
            self._topics.add(topic)

    async def close(self) -> None:
        """Stop reading. The futures of calls that still wait are cancelled."""
        for answered in self._waiting.values():
            answered.cancel()
        await self._open.aclose()

    async def _read(self, consumer: AIOKafkaConsumer, whole: WholeTopic) -> None:
        while True:
            try:
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        self._receive(record.key, record.value)
                self.problem = None
                await whole.add_new_partitions()
            except Exception as error:  # noqa: BLE001 - codecs and damaged batches raise what they like
                log.warning("replies cannot be read: %r", error)
                self.problem = error
                await asyncio.sleep(PAUSE_SECONDS)
                # Replies may be in a batch that cannot be read. They come again, since their commands are sent again.
                with contextlib.suppress(KafkaError):
                    await whole.assign_ends()

    def _receive(self, key: bytes | None, value: bytes | None) -> None:
        answered = self._waiting.get(key or b"")
        if answered is None or answered.done():
            return
        try:
            answered.set_result(Reply.model_validate_json(value or b""))
        except ValidationError as error:
            log.error("the reply to a waiting command cannot be read: %s", error)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])

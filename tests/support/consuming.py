"""A consumer of batches whose handler records what it is given."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from tests.support.installation import Installation
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.consuming.batch_handler import Gate
from triptych.kit.kafka.consuming.broker import make_broker
from triptych.kit.kafka.consuming.consumer import OPEN, BatchConsumer
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.process.settings import KitSettings


class Recorder:
    """A handler that records the values of its records; `fail` may raise for some of them."""

    def __init__(self, fail: Callable[[bytes], None] = lambda value: None) -> None:
        self._fail = fail
        self.values: list[bytes] = []
        self.preparations = 0
        self.releases = 0
        self.unreadable: list[Unreadable] = []

    async def assigned(self, partitions: frozenset[int]) -> None:
        self.preparations += 1

    async def released(self) -> None:
        self.releases += 1

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        self.unreadable += unreadable

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        for record in records:
            self._fail(record.value)
        self.values += [record.value for record in records]

    async def has(self, *values: bytes) -> bool:
        return set(values) <= set(self.values)


def group_of(installation: Installation) -> str:
    """The consumer group of `consuming`. Members of one group on other topics would divide its partitions anew."""
    return f"{installation.name}.tests"


@asynccontextmanager
async def consuming(installation: Installation, handler: Recorder, gate: Gate = OPEN) -> AsyncIterator[BatchConsumer]:
    settings = installation.settings(KitSettings)
    publisher = Publisher(lambda: make_producer(settings))
    broker = make_broker(settings)
    letters = DeadLetterPublisher(publisher, installation.topics.dead_letter)
    consumer = BatchConsumer(broker, installation.topics.commands, group_of(installation), handler, letters, gate=gate)
    await broker.start()
    try:
        yield consumer
    finally:
        await consumer.give_up()
        await broker.stop()
        await publisher.stop()

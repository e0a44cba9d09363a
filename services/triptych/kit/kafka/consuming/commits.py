"""Commits the offsets of finished batches, several batches at a time, while the next ones are handled."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from triptych.kit.kafka.errors import no_answer
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.coalescer import Coalescer

log = get_logger(__name__)

COMMIT_TIMEOUT_SECONDS = 10.0
# Offsets of several batches are committed together: a commit costs as much work as handling a single record.
COMMIT_SECONDS = 0.5


class OffsetCommits(Coalescer[Mapping[TopicPartition, int]]):
    """The offsets after finished records that are still to be committed, by one consumer.

    If the process ends before a commit, the records are read again and recognised.
    """

    def __init__(self, topic: str, consumer_of: Callable[[], AIOKafkaConsumer | None]) -> None:
        """`consumer_of` returns the consumer that commits, once it has started."""
        super().__init__(f"{topic}: offsets to be committed", self._commit, COMMIT_SECONDS)
        self._topic = topic
        self._consumer_of = consumer_of
        self.assignment = 0
        """Another number after partitions were taken away."""

    def after(self, records: Sequence[IncomingRecord]) -> None:
        """Commit the offsets after these records soon."""
        self.add([{TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}])

    def discard(self) -> None:
        """Drop what waits, also what is being committed now if that fails: the partitions belong to others."""
        self.assignment += 1
        super().discard()

    async def _commit(self, finished: Sequence[Mapping[TopicPartition, int]]) -> None:
        """Commit these offsets. Raises KafkaAway if Kafka does not answer, so that they are committed later."""
        consumer, assignment = self._consumer_of(), self.assignment
        if consumer is None:
            return
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
                await consumer.commit({key: offset for offsets in finished for key, offset in offsets.items()})
        except KafkaError as error:
            # A rebalance came first. The records are finished; the next owner reads and recognises them.
            log.info("offsets were not committed, and records will be repeated", topic=self._topic, error=error)
        except TimeoutError as error:
            # Without another try, a partition that gets no more records would seem to be behind for ever.
            if assignment == self.assignment:
                raise no_answer(error) from error

"""Publishes the commands of concurrent requests together."""

import asyncio
from collections.abc import Sequence

from triptych.contract.codec.envelope import Message
from triptych.kit.failures import RecordTooLarge
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.process.coalescer import Caller, Coalescer, add_and_wait, answer

# The default number of partitions. With a lane for each, a partition without a leader does not delay the others.
LANES = 12


class TooLarge(Exception):
    """The command is larger than Kafka accepts, so sending it again does not help."""


class CommandSender:
    """Sends commands in `LANES` lanes, chosen by key. Commands that wait for a busy lane share its next round trip.

    aiokafka sends one batch at a time for each partition. Requests that compete for the next batch starve each other
    (measured: a tenth of 100 concurrent writes to one gallery). A request that gives up must also not interrupt the
    publisher, which may be connecting at that moment.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._lanes = [Coalescer("Kafka to take commands", self._publish) for _ in range(LANES)]

    async def send(self, topic: str, message: Message) -> None:
        """Return once Kafka has acknowledged the command.

        Raises:
            TransientFailure: the command may or may not be on the topic.
            TooLarge: the command is not on the topic.
        """
        record = OutgoingRecord(topic, message.key, message.value, message.headers)
        await add_and_wait(self._lanes[partition_of(message.key, LANES)], record)

    async def close(self) -> None:
        """Stop all lanes; no request waits for them any more."""
        await asyncio.gather(*(lane.stop() for lane in self._lanes))

    async def _publish(self, callers: Sequence[Caller[OutgoingRecord]]) -> None:
        # The client of a request that gave up has its response already; the command must not follow it.
        waiting = [caller for caller in callers if not caller.done.done()]
        try:
            await self._publisher.publish([caller.item for caller in waiting])
        except RecordTooLarge as error:
            answer([waiting[position] for position in error.positions], TooLarge())
            # Some of the others may be on the topic already. Publishing a command twice is harmless.
            await self._publish(waiting)
        except Exception as error:  # noqa: BLE001 - raised in each request, where it is answered and logged
            answer(waiting, error)
        else:
            answer(waiting)

"""Publishes the commands of concurrent requests together."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from triptych.contract.codec.envelope import Message
from triptych.kit.failures import RecordTooLarge
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher

# The default number of partitions. With a lane for each, a partition without a leader does not delay the others.
LANES = 12


class TooLarge(Exception):
    """The command is larger than Kafka accepts, so sending it again does not help."""


class _PendingCommand(NamedTuple):
    record: OutgoingRecord
    sent: asyncio.Future[None]


class CommandSender:
    """Sends commands in `LANES` lanes, chosen by key. Commands that wait for a busy lane share its next round trip.

    aiokafka sends one batch at a time for each partition. Requests that compete for the next batch starve each other
    (measured: a tenth of 100 concurrent writes to one gallery). A request that gives up must also not interrupt the
    publisher, which may be connecting at that moment.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: dict[int, list[_PendingCommand]] = {}
        self._lanes: dict[int, asyncio.Task[None]] = {}

    async def send(self, topic: str, message: Message) -> None:
        """Return once Kafka has acknowledged the command.

        Raises:
            TransientFailure: the command may or may not be on the topic.
            TooLarge: the command is not on the topic.
        """
        record = OutgoingRecord(topic, message.key, message.value, message.headers)
        command = _PendingCommand(record, asyncio.get_running_loop().create_future())
        lane = partition_of(message.key, LANES)
        self._waiting.setdefault(lane, []).append(command)
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._run(lane))
        await command.sent

    async def close(self) -> None:
        """Cancel all lanes; no request waits for them any more."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def _run(self, lane: int) -> None:
        try:
            while pending := self._waiting.pop(lane, None):
                # The client of a request that gave up has its response already; the command must not follow it.
                await self._publish([command for command in pending if not command.sent.done()])
        finally:
            del self._lanes[lane]

    async def _publish(self, pending: Sequence[_PendingCommand]) -> None:
        try:
            await self._publisher.publish([command.record for command in pending])
        except RecordTooLarge as error:
            _resolve([pending[position] for position in error.positions], TooLarge())
            # Some of the others may be on the topic already. Publishing a command twice is harmless.
            if others := [command for position, command in enumerate(pending) if position not in error.positions]:
                await self._publish(others)
        except Exception as error:  # noqa: BLE001 - raised in each request, where it is answered and logged
            _resolve(pending, error)
        else:
            _resolve(pending)


def _resolve(pending: Sequence[_PendingCommand], failure: Exception | None = None) -> None:
    for command in pending:
        if command.sent.done():
            continue
        if failure is None:
            command.sent.set_result(None)
        else:
            command.sent.set_exception(failure)

"""Publishes the commands of concurrent requests together."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from triptych.contract.codec.envelope import Message
from triptych.kit.failures import RecordTooLarge
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher

# The default number of partitions: a lane each, so that one partition without a leader does not hold up the others.
LANES = 12


class TooLarge(Exception):
    """Kafka does not take a record of this size, now or later."""


class _PendingCommand(NamedTuple):
    record: OutgoingRecord
    sent: asyncio.Future[None]


class CommandSender:
    """A few lanes, chosen by key: what arrives while a lane is busy goes out in its next round trip.

    aiokafka takes one batch a partition at a time; requests that waited for that place on their own would starve each
    other (seen: a tenth of 100 concurrent writes to one gallery). And a request that gives up must not interrupt the
    publisher, which may be connecting at that moment.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: dict[int, list[_PendingCommand]] = {}
        self._lanes: dict[int, asyncio.Task[None]] = {}

    async def send(self, topic: str, message: Message) -> None:
        """Return once Kafka has acknowledged the command.

        Raises:
            TransientFailure: it may be on the topic or not.
            TooLarge: it is not on the topic.
        """
        record = OutgoingRecord(topic, message.key, message.value, message.headers)
        parcel = _PendingCommand(record, asyncio.get_running_loop().create_future())
        lane = partition_of(message.key, LANES)
        self._waiting.setdefault(lane, []).append(parcel)
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._run(lane))
        await parcel.sent

    async def close(self) -> None:
        """End what is under way; nobody waits for it any more."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def _run(self, lane: int) -> None:
        try:
            while parcels := self._waiting.pop(lane, None):
                # A request that has given up has been told so; its command must not follow.
                await self._deliver([parcel for parcel in parcels if not parcel.sent.done()])
        finally:
            del self._lanes[lane]

    async def _deliver(self, parcels: Sequence[_PendingCommand]) -> None:
        try:
            await self._publisher.publish([parcel.record for parcel in parcels])
        except RecordTooLarge as error:
            _resolve([parcels[position] for position in error.positions], TooLarge())
            # If others are on the topic already, they come twice, which is harmless for commands.
            if rest := [parcel for position, parcel in enumerate(parcels) if position not in error.positions]:
                await self._deliver(rest)
        except Exception as error:  # noqa: BLE001 - raised in each request, where it is answered and logged
            _resolve(parcels, error)
        else:
            _resolve(parcels)


def _resolve(parcels: Sequence[_PendingCommand], failure: Exception | None = None) -> None:
    for parcel in parcels:
        if parcel.sent.done():
            continue
        if failure is None:
            parcel.sent.set_result(None)
        else:
            parcel.sent.set_exception(failure)

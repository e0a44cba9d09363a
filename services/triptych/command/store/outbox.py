"""Stores events that are committed but may not be on the topic yet, and publishes them in order.

A document has the events of one batch and partition: measured, a third faster than one document for each event. Its
position is (partition, epoch, number). Epochs rise with each owner of the partition, and numbers with each batch of one
owner, so that a new owner publishes pending rows exactly in the order of the commits.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.contract.codec.envelope import Message
from triptych.kit.chunks import by_weight, until_full
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.mongo.driver import (
    ASCENDING,
    Collection,
    Database,
    Document,
    IndexModel,
    Session,
    WriteConcern,
)
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.inserting import insert_all
from triptych.kit.mongo.sharding import ShardKey
from triptych.kit.mongo.transactions import settled_reads
from triptych.kit.process.clock import utc_now
from triptych.kit.process.coalescer import Coalescer
from triptych.kit.process.supervision import progress

# Acknowledge the rows of several commands together, in the background: inline, each single command took 1 ms longer.
ACKNOWLEDGE_SECONDS = 0.1
FINISH_SECONDS = 5.0
# A MongoDB document may have 16 MB. A smaller limit saves memory, and leaves room for bytes that are not counted.
ROW_BYTES = 4 * 1024 * 1024
# The bytes that are counted for the key and the headers of an event. With the longest ids, source and trace, and all
# characters outside of the basic plane, they have over three times as many; a row of the smallest events still fits.
HEADERS_BYTES = 2 * 1024
FLUSH_BYTES = 8 * 1024 * 1024


def indexes(retention: timedelta) -> dict[str, list[IndexModel]]:
    """Indexes to find pending rows in order, and to expire published rows after `retention`."""
    return {
        "outbox": [
            ShardKey("_id"),
            IndexModel(
                [("partition", ASCENDING), ("epoch", ASCENDING), ("number", ASCENDING)],
                partialFilterExpression={"pending": True},
            ),
            IndexModel([("publishedAt", ASCENDING)], expireAfterSeconds=int(retention.total_seconds())),
        ]
    }


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Events of one batch and partition, in order of commit."""

    row_id: str
    partition: int
    epoch: int
    number: int
    messages: tuple[Message, ...]


class Outbox:
    """Writes rows to MongoDB, publishes their events, and acknowledges published rows."""

    def __init__(self, database: Database, publisher: Publisher, events_topic: str) -> None:
        self._database = database
        self._rows: Collection = database["outbox"]
        self._acknowledgements = self._rows.with_options(write_concern=WriteConcern(1))
        self._publisher = publisher
        self.topic = events_topic
        self._number = 0
        # Published rows whose documents still say `pending`.
        self._unacknowledged = Coalescer("MongoDB to mark published events", self._acknowledge, ACKNOWLEDGE_SECONDS)

    def rows_of(self, unit: UnitOfWork, ownership: Ownership) -> list[OutboxRow]:
        """The rows for all changes of a unit of work."""
        by_partition: dict[int, list[Message]] = {}
        for command, _, messages in unit.changes:
            if messages:
                by_partition.setdefault(command.partition, []).extend(messages)
        rows = []
        for partition, messages in by_partition.items():
            epoch = ownership.epoch(partition)
            weights = [len(message.value) + HEADERS_BYTES for message in messages]
            for chunk in by_weight(messages, weights, ROW_BYTES):
                self._number += 1
                row_id = f"{partition}-{epoch}-{self._number}"
                rows.append(OutboxRow(row_id, partition, epoch, self._number, tuple(chunk)))
        return rows

    async def insert(self, rows: Sequence[OutboxRow], session: Session) -> None:
        """Insert rows in the transaction of `session`."""
        await insert_all(self._rows, [_document(row) for row in rows], session)

    def records(self, rows: Sequence[OutboxRow]) -> list[OutgoingRecord]:
        """The records to publish for rows."""
        return [
            OutgoingRecord(self.topic, message.key, message.value, message.headers)
            for row in rows
            for message in row.messages
        ]

    def acknowledge_soon(self, rows: Iterable[OutboxRow]) -> None:
        """Acknowledge rows soon, so that they can expire; called after Kafka has acknowledged their records.

        If a crash prevents it, their events are published a second time, which consumers have to expect anyway. Waiting
        for it would delay each single command that follows.
        """
        self._unacknowledged.add(row.row_id for row in rows)

    async def flush_acknowledgements(self) -> None:
        """Acknowledge published rows now, before another process takes over; it publishes what is left again."""
        await self._unacknowledged.finish(FINISH_SECONDS)

    async def _acknowledge(self, row_ids: list[str]) -> None:
        await self._acknowledgements.update_many(
            {"_id": {"$in": row_ids}},
            {"$set": {"publishedAt": utc_now()}, "$unset": {"pending": ""}},
        )

    async def flush(self, partitions: Iterable[int]) -> int:
        """Publish pending rows in order, in bounded memory; the result is the number of events.

        Raises:
            TransientFailure: Kafka or MongoDB is unavailable; the next call publishes the remaining rows.
        """
        await self._unacknowledged.flush()
        published = 0
        # A commit whose outcome is unknown may have no majority yet, and reads do not show its rows before it has one.
        # Without this wait, its events could be published after those of later commits.
        async with settled_reads(self._database) as session:
            async for rows in until_full(self._pending(partitions, session), limit=FLUSH_BYTES, weigh=_size):
                published += await self._publish(rows)
        return published

    async def _pending(self, partitions: Iterable[int], session: Session | None) -> AsyncIterator[OutboxRow]:
        query = {"partition": {"$in": sorted(partitions)}, "pending": True}
        order = [("partition", ASCENDING), ("epoch", ASCENDING), ("number", ASCENDING)]
        async for document in self._rows.find(query, session=session).sort(order):
            yield _row(document)

    async def _publish(self, rows: Sequence[OutboxRow]) -> int:
        progress()
        records = self.records(rows)
        await self._publisher.publish(records)
        self.acknowledge_soon(rows)
        await self._unacknowledged.flush()
        return len(records)


def _size(row: OutboxRow) -> int:
    return sum(len(message.value) for message in row.messages)


def _document(row: OutboxRow) -> Document:
    return {
        "_id": row.row_id,
        "partition": row.partition,
        "epoch": row.epoch,
        "number": row.number,
        "pending": True,
        "events": [
            # No event has two headers of the same name.
            {"key": message.key, "value": message.value, "headers": dict(message.headers)}
            for message in row.messages
        ],
    }


def _row(document: Document) -> OutboxRow:
    return OutboxRow(
        document["_id"],
        document["partition"],
        document["epoch"],
        document["number"],
        tuple(_message(event) for event in document["events"]),
    )


def _message(event: dict[str, Any]) -> Message:
    return Message(key=event["key"], value=event["value"], headers=tuple(event["headers"].items()))

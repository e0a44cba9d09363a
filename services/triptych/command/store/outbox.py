"""Keeps events that are committed but perhaps not yet on the topic, and publishes them in order.

One document holds the events of one batch and partition: measured, a third faster than one document an event. A
document's place is (partition, epoch, number): epochs rise with every owner of the partition and numbers with every
batch of one owner, so that a new owner publishes what is left exactly in the order of the commits.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.contract.codec.envelope import Message
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.mongo.driver import (
    ASCENDING,
    Collection,
    Database,
    Document,
    IndexModel,
    PyMongoError,
    Session,
    WriteConcern,
)
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.transactions import wait_for_majority
from triptych.kit.process.waits import Trouble

log = logging.getLogger(__name__)

# Those of several commands are marked together, and beside the work: each lone one was held up by a millisecond.
ACKNOWLEDGE_SECONDS = 0.1
# A MongoDB document may have 16 MB; this keeps what is held in memory small, and leaves room for what is not counted.
ROW_BYTES = 4 * 1024 * 1024
# What the key and the headers of an event are counted as. With the longest ids, source and trace, and all characters
# outside of the basic plane, they are more than three times as much; a row of the smallest events still fits.
HEADERS_BYTES = 2 * 1024
FLUSH_BYTES = 8 * 1024 * 1024


def indexes(retention: timedelta) -> dict[str, list[IndexModel]]:
    """Rows to publish in order, and published ones to expire."""
    return {
        "outbox": [
            IndexModel(
                [("partition", ASCENDING), ("epoch", ASCENDING), ("number", ASCENDING)],
                partialFilterExpression={"pending": True},
            ),
            IndexModel([("publishedAt", ASCENDING)], expireAfterSeconds=int(retention.total_seconds())),
        ]
    }


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Events of one partition, in order of commit."""

    row_id: str
    partition: int
    epoch: int
    number: int
    messages: tuple[Message, ...]


class Outbox:
    """The rows in MongoDB and their way to the events topic."""

    def __init__(self, database: Database, publisher: Publisher, events_topic: str) -> None:
        self._database = database
        self._rows: Collection = database["outbox"]
        self._marks = self._rows.with_options(write_concern=WriteConcern(1))
        self._publisher = publisher
        self._topic = events_topic
        self._number = 0
        self._published: list[str] = []  # rows not marked yet
        self._marks_in_flight = asyncio.Lock()
        self._trouble = Trouble("MongoDB to mark published events")
        self._marking: asyncio.Task[None] | None = None

    def rows_of(self, workspace: UnitOfWork, ownership: Ownership) -> list[OutboxRow]:
        """The rows for everything that the workspace has decided."""
        by_partition: dict[int, list[Message]] = {}
        for command, _, messages in workspace.changes:
            if messages:
                by_partition.setdefault(command.partition, []).extend(messages)
        rows = []
        for partition, messages in by_partition.items():
            epoch = ownership.epoch(partition)
            for part in _chunks(messages):
                self._number += 1
                rows.append(OutboxRow(f"{partition}-{epoch}-{self._number}", partition, epoch, self._number, part))
        return rows

    async def insert(self, rows: Sequence[OutboxRow], session: Session) -> None:
        """Add rows to the transaction of `session`."""
        if rows:
            await self._rows.insert_many([_document(row) for row in rows], ordered=False, session=session)

    def records(self, rows: Sequence[OutboxRow]) -> list[OutgoingRecord]:
        """What publishing the rows means."""
        return [
            OutgoingRecord(self._topic, message.key, message.value, message.headers)
            for row in rows
            for message in row.messages
        ]

    def acknowledge_soon(self, rows: Iterable[OutboxRow]) -> None:
        """Let the rows expire; called once Kafka has acknowledged their records.

        A mark that a crash takes away makes their events come twice, which consumers have to expect anyway; to wait for
        it would hold up each lone command behind.
        """
        self._published += [row.row_id for row in rows]
        if self._published and (self._marking is None or self._marking.done()):
            self._marking = asyncio.create_task(self._mark_later())

    async def settle(self) -> None:
        """Mark what is published, before somebody else takes over."""
        if self._marking is not None:
            self._marking.cancel()
            await asyncio.wait({self._marking})
        self._trouble.end()
        try:
            await self._mark()
        except PyMongoError as error:
            log.warning("events that are published come once more, for they could not be marked: %s", error)

    async def _mark_later(self) -> None:
        while self._published:
            await asyncio.sleep(ACKNOWLEDGE_SECONDS)
            self._trouble.begin()
            try:
                await self._mark()
            except PyMongoError as error:
                log.info("published events are marked later: %s", error)
            else:
                self._trouble.end()

    async def _mark(self) -> None:
        # One at a time: a rebalance and the end of the service may both settle, and the later one has to wait for the
        # marks that the earlier one has in flight.
        async with self._marks_in_flight:
            row_ids, self._published = self._published, []
            if not row_ids:
                return
            try:
                await self._marks.update_many(
                    {"_id": {"$in": row_ids}},
                    {"$set": {"publishedAt": datetime.now(UTC)}, "$unset": {"pending": ""}},
                )
            except BaseException:
                self._published += row_ids
                raise

    async def flush(self, partitions: Iterable[int]) -> int:
        """Publish what is committed but not marked, in order, in bounded memory; the number of events.

        Raises:
            TransientFailure: Kafka or MongoDB is away; what is left is published by the next call.
        """
        await self._mark()
        # A commit whose outcome was not told may have no majority yet. Reads do not show its rows before it has one,
        # and then its events would come behind those of later commits.
        await wait_for_majority(self._database)
        published = 0
        waiting: list[OutboxRow] = []
        size = 0
        for partition in sorted(partitions):
            async for document in self._rows.find({"partition": partition, "pending": True}).sort(
                [("epoch", ASCENDING), ("number", ASCENDING)]
            ):
                row = _row(document)
                waiting.append(row)
                size += sum(len(message.value) for message in row.messages)
                if size >= FLUSH_BYTES:
                    published += await self._publish(waiting)
                    waiting, size = [], 0
        return published + await self._publish(waiting)

    async def _publish(self, rows: Sequence[OutboxRow]) -> int:
        records = self.records(rows)
        await self._publisher.publish(records)
        self._published += [row.row_id for row in rows]
        await self._mark()
        return len(records)


def _chunks(messages: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    part: list[Message] = []
    size = 0
    for message in messages:
        added = len(message.value) + HEADERS_BYTES
        if part and size + added > ROW_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(message)
        size += added
    yield tuple(part)


def _document(row: OutboxRow) -> Document:
    return {
        "_id": row.row_id,
        "partition": row.partition,
        "epoch": row.epoch,
        "number": row.number,
        "pending": True,
        "events": [
            # Events never have two headers of one name.
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

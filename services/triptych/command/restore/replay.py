"""Carries out again, without publishing anything, the commands whose effects a restored write model has lost.

The write model then has the effects of all commands that are still on their topic. Commands whose outcomes are stored
are recognised, as always. Their events have sequences that were published before, perhaps with another content, so
nothing is published: `triptych.command.restore.sequences` corrects every gallery that has changed here.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from aiokafka import AIOKafkaProducer

from triptych.command.app import make_handler
from triptych.command.handler import CommandHandler
from triptych.command.settings import CommandSettings
from triptych.command.store.documents import JOBS
from triptych.command.store.repairs import Ledger
from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.contract.topics import Topics
from triptych.kit.attribution import position_of
from triptych.kit.failures import Fault, OwnershipLost, StartRefused, fault_of
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher, Refusal
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.ranges import read_ranges
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.logs.batch_lines import report as report_lines
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database
from triptych.writemodel.galleries import GALLERIES

log = get_logger(__name__)

ReportProgress = Callable[[str, int, int], None]
"""Receives the name of the work, how much is done, and the total."""

POLL_SECONDS = 0.2
# Commands can be many megabytes each when they are uncompressed.
RECORDS_AT_ONCE = 500
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()
ANOTHER_OWNER = "Another process writes to the write model. Stop all services, and run the command again."


class SilentPublisher(Publisher):
    """Publishes nothing, and stores the ids of the galleries that the events are about."""

    def __init__(self, counts: Mapping[str, int], events_topic: str, ledger: Ledger) -> None:
        super().__init__(_no_producer, partitions=counts)
        self._events_topic = events_topic
        self._ledger = ledger

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Store the galleries. When this returns, the outbox counts the events as published."""
        touched: dict[str, str] = {}
        for record in records:
            if record.topic != self._events_topic:
                continue
            headers = dict(record.headers)
            if not (headers.get("ce_type") or b"").startswith(_SNAPSHOT_TYPE):  # a snapshot changes no gallery
                touched[(record.key or b"").decode()] = (headers.get("ce_siteid") or DEFAULT_SITE_ID.encode()).decode()
        await self._ledger.touch(touched)

    async def has_topic(self, topic: str) -> bool:  # noqa: ARG002 - replies to any topic are dropped
        """No foreign topic is used."""
        return False

    async def too_large(self, records: Sequence[OutgoingRecord]) -> frozenset[int]:  # noqa: ARG002
        """Nothing is sent, so nothing is too large."""
        return frozenset()


class _NoDeadLetters(DeadLetterPublisher):
    """Leaves refused records alone: they were dead-lettered when they were read first."""

    async def letters(self, refused: Sequence[Refusal], attempts: int = 1) -> list[OutgoingRecord]:  # noqa: ARG002
        """No records."""
        return []

    def report(self, refused: Sequence[Refusal]) -> None:
        """Neither count nor log."""


async def carry_out_again(
    settings: CommandSettings,
    database: Database,
    ledger: Ledger,
    ranges: Mapping[int, tuple[int, int]],
    report: ReportProgress,
) -> None:
    """Carry out the commands in these ranges of offsets, by partition, and all long-running work, to its end.

    Raises:
        StartRefused: another process has claimed the partitions.
        TransientFailure: a server stopped answering. Another call with the rest of the ranges resumes.
    """
    topics = Topics(settings.topic_prefix)
    counts = topics.counts(settings.topic_partitions)
    publisher = SilentPublisher(counts, topics.events, ledger)
    dead_letters = _NoDeadLetters(publisher, topics.dead_letter)
    handler = make_handler(
        database, publisher, publisher, dead_letters, topics, settings.command_group, settings.command_job_patience
    )
    total = sum(max(0, end - start) for start, end in ranges.values())
    try:
        await handler.assigned(frozenset(range(settings.topic_partitions)))
        tokens = await _owners(settings, database)
        async with aclosing(read_ranges(settings, topics.commands, ranges, RECORDS_AT_ONCE)) as chunks:
            async for chunk in chunks:
                await _handle(handler, chunk.records)
                await ledger.keep_replayed(chunk.reached)
                left = sum(ranges[number][1] - reached for number, reached in chunk.reached.items())
                report("commands", max(0, total - left), total)
        most = 0
        while left := await database[JOBS].count_documents({}):
            if await _owners(settings, database) != tokens:
                raise OwnershipLost("the partitions were claimed")
            most = max(most, left)
            report("long-running work", most - left, most)
            await asyncio.sleep(POLL_SECONDS)
    except OwnershipLost:
        raise StartRefused(ANOTHER_OWNER) from None
    finally:
        await handler.released()


async def _handle(handler: CommandHandler, records: Sequence[IncomingRecord]) -> None:
    """Handle records together, and after a failure one by one. A record that fails alone is logged and left out."""
    if not records:
        return
    try:
        await handler.handle(records)
    except Exception as error:
        if fault_of(error) is not Fault.OURS:
            raise
        if len(records) == 1:
            report_lines(log, logging.ERROR, "commands cannot be carried out again", records, position_of, error=error)
            return
        for record in records:
            await _handle(handler, [record])


async def _owners(settings: CommandSettings, database: Database) -> set[str]:
    claims = [{"scope": settings.command_group, "partition": number} for number in range(settings.topic_partitions)]
    return {claim["token"] async for claim in database[GALLERIES].find({"_id": {"$in": claims}}, {"token": 1})}


def _no_producer() -> AIOKafkaProducer:
    raise AssertionError("a silent publisher has no producer")

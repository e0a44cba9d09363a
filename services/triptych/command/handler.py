"""Handles batches of records from the commands topic: sort them, carry the commands out, tell what was refused."""

import logging
from collections.abc import Sequence
from functools import partial

from triptych.command.domain.unit_of_work import PlacedCommand
from triptych.command.flow.chunking import split_into_lanes
from triptych.command.flow.executor import Executor
from triptych.command.flow.intake import SortedRecords, refuse_forwards, sort_records
from triptych.command.flow.rejections import report_rejected
from triptych.command.flow.reply_publisher import ReplyPublisher
from triptych.command.flow.runner import JobRunner
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.contract.topics import Topics
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher, IncomingRecord
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.mongo.fencing import Ownership

log = logging.getLogger(__name__)


class CommandHandler:
    """A `BatchHandler` for the commands topic."""

    def __init__(
        self,
        executor: Executor,
        runner: JobRunner,
        ownership: Ownership,
        publisher: Publisher,
        answers: ReplyPublisher,
        dead_letters: DeadLetterPublisher,
        topics: Topics,
    ) -> None:
        self._executor = executor
        self._runner = runner
        self._ownership = ownership
        self._publisher = publisher
        self._answers = answers
        self._dead_letters = dead_letters
        self._topics = topics

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Fence off the previous owner, publish what it left behind, and go on with its long work."""
        await self._runner.stop()
        await self._ownership.claim(partitions)
        count = await self._executor.publish_leftovers(partitions)
        self._runner.start(partitions)
        log.info("owns partitions %s; published %d events left by their previous owner", sorted(partitions), count)

    async def released(self) -> None:
        """Leave the long work to the next owner."""
        await self._runner.stop()
        await self._executor.settle()
        self._ownership.release()

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Nothing to do: nobody can tell whose commands they were, and their bytes are in the dead letters."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Carry out the commands of a batch; see `BatchHandler`."""
        partitions = await self._publisher.partitions(self._topics.commands)
        intake = SortedRecords()

        def read(share: Sequence[IncomingRecord]) -> Sequence[PlacedCommand]:
            part = sort_records(share, partitions, DEFAULT_SITE_ID)
            intake.add(part)
            return part.commands

        outcome = await self._executor.carry_out([partial(read, share) for share in split_into_lanes(records)])
        if intake.forwards:
            refuse_forwards(intake, await self._publisher.too_large([one.record for one in intake.forwards]))
        letters = await self._dead_letters.letters(intake.refused)
        await self._answers.publish([*letters, *(one.record for one in intake.forwards)], intake.answers)
        if outcome.has_jobs:
            self._runner.wake()
        report_rejected(intake.answers)
        for record, reason, text in intake.refused:
            self._dead_letters.report(record, reason, text)

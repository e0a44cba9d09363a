"""Handles batches from the commands topic: sorts the records, carries commands out, and reports refused records."""

from collections.abc import Sequence

from triptych.command.flow.answer_metrics import UNREADABLE, count_answers
from triptych.command.flow.executor import Executor
from triptych.command.flow.rejections import report_rejected
from triptych.command.flow.reply_publisher import ReplyPublisher
from triptych.command.flow.runner import JobRunner
from triptych.command.flow.sorting import MISPLACED, SortedRecords, refuse_forwards, sort_records
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.contract.topics import Topics
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.kafka.transit import REJECTED, REPLAYED
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.startup.layout_following import LayoutOfConsumer

log = get_logger(__name__)


class CommandHandler:
    """A `BatchHandler` for the commands topic."""

    def __init__(
        self,
        executor: Executor,
        runner: JobRunner,
        ownership: Ownership,
        publisher: Publisher,
        reply_publisher: ReplyPublisher,
        dead_letters: DeadLetterPublisher,
        topics: Topics,
        layout: LayoutOfConsumer | None = None,
    ) -> None:
        """`layout` follows a change of the number of partitions. Without it, the number does not change."""
        self._layout = layout
        self._executor = executor
        self._runner = runner
        self._ownership = ownership
        self._publisher = publisher
        self._reply_publisher = reply_publisher
        self._dead_letters = dead_letters
        self._topics = topics

    @property
    def ownership(self) -> Ownership:
        """The claims on the partitions."""
        return self._ownership

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Fence off the previous owner, publish the events that it left in the outbox, and resume its jobs."""
        await self._runner.stop()
        await self._ownership.claim(partitions)
        if self._layout is not None:
            await self._layout.confirm()
        count = await self._executor.take_over(partitions)
        self._runner.start(partitions)
        log.info(
            "this process owns partitions, and has published the events that were left there",
            topic=self._topics.commands,
            partitions=sorted(partitions),
            count=count,
        )

    async def released(self) -> None:
        """Stop the jobs, which the next owner resumes."""
        await self._runner.stop()
        await self._executor.hand_over()
        self._ownership.release()

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Do nothing: the senders are unknown, and the bytes are in the dead letters."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Carry out the commands in these records; see `BatchHandler`."""
        partitions = await self._publisher.partitions(self._topics.commands)
        of_topic = None if self._layout is None else self._layout.of_topic
        sorted_records = sort_records(records, partitions, DEFAULT_SITE_ID, of_topic)
        await self._check_layout_of_misplaced(sorted_records)
        result = await self._executor.carry_out(sorted_records.commands)
        if sorted_records.forwards:
            refuse_forwards(
                sorted_records, await self._publisher.too_large([one.record for one in sorted_records.forwards])
            )
        letters = await self._dead_letters.letters(sorted_records.refused)
        await self._reply_publisher.publish(
            [*letters, *(one.record for one in sorted_records.forwards)], sorted_records.replies
        )
        if result.has_jobs:
            self._runner.wake()
        count_answers((UNREADABLE, addressed.reply) for addressed in sorted_records.replies)
        report_rejected(sorted_records.replies)
        if sorted_records.rejected_replays:
            REPLAYED.labels(self._topics.commands, REJECTED).inc(sorted_records.rejected_replays)
        self._dead_letters.report(sorted_records.refused)

    async def _check_layout_of_misplaced(self, sorted_records: SortedRecords) -> None:
        """Make sure that commands are misplaced by the present layout, before they are refused.

        Whoever adds partitions claims all of them before the new number counts. So a former owner, to which a command
        looks misplaced that another process has forwarded by the new number, finds out here. It then prepares again.

        Raises:
            OwnershipLost: another process has claimed a partition of these commands.
        """
        if misplaced := {record.partition for record, reason, _ in sorted_records.refused if reason == MISPLACED}:
            await self._ownership.check(misplaced)

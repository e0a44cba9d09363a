"""Finishes the records of a batch: each of them is handled or dead-lettered, whatever fails meanwhile.

It hands a batch to the handler in lanes, which are handled concurrently. It retries a lane while a dependency is away,
and handles the records one by one if one of them breaks the handler.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from triptych.kit.attribution import position_of
from triptych.kit.failures import Fault, OwnershipLost, fault_of
from triptych.kit.kafka.consuming.batch_handler import BatchHandler
from triptych.kit.kafka.consuming.batch_metrics import BatchMetrics
from triptych.kit.kafka.consuming.lanes import Lane, Lanes
from triptych.kit.kafka.consuming.retries import Retries
from triptych.kit.kafka.publishing.dead_letters import HANDLER_FAILED, DeadLetterPublisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.supervision import progress
from triptych.kit.run_all import run_all

log = get_logger(__name__)

# A record that breaks the handler this often, alone, is dead-lettered: the fault is in our code and will not pass.
ATTEMPTS_BEFORE_DEAD_LETTER = 3


class BatchFinisher:
    """Finishes the batches of one consumer.

    Every method returns False if the assignment of partitions ended first, or if some records have to be read again.
    """

    def __init__(
        self,
        topic: str,
        handler: BatchHandler,
        dead_letters: DeadLetterPublisher,
        lanes: Lanes,
        metrics: BatchMetrics,
        retries: Retries,
        prepare: Callable[[], Awaitable[bool]],
        note_current: Callable[[Sequence[IncomingRecord]], None],
    ) -> None:
        """
        Args:
            topic, handler, dead_letters, lanes: see `BatchConsumer`.
            metrics, retries: of the same consumer.
            prepare: prepares the owned partitions again; False if records of the batch must not be handled now.
            note_current: called with the records that are in progress from now on.
        """
        self._topic = topic
        self._handler = handler
        self._dead_letters = dead_letters
        self._lanes = lanes
        self._metrics = metrics
        self._retries = retries
        self._prepare = prepare
        self._note_current = note_current

    async def finish(self, records: Sequence[IncomingRecord]) -> bool:
        """Finish a batch: handle its readable records, and dead-letter the others."""
        unreadable = [record for record in records if isinstance(record, Unreadable)]
        if not unreadable:
            return await self._finish(self._lanes.of(records))
        records = [record for record in records if not isinstance(record, Unreadable)]
        if records and not await self._finish([records]):
            return False
        for found in unreadable:
            if not await self._until_done(partial(self._dead_letters.dead_letter_unreadable, found)):
                return False
        return await self._until_done(partial(self._handler.lost, unreadable))

    async def _finish(self, lanes: Sequence[Lane]) -> bool:
        """Retry until all records are handled or dead-lettered."""
        backoff = self._retries.backoff()
        failures = 0
        unfinished = dict(enumerate(lanes))
        while not self._retries.interrupted.is_set():
            try:
                await self._handle(unfinished, has_lanes=len(lanes) > 1)
            except Exception as error:  # noqa: BLE001 - whatever it is, no other record may suffer
                fault = fault_of(error)
                if fault is not Fault.OURS:
                    self._retries.failed(error)
                    await backoff.pause(self._retries.interrupted)
                    if fault is Fault.OWNERSHIP:
                        # The preparation starts at the committed offsets, so lanes that are finished come again too.
                        unfinished = dict(enumerate(lanes))
                        if len(lanes) > 1:
                            self._note_current([record for lane in lanes for record in lane])
                        if not await self._prepare():
                            return False
                    continue
                failed = list(unfinished.values())
                self._report_failure(failed, error)
                pieces = failed if len(failed) > 1 else [[record] for record in failed[0]]
                if len(pieces) > 1:
                    return await self._finish_one_by_one(pieces)
                failures += 1
                if failures >= ATTEMPTS_BEFORE_DEAD_LETTER:
                    return await self._dead_letter(pieces[0][0], error, failures)
                await backoff.pause(self._retries.interrupted)
            else:
                self._retries.trouble = ""
                return True
        return False

    async def _handle(self, unfinished: dict[int, Lane], *, has_lanes: bool) -> None:
        """Handle these lanes concurrently, and remove those that are finished.

        Args:
            unfinished: the lanes of a batch that are still to be handled.
            has_lanes: whether the batch has several lanes. The partitions of a finished one are then not in progress
                any more, although the batch is.

        Raises:
            OwnershipLost: at least one lane raised it.
            Exception: otherwise, what the first failed lane raised. The other lanes have ended.
        """

        async def handle(number: int) -> None:
            await self._handler.handle(unfinished[number])
            del unfinished[number]
            if has_lanes:
                self._note_current([record for lane in unfinished.values() for record in lane])

        await run_all([handle(number) for number in unfinished])

    async def _finish_one_by_one(self, pieces: Sequence[Lane]) -> bool:
        """Finish the failed lanes of a batch or the records of a failed lane, one after another, to find the cause."""
        for piece in pieces:
            if not await self._finish([piece]):
                return False
            progress()
        return True

    async def _dead_letter(self, record: IncomingRecord, error: Exception, attempts: int) -> bool:
        return await self._until_done(
            lambda: self._dead_letters.dead_letter(record, HANDLER_FAILED, repr(error), attempts)
        )

    async def _until_done(self, work: Callable[[], Awaitable[None]]) -> bool:
        return await self._retries.until_done(work, self._recover)

    async def _recover(self, error: Exception) -> None:
        if isinstance(error, OwnershipLost):
            await self._prepare()

    def _report_failure(self, failed: Sequence[Lane], error: Exception) -> None:
        self._metrics.failed(error)
        report(
            log,
            logging.ERROR,
            "attempts to handle records failed",
            [record for lane in failed for record in lane],
            position_of,
            error=error,
            topic=self._topic,
        )

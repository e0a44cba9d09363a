"""Carries commands out: load, decide, commit, publish, acknowledge; one batch at a time on each partition."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from triptych.command.domain.decide import decide
from triptych.command.domain.scope import TRANSACTION_BYTES, whole_gallery_of
from triptych.command.domain.state import NeedsMoreLoaded
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, UnitOfWork
from triptych.command.flow.answer_metrics import count_answers
from triptych.command.flow.chunking import chunks
from triptych.command.flow.rejections import described, report_rejected
from triptych.command.flow.replays import count_replays
from triptych.command.flow.reply_publisher import AddressedReply, ReplyPublisher
from triptych.command.flow.spans import command_spans, in_their_spans, note_outcomes
from triptych.command.flow.writer import ExclusiveWriter, Writer
from triptych.command.store.loader import Loader, LoadHints
from triptych.command.store.outbox import OutboxRow
from triptych.command.store.repository import Conflict, WriteModelRepository
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.publishing.dead_letters import HANDLER_FAILED, DeadLetterPublisher
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.clock import utc_now
from triptych.kit.process.supervision import progress

log = get_logger(__name__)

# A command alone in its transaction conflicts only with another process; each attempt sees its commits.
ATTEMPTS_ALONE = 8


@dataclass(slots=True)
class ChunkResult:
    """The result of a chunk: replies and rows to publish, both in order; `faulty` commands raised in our code."""

    replies: list[AddressedReply] = field(default_factory=list)
    rows: list[OutboxRow] = field(default_factory=list)
    faulty: list[tuple[ReceivedCommand, Exception]] = field(default_factory=list)
    has_jobs: bool = False
    still_parked: set[str] = field(default_factory=set)


@dataclass(slots=True)
class CarryOutResult:
    """The result of all chunks: whether there is a job to do, and which parked commands wait for another job."""

    has_jobs: bool = False
    still_parked: set[str] = field(default_factory=set)


class Executor:
    """Carries out commands in chunks, each in a transaction of its own."""

    def __init__(
        self,
        loader: Loader,
        repository: WriteModelRepository,
        writer: Writer,
        reply_publisher: ReplyPublisher,
        dead_letters: DeadLetterPublisher,
        new_event_id: Callable[[], str],
    ) -> None:
        self._loader = loader
        self._repository = repository
        self._writer = writer
        self._reply_publisher = reply_publisher
        self._dead_letters = dead_letters
        self._new_event_id = new_event_id

    async def take_over(self, partitions: frozenset[int]) -> int:
        """Publish the events that previous owners of claimed partitions have left; the result is their number.

        Raises:
            TransientFailure: they cannot be published now. Nothing can be carried out until they are.
        """
        await self._loader.former_outcomes.refresh()
        return await self._writer.publish_leftovers(partitions)

    async def hand_over(self) -> None:
        """Acknowledge published events, so that the next owner does not publish them again."""
        await self._writer.flush_acknowledgements()

    async def carry_out(self, commands: Sequence[ReceivedCommand], *, running_job: str | None = None) -> CarryOutResult:
        """Carry out commands in order, and answer or dead-letter them.

        Args:
            commands: each is on its gallery's partition. Commands on other partitions may be carried out concurrently.
            running_job: the id of the job that these commands have waited for, if any.

        Raises:
            TransientFailure, OwnershipLost: see `BatchHandler`.
        """
        combined = CarryOutResult()
        async with self._writer.exclusive({command.partition for command in commands}) as writer:
            whole = {gallery_id for command in commands if (gallery_id := whole_gallery_of(command))}
            sizes = await self._loader.sizes(whole) if whole else {}
            for chunk in chunks(commands, sizes):
                with command_spans(chunk) as spans:
                    traced = in_their_spans(chunk, spans)
                    result = await self._execute(traced, writer, running_job)
                    accepted = note_outcomes(traced, result.replies, result.faulty, spans)
                    await writer.publish(result.rows, result.replies, spans, accepted)
                    if result.faulty:
                        await self._dead_letter(result.faulty)
                progress()
                combined.has_jobs = combined.has_jobs or result.has_jobs
                combined.still_parked |= result.still_parked
        return combined

    async def _dead_letter(self, faulty: Sequence[tuple[ReceivedCommand, Exception]]) -> None:
        """Dead-letter commands that raised in our code, and reply to their senders; no outcome is recorded."""
        error = ReplyError(code=ErrorCode.INTERNAL, message="internal error; the command was dead-lettered")
        refused = [(command.record, HANDLER_FAILED, repr(fault)) for command, fault in faulty]
        records, replies = await self._dead_letters.letters(refused), []
        for command, _ in faulty:
            envelope = command.envelope
            reply = Reply(
                command_id=envelope.command_id, outcome="rejected", gallery_id=command.gallery_id, error=error
            )
            replies.append(AddressedReply.to(envelope, command.partition, reply))
        await self._reply_publisher.publish(records, replies)
        count_answers(
            (command.envelope.name, addressed.reply) for (command, _), addressed in zip(faulty, replies, strict=True)
        )
        self._dead_letters.report(refused)

    async def _execute(
        self, commands: Sequence[ReceivedCommand], writer: ExclusiveWriter, running_job: str | None
    ) -> ChunkResult:
        """Carry out a chunk in one transaction; on failure, in one for each half, and so on, to isolate a bad one.

        Halves also have fewer bytes, if the items are too large to be handled together.
        After the first refused transaction, everything is looked up: the chunk may have a repeated command.
        """
        result = ChunkResult()
        pending = deque([commands])
        hints = LoadHints()
        attempts = 0
        while pending:
            chunk = pending.popleft()
            try:
                done = await self._attempt(chunk, hints, writer, running_job, result)
            except Exception as error:
                if fault_of(error) is not Fault.OURS:
                    raise
                if isinstance(error, Conflict) and not hints.must_look_up:
                    hints.must_look_up = True
                    pending.appendleft(chunk)
                    continue
                if len(chunk) > 1:
                    middle = len(chunk) // 2
                    pending.extendleft((chunk[middle:], chunk[:middle]))
                    continue
                key = CommandKey.of(chunk[0].envelope)
                attempts += 1
                if isinstance(error, Conflict | NeedsMoreLoaded) and attempts < ATTEMPTS_ALONE:
                    hints.conflicted.add(key)
                    pending.appendleft(chunk)
                    continue
                # If another process owns the partition now, that process carries out and answers the command.
                await self._repository.check_owner({chunk[0].partition})
                report(log, logging.ERROR, "commands cannot be carried out", [chunk[0]], described, error=error)
                result.faulty.append((chunk[0], error))
                done = 1
            attempts = 0
            if done < len(chunk):
                pending.appendleft(chunk[done:])
        return result

    async def _attempt(
        self,
        commands: Sequence[ReceivedCommand],
        hints: LoadHints,
        writer: ExclusiveWriter,
        running_job: str | None,
        result: ChunkResult,
    ) -> int:
        """Carry out the first commands in one transaction, up to one that needs another; gives their number.

        Raises:
            Conflict, NeedsMoreLoaded: nothing was written; another attempt may succeed.
            TooManyBytes: nothing was written; fewer commands may succeed.
        """
        at = utc_now()
        unit = await self._loader.load(commands, at, hints)
        replies = self._decide(commands, unit, hints, at, running_job)
        decided = commands[: len(replies)]
        if not decided:
            raise NeedsMoreLoaded
        result.rows += await writer.commit(unit, {command.partition for command in decided}, at)
        given = [addressed for addressed in replies if addressed is not None]
        result.replies += given
        report_rejected(given)
        count_replays(decided, replies, unit)
        # Also for a repetition, which finds its job already begun: the runner may not have been woken the first time.
        result.has_jobs = result.has_jobs or bool(unit.parked)
        result.still_parked.update(command.parked_id for command in unit.parked if command.parked_id)
        count_answers(
            (command.envelope.name, addressed.reply)
            for command, addressed in zip(decided, replies, strict=True)
            if addressed is not None
        )
        return len(decided)

    def _decide(
        self,
        commands: Sequence[ReceivedCommand],
        unit: UnitOfWork,
        hints: LoadHints,
        at: datetime,
        running_job: str | None,
    ) -> list[AddressedReply | None]:
        """The replies to the first commands, up to one that needs another transaction; None for a parked command."""
        replies: list[AddressedReply | None] = []
        for command in commands:
            if unit.message_bytes > TRANSACTION_BYTES:
                break
            try:
                reply = decide(command, unit, at, self._new_event_id, running_job)
            except NeedsMoreLoaded as unloaded:
                hints.neighbours_known[CommandKey.of(command.envelope)] = unloaded.neighbours
                break
            replies.append(AddressedReply.to(command.envelope, command.partition, reply) if reply is not None else None)
        return replies

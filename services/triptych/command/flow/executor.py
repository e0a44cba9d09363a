"""Carries commands out: load, decide, commit, publish, acknowledge; one batch at a time in the whole process."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

import prometheus_client

from triptych.command.domain.decide import decide
from triptych.command.domain.scope import whole_gallery_of
from triptych.command.domain.state import NeedsMoreLoaded
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, UnitOfWork
from triptych.command.flow.chunking import chunks
from triptych.command.flow.rejections import report_rejected
from triptych.command.flow.reply_publisher import AddressedReply, ReplyPublisher
from triptych.command.store.jobs import JobUpdate
from triptych.command.store.loader import Loader, LoadHints
from triptych.command.store.outbox import Outbox, OutboxRow
from triptych.command.store.recent_heads import RecentHeads
from triptych.command.store.repository import Conflict, WriteModelRepository
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.kit.failures import Fault, TransientFailure, fault_of
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.process.supervision import progress
from triptych.kit.run_all import run_all

log = logging.getLogger(__name__)

COMMANDS = prometheus_client.Counter("triptych_commands_total", "Commands answered", ["name", "outcome"])

# A command alone in its transaction conflicts only with another process; each attempt sees its commits.
ATTEMPTS_ALONE = 8
HANDLER_FAILED = "handler-failed"

LaneReader: TypeAlias = Callable[[], Sequence[ReceivedCommand]]
"""Reads the commands of a lane, in order, each on its gallery's partition; called when the work on the lane begins."""


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
    """The result of all lanes: whether there is a job to do, and which parked commands wait for another job."""

    has_jobs: bool = False
    still_parked: set[str] = field(default_factory=set)


class Executor:
    """Makes every write to galleries, so that events are published in the order of their commits (I3)."""

    def __init__(
        self,
        loader: Loader,
        recent: RecentHeads,
        repository: WriteModelRepository,
        outbox: Outbox,
        reply_publisher: ReplyPublisher,
        dead_letters: DeadLetterPublisher,
        new_event_id: Callable[[], str],
    ) -> None:
        self._loader = loader
        self._recent = recent
        self._repository = repository
        self._outbox = outbox
        self._reply_publisher = reply_publisher
        self._dead_letters = dead_letters
        self._new_event_id = new_event_id
        # A task takes the lock before a transaction and releases it when the events are on the topic. The lock is fair,
        # so a batch waits for one step of a job at most.
        self.lock = asyncio.Lock()
        self._partitions: frozenset[int] = frozenset()
        self._is_unpublished = False

    async def publish_leftovers(self, partitions: frozenset[int]) -> int:
        """Publish the events that previous owners left in the outbox; the result is their number."""
        async with self.lock:
            self._partitions = partitions
            self._recent.forget()
            await self._loader.former_outcomes.refresh()
            self._is_unpublished = True
            return await self.flush_outbox()

    async def flush_acknowledgements(self) -> None:
        """Acknowledge published rows, so that the next owner does not publish them again."""
        await self._outbox.flush_acknowledgements()

    async def flush_outbox(self) -> int:
        """Publish committed events that may be unpublished, before any new commit; the caller must hold the lock."""
        if not self._is_unpublished:
            return 0
        try:
            count = await self._outbox.flush(self._partitions)
        except Exception as error:
            if fault_of(error) is Fault.OURS:
                log.exception("the outbox cannot be published")
            # Whatever the cause, no record is to blame, and no command may be carried out before this succeeds.
            raise TransientFailure(f"the outbox cannot be published: {error!r}") from error
        self._is_unpublished = False
        return count

    async def carry_out(self, lanes: Sequence[LaneReader], *, running_job: str | None = None) -> CarryOutResult:
        """Carry out the commands of each lane in order, and answer or dead-letter them.

        Args:
            lanes: lanes that may run concurrently.
            running_job: the id of the job that these commands have waited for, if any.

        Raises:
            TransientFailure, OwnershipLost: see `BatchHandler`.
        """
        result = CarryOutResult()
        async with self.lock:
            await self.flush_outbox()
            self._is_unpublished = True
            await run_all([self._carry_out_lane(lane, running_job, result) for lane in lanes])
            self._is_unpublished = False
        return result

    async def _carry_out_lane(self, lane: LaneReader, running_job: str | None, combined: CarryOutResult) -> None:
        commands = lane()
        whole = {gallery_id for command in commands if (gallery_id := whole_gallery_of(command))}
        sizes = await self._loader.sizes(whole) if whole else {}
        for chunk in chunks(commands, sizes):
            result = await self._execute(chunk, running_job)
            await self._publish(result.rows, result.replies)
            await self._dead_letter(result.faulty)
            progress()
            combined.has_jobs = combined.has_jobs or result.has_jobs
            combined.still_parked |= result.still_parked

    async def save(self, unit: UnitOfWork, partition: int, at: datetime, update: JobUpdate) -> None:
        """Commit and publish a step of a job; the caller must hold the lock. Raises like the repository's `save`."""
        self._is_unpublished = True
        await self._publish(await self._save(unit, {partition}, at, update), ())
        self._is_unpublished = False

    async def _publish(self, rows: Sequence[OutboxRow], replies: Sequence[AddressedReply]) -> None:
        await self._reply_publisher.publish(self._outbox.records(rows), replies)
        self._outbox.acknowledge_soon(rows)

    async def _dead_letter(self, faulty: Sequence[tuple[ReceivedCommand, Exception]]) -> None:
        """Dead-letter commands that raised in our code, and reply to their senders; no outcome is recorded."""
        error = ReplyError(code=ErrorCode.INTERNAL, message="a fault of the service; the command was dead-lettered")
        refused = [(command.record, HANDLER_FAILED, repr(fault)) for command, fault in faulty]
        records, replies = await self._dead_letters.letters(refused), []
        for command, _ in faulty:
            envelope = command.envelope
            reply = Reply(
                command_id=envelope.command_id, outcome="rejected", gallery_id=command.gallery_id, error=error
            )
            replies.append(AddressedReply.to(envelope, command.partition, reply))
        await self._reply_publisher.publish(records, replies)
        for refusal in refused:
            self._dead_letters.report(*refusal)

    async def _execute(self, commands: Sequence[ReceivedCommand], running_job: str | None) -> ChunkResult:
        """Carry out a chunk in one transaction; on failure, in one for each half, and so on, to isolate a bad one."""
        result = ChunkResult()
        pending = deque([commands])
        hints = LoadHints()
        attempts = 0
        while pending:
            chunk = pending.popleft()
            try:
                done = await self._attempt(chunk, hints, running_job, result)
            except Exception as error:
                if fault_of(error) is not Fault.OURS:
                    raise
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
                log.exception("command %s cannot be carried out", key)
                result.faulty.append((chunk[0], error))
                done = 1
            attempts = 0
            if done < len(chunk):
                pending.appendleft(chunk[done:])
        return result

    async def _attempt(
        self, commands: Sequence[ReceivedCommand], hints: LoadHints, running_job: str | None, result: ChunkResult
    ) -> int:
        """Carry out the first commands in one transaction, up to one that needs more loaded; gives their number.

        Raises:
            Conflict, NeedsMoreLoaded: nothing was written; another attempt may succeed.
        """
        at = datetime.now(UTC)
        unit = await self._loader.load(commands, at, hints)
        replies = self._decide(commands, unit, hints, at, running_job)
        decided = commands[: len(replies)]
        if not decided:
            raise NeedsMoreLoaded
        result.rows += await self._save(unit, {command.partition for command in decided}, at)
        given = [addressed for addressed in replies if addressed is not None]
        result.replies += given
        report_rejected(given)
        # Also for a repetition, which finds its job already begun: the runner may not have been woken the first time.
        result.has_jobs = result.has_jobs or bool(unit.parked)
        result.still_parked.update(command.parked_id for command in unit.parked if command.parked_id)
        answered = Counter(
            (command.envelope.name, addressed.reply.outcome)
            for command, addressed in zip(decided, replies, strict=True)
            if addressed is not None
        )
        for labels, count in answered.items():
            COMMANDS.labels(*labels).inc(count)
        return len(decided)

    async def _save(
        self, unit: UnitOfWork, partitions: set[int], at: datetime, update: JobUpdate | None = None
    ) -> list[OutboxRow]:
        try:
            rows = await self._repository.save(unit, partitions, at, update)
        except BaseException:
            self._recent.forget()
            raise
        self._recent.remember(unit)
        return rows

    def _decide(
        self,
        commands: Sequence[ReceivedCommand],
        unit: UnitOfWork,
        hints: LoadHints,
        at: datetime,
        running_job: str | None,
    ) -> list[AddressedReply | None]:
        """The replies to the first commands, up to one that needs more loaded; None for a parked command."""
        replies: list[AddressedReply | None] = []
        for command in commands:
            try:
                reply = decide(command, unit, at, self._new_event_id, running_job)
            except NeedsMoreLoaded as unloaded:
                hints.neighbours_known[CommandKey.of(command.envelope)] = unloaded.neighbours
                break
            replies.append(AddressedReply.to(command.envelope, command.partition, reply) if reply is not None else None)
        return replies

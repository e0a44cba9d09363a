"""Carries commands out: load, decide, one transaction, publish, mark; one batch at a time in the whole process."""

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
from triptych.command.domain.unit_of_work import CommandKey, PlacedCommand, UnitOfWork
from triptych.command.flow.chunking import chunks
from triptych.command.flow.rejections import report_rejected
from triptych.command.flow.reply_publisher import AddressedReply, ReplyPublisher
from triptych.command.store.jobs import JobUpdate
from triptych.command.store.loader import Loader, LoadHints
from triptych.command.store.outbox import Outbox, OutboxRow
from triptych.command.store.recent_heads import RecentHeads
from triptych.command.store.repository import Conflict, WriteModelRepository
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.kit.failures import OwnershipLost, TransientFailure
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.mongo.driver import is_transient
from triptych.kit.run_all import run_all

log = logging.getLogger(__name__)

COMMANDS = prometheus_client.Counter("triptych_commands_total", "Commands answered", ["name", "outcome"])

# Alone, a command conflicts only with another process; each try sees what the other one has committed.
ATTEMPTS_ALONE = 8
HANDLER_FAILED = "handler-failed"

LaneReader: TypeAlias = Callable[[], Sequence[PlacedCommand]]
"""Gives commands in order, each on its gallery's partition; called when the work on them begins."""


@dataclass(slots=True)
class BatchResult:
    """What became of commands: answers to send and rows to publish, both in order, and those that broke our code."""

    answers: list[AddressedReply] = field(default_factory=list)
    rows: list[OutboxRow] = field(default_factory=list)
    faulty: list[tuple[PlacedCommand, Exception]] = field(default_factory=list)
    has_jobs: bool = False
    waiting: set[str] = field(default_factory=set)


@dataclass(slots=True)
class CarryOutResult:
    """Whether there is a job to do for commands, and the ids of parked ones that have to wait for another."""

    has_jobs: bool = False
    waiting: set[str] = field(default_factory=set)


class Executor:
    """Everything that writes galleries goes through here, so that events leave in the order of their commits (I3)."""

    def __init__(
        self,
        loader: Loader,
        recent: RecentHeads,
        repository: WriteModelRepository,
        outbox: Outbox,
        answers: ReplyPublisher,
        dead_letters: DeadLetterPublisher,
        new_event_id: Callable[[], str],
    ) -> None:
        self._loader = loader
        self._recent = recent
        self._repository = repository
        self._outbox = outbox
        self._answers = answers
        self._dead_letters = dead_letters
        self._new_event_id = new_event_id
        # Held from before a transaction until its events are on the topic. Waiters take turns, so a batch waits for
        # one step of long work at most.
        self.turn = asyncio.Lock()
        self._partitions: frozenset[int] = frozenset()
        self._is_unpublished = False

    async def publish_leftovers(self, partitions: frozenset[int]) -> int:
        """Publish what previous owners have left; the number of events."""
        async with self.turn:
            self._partitions = partitions
            self._recent.forget()
            await self._loader.former.look()
            self._is_unpublished = True
            return await self.flush_outbox()

    async def settle(self) -> None:
        """Leave nothing to the next owner that is done already."""
        await self._outbox.settle()

    async def flush_outbox(self) -> int:
        """Publish what was committed and not seen on the topic; called with the turn held, before anything new."""
        if not self._is_unpublished:
            return 0
        try:
            count = await self._outbox.flush(self._partitions)
        except Exception as error:
            if not isinstance(error, TransientFailure | OwnershipLost) and not is_transient(error):
                log.exception("the outbox cannot be published")
            # Whatever it is: no record is to blame for it, and none may be carried out before it.
            raise TransientFailure(f"the outbox cannot be published: {error!r}") from error
        self._is_unpublished = False
        return count

    async def carry_out(self, shares: Sequence[LaneReader], *, running_job: str | None = None) -> CarryOutResult:
        """Commands carried out, and answered or put aside; those of a share in order.

        Args:
            shares: that may go side by side.
            running_job: the job that these commands have waited for.

        Raises:
            TransientFailure, OwnershipLost: see `BatchHandler`.
        """
        outcome = CarryOutResult()
        async with self.turn:
            await self.flush_outbox()
            self._is_unpublished = True
            await run_all([self._carry_out_share(share, running_job, outcome) for share in shares])
            self._is_unpublished = False
        return outcome

    async def _carry_out_share(self, share: LaneReader, running_job: str | None, outcome: CarryOutResult) -> None:
        commands = share()
        whole = {gallery_id for command in commands if (gallery_id := whole_gallery_of(command))}
        sizes = await self._loader.sizes(whole) if whole else {}
        for part in chunks(commands, sizes):
            settled = await self._execute(part, running_job)
            await self._publish(settled.rows, settled.answers)
            await self._dead_letter(settled.faulty)
            outcome.has_jobs = outcome.has_jobs or settled.has_jobs
            outcome.waiting |= settled.waiting

    async def save(self, workspace: UnitOfWork, partition: int, at: datetime, update: JobUpdate) -> None:
        """Commit a step of long work and publish it; called with the turn held. Raises what `Repository.save` does."""
        self._is_unpublished = True
        await self._publish(await self._save(workspace, {partition}, at, update), ())
        self._is_unpublished = False

    async def _publish(self, rows: Sequence[OutboxRow], answers: Sequence[AddressedReply]) -> None:
        await self._answers.publish(self._outbox.records(rows), answers)
        self._outbox.acknowledge_soon(rows)

    async def _dead_letter(self, faulty: Sequence[tuple[PlacedCommand, Exception]]) -> None:
        """Keep commands that broke our code as dead letters, and say so to their senders; no outcome is recorded."""
        error = ReplyError(code=ErrorCode.INTERNAL, message="a fault of the service; the command was put aside")
        refused = [(command.record, HANDLER_FAILED, repr(fault)) for command, fault in faulty]
        records, answers = await self._dead_letters.letters(refused), []
        for command, _ in faulty:
            envelope = command.envelope
            reply = Reply(
                command_id=envelope.command_id, outcome="rejected", gallery_id=command.gallery_id, error=error
            )
            answers.append(AddressedReply.to(envelope, command.partition, reply))
        await self._answers.publish(records, answers)
        for refusal in refused:
            self._dead_letters.report(*refusal)

    async def _execute(self, commands: Sequence[PlacedCommand], running_job: str | None) -> BatchResult:
        """One transaction for all. If one fails, one for each half, and so on: neighbours do not suffer."""
        settled = BatchResult()
        parts = deque([commands])
        knowledge = LoadHints()
        attempts = 0
        while parts:
            part = parts.popleft()
            try:
                done = await self._attempt(part, knowledge, running_job, settled)
            except Exception as error:
                if isinstance(error, TransientFailure | OwnershipLost) or is_transient(error):
                    raise
                if len(part) > 1:
                    middle = len(part) // 2
                    parts.extendleft((part[middle:], part[:middle]))
                    continue
                key = CommandKey.of(part[0].envelope)
                attempts += 1
                if isinstance(error, Conflict | NeedsMoreLoaded) and attempts < ATTEMPTS_ALONE:
                    knowledge.suspects.add(key)
                    parts.appendleft(part)
                    continue
                # Whoever owns the partition now carries it out, and answers.
                await self._repository.check_owner({part[0].partition})
                log.exception("command %s cannot be carried out", key)
                settled.faulty.append((part[0], error))
                done = 1
            attempts = 0
            if done < len(part):
                parts.appendleft(part[done:])
        return settled

    async def _attempt(
        self, commands: Sequence[PlacedCommand], knowledge: LoadHints, running_job: str | None, settled: BatchResult
    ) -> int:
        """One transaction for the first commands, up to one that needs more than was loaded; how many they are.

        Raises:
            Conflict, Unloaded: nothing was written; another try may succeed.
        """
        at = datetime.now(UTC)
        workspace = await self._loader.load(commands, at, knowledge)
        answers = self._decide(commands, workspace, knowledge, at, running_job)
        decided = commands[: len(answers)]
        if not decided:
            raise NeedsMoreLoaded
        settled.rows += await self._save(workspace, {command.partition for command in decided}, at)
        given = [answer for answer in answers if answer is not None]
        settled.answers += given
        report_rejected(given)
        # Also on a repetition, which finds the job begun: nobody may have been told of it the first time.
        settled.has_jobs = settled.has_jobs or bool(workspace.parked)
        settled.waiting.update(command.parked_id for command in workspace.parked if command.parked_id)
        answered = Counter(
            (command.envelope.name, answer.reply.outcome)
            for command, answer in zip(decided, answers, strict=True)
            if answer is not None
        )
        for labels, count in answered.items():
            COMMANDS.labels(*labels).inc(count)
        return len(decided)

    async def _save(
        self, workspace: UnitOfWork, partitions: set[int], at: datetime, update: JobUpdate | None = None
    ) -> list[OutboxRow]:
        try:
            rows = await self._repository.save(workspace, partitions, at, update)
        except BaseException:
            self._recent.forget()
            raise
        self._recent.remember(workspace)
        return rows

    def _decide(
        self,
        commands: Sequence[PlacedCommand],
        workspace: UnitOfWork,
        knowledge: LoadHints,
        at: datetime,
        running_job: str | None,
    ) -> list[AddressedReply | None]:
        """Answers to the first commands, up to one that needs more of the write model than was loaded."""
        answers: list[AddressedReply | None] = []
        for command in commands:
            try:
                reply = decide(command, workspace, at, self._new_event_id, running_job)
            except NeedsMoreLoaded as unloaded:
                knowledge.neighbours_known[CommandKey.of(command.envelope)] = unloaded.neighbours
                break
            answers.append(AddressedReply.to(command.envelope, command.partition, reply) if reply is not None else None)
        return answers

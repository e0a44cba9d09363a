"""Carries commands out: load, decide, one transaction, publish, mark; one at a time in the whole process."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client import Counter

from schemas.commands import CreateGallery, CreateItems, DeleteItems, UpdateGallery
from services.command.answers import Answer, Answers
from services.command.handlers import DIRECT_ITEMS, decide
from services.command.loading import ON_ALL_ITEMS, Loader
from services.command.outbox import Outbox, OutboxRow
from services.command.repository import Conflict, Extra, Repository
from services.command.state import Unloaded
from services.command.workspace import CommandKey, PlacedCommand, Workspace
from services.kit.failures import OwnershipLost, TransientFailure
from services.kit.mongo import is_transient
from services.kit.publisher import Publisher, Record

log = logging.getLogger(__name__)

COMMANDS = Counter("triptych_commands_total", "Commands answered", ["name", "outcome"])

# A transaction of this many galleries and items takes well under a second and stays far below MongoDB's limits.
TRANSACTION_WEIGHT = 2_000
# Alone, a command conflicts only with another process; each try sees what the other one has committed.
ATTEMPTS_ALONE = 8


@dataclass(slots=True)
class Settled:
    """What was committed: answers to send, and rows to publish, both in order."""

    answers: list[Answer] = field(default_factory=list)
    rows: list[OutboxRow] = field(default_factory=list)
    has_jobs: bool = False


class Executor:
    """Everything that writes galleries goes through here, so that events leave in the order of their commits (I3)."""

    def __init__(
        self,
        loader: Loader,
        repository: Repository,
        outbox: Outbox,
        publisher: Publisher,
        answers: Answers,
        new_event_id: Callable[[], str],
    ) -> None:
        self._loader = loader
        self._repository = repository
        self._outbox = outbox
        self._publisher = publisher
        self._answers = answers
        self._new_event_id = new_event_id
        # Held from before a transaction until its events are on the topic. Waiters take turns, so a batch waits for
        # one step of long work at most.
        self.turn = asyncio.Lock()
        self._partitions: frozenset[int] = frozenset()
        self._is_unpublished = False

    async def take_over(self, partitions: frozenset[int]) -> int:
        """Publish what previous owners have left; the number of events."""
        async with self.turn:
            self._partitions = partitions
            self._is_unpublished = True
            return await self.catch_up()

    async def catch_up(self) -> int:
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

    async def carry_out(
        self, commands: Sequence[PlacedCommand], *, running_job: str | None = None, others: Sequence[Record] = ()
    ) -> bool:
        """Commands carried out in order, and answered; whether any of them started a job.

        Args:
            commands: each on its gallery's partition.
            running_job: the job that these commands have waited for.
            others: records to publish along with the results.
        """
        has_jobs = False
        async with self.turn:
            await self.catch_up()
            for part in _slices(commands, await self._weights(commands)):
                self._is_unpublished = True
                settled = await self._execute(part, running_job)
                await self.publish(settled.rows, settled.answers)
                has_jobs = has_jobs or settled.has_jobs
            await self._publisher.publish(others)
        return has_jobs

    async def save(self, workspace: Workspace, partition: int, at: datetime, extra: Extra) -> list[OutboxRow]:
        """Commit a step of long work; called with the turn held. Raises what `Repository.save` does."""
        self._is_unpublished = True
        return await self._repository.save(workspace, {partition}, at, extra)

    async def publish(self, rows: Sequence[OutboxRow], answers: Sequence[Answer]) -> None:
        """Publish what was committed last; called with the turn held."""
        records = [*self._outbox.records(rows), *await self._answers.records(answers)]
        await self._publisher.publish(records)
        await self._outbox.mark_published([row.row_id for row in rows])
        self._is_unpublished = False

    async def _execute(self, commands: Sequence[PlacedCommand], running_job: str | None) -> Settled:
        """One transaction for all. If they conflict, one for each half, and so on: neighbours do not suffer."""
        settled = Settled()
        parts = deque([commands])
        looks: dict[CommandKey, int] = {}
        attempts = 0
        while parts:
            part = parts.popleft()
            at = datetime.now(UTC)
            workspace = await self._loader.load(part, at, looks)
            answers = self._decide(part, workspace, looks, at, running_job)
            decided, rest = part[: len(answers)], part[len(answers) :]
            try:
                if not decided:
                    raise Conflict("the first command needs more than was loaded")
                unparked = _unparked(decided, answers, workspace)
                partitions = {command.partition for command in decided}
                settled.rows += await self._repository.save(workspace, partitions, at, Extra(unparked=unparked))
            except Conflict as conflict:
                attempts += 1
                if attempts > ATTEMPTS_ALONE:
                    raise TransientFailure(f"a command keeps conflicting: {conflict}") from conflict
                middle = len(decided) // 2
                parts.extendleft(filter(None, (rest, decided[middle:], decided[:middle])))
                continue
            attempts = 0
            settled.answers += [answer for answer in answers if answer is not None]
            settled.has_jobs = settled.has_jobs or bool(workspace.jobs)
            if rest:
                parts.appendleft(rest)
            for command, answer in zip(decided, answers, strict=True):
                if answer is not None:
                    COMMANDS.labels(command.envelope.name, answer.reply.outcome).inc()
        return settled

    def _decide(
        self,
        commands: Sequence[PlacedCommand],
        workspace: Workspace,
        looks: dict[CommandKey, int],
        at: datetime,
        running_job: str | None,
    ) -> list[Answer | None]:
        """Answers to the first commands, up to one that needs more of the write model than was loaded."""
        answers: list[Answer | None] = []
        for command in commands:
            try:
                reply = decide(command, workspace, at, self._new_event_id, running_job)
            except Unloaded as unloaded:
                looks[CommandKey.of(command.envelope)] = unloaded.neighbours
                break
            answers.append(Answer.to(command.envelope, reply) if reply is not None else None)
        return answers

    async def _weights(self, commands: Sequence[PlacedCommand]) -> list[int]:
        """How many galleries and items each command writes, about."""
        whole = {_whole_gallery(command) for command in commands} - {None}
        sizes = await self._loader.sizes(filter(None, whole)) if whole else {}
        return [_weight(command, sizes) for command in commands]


def _unparked(commands: Sequence[PlacedCommand], answers: Sequence[Answer | None], workspace: Workspace) -> list[str]:
    """Ids of parked commands that need not wait any longer."""
    waiting = {command.parked_id for command in workspace.parked}
    return [
        command.parked_id
        for command, _ in zip(commands, answers, strict=True)
        if command.parked_id is not None and command.parked_id not in waiting
    ]


def _whole_gallery(command: PlacedCommand) -> str | None:
    data = command.envelope.data
    if isinstance(data, CreateGallery):
        return data.clone_from_gallery_id
    return command.gallery_id if isinstance(data, ON_ALL_ITEMS) else None


def _weight(command: PlacedCommand, sizes: Mapping[str, int]) -> int:
    whole = _whole_gallery(command)
    if whole is not None:
        size = sizes.get(whole, 0)
        return 1 + (size if size <= DIRECT_ITEMS else 0)
    match command.envelope.data:
        case CreateItems(items=items):
            return 1 + len(items)
        case CreateGallery(gallery=gallery) if gallery is not None:
            return 1 + len(gallery.items)
        case UpdateGallery(gallery=patch):
            return 1 + len(patch.items or ())
        case DeleteItems(item_ids=item_ids):
            return 1 + len(item_ids)
        case _:
            return 1


def _slices(commands: Sequence[PlacedCommand], weights: Sequence[int]) -> Iterator[Sequence[PlacedCommand]]:
    """Consecutive parts of a batch that fit into one transaction each."""
    start, total = 0, 0
    for position, weight in enumerate(weights):
        if total and total + weight > TRANSACTION_WEIGHT:
            yield commands[start:position]
            start, total = position, 0
        total += weight
    if start < len(commands):
        yield commands[start:]

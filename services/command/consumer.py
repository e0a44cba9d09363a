"""Handles batches of commands: sort, decide, one transaction, publish events and replies (design, section 5)."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from prometheus_client import Counter

from schemas.commands import CreateGallery, CreateItems
from schemas.envelope import DEFAULT_SITE_ID, encode_reply
from schemas.topics import Topics
from services.command.handlers import decide
from services.command.intake import Answer, sort_records
from services.command.outbox import Outbox, OutboxRow
from services.command.repository import Conflict, Repository
from services.command.workspace import PlacedCommand
from services.kit.dead_letters import DeadLetters, IncomingRecord
from services.kit.failures import TransientFailure
from services.kit.ownership import Ownership
from services.kit.publisher import Publisher, Record

log = logging.getLogger(__name__)

COMMANDS = Counter("triptych_commands_total", "Commands answered", ["name", "outcome"])

# A transaction of this many galleries and items takes well under a second and stays far below MongoDB's limits.
TRANSACTION_WEIGHT = 2_000
# Alone, a command conflicts only with another process; each try sees what the other one has committed.
ATTEMPTS_ALONE = 5


class CommandHandler:
    """A `BatchHandler` for the commands topic."""

    def __init__(
        self,
        repository: Repository,
        outbox: Outbox,
        ownership: Ownership,
        publisher: Publisher,
        dead_letters: DeadLetters,
        topics: Topics,
        new_event_id: Callable[[], str],
    ) -> None:
        self._repository = repository
        self._outbox = outbox
        self._ownership = ownership
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._topics = topics
        self._new_event_id = new_event_id
        self._partitions: frozenset[int] = frozenset()
        self._unpublished = False  # something was committed and not seen on the topic

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Fence off the previous owner, then publish what it left behind."""
        await self._ownership.claim(partitions)
        self._partitions = partitions
        count = await self._outbox.flush(partitions)
        self._unpublished = False
        log.info("owns partitions %s; published %d events left by their previous owner", sorted(partitions), count)

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Carry out the commands of a batch; see `BatchHandler`."""
        if self._unpublished:
            # Events go out in the order of their commits, so the older ones go first (I3).
            await self._outbox.flush(self._partitions)
            self._unpublished = False
        intake = sort_records(records, await self._publisher.partitions(self._topics.commands), DEFAULT_SITE_ID)
        for part in _slices(intake.commands):
            await self._carry_out(part)
        letters = [self._dead_letters.letter(record, reason, text) for record, reason, text in intake.refused]
        await self._publisher.publish([*letters, *intake.forwards, *await self._replies(intake.answers)])
        for record, reason, text in intake.refused:
            self._dead_letters.report(record, reason, text)

    async def _carry_out(self, commands: Sequence[PlacedCommand]) -> None:
        self._unpublished = True
        answers, rows = await self._execute(commands)
        await self._publisher.publish([*self._outbox.records(rows), *await self._replies(answers)])
        await self._outbox.mark_published([row.row_id for row in rows])
        self._unpublished = False

    async def _execute(self, commands: Sequence[PlacedCommand]) -> tuple[list[Answer], list[OutboxRow]]:
        """One transaction for all; if they conflict, one for each half, so that neighbours do not suffer."""
        for _ in range(ATTEMPTS_ALONE):
            at = datetime.now(UTC)
            workspace = await self._repository.load(commands, at)
            answers = [
                Answer(
                    decide(command, workspace, at, self._new_event_id),
                    command.envelope.site_id,
                    command.envelope.correlation_id,
                    command.envelope.reply_to,
                )
                for command in commands
            ]
            try:
                rows = await self._repository.save(workspace, commands, at)
            except Conflict:
                if len(commands) > 1:
                    middle = len(commands) // 2
                    first, second = await self._execute(commands[:middle]), await self._execute(commands[middle:])
                    return first[0] + second[0], first[1] + second[1]
            else:
                for answer, command in zip(answers, commands, strict=True):
                    COMMANDS.labels(command.envelope.name, answer.reply.outcome).inc()
                return answers, rows
        raise TransientFailure("a command keeps conflicting with other writers")

    async def _replies(self, answers: Sequence[Answer]) -> list[Record]:
        records = []
        for answer in answers:
            message = encode_reply(answer.reply, correlation_id=answer.correlation_id, site_id=answer.site_id)
            topic = await self._reply_topic(answer.reply_to)
            records.append(Record(topic, message.key, message.value, message.headers))
        return records

    async def _reply_topic(self, asked: str | None) -> str:
        """The topic a sender asked for, unless it is none of its business or does not exist."""
        topics = self._topics
        if asked is None or asked == topics.replies:
            return topics.replies
        if asked in (topics.commands, topics.events, topics.galleries) or asked.endswith(topics.dead_letter("")):
            log.warning("a reply was asked for on %s, which is not for replies", asked)
        elif await self._publisher.has_topic(asked):
            return asked
        return topics.replies


def _slices(commands: Sequence[PlacedCommand]) -> Iterator[Sequence[PlacedCommand]]:
    """Consecutive parts of a batch that fit into one transaction each."""
    start, weight = 0, 0
    for position, command in enumerate(commands):
        added = _weight(command)
        if weight and weight + added > TRANSACTION_WEIGHT:
            yield commands[start:position]
            start, weight = position, 0
        weight += added
    if start < len(commands):
        yield commands[start:]


def _weight(command: PlacedCommand) -> int:
    match command.envelope.data:
        case CreateItems(items=items):
            return 1 + len(items)
        case CreateGallery(gallery=gallery) if gallery is not None:
            return 1 + len(gallery.items)
        case _:
            return 1

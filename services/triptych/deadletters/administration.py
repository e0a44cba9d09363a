"""Lists, shows, replays and drops dead letters, and records what was done; for the gateway and the command line."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from triptych.contract.topics import Topics
from triptych.deadletters.model.letter import Refusal
from triptych.deadletters.model.replaying import ReplayPlan, ReplayRules, plan_replay
from triptych.deadletters.model.selection import Selection, State
from triptych.deadletters.model.subject import subject_of
from triptych.deadletters.scan import Entry, Scan, ScanBudget
from triptych.deadletters.sending import ReplaySender
from triptych.deadletters.store.log import LetterLog, counts_of, open_log
from triptych.deadletters.store.marks import Action, Marks
from triptych.kit.kafka.positions import Position
from triptych.kit.kafka.topic_facts import TopicFacts
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database
from triptych.kit.process.clock import utc_now
from triptych.kit.process.settings import IdempotencySettings

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What happened to a dead letter: `to` is the partition that its record was sent to, or `refusal` says why not."""

    position: Position
    refusal: Refusal | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """What a replay may do beyond the safe: `again` what is handled, `old` what may take effect a second time."""

    again: bool = False
    old: bool = False
    dry_run: bool = False
    """Only say what would be sent."""


class DeadLetters:
    """The dead letters of an installation."""

    def __init__(self, settings: IdempotencySettings, database: Database) -> None:
        self._settings = settings
        self._marks = Marks(database)
        self._sender = ReplaySender(settings)
        self._topics = Topics(settings.topic_prefix)

    async def stop(self) -> None:
        """Close the producers."""
        await self._sender.stop()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["OpenDeadLetters"]:
        """Connect to read.

        Raises:
            NotYetAvailable: no broker answers.
            TransientFailure: Kafka stopped answering.
        """
        async with open_log(self._settings) as letter_log:
            sources = {self._topics.dead_letter(topic): topic for topic in self._topics.dead_lettering.values()}
            facts = await letter_log.facts([*sources, *sources.values()])
            rules = ReplayRules(
                utc_now(),
                {topic: count for topic, count in counts_of(facts).items() if topic in sources.values()},
                frozenset({self._topics.commands}),
                self._settings.processed_retention,
            )
            yield OpenDeadLetters(letter_log, self._marks, self._sender, sources, facts, rules)


class OpenDeadLetters:
    """The dead letters, while a client reads them. Methods raise TransientFailure if Kafka does not answer."""

    def __init__(
        self,
        letter_log: LetterLog,
        marks: Marks,
        sender: ReplaySender,
        sources: Mapping[str, str],
        facts: Mapping[str, TopicFacts],
        rules: ReplayRules,
    ) -> None:
        """`sources` has the topic of each dead-letter topic."""
        self._log = letter_log
        self._marks = marks
        self._sender = sender
        self._sources = sources
        self._facts = facts
        self._rules = rules
        self._pruned: set[str] = set()

    @cached_property
    def topics(self) -> list[str]:
        """The names of the dead-letter topics."""
        return sorted(self._sources)

    def topics_of(self, selection: Selection) -> list[str]:
        """The dead-letter topics that a selection restricts itself to."""
        return [name for name in self.topics if selection.topic in (None, self._sources[name])]

    def origin_topic(self, entry: Entry) -> str:
        """The topic on which the record of an entry was refused."""
        return self._sources[entry.letter.position.topic]

    def scan(self, selection: Selection, *, with_content: bool = False, budget: ScanBudget | None = None) -> Scan:
        """A pass over the dead letters of a selection; read its chunks of `topics_of` the selection."""
        return Scan(self._log, self._marks, self._facts, selection, with_content=with_content, budget=budget)

    async def find(self, position: Position) -> Entry | None:
        """One dead letter with all its bytes, or its first piece if others are missing; None if there is none."""
        letter = await self._log.find(position) if position.topic in self._sources else None
        if letter is None:
            return None
        letter = await self._log.whole(letter) or letter
        marks = await self._marks.find([position], self._facts)
        subject = subject_of(letter.key, letter.value, letter.headers)
        return Entry(letter, subject, len(letter.value or b""), marks.get(position))

    async def replay(self, entries: Sequence[Entry], by: str, permission: Permission) -> list[Result]:
        """Send the records of dead letters again, and record that.

        If the process ends in between, a record may be sent whose dead letter stays open. Sending it again is harmless.

        Args:
            entries: with their content.
            by: who asked for it.
            permission: see `Permission`.
        """
        rules = self._rules._replace(again=permission.again, old=permission.old)
        results: list[Result] = []
        plans: list[tuple[int, ReplayPlan]] = []
        for entry in entries:
            letter = await self._log.whole(entry.letter) if not entry.letter.is_joined else entry.letter
            planned = plan_replay(letter or entry.letter, self.origin_topic(entry), entry.state, rules)
            if isinstance(planned, Refusal):
                results.append(Result(entry.letter.position, planned))
            else:
                plans.append((len(results), planned))
                results.append(Result(entry.letter.position, to=f"{planned.topic}-{planned.partition}"))
        if not permission.dry_run:
            for index in await self._sender.send([plan for _, plan in plans]):
                number, _ = plans[index]
                results[number] = replace(results[number], refusal=Refusal.TOO_LARGE, to=None)
            await self._record(results, State.REPLAYED, by)
        return results

    async def drop(self, entries: Sequence[Entry], by: str, *, dry_run: bool = False) -> list[Result]:
        """Record that nothing will be done about dead letters. They stay on their topics until they expire."""
        results = [
            Result(entry.letter.position, Refusal.HANDLED if entry.state is State.DROPPED else None)
            for entry in entries
        ]
        if not dry_run:
            await self._record(results, State.DROPPED, by)
        return results

    async def _record(self, results: Sequence[Result], state: State, by: str) -> None:
        done = [result for result in results if result.refusal is None]
        for topic in sorted({result.position.topic for result in done} - self._pruned):
            beginnings = await self._log.beginnings(topic, range(self._facts[topic].partitions))
            await self._marks.prune(topic, self._facts[topic], beginnings)
            self._pruned.add(topic)
        now = utc_now()
        actions = {result.position: Action(state, now, by, result.to) for result in done}
        await self._marks.add(actions, self._facts)
        report(
            log,
            logging.INFO,
            "dead letters were handled",
            done,
            lambda result: {"letter": str(result.position), "to": str(result.to) if result.to else None},
            kind_of=lambda _: state.value,
            by=by,
        )

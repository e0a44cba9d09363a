"""Goes through dead letters in order: by topic and partition, oldest first, within a budget."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace

from triptych.deadletters.model.letter import Letter
from triptych.deadletters.model.selection import Selection, State
from triptych.deadletters.model.subject import Subject, subject_of
from triptych.deadletters.store.log import LetterLog, Stretch
from triptych.deadletters.store.marks import Mark, Marks
from triptych.kit.kafka.positions import Position
from triptych.kit.kafka.topic_facts import TopicFacts

ENTRIES_AT_ONCE = 100
BYTES_AT_ONCE = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A dead letter, what it is about, and what was done about it. `bytes` is the size of its value."""

    letter: Letter
    subject: Subject
    bytes: int
    mark: Mark | None = None

    @property
    def state(self) -> State:
        """What was done about it last."""
        return self.mark.state if self.mark is not None else State.OPEN


@dataclass(frozen=True, slots=True)
class ScanBudget:
    """How many records one scan reads, and for how many seconds."""

    records: int
    seconds: float


class Scan:
    """One pass over the dead letters of a selection.

    Attributes:
        last: the last record that was read, whether it is meant or not. A later scan can begin after it.
        is_complete: whether everything was read.
    """

    def __init__(
        self,
        log: LetterLog,
        marks: Marks,
        facts: Mapping[str, TopicFacts],
        selection: Selection,
        *,
        with_content: bool = False,
        budget: ScanBudget | None = None,
    ) -> None:
        self._log = log
        self._marks = marks
        self._facts = facts
        self._selection = selection
        self._with_content = with_content
        self._budget = budget
        self._started_at = time.monotonic()
        self._count = 0
        self.last: Position | None = None
        self.is_complete = False

    async def chunks(self, topics: Sequence[str], after: Position | None = None) -> AsyncGenerator[list[Entry]]:
        """The entries that are meant, in chunks. When a chunk is given, everything up to `last` was given.

        Args:
            topics: the dead-letter topics to read.
            after: the last record of an earlier scan.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        entries: list[Entry] = []
        weight = 0
        for stretch in await self._stretches(topics, after):
            async for letter in self._log.read(stretch):
                self._count += 1
                self.last = letter.position
                subject = subject_of(letter.key, letter.value, letter.headers)
                if letter.is_first and self._selection.matches(letter, subject):
                    entries.append(self._entry(letter, subject))
                    weight += len(letter.value or b"") if self._with_content else 0
                is_spent = self._is_spent()
                if is_spent or len(entries) >= ENTRIES_AT_ONCE or weight >= BYTES_AT_ONCE:
                    yield await self._in_state(entries)
                    entries, weight = [], 0
                if is_spent:
                    return
        self.is_complete = True
        yield await self._in_state(entries)

    async def _stretches(self, topics: Sequence[str], after: Position | None) -> list[Stretch]:
        wanted, found = self._selection, []
        for topic in sorted(topic for topic in topics if topic in self._facts):
            numbers = range(self._facts[topic].partitions)
            partitions = [number for number in numbers if wanted.partition in (None, number)]
            found += await self._log.stretches(topic, partitions, wanted.since, wanted.until)
        if after is None:
            return found
        here = (after.topic, after.partition)
        later = [stretch for stretch in found if (stretch.topic, stretch.partition) > here]
        same = [
            stretch._replace(begin=max(stretch.begin, after.offset + 1))
            for stretch in found
            if (stretch.topic, stretch.partition) == here
        ]
        return [*same, *later]

    def _entry(self, letter: Letter, subject: Subject) -> Entry:
        size = len(letter.value or b"")
        return Entry(letter if self._with_content else replace(letter, value=None, headers=()), subject, size)

    def _is_spent(self) -> bool:
        budget = self._budget
        return budget is not None and (
            self._count >= budget.records or time.monotonic() - self._started_at > budget.seconds
        )

    async def _in_state(self, entries: Sequence[Entry]) -> list[Entry]:
        marks = await self._marks.find([entry.letter.position for entry in entries], self._facts) if entries else {}
        found = [replace(entry, mark=marks.get(entry.letter.position)) for entry in entries]
        return [entry for entry in found if self._selection.state in (None, entry.state)]

"""Plants faults into a good history, and checks that the judge names each, in the whole and in parts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import orjson

from tests.support.chaos.history import Answer, History, Violation
from tests.support.chaos.judging import judge
from tests.support.chaos.recorded import good_history
from tests.support.chaos.recording import open_recording

Spoil: TypeAlias = Callable[[History], object]


class _Plant(NamedTuple):
    spoil: Spoil
    promise: str
    what: str


class Plants:
    """Planted faults by the names of the functions that plant them."""

    def __init__(self) -> None:
        self._plants: dict[str, _Plant] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._plants)

    def plant(self, promise: str, what: str) -> Callable[[Spoil], Spoil]:
        """Declare a fault: the promise it breaks, and a part of the violation's description."""

        def keep(spoil: Spoil) -> Spoil:
            self._plants[spoil.__name__] = _Plant(spoil, promise, what)
            return spoil

        return keep

    def check(self, name: str, folder: Path) -> None:
        """Plant the fault: the judge names it, also if it sees the recorded history in parts."""
        spoil, promise, what = self._plants[name]
        history, _ = good_history()
        spoil(history)
        for violations in (judge(history), judged_in_parts(history, folder)):
            found = [str(violation) for violation in violations]
            assert any(line.startswith(f"{promise}: ") and what in line for line in found), found


def judged_in_parts(history: History, folder: Path) -> list[Violation]:
    """The violations of a history that was recorded, and is judged in many parts."""
    made = History(history.partitions, listening=history.listening, faults=history.faults, memory=history.memory)
    made.memory_limit, made.unready = history.memory_limit, history.unready
    made.left_over, made.dead_letters = history.left_over, history.dead_letters
    made.deliveries = [delivery for delivery in history.deliveries if not delivery.is_allowed]
    galleries = {event.id: event.gallery for event in history.events}
    answers: list[Answer] = []
    with open_recording(folder / "recording.sqlite") as recording:
        for event in history.events:
            recording.add_event(event)
        for answer in history.answers:
            if answer.via == "http":
                answers.append(answer)
            else:
                recording.add_reply(answer.command, answer.place, orjson.dumps(answer.content))
        for joined in history.joined:
            value = joined.value and orjson.dumps(joined.value)
            recording.add_joined(joined.partition, joined.offset, joined.key, value or None)
        for delivery in history.deliveries:
            if delivery.is_allowed:
                recording.add_delivery(
                    delivery.site, delivery.event, delivery.value, has_succeeded=delivery.has_succeeded
                )
        for event_id, status in history.outcomes.items():
            recording.add_outcome(galleries.get(event_id, ""), event_id, status)
        for gallery, sequence in history.sequences.items():
            recording.add_sequence(gallery, sequence)
        for gallery, state in history.states.items():
            recording.add_state(gallery, state)
        for read in history.foreign_reads:
            recording.add_foreign_read(next(iter(read.galleries), ""), read)
        parts = list(recording.parts(made, history.commands, answers, most_events=1))
        assert len(parts) > len(history.events)
        return [violation for part in parts for violation in judge(part)]

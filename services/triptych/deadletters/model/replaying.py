"""Decides what the replay of a dead letter sends, and which dead letters are not replayed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from triptych.deadletters.model.letter import Letter, Refusal
from triptych.deadletters.model.selection import State
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.letter_headers import Headers
from triptych.kit.kafka.transit import Replay, as_sent


class ReplayPlan(NamedTuple):
    """The record that a replay sends: the refused one, on a partition of its topic, with a header about the replay."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    marker: tuple[str, bytes]

    @property
    def marked_headers(self) -> Headers:
        """The headers of the sender, and the one about the replay."""
        return (*self.headers, self.marker)


class ReplayRules(NamedTuple):
    """What a replay takes into account.

    Attributes:
        now: the present moment.
        partitions: the number of partitions of each topic that exists and may be replayed to, by name.
        expiring: topics whose records may take effect twice if they are older than `memory`.
        memory: how long a repeated command is recognised.
        again: replay also what was replayed or dropped before.
        old: replay also commands older than `memory`.
    """

    now: datetime
    partitions: Mapping[str, int]
    expiring: frozenset[str]
    memory: timedelta
    again: bool = False
    old: bool = False


def plan_replay(letter: Letter, topic: str, state: State, rules: ReplayRules) -> ReplayPlan | Refusal:
    """What to send for a dead letter with all its bytes, or why it is not replayed.

    Args:
        letter: joined from its pieces, if it has several.
        topic: the topic whose dead letter it is, by the name of the topic on which it was found.
        state: what was done about it so far.
        rules: see `ReplayRules`.
    """
    refusal = letter.problem or _refusal(letter, topic, state, rules)
    if refusal is not None or letter.origin is None:
        return refusal or Refusal.NOT_A_DEAD_LETTER
    count = rules.partitions[topic]
    # The owner of the partition forwards a command that belongs elsewhere, since the mark of an earlier hop is removed.
    partition = letter.origin.partition if letter.key is None else partition_of(letter.key, count)
    if partition >= count:
        return Refusal.NO_PARTITION
    origin = letter.replay.origin if letter.replay is not None else letter.origin
    replay = Replay(letter.replays + 1, letter.position, origin, round(letter.first_refused.timestamp() * 1000))
    return ReplayPlan(topic, partition, letter.key, letter.value, as_sent(letter.headers), replay.header())


def _refusal(letter: Letter, topic: str, state: State, rules: ReplayRules) -> Refusal | None:
    if letter.piece is not None and not letter.is_joined:
        return Refusal.INCOMPLETE
    if state is not State.OPEN and not rules.again:
        return Refusal.HANDLED
    if letter.origin is not None and letter.origin.topic != topic:
        return Refusal.OTHER_TOPIC
    if topic not in rules.partitions:
        return Refusal.NO_TOPIC
    if topic in rules.expiring and rules.now - letter.first_refused > rules.memory and not rules.old:
        return Refusal.TOO_OLD
    return None

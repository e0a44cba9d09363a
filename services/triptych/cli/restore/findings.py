"""Defines what `restore-check` finds, and decides what it means (pure). The keys of `to_json` are stable."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from triptych.kit.own_command import as_typed

UNKNOWN_STEP = 1_000_000
"""How far a gallery is raised if nothing says which sequences were published: more than a gallery has events."""


@dataclass(frozen=True, slots=True)
class Some:
    """How many there are, and the ids of the first."""

    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupMove:
    """A consumer group whose offsets do not fit: `again` records would have to be read again."""

    group: str
    topic: str
    partitions: tuple[int, ...]
    again: int
    is_beyond_end: bool


@dataclass(frozen=True, slots=True)
class LostCommands:
    """Commands that were read before: how many are still on the topic, and how many have no stored outcome."""

    retained: int = 0
    lost: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """Galleries of the joined topic, compared with the write model."""

    missing: Some = Some()
    behind: Some = Some()
    extra: Some = Some()


class Problem(NamedTuple):
    """Something that is wrong: its name, and in words what it means."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found.

    Attributes:
        unfinished: the phase of a repair that was begun and not ended.
        last_write: when the write model was certainly in use, ISO 8601.
        raised, deleted, withdrawn, reserved: galleries whose events go further than the write model, by the correction
            that they need (`triptych.command.domain.corrections`).
        items_gone: items whose deletion goes further than the write model.
        unknown: galleries of which the events topic may have lost later events.
        commands: the commands that a repair would carry out again.
        behind: galleries whose last events the topic does not have.
        joined: the joined topic.
        groups: consumer groups whose offsets do not fit.
    """

    unfinished: str | None = None
    last_write: str | None = None
    raised: Some = Some()
    deleted: Some = Some()
    withdrawn: Some = Some()
    reserved: Some = Some()
    items_gone: int = 0
    unknown: int = 0
    commands: LostCommands = LostCommands()
    behind: Some = Some()
    joined: Joined = Joined()
    groups: tuple[GroupMove, ...] = field(default=())

    @property
    def is_write_model_older(self) -> bool:
        """Whether consumers have seen events that the write model does not have."""
        return any(one.count for one in (self.raised, self.deleted, self.withdrawn, self.reserved))

    def problems(self) -> list[Problem]:
        """What is wrong, and what would happen without a repair; empty if all fits."""
        found = []
        if self.unfinished is not None:
            found.append(Problem("unfinished", f"a repair was begun and has not ended (phase {self.unfinished})"))
        for name, some, text in (
            (
                "raised",
                self.raised,
                "{} galleries are older than their published events: their next events would get "
                "sequences that consumers have seen with another content",
            ),
            (
                "deleted",
                self.deleted,
                "{} galleries are back although their deletion was published: consumers ignore them",
            ),
            (
                "withdrawn",
                self.withdrawn,
                "{} galleries were created after the backup: consumers have them, and the write model does not",
            ),
            (
                "reserved",
                self.reserved,
                "{} galleries were created and deleted after the backup: their ids could be used again",
            ),
            ("behind", self.behind, "the events topic lacks the last events of {} galleries"),
            ("joinedMissing", self.joined.missing, "{} galleries are missing in the joined topic"),
            ("joinedBehind", self.joined.behind, "{} galleries are older in the joined topic"),
            ("joinedExtra", self.joined.extra, "the joined topic has {} galleries that do not exist"),
        ):
            if some.count:
                found.append(Problem(name, text.format(f"{some.count:,}") + _examples(some)))
        if self.items_gone:
            found.append(
                Problem("itemsGone", f"{self.items_gone:,} items are back although their deletion was published")
            )
        if self.is_write_model_older and self.commands.lost:
            found.append(
                Problem(
                    "commands",
                    f"{self.commands.lost:,} of the {self.commands.retained:,} commands on the topic have lost their "
                    "effect, and would not be carried out again",
                )
            )
        if self.is_write_model_older and self.unknown:
            found.append(
                Problem(
                    "unknown",
                    f"of {self.unknown:,} galleries, later events may have expired: a repair raises them "
                    f"by {UNKNOWN_STEP:,}",
                )
            )
        found += [Problem("offsets", _move(move)) for move in self.groups]
        return found

    def advice(self) -> list[str]:
        """The commands that make it right, in order."""
        if not self.problems():
            return []
        return [
            "Stop all services.",
            f"Run: {as_typed('restore-repair')}",
            "Start the services.",
            f"Run: {as_typed('republish --all')}",
            f"Run: {as_typed('verify')}",
        ]

    def to_json(self) -> dict[str, Any]:
        """The findings as a JSON object."""
        problems = self.problems()
        return {
            "ok": not problems,
            "problems": [{"name": one.name, "text": one.text} for one in problems],
            "advice": self.advice(),
            "unfinished": self.unfinished,
            "lastWrite": self.last_write,
            "writeModelIsOlder": self.is_write_model_older,
            "raised": asdict(self.raised),
            "deleted": asdict(self.deleted),
            "withdrawn": asdict(self.withdrawn),
            "reserved": asdict(self.reserved),
            "itemsGone": self.items_gone,
            "unknown": self.unknown,
            "commands": asdict(self.commands),
            "behind": asdict(self.behind),
            "joined": asdict(self.joined),
            "groups": [
                {
                    "group": one.group,
                    "topic": one.topic,
                    "partitions": list(one.partitions),
                    "again": one.again,
                    "isBeyondEnd": one.is_beyond_end,
                }
                for one in self.groups
            ],
        }


def move_of(
    group: str, topic: str, committed: Mapping[int, int], ends: Mapping[int, int], moved: Mapping[int, int]
) -> GroupMove | None:
    """What setting these offsets means for a group; None if there are none to set."""
    if not moved:
        return None
    again = sum(max(0, min(committed.get(number, 0), ends[number]) - offset) for number, offset in moved.items())
    is_beyond_end = any(committed.get(number, 0) > ends[number] for number in moved)
    return GroupMove(group, topic, tuple(sorted(moved)), again, is_beyond_end)


def _move(move: GroupMove) -> str:
    where = f"offsets of {move.group} on {len(move.partitions)} partitions of {move.topic}"
    if move.is_beyond_end:
        return f"{where} are beyond the end of the topic"
    return f"{where} do not fit: {move.again:,} records have to be read again"


def _examples(some: Some) -> str:
    if not some.examples:
        return ""
    more = ", …" if some.count > len(some.examples) else ""
    return f" ({', '.join(some.examples)}{more})"

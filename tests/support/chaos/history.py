"""Defines what a chaos run records and observes from outside: commands, answers, records, state, deliveries, faults."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias


class Command(NamedTuple):
    """A command that was sent.

    Attributes:
        id: the command's id, or the idempotency key.
        name: such as `CreateItems`.
        site: the site it belongs to.
        gallery: the gallery it names, or None for a creation over HTTP.
        items: how many items it creates if it is accepted; None if that depends on the state of the gallery.
        is_acknowledged: the broker has confirmed that it stored the command, or HTTP has answered with success.
    """

    id: str
    name: str
    site: str
    gallery: str | None
    items: int | None
    is_acknowledged: bool


class Answer(NamedTuple):
    """A reply on a topic, or an answer of HTTP, as the command's sender can compare it with another one.

    `content` has the reply, or of an answer of HTTP: `outcome`, `galleryId` and `itemIds`.
    """

    command: str
    via: Literal["topic", "http"]
    place: str
    content: dict[str, Any]


class Event(NamedTuple):
    """A record of the events topic that has one of the six events. `at` is its time, in Unix milliseconds."""

    partition: int
    offset: int
    key: str
    site: str
    cause: str
    value: dict[str, Any]
    at: int = 0

    @property
    def place(self) -> str:
        """Where the record is."""
        return f"events[{self.partition}]@{self.offset}"

    @property
    def id(self) -> str:
        """The event's id."""
        return str(self.value["id"])

    @property
    def gallery(self) -> str:
        """The gallery's id."""
        return str(self.value["entityId"])

    @property
    def sequence(self) -> int:
        """The event's number in its gallery."""
        return int(self.value["entityEventSequence"])

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.value["eventType"])


class Joined(NamedTuple):
    """A record of the joined topic; without a value it is a tombstone."""

    partition: int
    offset: int
    key: str
    value: dict[str, Any] | None

    @property
    def place(self) -> str:
        """Where the record is."""
        return f"galleries[{self.partition}]@{self.offset}"


class Delivery(NamedTuple):
    """A request that a receiver of webhooks got; `value` is the event in it. `is_allowed`: to an address we allow."""

    site: str
    event: str
    value: dict[str, Any]
    has_succeeded: bool
    is_allowed: bool = True


class ForeignRead(NamedTuple):
    """What a key of `site` got when it asked for a gallery: the status, and the galleries that were in the answer."""

    site: str
    status: int
    galleries: tuple[str, ...]


class State(NamedTuple):
    """A gallery as HTTP shows it, with all its items; `gallery` is None if HTTP says that there is none."""

    gallery: dict[str, Any] | None
    items: tuple[dict[str, Any], ...] = ()


Component: TypeAlias = Literal["command", "projector", "webhooks", "gateway", "kafka", "mongo", "all services"]


class Recovery(NamedTuple):
    """Seconds until each partition had the next of each; None: not within the patience.

    They count from the beginning of a service's fault, since another process can take over, and from a server's end.

    Attributes:
        reply: a reply on the topic.
        joined: a joined record.
        answer: an answer of a write over HTTP, by any gateway.
        delivery: a delivery that succeeded.
    """

    reply: float | None
    joined: float | None
    answer: float | None
    delivery: float | None


@dataclass
class Fault:
    """A fault, and how long the next work after it took."""

    kind: str
    component: Component
    recovery: "Recovery"
    repeats: int = 0
    """Events that were on the topic a second time, between this fault and the next one."""


class Memory(NamedTuple):
    """The most resident memory of a process, in bytes."""

    process: str
    bytes: int


@dataclass
class History:
    """Everything that is judged. Observations are from the end of a run, after the system was quiet."""

    partitions: int
    commands: list[Command] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    """Each partition in order."""
    joined: list[Joined] = field(default_factory=list)
    """Each partition in order."""
    states: dict[str, State] = field(default_factory=dict)
    """By gallery: each that a command or an event names."""
    sequences: dict[str, int] = field(default_factory=dict)
    """The last sequence of each gallery in the write model."""
    deliveries: list[Delivery] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    """By event id: how the administration lists its delivery, or `expired` if it was reported so."""
    listening: frozenset[str] = frozenset()
    """Sites with a listener to all events, from before the first command."""
    foreign_reads: list[ForeignRead] = field(default_factory=list)
    left_over: dict[str, int] = field(default_factory=dict)
    """Such as rows of the outbox that are not published: what must be 0 when the system is quiet."""
    dead_letters: list[str] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    memory_limit: int = 0
    faults: list[Fault] = field(default_factory=list)
    unready: list[str] = field(default_factory=list)
    """Services that were not ready at the end, and those that ended although nobody told or killed them."""


class Violation(NamedTuple):
    """A promise that was broken, with the gallery, the sequence and the records that show it."""

    promise: str
    what: str
    gallery: str = ""
    sequence: int | None = None
    records: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" gallery {self.gallery}" if self.gallery else ""
        number = f" sequence {self.sequence}" if self.sequence is not None else ""
        return f"{self.promise}: {self.what}{where}{number} {' '.join(self.records)}".rstrip()

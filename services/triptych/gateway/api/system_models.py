"""Shapes of the response about the state of the installation."""

from triptych.contract.base import Instant, WireModel
from triptych.status.installation import JobState


class ServerForm(WireModel):
    """Whether Kafka or MongoDB could be asked; `problem` says why not."""

    reached: bool
    problem: str | None


class LagForm(WireModel):
    """How far a consumer group is behind its topic; `oldestSeconds` is null if it is not behind, or not known."""

    group: str
    topic: str
    records: int
    oldest_seconds: float | None


class LettersCount(WireModel):
    """The records that a dead-letter topic has now, also those that were dealt with."""

    topic: str
    records: int


class OutboxForm(WireModel):
    """Rows of events that are committed and not yet published."""

    rows: int
    oldest_seconds: float | None


class JobForm(WireModel):
    """Long-running work. `progress` has the numbers that its steps keep; their names depend on the kind of work."""

    id: str
    kind: str | None
    site_id: str | None
    gallery_id: str | None
    partition: int | None
    state: JobState
    steps: int
    started_date: Instant | None
    failures: int
    failing_since: Instant | None
    progress: dict[str, int]


class JobsForm(WireModel):
    """Long-running work by state, the commands that wait for it, and the oldest jobs."""

    running: int
    failing: int
    finishing: int
    oldest_seconds: float | None
    waiting_commands: int
    oldest: list[JobForm]


class DeliveriesForm(WireModel):
    """Deliveries of active listeners that are due, and dead deliveries of all listeners."""

    due: int
    oldest_due_seconds: float | None
    dead: int


class ProcessForm(WireModel):
    """A process that was seen within 30 s."""

    service: str
    instance: str
    release: str
    schema_version: int


class System(WireModel):
    """The state of the installation at a time. Null is what could not be asked."""

    at: Instant
    ok: bool
    problems: list[str]
    kafka: ServerForm
    mongodb: ServerForm
    lag: list[LagForm] | None
    dead_letters: list[LettersCount] | None
    outbox: OutboxForm | None
    jobs: JobsForm | None
    deliveries: DeliveriesForm | None
    processes: list[ProcessForm] | None


class SystemAnswer(WireModel):
    """The state of the installation."""

    system: System

"""Decides which dead letters are meant: by topic, partition, reason, time, what they are about, and their state."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from triptych.deadletters.model.letter import Letter
from triptych.deadletters.model.subject import Subject


class State(StrEnum):
    """What was done about a dead letter."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant. A field that is None does not restrict them.

    Attributes:
        topic: the topic on which the records were refused.
        partition: the partition on which they were refused, which is also that of their dead letters.
        reason: why they were refused.
        since, until: dead letters from the first moment on, and before the second one.
        site_id, gallery_id, message_id: what the records say about themselves.
        state: what was done about them.
    """

    topic: str | None = None
    partition: int | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    site_id: str | None = None
    gallery_id: str | None = None
    message_id: str | None = None
    state: State | None = State.OPEN

    @property
    def is_restricted(self) -> bool:
        """Whether anything but the state restricts it."""
        return any(
            field is not None
            for field in (
                self.topic,
                self.partition,
                self.reason,
                self.since,
                self.until,
                self.site_id,
                self.gallery_id,
                self.message_id,
            )
        )

    def matches(self, letter: Letter, subject: Subject) -> bool:
        """Whether a dead letter is meant, as far as it alone tells: its topic and state are not compared."""
        return (
            self.reason in (None, letter.reason)
            and (self.since is None or letter.date >= self.since)
            and (self.until is None or letter.date < self.until)
            and self.site_id in (None, subject.site_id)
            and self.gallery_id in (None, subject.gallery_id)
            and self.message_id in (None, subject.message_id)
        )

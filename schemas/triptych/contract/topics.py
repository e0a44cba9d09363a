"""Names and policies of the topics (contract, section 10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

COMMANDS_RETENTION = timedelta(days=7)
REPLIES_RETENTION = timedelta(hours=1)
DEAD_LETTERS_RETENTION = timedelta(days=30)

_MESSAGE_BYTES = 1024 * 1024
_DEAD_LETTER_BYTES = 12 * _MESSAGE_BYTES
"""A dead letter is the refused record with headers of its own, and perhaps less compressed than its sender had it. One
that is larger even so comes in parts (`kit.dead_letters`)."""


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it is to be created; `config` holds Kafka's own names and texts."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class Topics:
    """The names of the topics under a prefix."""

    prefix: str = "triptych."

    @property
    def commands(self) -> str:
        """Commands, by gallery id."""
        return f"{self.prefix}commands"

    @property
    def replies(self) -> str:
        """Replies, by correlation id."""
        return f"{self.prefix}replies"

    @property
    def events(self) -> str:
        """Domain events, by gallery id."""
        return f"{self.prefix}events"

    @property
    def galleries(self) -> str:
        """Galleries joined with their items, compacted."""
        return f"{self.prefix}galleries"

    def dead_letter(self, topic: str) -> str:
        """Where records of this topic go that were refused."""
        return f"{topic}.dead-letter"

    def counts(self, partitions: int) -> dict[str, int]:
        """How many partitions each of the topics has, if all are as the settings say."""
        return {spec.name: spec.partitions for spec in self.catalogue(partitions, 1)}

    def catalogue(
        self, partitions: int, replication: int, events_retention: timedelta | None = timedelta(days=30)
    ) -> tuple[TopicSpec, ...]:
        """Every topic with its policy; events are kept for ever if their retention is None."""

        def spec(name: str, **policy: str) -> TopicSpec:
            config = {key.replace("_", "."): value for key, value in policy.items()}
            if replication > 1:
                # No more than two: a single broker that is down must not stop all writing.
                config["min.insync.replicas"] = "2"
            config.setdefault("max.message.bytes", str(_MESSAGE_BYTES))
            return TopicSpec(name, partitions, replication, config)

        def dead_letters(topic: str) -> TopicSpec:
            return spec(
                self.dead_letter(topic),
                cleanup_policy="delete",
                retention_ms=_milliseconds(DEAD_LETTERS_RETENTION),
                max_message_bytes=str(_DEAD_LETTER_BYTES),
            )

        return (
            spec(self.commands, cleanup_policy="delete", retention_ms=_milliseconds(COMMANDS_RETENTION)),
            spec(
                self.replies,
                cleanup_policy="delete",
                retention_ms=_milliseconds(REPLIES_RETENTION),
                # Only whole segments are deleted, and by default one lasts a week.
                segment_ms=_milliseconds(REPLIES_RETENTION),
            ),
            spec(self.events, cleanup_policy="delete", retention_ms=_milliseconds(events_retention)),
            spec(self.galleries, cleanup_policy="compact"),
            dead_letters(self.commands),
            dead_letters(self.events),
        )


def _milliseconds(retention: timedelta | None) -> str:
    return "-1" if retention is None else str(retention // timedelta(milliseconds=1))

"""Names and policies of the topics (contract, section 10)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

COMMANDS_RETENTION = timedelta(days=7)
REPLIES_RETENTION = timedelta(hours=1)
DEAD_LETTERS_RETENTION = timedelta(days=30)

COMMANDS, EVENTS = "commands", "events"
"""The names without the prefix of the topics that Triptych reads in consumer groups."""

_MESSAGE_BYTES = 1024 * 1024
_DEAD_LETTER_BYTES = 12 * _MESSAGE_BYTES
"""A dead letter is the refused record with additional headers, perhaps less compressed than its sender compressed it. A
larger one is stored in several records (`triptych.kit.kafka.publishing.dead_letters`)."""


@dataclass(frozen=True)
class TopicSpec:
    """A topic to create; `config` has Kafka's own names and texts."""

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
        return f"{self.prefix}{COMMANDS}"

    @property
    def replies(self) -> str:
        """Replies, by correlation id."""
        return f"{self.prefix}replies"

    def gateway_replies(self, number: int) -> str:
        """Replies and notices to one gateway; it has one partition. Only gateways and services of ours use it."""
        return f"{self.replies}.{number}"

    @property
    def events(self) -> str:
        """Domain events, by gallery id."""
        return f"{self.prefix}{EVENTS}"

    @property
    def galleries(self) -> str:
        """Galleries joined with their items, compacted."""
        return f"{self.prefix}galleries"

    @property
    def dead_lettering(self) -> dict[str, str]:
        """The topics that have a dead-letter topic, by their names without the prefix."""
        return {COMMANDS: self.commands, EVENTS: self.events}

    def dead_letter(self, topic: str) -> str:
        """The dead-letter topic of this topic."""
        return f"{topic}.dead-letter"

    def counts(self, partitions: int) -> dict[str, int]:
        """The number of partitions of each topic, by its name, if all topics are as the settings say.

        Without the topics of single gateways: nobody but a gateway needs one of them.
        """
        return {spec.name: spec.partitions for spec in self.catalogue(partitions, 1)}

    def catalogue(
        self,
        partitions: int,
        replication: int,
        events_retention: timedelta | None = timedelta(days=30),
        reply_topics: int = 0,
    ) -> tuple[TopicSpec, ...]:
        """Every topic with its policy.

        Args:
            partitions: of each topic but those of single gateways, which have one.
            replication: replicas of each topic.
            events_retention: how long events are kept; for ever if None.
            reply_topics: the number of topics of single gateways.
        """

        def spec(name: str, **policy: str) -> TopicSpec:
            config = {key.replace("_", "."): value for key, value in policy.items()}
            if replication > 1:
                # Not more than two: one broker that is down must not stop all writes.
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

        def replies(name: str) -> TopicSpec:
            # Kafka deletes whole segments only, and by default a segment lasts a week.
            kept = _milliseconds(REPLIES_RETENTION)
            return spec(name, cleanup_policy="delete", retention_ms=kept, segment_ms=kept)

        return (
            spec(self.commands, cleanup_policy="delete", retention_ms=_milliseconds(COMMANDS_RETENTION)),
            replies(self.replies),
            spec(self.events, cleanup_policy="delete", retention_ms=_milliseconds(events_retention)),
            spec(self.galleries, cleanup_policy="compact"),
            *(dead_letters(topic) for topic in self.dead_lettering.values()),
            *(replace(replies(self.gateway_replies(number)), partitions=1) for number in range(reply_topics)),
        )


def is_gateway_topic(topic: str | None) -> bool:
    """Whether a topic has the name of one for replies to a single gateway, under any prefix (`gateway_replies`)."""
    if topic is None:
        return False
    replies, _, number = topic.rpartition(".")
    return number.isascii() and number.isdigit() and replies.endswith("replies")


def _milliseconds(retention: timedelta | None) -> str:
    return "-1" if retention is None else str(retention // timedelta(milliseconds=1))

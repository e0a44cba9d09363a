"""Publishes replies on the topic that the sender asked for, or on the usual topic if that is not possible."""

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from triptych.contract.codec.envelope import CommandEnvelope, encode_reply
from triptych.contract.replies import Reply
from triptych.contract.topics import Topics, is_gateway_topic
from triptych.kit.failures import RecordTooLarge, TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.run_all import run_all

log = get_logger(__name__)

# A foreign topic may refuse writes for ever, for reasons of its own. Commands wait no longer than this for it.
PATIENCE_SECONDS = 2.0
REFUSED_SECONDS = 60.0
"""Seconds during which nothing is published on a topic that did not take a reply."""


class AddressedReply(NamedTuple):
    """A reply and its destination; `partition` and `source` are those of the command."""

    reply: Reply
    partition: int
    site_id: str
    correlation_id: str
    reply_to: str | None
    source: str | None = None

    @classmethod
    def to(cls, envelope: CommandEnvelope, partition: int, reply: Reply) -> "AddressedReply":
        """Address a reply to the sender of a command."""
        return cls(reply, partition, envelope.site_id, envelope.correlation_id, envelope.reply_to, envelope.source)


class ReplyPublisher:
    """Publishes replies, together with other records or alone."""

    def __init__(self, publisher: Publisher, foreign_publisher: Publisher, topics: Topics) -> None:
        """`foreign_publisher` publishes on topics that are not Triptych's, so that they cannot delay other records."""
        self._publisher = publisher
        self._foreign_publisher = foreign_publisher
        self._topics = topics
        self._refused_until: dict[str, float] = {}

    async def publish(self, records: Sequence[OutgoingRecord], replies: Sequence[AddressedReply]) -> None:
        """Publish records and replies, all at the same time.

        A reply that a foreign topic does not take goes to the usual topic instead.

        Raises:
            TransientFailure: some may be on their topics and others not; the caller publishes all of them again.
            RecordTooLarge: the broker will never take one of the records; others may be on their topics.
        """
        by_topic: dict[str, list[AddressedReply]] = {}
        for addressed in replies:
            by_topic.setdefault(await self._topic(addressed.reply_to), []).append(addressed)
        own, others = list(records), []
        for topic, addressed_to_it in by_topic.items():
            if self._is_own(topic):
                own += await self._records(self._publisher, topic, addressed_to_it)
            else:
                others.append(self._publish_to_foreign_topic(topic, addressed_to_it))
        await run_all([self._publish_to_own_topics(own, len(records)), *others])

    async def _publish_to_own_topics(self, records: Sequence[OutgoingRecord], first_reply: int) -> None:
        """Publish records, the replies last; a reply that is too large for its topic is shortened."""
        try:
            await self._publisher.publish(records)
        except RecordTooLarge as error:
            if not error.positions or min(error.positions) < first_reply:
                raise
            log.warning("replies are shortened", count=len(error.positions), error=error)
            await self._publisher.publish(
                [_shortened(one) if number in error.positions else one for number, one in enumerate(records)]
            )

    async def _publish_to_foreign_topic(self, topic: str, replies: Sequence[AddressedReply]) -> None:
        try:
            await self._foreign_publisher.publish(await self._records(self._foreign_publisher, topic, replies))
        except (TransientFailure, RecordTooLarge) as error:
            await self._publish_to_own_topics(await self._records(self._publisher, self._topics.replies, replies), 0)
            # Kafka took the replies on the usual topic, so the foreign topic is to blame.
            self._refused_until[topic] = time.monotonic() + REFUSED_SECONDS
            log.warning("a topic does not take replies, which go to the usual one", topic=topic, error=error)

    async def _records(
        self, publisher: Publisher, topic: str, replies: Sequence[AddressedReply]
    ) -> list[OutgoingRecord]:
        """A record for each reply, on the partition of its command, modulo the partitions of the topic.

        Partitioning by key would gain nothing: a correlation id is used once, so each would have to be hashed (15 µs),
        and the replies to a batch would be spread over all partitions.
        """
        if not replies:
            return []
        partitions = await publisher.partitions(topic)
        records = []
        for addressed in replies:
            message = encode_reply(addressed.reply, correlation_id=addressed.correlation_id, site_id=addressed.site_id)
            records.append(
                OutgoingRecord(topic, message.key, message.value, message.headers, addressed.partition % partitions)
            )
        return records

    def _is_own(self, topic: str) -> bool:
        """Whether a topic is for replies and is Triptych's: the usual one, or that of a gateway."""
        usual = self._topics.replies
        return topic == usual or (topic.rpartition(".")[0] == usual and is_gateway_topic(topic))

    async def _topic(self, asked: str | None) -> str:
        """The topic that a sender asked for, or the usual one if that is not for replies, is missing or refused one."""
        topics = self._topics
        if asked is None or asked == topics.replies:
            return topics.replies
        if self._is_own(asked):
            # A gateway's topic. It is asked for again after each failure, since the publisher forgets topics then.
            return asked if await self._publisher.has_topic(asked) else topics.replies
        if asked in (topics.commands, topics.events, topics.galleries) or asked.endswith(topics.dead_letter("")):
            report(log, logging.WARNING, "replies were asked for on a topic that is not for replies", [asked], _topic)
        elif self._refused_until.get(asked, 0.0) < time.monotonic() and await self._foreign_publisher.has_topic(asked):
            return asked
        return topics.replies


def _topic(topic: str) -> dict[str, str]:
    return {"topic": topic}


def _shortened(record: OutgoingRecord) -> OutgoingRecord:
    reply = Reply.model_validate_json(record.value or b"")
    return record._replace(value=reply.shortened().to_json())

"""Publishes replies, on the topic that the sender asked for where that is allowed and possible."""

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from triptych.contract.codec.envelope import CommandEnvelope, encode_reply
from triptych.contract.replies import Reply
from triptych.contract.topics import Topics
from triptych.kit.failures import RecordTooLarge, TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.run_all import run_all

log = logging.getLogger(__name__)

# A topic that somebody else looks after may refuse writes for reasons of its own, for ever; commands must not wait.
PATIENCE_SECONDS = 2.0
REFUSED_SECONDS = 60.0
"""How long nothing more is tried on a topic that did not take a reply."""


class AddressedReply(NamedTuple):
    """A reply and where it goes; `partition` and `source` are the command's."""

    reply: Reply
    partition: int
    site_id: str
    correlation_id: str
    reply_to: str | None
    source: str | None = None

    @classmethod
    def to(cls, envelope: CommandEnvelope, partition: int, reply: Reply) -> "AddressedReply":
        """The answer to a command."""
        return cls(reply, partition, envelope.site_id, envelope.correlation_id, envelope.reply_to, envelope.source)


class ReplyPublisher:
    """Sends replies out, together with other records or alone."""

    def __init__(self, publisher: Publisher, elsewhere: Publisher, topics: Topics) -> None:
        """`elsewhere` publishes on topics that are not Triptych's own: what is stuck there holds nothing else up."""
        self._publisher = publisher
        self._elsewhere = elsewhere
        self._topics = topics
        self._refused_until: dict[str, float] = {}

    async def publish(self, records: Sequence[OutgoingRecord], answers: Sequence[AddressedReply]) -> None:
        """Publish records and replies, all at the same time.

        A reply that its topic does not take goes to the usual topic instead.

        Raises:
            TransientFailure: some may be on their topics and some not; publish the same again.
            RecordTooLarge: the broker will never take one of them; others may be on their topics.
        """
        by_topic: dict[str, list[AddressedReply]] = {}
        for answer in answers:
            by_topic.setdefault(await self._topic(answer.reply_to), []).append(answer)
        usual = await self._records(self._publisher, self._topics.replies, by_topic.pop(self._topics.replies, ()))
        others = [self._publish_elsewhere(topic, part) for topic, part in by_topic.items()]
        await run_all([self._publish_here([*records, *usual], len(records)), *others])

    async def _publish_here(self, records: Sequence[OutgoingRecord], first_reply: int) -> None:
        """Publish records, the replies last; a reply that its topic does not take is shortened."""
        try:
            await self._publisher.publish(records)
        except RecordTooLarge as error:
            if not error.positions or min(error.positions) < first_reply:
                raise
            log.warning("%d replies are shortened: %s", len(error.positions), error)
            await self._publisher.publish(
                [_shortened(one) if place in error.positions else one for place, one in enumerate(records)]
            )

    async def _publish_elsewhere(self, topic: str, answers: Sequence[AddressedReply]) -> None:
        try:
            await self._elsewhere.publish(await self._records(self._elsewhere, topic, answers))
        except (TransientFailure, RecordTooLarge) as error:
            await self._publish_here(await self._records(self._publisher, self._topics.replies, answers), 0)
            # Kafka works, so it is the topic.
            self._refused_until[topic] = time.monotonic() + REFUSED_SECONDS
            log.warning(
                "topic %s does not take replies, which go to %s meanwhile: %s", topic, self._topics.replies, error
            )

    async def _records(
        self, publisher: Publisher, topic: str, answers: Sequence[AddressedReply]
    ) -> list[OutgoingRecord]:
        """One record for each answer, on the partition of its command as far as the topic has so many.

        Keyed partitioning would buy nothing: a correlation id is used once, so each would have to be hashed (15 µs),
        and the answers to a batch would be strewn over all partitions.
        """
        if not answers:
            return []
        partitions = await publisher.partitions(topic)
        records = []
        for answer in answers:
            message = encode_reply(answer.reply, correlation_id=answer.correlation_id, site_id=answer.site_id)
            records.append(
                OutgoingRecord(topic, message.key, message.value, message.headers, answer.partition % partitions)
            )
        return records

    async def _topic(self, asked: str | None) -> str:
        """The topic a sender asked for, unless it is none of its business, does not exist or did not take replies."""
        topics = self._topics
        if asked is None or asked == topics.replies:
            return topics.replies
        if asked in (topics.commands, topics.events, topics.galleries) or asked.endswith(topics.dead_letter("")):
            log.warning("a reply was asked for on %s, which is not for replies", asked)
        elif self._refused_until.get(asked, 0.0) < time.monotonic() and await self._elsewhere.has_topic(asked):
            return asked
        return topics.replies


def _shortened(record: OutgoingRecord) -> OutgoingRecord:
    reply = Reply.model_validate_json(record.value or b"")
    return record._replace(value=reply.shortened().to_json())

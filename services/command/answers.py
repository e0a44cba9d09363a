"""Turns outcomes into reply records, on the topic that the sender asked for where that is allowed."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from schemas.envelope import CommandEnvelope, encode_reply
from schemas.replies import Reply
from schemas.topics import Topics
from services.kit.publisher import Publisher, Record

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A reply and where it goes; `partition` is the command's."""

    reply: Reply
    partition: int
    site_id: str
    correlation_id: str
    reply_to: str | None

    @classmethod
    def to(cls, envelope: CommandEnvelope, partition: int, reply: Reply) -> "Answer":
        """The answer to a command."""
        return cls(reply, partition, envelope.site_id, envelope.correlation_id, envelope.reply_to)


class Answers:
    """Addresses replies."""

    def __init__(self, publisher: Publisher, topics: Topics) -> None:
        self._publisher = publisher
        self._topics = topics

    async def records(self, answers: Sequence[Answer]) -> list[Record]:
        """One record for each answer, on the partition of its command as far as the topic has so many.

        Keyed partitioning would buy nothing: a correlation id is used once, so each would have to be hashed (15 µs),
        and the answers to a batch would be strewn over all partitions.

        Raises:
            TransientFailure: it cannot be learnt which topics exist.
        """
        records = []
        for answer in answers:
            message = encode_reply(answer.reply, correlation_id=answer.correlation_id, site_id=answer.site_id)
            topic = await self._topic(answer.reply_to)
            partition = answer.partition % await self._publisher.partitions(topic)
            records.append(Record(topic, message.key, message.value, message.headers, partition))
        return records

    async def _topic(self, asked: str | None) -> str:
        """The topic a sender asked for, unless it is none of its business or does not exist."""
        topics = self._topics
        if asked is None or asked == topics.replies:
            return topics.replies
        if asked in (topics.commands, topics.events, topics.galleries) or asked.endswith(topics.dead_letter("")):
            log.warning("a reply was asked for on %s, which is not for replies", asked)
        elif await self._publisher.has_topic(asked):
            return asked
        return topics.replies

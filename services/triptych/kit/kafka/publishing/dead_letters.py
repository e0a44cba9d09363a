"""Dead-letters refused records: publishes their original bytes, their origin and the reason (contract, section 10)."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from triptych.kit.attribution import position_of, sender_of
from triptych.kit.kafka.publishing.letter_headers import (
    ATTEMPTS,
    ERROR,
    OFFSETS,
    ORIGIN,
    REASON,
    UNREADABLE_REASON,
    Headers,
)
from triptych.kit.kafka.publishing.letter_pieces import split_letter
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import report_unreadable
from triptych.kit.kafka.transit import DEAD_LETTERED, OUTCOMES, REPLAYED, is_replay
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.telemetry import DEAD_LETTERS

log = get_logger(__name__)

MAX_TEXT = 1_000
HANDLER_FAILED = "handler-failed"
"""The reason of a record that makes our code fail."""


class RefusedRecord(Protocol):
    """The fields of a record that is dead-lettered."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # a name that is not UTF-8 has surrogates


Refusal: TypeAlias = tuple[RefusedRecord, str, str]
"""A record, the reason why it is refused (one of a small set of names), and a text for a person."""


class DeadLetterPublisher:
    """Publishes to `<topic>.dead-letter`. Key, value and headers of the record stay as they were received."""

    def __init__(self, publisher: Publisher, topic_of: Callable[[str], str]) -> None:
        self._publisher = publisher
        self._topic_of = topic_of

    def count_from_zero(self, topic: str, reasons: Iterable[str]) -> None:
        """Show a count of 0 for these reasons and our own, so that a first dead letter is an increase."""
        for reason in (*reasons, HANDLER_FAILED, UNREADABLE_REASON):
            DEAD_LETTERS.labels(topic, reason)
        for outcome in OUTCOMES:
            REPLAYED.labels(topic, outcome)

    async def dead_letter(self, record: RefusedRecord, reason: str, text: str, attempts: int = 1) -> None:
        """Dead-letter one record.

        Args:
            record: as it came from Kafka.
            reason: one of a small set of names, for counting and filtering.
            text: what is wrong, for a person.
            attempts: how often the record was tried.

        Raises:
            TransientFailure: Kafka did not take the dead letter, so the record must not be skipped yet.
        """
        await self._publisher.publish(await self.letters([(record, reason, text)], attempts))
        self.report([(record, reason, text)])

    async def dead_letter_unreadable(self, unreadable: Unreadable) -> None:
        """Dead-letter the bytes of a record or batch that no client can read, with its first and last offset.

        Raises:
            TransientFailure: Kafka did not take the dead letter, so the record must not be skipped yet.
        """
        await self._publisher.publish(await self.letters([(unreadable, UNREADABLE_REASON, unreadable.text)]))
        report_unreadable(unreadable)
        self.report([(unreadable, UNREADABLE_REASON, unreadable.text)])

    async def letters(self, refused: Sequence[Refusal], attempts: int = 1) -> list[OutgoingRecord]:
        """The records to publish in order to dead-letter `refused`: records, each with reason and text.

        A dead letter is one record, or several if it is too large for its topic.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        whole = [self._letter(record, reason, text, attempts) for record, reason, text in refused]
        if not whole:
            return []
        too_large = await self._publisher.too_large(whole)
        letters: list[OutgoingRecord] = []
        for index, letter in enumerate(whole):
            if index in too_large:
                record, reason, text = refused[index]
                added = _added_headers(record, reason, text, attempts)
                letters += split_letter(letter, added, await self._publisher.limit(letter.topic))
            else:
                letters.append(letter)
        return letters

    def report(self, refused: Sequence[Refusal]) -> None:
        """Count dead letters that were published, and log them, one line for each topic and batch."""
        for topic in {record.topic for record, _, _ in refused}:
            of_topic = [one for one in refused if one[0].topic == topic]
            for reason, count in Counter(reason for _, reason, _ in of_topic).items():
                DEAD_LETTERS.labels(topic, reason).inc(count)
            if replayed := sum(is_replay(record.headers) for record, _, _ in of_topic):
                REPLAYED.labels(topic, DEAD_LETTERED).inc(replayed)
            report(
                log,
                logging.WARNING,
                "records were dead-lettered",
                of_topic,
                _described,
                kind_of=lambda refusal: refusal[1],
                topic=topic,
            )

    def _letter(self, record: RefusedRecord, reason: str, text: str, attempts: int) -> OutgoingRecord:
        """The record with its origin in headers named `dead-letter-*`, for the partition that it came from."""
        return OutgoingRecord(
            topic=self._topic_of(record.topic),
            key=record.key,
            value=record.value,
            partition=record.partition,
            headers=(*record.headers, *_added_headers(record, reason, text, attempts)),
        )


def _described(refusal: Refusal) -> dict[str, object]:
    record, reason, text = refusal
    return {**position_of(record), "reason": reason, "error": text[:MAX_TEXT], **sender_of(record)}


def _added_headers(record: RefusedRecord, reason: str, text: str, attempts: int) -> Headers:
    added: tuple[tuple[str, str], ...] = (
        (ORIGIN, f"{record.topic}-{record.partition}@{record.offset}"),
        (REASON, reason),
        (ERROR, text[:MAX_TEXT]),
        (ATTEMPTS, str(attempts)),
    )
    if isinstance(record, Unreadable):
        added = (*added, (OFFSETS, f"{record.first_offset}-{record.offset}"))
    return tuple((name, text.encode("utf-8", "replace")) for name, text in added)

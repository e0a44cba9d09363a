"""Dead-letters refused records: publishes their original bytes, their origin and the reason (contract, section 10)."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from triptych.kit.attribution import sender_of
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
from triptych.kit.kafka.reading.reader import IncomingRecord, report_unreadable
from triptych.kit.kafka.transit import DEAD_LETTERED, REPLAYED, is_replay
from triptych.kit.process.telemetry import DEAD_LETTERS

log = logging.getLogger(__name__)

__all__ = ["DeadLetterPublisher", "IncomingRecord", "RefusedRecord"]

MAX_TEXT = 1_000


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


class DeadLetterPublisher:
    """Publishes to `<topic>.dead-letter`. Key, value and headers of the record stay as they were received."""

    def __init__(self, publisher: Publisher, topic_of: Callable[[str], str]) -> None:
        self._publisher = publisher
        self._topic_of = topic_of

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
        self.report(record, reason, text)

    async def dead_letter_unreadable(self, unreadable: Unreadable) -> None:
        """Dead-letter the bytes of a record or batch that no client can read, with its first and last offset.

        Raises:
            TransientFailure: Kafka did not take the dead letter, so the record must not be skipped yet.
        """
        await self._publisher.publish(await self.letters([(unreadable, UNREADABLE_REASON, unreadable.text)]))
        report_unreadable(unreadable)
        self.report(unreadable, UNREADABLE_REASON, unreadable.text)

    async def letters(
        self, refused: Sequence[tuple[RefusedRecord, str, str]], attempts: int = 1
    ) -> list[OutgoingRecord]:
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

    def report(self, record: RefusedRecord, reason: str, text: str) -> None:
        """Count and log a dead letter that was published."""
        DEAD_LETTERS.labels(record.topic, reason).inc()
        if is_replay(record.headers):
            REPLAYED.labels(record.topic, DEAD_LETTERED).inc()
        log.warning(
            "dead letter: %s-%d@%d %s: %s",
            record.topic,
            record.partition,
            record.offset,
            reason,
            text[:MAX_TEXT],
            extra=sender_of(record),
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

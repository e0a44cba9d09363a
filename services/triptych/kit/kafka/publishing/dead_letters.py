"""Puts refused records aside with their original bytes, where they came from and why (contract, section 10)."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from triptych.kit.attribution import sender_of
from triptych.kit.kafka.publishing.letter_pieces import Headers, split_letter
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord, report_unreadable
from triptych.kit.process.telemetry import DEAD_LETTERS

log = logging.getLogger(__name__)

__all__ = ["DeadLetterPublisher", "IncomingRecord", "RefusedRecord"]

MAX_TEXT = 1_000
UNREADABLE_REASON = "UNREADABLE"


class RefusedRecord(Protocol):
    """What there is to know of a record that is put aside."""

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
    """Publishes to `<topic>.dead-letter`; key, value and headers of the record stay as they were received."""

    def __init__(self, publisher: Publisher, topic_of: Callable[[str], str]) -> None:
        self._publisher = publisher
        self._topic_of = topic_of

    async def dead_letter(self, record: RefusedRecord, reason: str, text: str, attempts: int = 1) -> None:
        """Put one record aside.

        Args:
            record: as it came from Kafka.
            reason: one of a small set of names, for counting and filtering.
            text: what was wrong, for a person.
            attempts: how often it was tried.

        Raises:
            TransientFailure: Kafka did not take it, so the record must not be skipped yet.
        """
        await self._publisher.publish(await self.letters([(record, reason, text)], attempts))
        self.report(record, reason, text)

    async def dead_letter_unreadable(self, found: Unreadable) -> None:
        """Dead-letter what no client can read: the bytes of a record or of a batch, with its first and last offset.

        Raises:
            TransientFailure: Kafka did not take it, so it must not be skipped yet.
        """
        await self._publisher.publish(await self.letters([(found, UNREADABLE_REASON, found.text)]))
        report_unreadable(found)
        self.report(found, UNREADABLE_REASON, found.text)

    async def letters(
        self, refused: Sequence[tuple[RefusedRecord, str, str]], attempts: int = 1
    ) -> list[OutgoingRecord]:
        """What to publish to put records aside, each with reason and text: a letter, or the parts of a large one.

        Raises:
            TransientFailure: Kafka does not answer.
        """
        whole = [self._letter(record, reason, text, attempts) for record, reason, text in refused]
        if not whole:
            return []
        too_large = await self._publisher.too_large(whole)
        letters: list[OutgoingRecord] = []
        for position, letter in enumerate(whole):
            if position in too_large:
                record, reason, text = refused[position]
                added = _added(record, reason, text, attempts)
                letters += split_letter(letter, added, await self._publisher.limit(letter.topic))
            else:
                letters.append(letter)
        return letters

    def report(self, record: RefusedRecord, reason: str, text: str) -> None:
        """Count and log a letter that was published."""
        DEAD_LETTERS.labels(record.topic, reason).inc()
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
        """The record with its origin in headers named `dead-letter-*`, on the partition it had."""
        return OutgoingRecord(
            topic=self._topic_of(record.topic),
            key=record.key,
            value=record.value,
            partition=record.partition,
            headers=(*record.headers, *_added(record, reason, text, attempts)),
        )


def _added(record: RefusedRecord, reason: str, text: str, attempts: int) -> Headers:
    added: tuple[tuple[str, str], ...] = (
        ("dead-letter-origin", f"{record.topic}-{record.partition}@{record.offset}"),
        ("dead-letter-reason", reason),
        ("dead-letter-error", text[:MAX_TEXT]),
        ("dead-letter-attempts", str(attempts)),
    )
    if isinstance(record, Unreadable):
        added = (*added, ("dead-letter-offsets", f"{record.first_offset}-{record.offset}"))
    return tuple((name, text.encode("utf-8", "replace")) for name, text in added)

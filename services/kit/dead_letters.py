"""Puts refused records aside with their original bytes, where they came from and why (design, section 2)."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from services.kit.failures import RecordTooLarge
from services.kit.fetched import Unreadable
from services.kit.publisher import Publisher, Record
from services.kit.reading import IncomingRecord, report_unreadable
from services.kit.telemetry import DEAD_LETTERS

log = logging.getLogger(__name__)

__all__ = ["DeadLetters", "IncomingRecord", "Refused"]

MAX_TEXT = 1_000
PART_BYTES = 256 * 1024
UNREADABLE_REASON = "UNREADABLE"


class Refused(Protocol):
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


class DeadLetters:
    """Publishes to `<topic>.dead-letter`; key, value and headers of the record stay as they were received."""

    def __init__(self, publisher: Publisher, topic_of: Callable[[str], str]) -> None:
        self._publisher = publisher
        self._topic_of = topic_of

    async def put(self, record: Refused, reason: str, text: str, attempts: int = 1) -> None:
        """Put one record aside.

        Args:
            record: as it came from Kafka.
            reason: one of a small set of names, for counting and filtering.
            text: what was wrong, for a person.
            attempts: how often it was tried.

        Raises:
            TransientFailure: Kafka did not take it, so the record must not be skipped yet.
        """
        await self._publish(self.letter(record, reason, text, attempts))
        self.report(record, reason, text)

    async def put_unreadable(self, found: Unreadable) -> None:
        """Dead-letter what no client can read: the bytes of a record or of a batch, with its first and last offset.

        Raises:
            TransientFailure: Kafka did not take it, so it must not be skipped yet.
        """
        letter = self.letter(found, UNREADABLE_REASON, found.text)
        offsets = ("dead-letter-offsets", f"{found.first_offset}-{found.offset}".encode())
        await self._publish(letter._replace(headers=(*letter.headers, offsets)))
        report_unreadable(found)
        self.report(found, UNREADABLE_REASON, found.text)

    def report(self, record: Refused, reason: str, text: str) -> None:
        """Count and log a letter that was published."""
        DEAD_LETTERS.labels(record.topic, reason).inc()
        log.warning(
            "dead letter: %s-%d@%d %s: %s", record.topic, record.partition, record.offset, reason, text[:MAX_TEXT]
        )

    async def _publish(self, letter: Record) -> None:
        """Publish a letter, in parts if it is larger than its topic allows."""
        try:
            await self._publisher.publish([letter])
        except RecordTooLarge:
            value = letter.value or b""
            starts = range(0, len(value), PART_BYTES)
            for number, start in enumerate(starts, 1):
                part = ("dead-letter-part", f"{number}/{len(starts)}".encode())
                headers = (*letter.headers, part)
                await self._publisher.publish(
                    [letter._replace(value=value[start : start + PART_BYTES], headers=headers)]
                )

    def letter(self, record: Refused, reason: str, text: str, attempts: int = 1) -> Record:
        """The record that `put` publishes, on the partition it had. Headers named `dead-letter-*` carry the origin."""
        origin = f"{record.topic}-{record.partition}@{record.offset}"
        added: Sequence[tuple[str, str]] = (
            ("dead-letter-origin", origin),
            ("dead-letter-reason", reason),
            ("dead-letter-error", text[:MAX_TEXT]),
            ("dead-letter-attempts", str(attempts)),
        )
        return Record(
            topic=self._topic_of(record.topic),
            key=record.key,
            value=record.value,
            partition=record.partition,
            headers=(*record.headers, *((name, text.encode("utf-8", "replace")) for name, text in added)),
        )

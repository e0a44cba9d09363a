"""Stores records of the commands topic with their exact bytes, and reads them back; no I/O."""

from typing import Any

from triptych.command.domain.unit_of_work import ReceivedRecord
from triptych.kit.mongo.driver import Binary, Document


def record_document(record: ReceivedRecord) -> Document:
    """The document of a record; header names need not be UTF-8, and values may be null."""
    headers: list[tuple[str, bytes | None]] = [*record.headers]
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": _binary(record.key),
        "value": Binary(record.value),
        "headers": [[Binary(name.encode(errors="surrogateescape")), _binary(value)] for name, value in headers],
    }


def record_of(stored: Document, partition: int) -> ReceivedRecord:
    """The record of a document, also if an earlier version stored the header names as text.

    Earlier versions stored no partition with the record: it is `partition` then.
    """
    return ReceivedRecord(
        stored["topic"],
        stored.get("partition", partition),
        stored["offset"],
        _bytes(stored["key"]),
        bytes(stored["value"]),
        [(_name(name), _bytes(value)) for name, value in stored["headers"]],
    )


def _name(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else bytes(stored).decode(errors="surrogateescape")


def _binary(value: bytes | None) -> Binary | None:
    return None if value is None else Binary(value)


def _bytes(stored: Any) -> Any:
    """The bytes, or None: `Headers` has no type for the null values that Kafka allows."""
    return None if stored is None else bytes(stored)

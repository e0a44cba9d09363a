"""Dead letters for tests of what is done with them."""

from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord

from triptych.deadletters.model.letter import Letter, read_letter

DATE = datetime(2026, 1, 1, tzinfo=UTC)
TOPIC, LETTERS = "t.commands", "t.commands.dead-letter"
Headers = tuple[tuple[str, bytes], ...]


def added(reason: str = "NOT_JSON", origin: str = f"{TOPIC}-2@7", *more: tuple[str, bytes]) -> Headers:
    """The headers that a dead letter has in addition."""
    return (
        ("dead-letter-origin", origin.encode()),
        ("dead-letter-reason", reason.encode()),
        ("dead-letter-error", b"why"),
        ("dead-letter-attempts", b"1"),
        *more,
    )


def letter_record(
    value: bytes | None = b"{", key: bytes | None = b"k", headers: Headers = (), offset: int = 0, topic: str = LETTERS
) -> ConsumerRecord[Any, Any]:
    """A record of a dead-letter topic; `headers` are all that it has."""
    timestamp = int(DATE.timestamp() * 1000)
    return ConsumerRecord(topic, 2, offset, timestamp, 0, key, value, None, 0, 0, headers)


def letter(
    value: bytes | None = b"{", key: bytes | None = b"k", original: Headers = (), offset: int = 0, **options: str
) -> Letter:
    """A dead letter of a record with these original headers."""
    return read_letter(letter_record(value, key, (*original, *added(**options)), offset))

"""`DeduplicatingHandler`: a repeated message is written once, then once a minute with a count."""

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from triptych.kit.process.deduplicating_logs import KEYS_MAX, PERIOD_SECONDS, VARIANTS_MAX, DeduplicatingHandler


@dataclass
class Log:
    """A log with a clock of its own."""

    stream: io.StringIO = field(default_factory=io.StringIO)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.handler = DeduplicatingHandler(self.stream, lambda: self.now)

    def say(self, name: str, message: str, *args: object, level: int = logging.WARNING, error: bool = False) -> None:
        """Log one message."""
        info = (ValueError, ValueError("x"), None) if error else None
        self.handler.handle(logging.LogRecord(name, level, "", 0, message, args, info))

    @property
    def lines(self) -> list[str]:
        """The lines written so far."""
        return self.stream.getvalue().splitlines()


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.handler.close()


def test_a_repeated_message_comes_once_and_then_once_a_minute_with_a_count(log: Log) -> None:
    for _ in range(10_000):
        log.say("aiokafka", "Unable connect to node with id %s: %s", 1, "refused")
    assert log.lines == ["Unable connect to node with id 1: refused"]
    log.now += PERIOD_SECONDS
    log.say("aiokafka", "Unable connect to node with id %s: %s", 1, "refused")
    log.now += 1
    log.say("aiokafka", "Unable connect to node with id %s: %s", 1, "refused")
    assert log.lines[1:] == ["Unable connect to node with id 1: refused (10000 times in 60 s)"]


def test_numbers_and_addresses_make_no_difference_to_a_library(log: Log) -> None:
    for number in range(50):
        log.say("asyncio", f"Task exception was never retrieved <Task-{number} at 0x{number:x}f>", error=True)
    assert len(log.lines) == 2  # the message and its exception


def test_different_messages_come_each(log: Log) -> None:
    log.say("aiokafka", "one")
    log.say("aiokafka", "two")
    log.say("pymongo", "one")
    log.say("aiokafka", "one", level=logging.ERROR)
    for offset in range(VARIANTS_MAX):
        log.say("triptych.kit.kafka.publishing.dead_letters", "dead letter: %s-%d@%d", "t", 0, offset)
    assert len(log.lines) == 4 + VARIANTS_MAX


def test_very_many_of_a_kind_are_counted_and_the_count_is_written_even_if_no_more_follow(log: Log) -> None:
    for number in range(5_000):
        log.say("triptych.gateway.writing.writes", "Kafka did not take command %s", number)
    assert len(log.lines) == VARIANTS_MAX + 1
    log.now += PERIOD_SECONDS
    log.say("triptych.gateway.writing.writes", "something else")
    assert log.lines[VARIANTS_MAX + 1 :] == [
        "something else",
        f"Kafka did not take command 4999 ({5_000 - VARIANTS_MAX - 1} times in 60 s)",
    ]


def test_what_was_suppressed_is_written_at_the_end(log: Log) -> None:
    for _ in range(3):
        log.say("aiokafka", "again")
    log.handler.close()
    assert log.lines == ["again", "again (2 times in 0 s)"]


def test_memory_is_bounded(log: Log) -> None:
    for number in range(10 * KEYS_MAX):
        log.say(f"library{number}", "message")
    assert len(log.handler._written) <= KEYS_MAX + 1

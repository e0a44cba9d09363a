"""`DeduplicatingHandler`: a repeated line is written once, then once a minute with a count."""

import gc
import io
import logging
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from triptych.kit.logs.lines import line_formatter
from triptych.kit.logs.loggers import BoundLogger, get_logger
from triptych.kit.logs.masking import Masker
from triptych.kit.logs.repeats import KEYS_MAX, PERIOD_SECONDS, VARIANTS_MAX, DeduplicatingHandler

ACCESS, OWN = "triptych.test of repeats.access", "triptych.test of repeats"


@dataclass
class Log:
    """A log with a clock of its own."""

    stream: io.StringIO = field(default_factory=io.StringIO)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.handler = DeduplicatingHandler(self.stream, lambda: self.now)
        self.handler.setFormatter(line_formatter("json", Masker()))
        self.own = self.logger(OWN)

    def logger(self, name: str, **options: Any) -> BoundLogger:
        """A logger of the product whose lines go to this log only."""
        plain = logging.getLogger(name)
        plain.handlers, plain.propagate = [self.handler], False
        return get_logger(name, **options)

    def say(self, name: str, message: str, *args: object, level: int = logging.WARNING, error: bool = False) -> None:
        """Log one message as a library does."""
        info = (ValueError, ValueError("x"), None) if error else None
        self.handler.handle(logging.LogRecord(name, level, "", 0, message, args, info))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines written so far."""
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def told(self) -> list[tuple[str, int | None]]:
        """The event and the number of occurrences of each line."""
        return [(line["event"], line.get("occurrences")) for line in self.lines]


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.handler.close()


def test_a_repeated_message_comes_once_and_then_once_a_minute_with_a_count(log: Log) -> None:
    for _ in range(10_000):
        log.say("aiokafka", "Unable connect to node with id %s: %s", 1, "refused")
    assert log.told == [("Unable connect to node with id 1: refused", None)]
    log.now += PERIOD_SECONDS
    log.say("aiokafka", "Unable connect to node with id %s: %s", 1, "refused")
    log.now += 1
    log.say("aiokafka", "Unable connect to node with id %s: %s", 1, "refused")
    assert log.told[1:] == [("Unable connect to node with id 1: refused", 10_000)]
    assert log.lines[1]["within_seconds"] == PERIOD_SECONDS


def test_numbers_and_addresses_make_no_difference_to_a_library(log: Log) -> None:
    for number in range(50):
        log.say("asyncio", f"Task exception was never retrieved <Task-{number} at 0x{number:x}f>", error=True)
    (line,) = log.lines
    assert line["exception"][0]["exc_value"] == "x"


def test_different_lines_come_each(log: Log) -> None:
    log.say("aiokafka", "one")
    log.say("aiokafka", "two")
    log.say("pymongo", "one")
    log.say("aiokafka", "one", level=logging.ERROR)
    for offset in range(VARIANTS_MAX):
        log.own.warning("a record was refused", offset=offset)
    assert len(log.lines) == 4 + VARIANTS_MAX


def test_an_event_with_the_same_fields_is_repeated_and_with_other_fields_is_not(log: Log) -> None:
    for site_id in ("a", "b", "a", "a"):
        log.own.warning("refused", site_id=site_id)
    for kind in (ValueError, KeyError, ValueError):
        log.own.warning("refused", exc_info=kind("x"))
    assert [(line.get("site_id"), "exception" in line) for line in log.lines] == [
        ("a", False),
        ("b", False),
        (None, True),
        (None, True),
    ]


def test_very_many_of_a_kind_are_counted_and_the_count_is_written_even_if_no_more_follow(log: Log) -> None:
    for number in range(5_000):
        log.own.warning("Kafka did not take a command", command_id=str(number))
    assert len(log.lines) == VARIANTS_MAX + 1
    log.now += PERIOD_SECONDS
    log.own.warning("something else")
    assert log.told[VARIANTS_MAX + 1 :] == [
        ("something else", None),
        ("Kafka did not take a command", 5_000 - VARIANTS_MAX - 1),
    ]
    assert log.lines[-1]["command_id"] == "4999"


def test_what_was_suppressed_is_written_at_the_end(log: Log) -> None:
    for _ in range(3):
        log.say("aiokafka", "again")
    log.handler.close()
    assert log.told == [("again", None), ("again", 2)]


def test_memory_is_bounded(log: Log) -> None:
    for number in range(2 * KEYS_MAX):
        log.say(f"library{number}", "message")
    assert len(log.handler._written) <= KEYS_MAX + 1


def test_a_suppressed_line_keeps_nothing_alive_that_its_exception_refers_to(log: Log) -> None:
    class Batch:
        pass

    def fail() -> "weakref.ref[Batch]":
        batch = Batch()
        try:
            raise ValueError("x")
        except ValueError as error:
            # Not through a logger: pytest keeps the records of loggers.
            info = (ValueError, error, error.__traceback__)
            log.handler.handle(logging.LogRecord("library", logging.ERROR, "", 0, "failed", (), info))
        return weakref.ref(batch)

    fail()
    suppressed = fail()
    gc.collect()
    assert (len(log.lines), suppressed()) == (1, None)


def test_every_line_of_an_unlimited_logger_is_written(log: Log) -> None:
    access = log.logger(ACCESS, is_limited=False)
    for _ in range(5 * VARIANTS_MAX):
        access.warning("a request was answered", status=200)
    assert len(log.lines) == 5 * VARIANTS_MAX


def test_a_line_that_cannot_be_written_is_replaced_and_harms_nobody(log: Log) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("planted")

    log.say("library", "%d", "not a number")
    log.own.warning("odd", value=Unprintable())
    log.own.warning("the next line")
    assert [line["event"] for line in log.lines] == ["a log line cannot be written"] * 2 + ["the next line"]
    assert [line["logger"] for line in log.lines] == ["library", OWN, OWN]

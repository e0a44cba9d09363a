"""Writes a repeated log message at most once a minute, with a count: libraries log every try to reach a lost broker."""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

PERIOD_SECONDS = 60.0
VARIANTS_MAX = 20
"""Different lines of one template in a period. Beyond that, lines that differ only by an id count as the same."""
KEYS_MAX = 1_000
"""Messages that are remembered at a time."""
OWN = "triptych."

_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
_KEY_MAX = 300


@dataclass(slots=True)
class _LastMessage:
    """When a message was last written, and the repetitions that were not written since."""

    at: float
    suppressed: int = 0
    latest: logging.LogRecord | None = None


class DeduplicatingHandler(logging.StreamHandler[TextIO]):
    """A stream handler that suppresses repetitions. A new message is always written at once."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._written: dict[tuple[str, int, str], _LastMessage] = {}
        self._variants: dict[tuple[str, int, str], tuple[float, int]] = {}
        self._swept_at = clock()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it."""
        now = self._clock()
        key = self._key_of(record, now)
        written = self._written.get(key)
        if written is None:
            self._written[key] = _LastMessage(now)
            super().emit(record)
        elif now - written.at >= PERIOD_SECONDS:
            super().emit(_counted(record, written, now))
            self._written[key] = _LastMessage(now)
        else:
            written.suppressed += 1
            written.latest = record
        if now - self._swept_at >= PERIOD_SECONDS or len(self._written) > KEYS_MAX:
            self._sweep(now)

    def close(self) -> None:
        """Write the counts of suppressed messages, and close."""
        self._sweep(self._clock(), is_last=True)
        super().close()

    def _key_of(self, record: logging.LogRecord, now: float) -> tuple[str, int, str]:
        """The key by which a message counts as repeated: its text, or its template if that has too many variants."""
        text = record.getMessage()
        is_own = record.name.startswith(OWN)
        exact = text[:_KEY_MAX] if is_own else _VARYING.sub("#", text[:_KEY_MAX])
        if record.exc_info and record.exc_info[1] is not None:
            exact += f" {type(record.exc_info[1]).__name__}"
        key = (record.name, record.levelno, exact)
        if key in self._written:
            return key
        template = (record.name, record.levelno, _VARYING.sub("#", str(record.msg)[:_KEY_MAX]))
        began, count = self._variants.get(template, (now, 0))
        if now - began >= PERIOD_SECONDS:
            began, count = now, 0
        self._variants[template] = (began, count + 1)
        return key if count < VARIANTS_MAX else template

    def _sweep(self, now: float, *, is_last: bool = False) -> None:
        """Write the counts of suppressed messages that were not repeated since, and forget old messages."""
        self._swept_at = now
        for key, written in list(self._written.items()):
            if is_last or now - written.at >= PERIOD_SECONDS:
                del self._written[key]
                if written.latest is not None:
                    super().emit(_counted(written.latest, written, now, added=0))
                    self._written[key] = _LastMessage(now)
        if len(self._written) > KEYS_MAX:
            for key in list(self._written)[: KEYS_MAX // 2]:
                del self._written[key]
        self._variants = {
            template: (began, count)
            for template, (began, count) in self._variants.items()
            if now - began < PERIOD_SECONDS
        }


def _counted(record: logging.LogRecord, written: _LastMessage, now: float, added: int = 1) -> logging.LogRecord:
    """The record with the number of times that it came since it was written, without the traceback.

    The traceback was written with the first occurrence.
    """
    if not written.suppressed:
        return record
    counted = logging.makeLogRecord(record.__dict__)
    counted.msg = f"{record.getMessage()} ({written.suppressed + added} times in {now - written.at:.0f} s)"
    counted.args = None
    counted.exc_info = counted.exc_text = None
    return counted

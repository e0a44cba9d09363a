"""Writes a repeated log line at most once a minute, with a count: libraries log every try to reach a lost broker."""

import contextlib
import logging
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from triptych.kit.logs.lines import OCCURRENCES, WITHIN_SECONDS
from triptych.kit.logs.loggers import is_unlimited

PERIOD_SECONDS = 60.0
VARIANTS_MAX = 20
"""Different lines of one event in a period. Beyond that, lines of an event count as the same, whatever their fields."""
KEYS_MAX = 1_000
"""Messages that are remembered at a time."""

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
        """Write the record, or count it. Never raises: a fault in a line must not become a fault of its writer."""
        try:
            if is_unlimited(record.name):
                super().emit(record)
            else:
                self._emit_limited(record, self._clock())
        except Exception:  # noqa: BLE001 - a library may log anything, for example arguments that do not fit
            self.handleError(record)

    def _emit_limited(self, record: logging.LogRecord, now: float) -> None:
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
            written.latest = _without_exception(record)
        if now - self._swept_at >= PERIOD_SECONDS or len(self._written) > KEYS_MAX:
            self._sweep(now)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say in one line that a line cannot be written, instead of a traceback of several lines."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            return  # the stream itself fails
        fields = {"event": "a log line cannot be written", "error": repr(error), "module": record.module}
        lost = logging.LogRecord(record.name, logging.ERROR, record.pathname, record.lineno, fields, (), None)
        lost.__dict__.update(_logger=None, _name="error")
        with contextlib.suppress(Exception):
            self.stream.write(self.format(lost) + self.terminator)
            self.flush()

    def close(self) -> None:
        """Write the counts of suppressed messages, and close."""
        self._sweep(self._clock(), is_last=True)
        super().close()

    def _key_of(self, record: logging.LogRecord, now: float) -> tuple[str, int, str]:
        """The key by which a line counts as repeated: its content, or its event if that has too many variants."""
        fields = _own_fields(record)
        if fields is None:
            exact = _VARYING.sub("#", record.getMessage()[:_KEY_MAX])
            template_text, error = str(record.msg), record.exc_info and record.exc_info[1]
        else:
            template_text = str(fields.get("event"))
            error = _error_of(fields.get("exc_info"))
            varying = {name: value for name, value in fields.items() if name not in ("event", "exc_info")}
            exact = f"{template_text} {varying}"[:_KEY_MAX]
        if error:
            exact += f" {type(error).__name__}"
        key = (record.name, record.levelno, exact)
        if key in self._written:
            return key
        template = (record.name, record.levelno, _VARYING.sub("#", template_text[:_KEY_MAX]))
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
    counted = _without_exception(record)
    counted.__dict__.update({OCCURRENCES: written.suppressed + added, WITHIN_SECONDS: round(now - written.at)})
    return counted


def _without_exception(record: logging.LogRecord) -> logging.LogRecord:
    # Frames keep alive whatever a batch has loaded.
    copied = logging.makeLogRecord(record.__dict__)
    copied.exc_info = copied.exc_text = None
    if (fields := _own_fields(record)) is not None:
        copied.__dict__["msg"] = {name: value for name, value in fields.items() if name != "exc_info"}
    return copied


def _own_fields(record: logging.LogRecord) -> Mapping[str, Any] | None:
    """The event and the fields of a line of structlog; None for a line of a library."""
    return record.msg if isinstance(record.msg, dict) and "_logger" in record.__dict__ else None


def _error_of(info: object) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    found = info if isinstance(info, tuple) else sys.exc_info() if info else (None, None, None)
    return found[1] if isinstance(found[1], BaseException) else None

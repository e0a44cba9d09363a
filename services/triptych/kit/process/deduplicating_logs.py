"""Says the same thing once, then at most once a minute with how often: libraries log every try of a lost broker."""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

PERIOD_SECONDS = 60.0
VARIANTS_MAX = 20
"""Different lines of one template in a period: beyond that, what differs only by an id is the same thing."""
KEYS_MAX = 1_000
OWN = "triptych."

_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
_KEY_MAX = 300


@dataclass(slots=True)
class _LastMessage:
    """When something was last said, and what was not said since."""

    at: float
    withheld: int = 0
    last: logging.LogRecord | None = None


class DeduplicatingHandler(logging.StreamHandler[TextIO]):
    """A stream handler that withholds repetitions; a message that is new is always written at once."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._said: dict[tuple[str, int, str], _LastMessage] = {}
        self._variants: dict[tuple[str, int, str], tuple[float, int]] = {}
        self._swept_at = clock()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it."""
        now = self._clock()
        key = self._key_of(record, now)
        said = self._said.get(key)
        if said is None:
            self._said[key] = _LastMessage(now)
            super().emit(record)
        elif now - said.at >= PERIOD_SECONDS:
            super().emit(_counted(record, said, now))
            self._said[key] = _LastMessage(now)
        else:
            said.withheld += 1
            said.last = record
        if now - self._swept_at >= PERIOD_SECONDS or len(self._said) > KEYS_MAX:
            self._sweep(now)

    def close(self) -> None:
        """Tell what was withheld, and close."""
        self._sweep(self._clock(), is_last=True)
        super().close()

    def _key_of(self, record: logging.LogRecord, now: float) -> tuple[str, int, str]:
        """What makes a message new: its text, as long as its template does not come in too many variants."""
        text = record.getMessage()
        is_own = record.name.startswith(OWN)
        exact = text[:_KEY_MAX] if is_own else _VARYING.sub("#", text[:_KEY_MAX])
        if record.exc_info and record.exc_info[1] is not None:
            exact += f" {type(record.exc_info[1]).__name__}"
        key = (record.name, record.levelno, exact)
        if key in self._said:
            return key
        template = (record.name, record.levelno, _VARYING.sub("#", str(record.msg)[:_KEY_MAX]))
        began, count = self._variants.get(template, (now, 0))
        if now - began >= PERIOD_SECONDS:
            began, count = now, 0
        self._variants[template] = (began, count + 1)
        return key if count < VARIANTS_MAX else template

    def _sweep(self, now: float, *, is_last: bool = False) -> None:
        """Tell what was withheld and did not come again, and forget what is long ago."""
        self._swept_at = now
        for key, said in list(self._said.items()):
            if is_last or now - said.at >= PERIOD_SECONDS:
                del self._said[key]
                if said.last is not None:
                    super().emit(_counted(said.last, said, now, added=0))
                    self._said[key] = _LastMessage(now)
        if len(self._said) > KEYS_MAX:
            for key in list(self._said)[: KEYS_MAX // 2]:
                del self._said[key]
        self._variants = {key: one for key, one in self._variants.items() if now - one[0] < PERIOD_SECONDS}


def _counted(record: logging.LogRecord, said: _LastMessage, now: float, added: int = 1) -> logging.LogRecord:
    """The record with how often it came since it was said; the traceback was written with the first one."""
    if not said.withheld:
        return record
    counted = logging.makeLogRecord(record.__dict__)
    counted.msg = f"{record.getMessage()} ({said.withheld + added} times in {now - said.at:.0f} s)"
    counted.args = None
    counted.exc_info = counted.exc_text = None
    return counted

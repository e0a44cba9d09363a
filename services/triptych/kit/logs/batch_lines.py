"""Gathers what a batch has to report, so that it writes at most one line of each kind, with counts and examples.

A batch has thousands of records, and any of them may be refused. A line for each would cost more than the batch.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from triptych.kit.logs.loggers import BoundLogger

T = TypeVar("T")
Fields = Mapping[str, Any]

EXAMPLES_MAX = 5
"""The largest number of things that one line describes."""
KINDS_MAX = 20
"""The largest number of kinds that one line counts; the others are counted together."""
OTHER_KINDS = "other"
PATIENCE_SECONDS = 10.0
"""A batch that takes longer, because it fails again and again, writes what it has gathered in between."""

GATHERED_SECONDS = 1.0
"""How long lines of work without batches are gathered."""


@dataclass(slots=True)
class _Line:
    """What is gathered for one line."""

    log: BoundLogger
    level: int
    same: Fields
    began: float
    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    examples: list[Fields] = field(default_factory=list)
    error: BaseException | None = None


class BatchLines:
    """The lines that a batch will write."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[tuple[str, Fields | tuple[Any, ...]], _Line] = {}
        self.has_ended = False
        """Whether nobody will write what is added from now on."""

    def add(
        self,
        log: BoundLogger,
        level: int,
        event: str,
        things: Sequence[T],
        describe: Callable[[T], Fields],
        *,
        kind_of: Callable[[T], str] | None = None,
        error: BaseException | None = None,
        **same: Any,
    ) -> None:
        """Add things to the line of this event; see `report`."""
        if not things:
            return
        now = self._clock()
        line = self._lines.setdefault((event, tuple(same.items())), _Line(log, level, same, now))
        line.count += len(things)
        for thing in things[: EXAMPLES_MAX - len(line.examples)]:
            line.examples.append(describe(thing))
        if kind_of is not None:
            for kind, number in Counter(map(kind_of, things)).items():
                is_counted = kind in line.kinds or len(line.kinds) < KINDS_MAX
                line.kinds[kind if is_counted else OTHER_KINDS] += number
        line.error = line.error or error
        if now - line.began >= PATIENCE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the lines that were gathered."""
        lines, self._lines = self._lines, {}
        for (event, _), line in lines.items():
            fields: dict[str, Any] = {**line.same, "count": line.count}
            if line.kinds:
                fields["kinds"] = dict(line.kinds)
            fields |= line.examples[0] if line.count == 1 else {"examples": line.examples}
            if line.error is not None:
                fields["exc_info"] = line.error
            line.log.log(line.level, event, **fields)


class TimedLines(BatchLines):
    """The lines of work that comes in no batches, such as deliveries: they are gathered for a second."""

    _timer: asyncio.TimerHandle | None = None

    def add(self, *arguments: Any, **options: Any) -> None:
        """Add things to the line of an event; it is written within a second. Needs a running event loop."""
        super().add(*arguments, **options)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHERED_SECONDS, self.write)

    def write(self) -> None:
        """Write what was gathered, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().write()


_current: ContextVar[BatchLines | None] = ContextVar("batch lines", default=None)


@contextmanager
def one_line_each() -> Iterator[None]:
    """Gather what the block and the tasks that it starts report, and write it at the end, one line for each event."""
    lines = BatchLines()
    try:
        with gathered_in(lines):
            yield
    finally:
        lines.has_ended = True
        lines.write()


@contextmanager
def gathered_in(lines: BatchLines) -> Iterator[None]:
    """Gather what the block and the tasks that it starts report in these lines."""
    token = _current.set(lines)
    try:
        yield
    finally:
        _current.reset(token)


def report(
    log: BoundLogger,
    level: int,
    event: str,
    things: Sequence[T],
    describe: Callable[[T], Fields],
    *,
    kind_of: Callable[[T], str] | None = None,
    error: BaseException | None = None,
    **same: Any,
) -> None:
    """Report that something happened to some things, in one line together with those of the rest of the batch.

    The line has `count`, and the fields of the thing if it is one, otherwise `examples`.

    Args:
        log: the logger of the line.
        level: of `logging`.
        event: what happened, in a constant sentence.
        things: to which it happened. Nothing is written if there are none.
        describe: gives the fields of one thing. It is called for the first few things only.
        kind_of: gives the kind of a thing; the line counts things by kind.
        error: whose traceback belongs to the line; the first one of a batch is written.
        same: fields that are the same for all things. Things with different ones have different lines.
    """
    gathered = _current.get()
    lines = gathered if gathered is not None and not gathered.has_ended else BatchLines()
    lines.add(log, level, event, things, describe, kind_of=kind_of, error=error, **same)
    if lines is not gathered:
        lines.write()

"""Shows the progress of long-running work on the terminal: what is done, how fast, and the time that remains."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

LINE_SECONDS = 4.0


class PhaseBars:
    """A progress bar for each phase, added at its first report. It is a context manager.

    Where no terminal shows bars, a line every few seconds says how far the work is.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`console` is stderr by default, since stdout has only the result; `clock` returns seconds."""
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._next_line = clock() + LINE_SECONDS
        self._progress = Progress(
            TextColumn("{task.description:<26}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "PhaseBars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def report(self, phase: str, done: int, total: int) -> None:
        """Show `done` of `total` in this phase."""
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=total)
        self._progress.update(self._tasks[phase], completed=done, total=total)
        if not self._console.is_terminal and self._clock() >= self._next_line:
            self._next_line = self._clock() + LINE_SECONDS
            self._console.print(f"{phase}: {done:,} of {total:,}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")

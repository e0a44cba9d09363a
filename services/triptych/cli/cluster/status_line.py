"""Shows one line that changes: redrawn on a terminal, printed at each change elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text


class StatusLine:
    """The last line of the output, below the messages. It is a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        """`console` is stdout by default."""
        self._console = console or Console(highlight=False, soft_wrap=not Console().is_terminal)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._shown = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, message: str) -> None:
        """Print a message above the line."""
        self._console.print(message, markup=False)

    def show(self, line: str, *, is_well: bool) -> None:
        """Show this line from now on; on a terminal it is green if all is well, and yellow otherwise."""
        if line == self._shown:
            return
        self._shown = line
        if self._live is None:
            self._console.print(line, markup=False)
        else:
            style = "green" if is_well else "yellow"
            self._live.update(Text(line, style=style, no_wrap=True, overflow="ellipsis"), refresh=True)

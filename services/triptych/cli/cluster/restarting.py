"""Notices parts of a cluster that have ended, and starts them again after a while."""

import time
from collections.abc import Callable, Iterable

from triptych.devstack.parts import Part


class Restarter:
    """Looks after the parts of a cluster."""

    def __init__(
        self,
        parts: Iterable[Part],
        seconds: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A part starts again `seconds` after its end was noticed; `say` is called with a line about each event."""
        self._parts = tuple(parts)
        self._seconds = seconds
        self._say = say
        self._clock = clock
        self._ended_at: dict[str, float] = {}

    def step(self) -> bool:
        """Notice what has ended, and start what is due; whether anything has changed."""
        now, has_changed = self._clock(), False
        for part in self._parts:
            if part.is_running:
                continue
            if part.name not in self._ended_at:
                self._ended_at[part.name] = now
                self._say(f"{part.name} ended ({_how(part)}); it starts again in {self._seconds:g} s")
                has_changed = True
            elif now - self._ended_at[part.name] >= self._seconds:
                del self._ended_at[part.name]
                part.start()
                self._say(f"{part.name} starts again, process {part.child.pid}")
                has_changed = True
        return has_changed


def _how(part: Part) -> str:
    code = part.child.poll()
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"

"""Decides, purely, when a listener has failed throughout for so long that nothing more is sent to it.

Two failures far apart say nothing about the time between. So a run of failures ends with a success, and also with a
pause: it has lasted for a time only if failures are spread over all of that time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_PAUSES = 4
"""The time after which a listener is disabled has at least so many failures behind the first one: no two that follow
each other are further apart than this part of it (30 hours of 5 days, more than the longest wait for a retry)."""
NOTES = 8
"""How many times the last failure is written down in the longest pause."""


@dataclass(frozen=True, slots=True)
class FailureRun:
    """Failures without a success between them, and without a long pause: when the first and the last one were."""

    since: datetime
    last: datetime


def after_failure(run: FailureRun | None, now: datetime, disable_after: timedelta) -> FailureRun:
    """The run that a failure continues or begins.

    Args:
        run: that came before, or None after a success.
        now: when the attempt failed.
        disable_after: how long a listener may fail throughout.
    """
    if run is None or now - run.last > disable_after / LONGEST_PAUSES:
        return FailureRun(now, now)
    return FailureRun(run.since, max(run.last, now))


def is_overdue(run: FailureRun, disable_after: timedelta) -> bool:
    """Whether the listener has failed throughout for so long that it is disabled."""
    return run.last - run.since >= disable_after


def must_be_noted(noted: FailureRun | None, run: FailureRun, disable_after: timedelta) -> bool:
    """Whether a run must be written down again; a last failure written a little too early only makes a pause longer."""
    return (
        noted is None or noted.since != run.since or run.last - noted.last >= disable_after / (LONGEST_PAUSES * NOTES)
    )

"""Decides, purely, when a listener has failed for long enough to be disabled.

Two failures far apart say nothing about the time between them. So a success ends a run of failures, and a long pause
ends it too. A run has lasted for a time only if failures are spread over all of that time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_PAUSES = 4
"""How many of the longest pauses fit into the time after which a listener is disabled. A longer pause between two
failures ends the run. With 5 days this is 30 hours, which is more than the longest delay of a retry."""
WRITES_PER_PAUSE = 8
"""How many times the last failure may be stored during the longest pause."""


@dataclass(frozen=True, slots=True)
class FailureRun:
    """Failures with neither a success nor a long pause between them: the times of the first and the last one."""

    since: datetime
    last: datetime


def after_failure(run: FailureRun | None, now: datetime, disable_after: timedelta) -> FailureRun:
    """The run after a failure: the continued run, or a new one.

    Args:
        run: before this failure, or None after a success.
        now: when the attempt failed.
        disable_after: how long a run may last before the listener is disabled.
    """
    if run is None or now - run.last > disable_after / LONGEST_PAUSES:
        return FailureRun(now, now)
    return FailureRun(run.since, max(run.last, now))


def is_overdue(run: FailureRun, disable_after: timedelta) -> bool:
    """Whether a run has lasted long enough to disable the listener."""
    return run.last - run.since >= disable_after


def must_be_stored(stored: FailureRun | None, run: FailureRun, disable_after: timedelta) -> bool:
    """Whether a run must be stored again. A stored last failure that is a little too old only lengthens a pause."""
    return (
        stored is None
        or stored.since != run.since
        or run.last - stored.last >= disable_after / (LONGEST_PAUSES * WRITES_PER_PAUSE)
    )

"""Decides, purely, when a step of long work that fails again and again is tried again, and when no more."""

from datetime import datetime, timedelta

RETRY_PERIOD = timedelta(minutes=2)
"""How long a step may fail before its work is given up: later commands of its gallery wait meanwhile."""

ATTEMPTS_MIN = 3
"""However much time has passed: the service may have been away."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0


def is_hopeless(failures: int, since: datetime, now: datetime, patience: timedelta) -> bool:
    """Whether to give up a step that has failed `failures` times since `since`."""
    return failures >= ATTEMPTS_MIN and now - since >= patience


def pause_seconds(failures: int, patience: timedelta) -> float:
    """How long to wait after this number of failures."""
    longest = min(LONGEST_PAUSE_SECONDS, patience.total_seconds() / 8)
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10), longest)

"""Decides when a failed step of a job is tried again and when the job is given up, without I/O."""

from datetime import datetime, timedelta

from triptych.kit.backoff import pause_after

RETRY_PERIOD = timedelta(minutes=2)
"""How long a step may keep failing before its job is given up. Later commands of the gallery wait in the meantime."""

ATTEMPTS_MIN = 3
"""The fewest attempts before a job is given up, even if the period has passed: the service may have been stopped."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0


def should_give_up(failures: int, since: datetime, now: datetime, patience: timedelta) -> bool:
    """Whether to give up a job whose current step has failed `failures` times since `since`."""
    return failures >= ATTEMPTS_MIN and now - since >= patience


def pause_seconds(failures: int, patience: timedelta) -> float:
    """Seconds to wait after this number of failures."""
    return pause_after(failures, FIRST_PAUSE_SECONDS, min(LONGEST_PAUSE_SECONDS, patience.total_seconds() / 8))

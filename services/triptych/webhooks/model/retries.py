"""Names the retry schedules (contract, section 7.4; Standard Webhooks, "Retry schedule")."""

from collections.abc import Mapping
from enum import StrEnum


class RetryProfile(StrEnum):
    """The source of a listener's delays."""

    WIX = "wix"
    STANDARD = "standard"
    CUSTOM = "custom"


_MINUTE = 60.0
_HOUR = 3_600.0

SCHEDULES: Mapping[RetryProfile, tuple[float, ...]] = {
    RetryProfile.WIX: tuple(minutes * _MINUTE for minutes in (1, 10, 60, 120, 120, 120, 240, 240, 240, 480, 480, 720)),
    RetryProfile.STANDARD: (5.0, 5 * _MINUTE, 30 * _MINUTE, *(h * _HOUR for h in (2, 5, 10, 14, 20, 24))),
}
"""Seconds to wait after each failure. After the last delay, the next failure makes the delivery dead."""

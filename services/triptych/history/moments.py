"""Decides whether a gallery can be shown as it was at a moment, and why not."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from triptych.history.documents import Reach


class Absence(StrEnum):
    """Why a gallery cannot be shown as it was."""

    OFF = "off"
    """The installation writes no history."""
    UNKNOWN = "unknown"
    """The history has nothing of this gallery (yet)."""
    NOT_REACHED = "not-reached"
    """The history has not come to this sequence yet, or the gallery has not."""
    NOT_KEPT = "not-kept"
    """The history of the gallery begins later: events were missing, or it is older than the retention."""
    NOT_THERE = "not-there"
    """The gallery was not there at this moment: it was not created yet, or deleted already."""


class NotShown(Exception):
    """A gallery cannot be shown as it was.

    Attributes:
        absence: why.
        earliest: the first sequence that can be shown, if it is known.
        complete_through: the last one, if it is known.
    """

    def __init__(self, absence: Absence, earliest: int | None = None, complete_through: int | None = None) -> None:
        super().__init__(absence.value)
        self.absence = absence
        self.earliest = earliest
        self.complete_through = complete_through


class NextRow(NamedTuple):
    """The row of the event that follows a moment: its time, and the number of items before it."""

    at: datetime
    before: int | None


class Moment(NamedTuple):
    """A gallery at one sequence, which can be shown: its head in wire form, with the number of items."""

    site_id: str
    gallery_id: str
    sequence: int
    gallery: dict[str, object]


def absence_at(
    reach: Reach | None, sequence: int, following: NextRow | None, trusted_since: datetime
) -> Absence | None:
    """Why a gallery cannot be shown at a sequence, as far as its head need not be read; None if it can.

    Every row that was valid at N was superseded by the event N + 1 or a later one. So if that event happened after the
    time since which superseded rows are kept, all of them are still there.

    Args:
        reach: how far the gallery's history reaches.
        sequence: the sequence.
        following: the event after it, if it is archived and still there.
        trusted_since: rows that were superseded after this time are still there.
    """
    if reach is None:
        return Absence.UNKNOWN
    if sequence > reach.sequence:
        return Absence.NOT_REACHED
    if reach.complete_from is None or sequence < reach.complete_from:
        return Absence.NOT_KEPT
    if sequence < reach.sequence and (following is None or following.at <= trusted_since):
        return Absence.NOT_KEPT
    return None

"""Decides, purely, at which offsets consumer groups have to continue after a restore of either server."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


class Bounds(NamedTuple):
    """A partition of a topic: its first offset, and the offset after its last record."""

    beginning: int
    end: int


def event_offsets(
    committed: Mapping[int, int], bounds: Mapping[int, Bounds], missing: Mapping[int, int]
) -> dict[int, int]:
    """The offsets of a group on the events topic that have to be set, by partition.

    Args:
        committed: the group's offsets. Without one, a group begins at the beginning, and needs none.
        bounds: every partition.
        missing: the first event that the group's documents in MongoDB do not have, if there is one.
    """
    moves = {}
    for partition, offset in committed.items():
        beginning, end = bounds[partition]
        # An offset beyond the end belongs to a topic that is gone. Records up to it would be skipped.
        fitting = beginning if offset > end else offset
        wanted = min(fitting, missing.get(partition, fitting))
        if wanted != offset:
            moves[partition] = wanted
    return moves


def command_offsets(
    committed: Mapping[int, int], bounds: Mapping[int, Bounds], recognised: Mapping[int, int], *, is_topic_older: bool
) -> dict[int, int]:
    """The offsets of the command service that have to be set, by partition.

    If an offset is missing or belongs to a topic that is gone, or the topic is older than MongoDB, commands are read
    again. Those that were carried out are recognised, unless their outcomes have expired: so older ones are left out.

    Args:
        committed: the group's offsets.
        bounds: every partition.
        recognised: the first command that is younger than stored outcomes.
        is_topic_older: whether MongoDB may have the effects of commands that the group has not read.
    """
    moves = {}
    for partition, (beginning, end) in bounds.items():
        offset = committed.get(partition)
        is_lost = offset is None or offset > end
        fitting = beginning if offset is None or offset > end else offset
        wanted = max(fitting, min(recognised[partition], end)) if is_lost or is_topic_older else fitting
        if wanted != (beginning if offset is None else offset):
            moves[partition] = wanted
    return moves


def reaches_back(bounds: Bounds, first: datetime | None, last_write: datetime | None, kept_since: datetime) -> bool:
    """Whether a partition has all events that were published since the write model was certainly in use.

    Args:
        bounds: the partition.
        first: the time of its first event; None if it has none.
        last_write: a time at which the write model was certainly in use; None if no time is known.
        kept_since: the time since which no event has expired, unless the topic was deleted.
    """
    if last_write is None:
        return False
    # A topic that was created again begins at 0, with an event that is newer than the write model.
    return (first is not None and first <= last_write) or (bounds.beginning > 0 and last_write >= kept_since)


def replay_ranges(
    committed: Mapping[int, int], bounds: Mapping[int, Bounds], recognised: Mapping[int, int]
) -> dict[int, tuple[int, int]]:
    """The commands that may be lost from an older write model, by partition: read once, and young enough to be known.

    The arguments are those of `command_offsets`.
    """
    return {
        partition: (max(recognised[partition], beginning), offset)
        for partition, (beginning, end) in bounds.items()
        if max(recognised[partition], beginning) < (offset := committed.get(partition, 0)) <= end
    }

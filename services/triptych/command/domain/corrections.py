"""Decides, purely, how a gallery of a restored write model has to change before it is written again.

What consumers have seen of a gallery is in its events. The write model may be older, and it may have carried commands
out again. Three rules follow. No sequence that was published is used for another content. What was published as deleted
stays deleted, because its ids are never used again. A gallery that consumers see differently gets a hole in its
sequences, so that every consumer notices that its copy is not the gallery's state any more.
"""

from enum import StrEnum
from typing import NamedTuple

from triptych.command.domain.state import GalleryHead
from triptych.writemodel.galleries import Status

HOLE = 2
"""A raised gallery continues this much above its highest sequence, so that one number is missing for everybody."""


class Published(NamedTuple):
    """What the topics say about a gallery: its highest sequence, 0 if they say nothing, and whether it was deleted."""

    gallery_id: str
    site_id: str
    sequence: int
    is_deleted: bool


class Action(StrEnum):
    """What a correction does."""

    RAISE = "raise"
    """Give the gallery a sequence that nobody has seen, and publish an updated event with it."""
    DELETE = "delete"
    """Delete the gallery without an event: its deletion was published."""
    WITHDRAW = "withdraw"
    """Reserve the id, and publish a deletion: consumers have a gallery that the write model does not have."""
    RESERVE = "reserve"
    """Keep the id and the sequence of a deleted gallery from being used again. Nothing is published."""


class Correction(NamedTuple):
    """An action, and the sequence of the gallery after it."""

    action: Action
    sequence: int


def correction_of(head: GalleryHead | None, published: Published) -> Correction:
    """The correction of a gallery whose write model and events may contradict each other.

    Args:
        head: the gallery in the write model; None if it has none. No long-running work may be in progress.
        published: what the topics say.
    """
    highest = max(published.sequence, head.sequence if head else 0)
    if published.is_deleted:
        is_there = head is not None and head.status is not Status.DELETED
        return Correction(Action.DELETE if is_there else Action.RESERVE, published.sequence)
    if head is None or head.status is Status.DELETED:
        # Directly after what was published, if the write model never had the gallery.
        return Correction(Action.WITHDRAW, highest + 1)
    return Correction(Action.RAISE, highest + HOLE)

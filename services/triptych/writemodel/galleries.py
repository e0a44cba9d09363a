"""Where galleries and items are stored, and the states of a gallery, purely; `triptych.command` writes both."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

GALLERIES = "galleries"
ITEMS = "items"


class Status(StrEnum):
    """How far a gallery has come."""

    LIVE = "live"
    BUILDING = "building"
    """A clone in progress: nobody sees it yet."""
    DELETING = "deleting"
    """On its way out: no command finds it any more, but its place is still its own."""
    DELETED = "deleted"
    """Kept for its id and sequence, so that neither is used again."""


def is_live(head: Mapping[str, Any]) -> bool:
    """Whether a stored gallery is one that clients see."""
    return bool(head["status"] == Status.LIVE)


def is_gone(head: Mapping[str, Any]) -> bool:
    """Whether a stored gallery is deleted and its last event is published or about to be."""
    return bool(head["status"] == Status.DELETED and head["job"] is None)

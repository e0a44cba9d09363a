"""Names the collections of galleries and items and the states of a gallery, without I/O; `triptych.command` writes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

GALLERIES = "galleries"
ITEMS = "items"


class Status(StrEnum):
    """The state of a gallery in its life."""

    LIVE = "live"
    BUILDING = "building"
    """A clone in progress: no client sees it yet."""
    DELETING = "deleting"
    """A deletion in progress: no command finds the gallery, but its sort order is still taken."""
    DELETED = "deleted"
    """The document stays, so that neither its id nor its sequence is used again."""


def is_live(head: Mapping[str, Any]) -> bool:
    """Whether clients see a stored gallery."""
    return bool(head["status"] == Status.LIVE)


def is_gone(head: Mapping[str, Any]) -> bool:
    """Whether a stored gallery is deleted and its last event is committed: published, or still in the outbox."""
    return bool(head["status"] == Status.DELETED and head["job"] is None)

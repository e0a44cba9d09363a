"""Owns the interface of what stores a consumer's galleries: in memory, in SQLite, or anywhere else."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol


class Head(NamedTuple):
    """What is stored of a gallery, without its items.

    Attributes:
        partition: the partition of the last record that counted.
        site_id: the site of the gallery, as its last head record says; "" if none has come.
        sequence, gallery: the last whole state; the sequence is -1 if there was none.
        next_sequence, next_gallery: the head record of the next state; the sequence is -1 if it has not come.
        count: the number of items of the next state, as far as its records have come.
    """

    partition: int
    site_id: str = ""
    sequence: int = -1
    gallery: dict[str, Any] | None = None
    next_sequence: int = -1
    next_gallery: dict[str, Any] | None = None
    count: int = 0


class ItemState(NamedTuple):
    """What is stored of an item.

    Attributes:
        sequence, item: the item in the last whole state; the sequence is -1 if it is not in it.
        next_sequence, next_item: the item in the next state; the sequence is -1 if no record of it has come.
        is_removed: whether the next state does not have the item.
    """

    sequence: int = -1
    item: dict[str, Any] | None = None
    next_sequence: int = -1
    next_item: dict[str, Any] | None = None
    is_removed: bool = False


class Position(NamedTuple):
    """Up to where a partition was read: the next offset, and a moment before which every record was read."""

    offset: int
    read_until: datetime


class GalleryStorage(Protocol):
    """Stores galleries and the positions to which they belong.

    What is written between two calls of `commit` is stored as a whole or not at all: the positions of a stored state
    are exactly its own. All methods may be called in the middle of a transaction, and then see what it has written.
    """

    def head(self, gallery_id: str) -> Head | None:
        """A gallery without its items, or None."""

    def set_head(self, gallery_id: str, head: Head) -> None:
        """Store a gallery without its items."""

    def item(self, gallery_id: str, item_id: str) -> ItemState | None:
        """An item, or None."""

    def set_item(self, gallery_id: str, item_id: str, state: ItemState) -> None:
        """Store an item."""

    def highest_pending(self, gallery_id: str) -> int:
        """The highest `next_sequence` of the gallery's items; -1 if there is none."""

    def show_pending(self, gallery_id: str, *, forget_removed: bool) -> None:
        """Make the next state of the items the last whole one.

        The item of `next_sequence` becomes that of `sequence`. An item that is removed is no longer in the whole state,
        and is forgotten if `forget_removed`; otherwise its mark stays.
        """

    def delete(self, gallery_id: str) -> None:
        """Forget a gallery and its items, and remember that its id was deleted."""

    def is_deleted(self, gallery_id: str) -> bool:
        """Whether this id was deleted."""

    def items(self, gallery_id: str, after: float | None, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` items of the last whole state in display order (descending sort order), after this one."""

    def gallery_ids(self) -> Iterator[str]:
        """The ids of the galleries that have a whole state."""

    def positions(self) -> Mapping[int, Position]:
        """The stored positions by partition."""

    def set_position(self, partition: int, position: Position) -> None:
        """Store up to where a partition was read."""

    def forget(self, partition: int) -> None:
        """Forget the position of a partition and its galleries, without remembering them as deleted."""

    def commit(self) -> None:
        """Store what was written since the last commit."""

    def rollback(self) -> None:
        """Drop what was written since the last commit, if the storage survives the process."""

    def close(self) -> None:
        """Release what the storage uses."""

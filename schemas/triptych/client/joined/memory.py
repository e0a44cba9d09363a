"""Stores galleries in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from triptych.client.joined.storage import Head, ItemState, Position

_Numbered: TypeAlias = tuple[int, dict[str, Any]]
"""The sequence of a record, and its gallery or item."""


@dataclass(slots=True)
class _Entry:
    """A gallery; `highest` is the highest sequence in `pending`."""

    head: Head | None = None
    items: dict[str, _Numbered] = field(default_factory=dict)
    pending: dict[str, _Numbered] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    highest: int = -1


class MemoryStorage:
    """A `GalleryStorage` that ends with the process."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._deleted: set[str] = set()
        self._positions: dict[int, Position] = {}

    def head(self, gallery_id: str) -> Head | None:
        """See `GalleryStorage`."""
        entry = self._entries.get(gallery_id)
        return entry.head if entry is not None else None

    def set_head(self, gallery_id: str, head: Head) -> None:
        """See `GalleryStorage`."""
        self._entry(gallery_id).head = head

    def item(self, gallery_id: str, item_id: str) -> ItemState | None:
        """See `GalleryStorage`."""
        entry = self._entries.get(gallery_id)
        if entry is None:
            return None
        shown, pending = entry.items.get(item_id), entry.pending.get(item_id)
        if shown is None and pending is None and item_id not in entry.removed:
            return None
        return ItemState(*(shown or (-1, None)), *(pending or (-1, None)), item_id in entry.removed)

    def set_item(self, gallery_id: str, item_id: str, state: ItemState) -> None:
        """See `GalleryStorage`; what is shown of an item changes with `show_pending` alone."""
        entry = self._entry(gallery_id)
        if state.is_removed:
            entry.removed.add(item_id)
        if state.next_item is not None:
            entry.pending[item_id] = (state.next_sequence, state.next_item)
            entry.highest = max(entry.highest, state.next_sequence)
        elif entry.pending.pop(item_id, (-1,))[0] == entry.highest:
            entry.highest = max((sequence for sequence, _ in entry.pending.values()), default=-1)

    def highest_pending(self, gallery_id: str) -> int:
        """See `GalleryStorage`."""
        entry = self._entries.get(gallery_id)
        return entry.highest if entry is not None else -1

    def show_pending(self, gallery_id: str, *, forget_removed: bool) -> None:
        """See `GalleryStorage`."""
        entry = self._entry(gallery_id)
        for item_id in entry.removed:
            entry.items.pop(item_id, None)
        entry.items.update(entry.pending)
        entry.pending.clear()
        entry.highest = -1
        if forget_removed:
            entry.removed.clear()

    def delete(self, gallery_id: str) -> None:
        """See `GalleryStorage`."""
        self._entries.pop(gallery_id, None)
        self._deleted.add(gallery_id)

    def is_deleted(self, gallery_id: str) -> bool:
        """See `GalleryStorage`."""
        return gallery_id in self._deleted

    def items(self, gallery_id: str, after: float | None, limit: int) -> list[dict[str, Any]]:
        """See `GalleryStorage`."""
        found = self.all_items(gallery_id)
        return [item for item in found if after is None or float(item["sortOrder"]) < after][:limit]

    def all_items(self, gallery_id: str) -> list[dict[str, Any]]:
        """All items of the last whole state in display order."""
        entry = self._entries.get(gallery_id) or _Entry()
        return sorted((item for _, item in entry.items.values()), key=lambda item: -float(item["sortOrder"]))

    def gallery_ids(self) -> Iterator[str]:
        """See `GalleryStorage`."""
        return (one for one, entry in self._entries.items() if entry.head is not None and entry.head.sequence >= 0)

    def positions(self) -> Mapping[int, Position]:
        """See `GalleryStorage`."""
        return dict(self._positions)

    def set_position(self, partition: int, position: Position) -> None:
        """See `GalleryStorage`."""
        self._positions[partition] = position

    def forget(self, partition: int) -> None:
        """See `GalleryStorage`."""
        self._positions.pop(partition, None)
        of_partition = [one for one, entry in self._entries.items() if entry.head and entry.head.partition == partition]
        for gallery_id in of_partition:
            del self._entries[gallery_id]

    def commit(self) -> None:
        """Nothing outlives the process."""

    def rollback(self) -> None:
        """Nothing outlives the process."""

    def close(self) -> None:
        """Nothing is open."""

    def save(self) -> dict[str, Any]:
        """The galleries and the deleted ids as JSON types, without positions."""
        return {
            "galleries": {gallery_id: _saved(entry) for gallery_id, entry in self._entries.items()},
            "deleted": sorted(self._deleted),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over the result of `save`."""
        self._entries = {gallery_id: _loaded(entry) for gallery_id, entry in saved["galleries"].items()}
        self._deleted = set(saved["deleted"])

    def _entry(self, gallery_id: str) -> _Entry:
        return self._entries.setdefault(gallery_id, _Entry())


def _saved(entry: _Entry) -> list[Any]:
    head = entry.head or Head(0)
    items, pending = ({id_: list(one) for id_, one in known.items()} for known in (entry.items, entry.pending))
    following = None if head.next_gallery is None else [head.next_sequence, head.next_gallery]
    gallery = head.gallery or {}
    return [head.sequence, gallery, items, following, pending, sorted(entry.removed), head.count, entry.highest]


def _loaded(saved: list[Any]) -> _Entry:
    sequence, gallery, items, following, pending, removed, count, highest = saved
    items, pending = ({id_: (one[0], one[1]) for id_, one in known.items()} for known in (items, pending))
    next_sequence, next_gallery = following or (-1, None)
    shown = gallery if sequence >= 0 else None
    head = Head(0, "", sequence, shown, next_sequence, next_gallery, count)
    return _Entry(head, items, pending, set(removed), highest)

"""Materialises the joined topic: feed it every record, ask it for galleries with all their items.

It knows no Kafka client. A consumer that reads `triptych.galleries` from the beginning, and keeps everything in memory:

    galleries = Galleries()
    for record in consumer:
        changed = galleries.feed(record.key, record.value)
        if changed and (gallery := galleries.get(changed)):
            print(gallery["name"], len(gallery["items"]))

Records may repeat, start over from any earlier offset, be compacted in any way, or be outdated ones of a producer that
was paused: once what was there at the start has been read, `get` answers galleries as they were after one of their
events, and never goes back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas.joined import parse_key


@dataclass(slots=True)
class _Entry:
    sequence: int = -1
    gallery: dict[str, Any] = field(default_factory=dict)
    items: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    pending: dict[str, tuple[int, dict[str, Any]] | None] = field(default_factory=dict)
    """Items that have come since the head; they belong to the next one."""

    @property
    def is_complete(self) -> bool:
        """Whether the items are those of the head. In a compacted topic, some may stand further behind."""
        return self.sequence >= 0 and len(self.items) == self.gallery["totalItems"]


class Galleries:
    """All galleries with all their items, in memory."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._deleted: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """The ids of the galleries that `get` knows."""
        return (gallery_id for gallery_id, entry in self._entries.items() if entry.is_complete)

    def get(self, gallery_id: str) -> dict[str, Any] | None:
        """The Gallery of wire contract 3.1 with all of its items in display order; None if there is none (yet)."""
        entry = self._entries.get(gallery_id)
        if entry is None or not entry.is_complete:
            return None
        items = sorted((item for _, item in entry.items.values()), key=lambda item: -float(item["sortOrder"]))
        return {**entry.gallery, "items": items}

    def sequence(self, gallery_id: str) -> int | None:
        """The sequence of the last event in what `get` answers."""
        entry = self._entries.get(gallery_id)
        return entry.sequence if entry is not None and entry.is_complete else None

    def feed(self, key: bytes, value: bytes | None) -> str | None:
        """Take a record; the id of the gallery that it brought to a new state or deleted, if any.

        Raises:
            ValueError: the key is of neither form (design, section 2).
        """
        gallery_id, item_id = parse_key(key)
        if gallery_id in self._deleted:
            return None
        if item_id is None and value is None:
            self._entries.pop(gallery_id, None)
            self._deleted.add(gallery_id)
            return gallery_id
        entry = self._entries.setdefault(gallery_id, _Entry())
        record = None if value is None else orjson.loads(value)
        if item_id is not None:
            has_changed = _take_item(entry, item_id, record)
        else:
            assert record is not None  # noqa: S101 - a tombstone of a gallery was dealt with above
            has_changed = _take_head(entry, record)
        return gallery_id if has_changed else None


def _take_item(entry: _Entry, item_id: str, record: dict[str, Any] | None) -> bool:
    """Whether this changed what `get` answers."""
    if record is None:
        entry.pending[item_id] = None
        return False
    known = entry.pending.get(item_id) or entry.items.get(item_id)
    if known is not None and record["sequence"] < known[0]:
        return False
    item = (record["sequence"], record["item"])
    if record["sequence"] > entry.sequence:
        entry.pending[item_id] = item
    elif not entry.is_complete or (item_id in entry.items and record["sequence"] > entry.items[item_id][0]):
        # It belongs to the head that is there, and stands behind it because it was published again.
        entry.items[item_id] = item
        return entry.is_complete
    return False  # otherwise known, or of an item that was deleted since


def _take_head(entry: _Entry, record: dict[str, Any]) -> bool:
    if record["sequence"] < entry.sequence:
        return False
    for item_id, item in entry.pending.items():
        if item is None:
            entry.items.pop(item_id, None)
        else:
            entry.items[item_id] = item
    entry.pending.clear()
    entry.sequence = record["sequence"]
    entry.gallery = record["gallery"]
    return True

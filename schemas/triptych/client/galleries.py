"""Materialises the joined topic: it is fed every record, and returns galleries with all their items.

It works with any Kafka client. This consumer reads `triptych.galleries` from the beginning and keeps it in memory:

    galleries = Galleries()
    for record in consumer:
        changed = galleries.feed(record.key, record.value)
        if changed and (gallery := galleries.get(changed)):
            print(gallery["name"], len(gallery["items"]))

Records may repeat, start over from any earlier offset, be compacted in any way, or be outdated records of a producer
that was paused. As soon as the records that were there at the start have been read, `get` returns each gallery as it
was after one of its events, and never an earlier state than before. `docs/consumers.md` has the rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import orjson

from triptych.contract.joined import parse_key

TOMBSTONE_RETENTION = timedelta(hours=24)
"""How long Kafka keeps the tombstones of the joined topic, as it is provisioned (`delete.retention.ms`)."""

_Numbered: TypeAlias = tuple[int, dict[str, Any]]
"""The sequence of a record, and its gallery or item."""


@dataclass(slots=True)
class _Entry:
    """The last complete state of a gallery, and the records that have come since.

    Attributes:
        sequence, gallery, items: the last complete state; the sequence is -1 if there was none.
        head: the head record of the next state, if it has come.
        pending: items of the next state.
        removed: ids of items that the next state does not have.
        count: the number of items of the next state, as far as its records have come.
        highest: the highest sequence in `pending`.
    """

    sequence: int = -1
    gallery: dict[str, Any] = field(default_factory=dict)
    items: dict[str, _Numbered] = field(default_factory=dict)
    head: _Numbered | None = None
    pending: dict[str, _Numbered] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    count: int = 0
    highest: int = -1

    def save(self) -> list[Any]:
        """This entry as JSON types."""
        items, pending = ({id_: list(one) for id_, one in known.items()} for known in (self.items, self.pending))
        head = list(self.head) if self.head else None
        return [self.sequence, self.gallery, items, head, pending, sorted(self.removed), self.count, self.highest]

    @classmethod
    def load(cls, saved: list[Any]) -> "_Entry":
        """The entry from the result of `save`."""
        sequence, gallery, items, head, pending, removed, count, highest = saved
        items, pending = ({id_: (one[0], one[1]) for id_, one in known.items()} for known in (items, pending))
        return cls(
            sequence, gallery, items, (head[0], head[1]) if head else None, pending, set(removed), count, highest
        )


class ReadAgain(Exception):
    """The saved state is too old: Kafka may have removed later tombstones. Read the topic from the beginning."""


class Galleries:
    """All galleries with all their items, in memory."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._deleted: set[str] = set()

    def save(self, read_until: datetime) -> dict[str, Any]:
        """The whole state as JSON types. Store it together with the offsets after the last records that were fed.

        Args:
            read_until: a moment with its time zone; every record published before it was fed. It is the present if the
                end of the topic was reached, and otherwise the timestamp of the last record.
        """
        return {
            "readUntil": read_until.isoformat(),
            "galleries": {gallery_id: entry.save() for gallery_id, entry in self._entries.items()},
            "deleted": sorted(self._deleted),
        }

    @classmethod
    def resume(cls, saved: dict[str, Any], retention: timedelta = TOMBSTONE_RETENTION) -> "Galleries":
        """The saved state; continue to feed it from the offsets that were stored with it.

        Raises:
            ReadAgain: Kafka may have removed tombstones that were not read yet. Galleries and items that were deleted
                meanwhile would stay for ever. Start with an empty `Galleries` at the beginning of the topic.
        """
        read_until = datetime.fromisoformat(saved["readUntil"])
        if datetime.now(UTC) - read_until >= retention:
            raise ReadAgain(f"read until {read_until:%Y-%m-%d %H:%M:%S %Z}, tombstones are kept for {retention}")
        galleries = cls()
        galleries._entries = {gallery_id: _Entry.load(entry) for gallery_id, entry in saved["galleries"].items()}
        galleries._deleted = set(saved["deleted"])
        return galleries

    def __iter__(self) -> Iterator[str]:
        """The ids of the galleries that `get` returns."""
        return (gallery_id for gallery_id, entry in self._entries.items() if entry.sequence >= 0)

    def get(self, gallery_id: str) -> dict[str, Any] | None:
        """The Gallery of the contract, section 3.1, with all its items in display order; None if it does not exist."""
        entry = self._entries.get(gallery_id)
        if entry is None or entry.sequence < 0:
            return None
        items = sorted((item for _, item in entry.items.values()), key=lambda item: -float(item["sortOrder"]))
        return {**entry.gallery, "items": items}

    def sequence(self, gallery_id: str) -> int | None:
        """The sequence of the last event in the state that `get` returns; None if the gallery does not exist."""
        entry = self._entries.get(gallery_id)
        return entry.sequence if entry is not None and entry.sequence >= 0 else None

    def feed(self, key: bytes, value: bytes | None) -> str | None:
        """Process a record; returns the id of the gallery that it brought to a new state or deleted, or None.

        Raises:
            ValueError: the key has neither of the two forms (contract, section 10).
        """
        gallery_id, item_id = parse_key(key)
        if gallery_id in self._deleted:
            return None
        if item_id is None and value is None:
            self._entries.pop(gallery_id, None)
            self._deleted.add(gallery_id)
            return gallery_id
        entry = self._entries.setdefault(gallery_id, _Entry())
        if item_id is None:
            assert value is not None  # noqa: S101 - the tombstone of a gallery was processed above
            _add_head(entry, orjson.loads(value))
        elif value is None:
            _remove_item(entry, item_id)
        else:
            _add_item(entry, item_id, orjson.loads(value))
        return gallery_id if _advance_if_complete(entry) else None


def _add_head(entry: _Entry, record: dict[str, Any]) -> None:
    kept = entry.head or (entry.sequence, entry.gallery)
    head = (record["sequence"], record["gallery"])
    if head[0] >= kept[0] and head != kept:
        entry.head = head


def _add_item(entry: _Entry, item_id: str, record: dict[str, Any]) -> None:
    if item_id in entry.removed:
        return  # the id of a deleted item is never used again
    item = (record["sequence"], record["item"])
    kept = entry.pending.get(item_id) or entry.items.get(item_id)
    if kept is None:
        if item[0] <= entry.sequence:
            return  # the item was deleted before the last complete state
        entry.count += 1
    elif item[0] < kept[0] or item == kept:
        return
    entry.pending[item_id] = item
    entry.highest = max(entry.highest, item[0])


def _remove_item(entry: _Entry, item_id: str) -> None:
    if item_id in entry.pending or (item_id in entry.items and item_id not in entry.removed):
        entry.count -= 1
    entry.removed.add(item_id)
    if entry.pending.pop(item_id, (-1,))[0] == entry.highest:
        entry.highest = max((sequence for sequence, _ in entry.pending.values()), default=-1)


def _advance_if_complete(entry: _Entry) -> bool:
    """Move to the next state if all its records have come; returns whether the state changed."""
    sequence, gallery = entry.head or (entry.sequence, entry.gallery)
    if sequence < 0 or entry.highest > sequence or entry.count != gallery["totalItems"]:
        return False
    if entry.head is None and not entry.pending:
        return False
    for item_id in entry.removed:
        entry.items.pop(item_id, None)
    entry.items.update(entry.pending)
    entry.pending.clear()
    entry.highest = -1
    if sequence > entry.sequence:
        entry.removed.clear()
    entry.sequence, entry.gallery, entry.head = sequence, gallery, None
    return True

"""Materialises the joined topic: feed it every record, ask it for galleries with all their items.

It knows no Kafka client. A consumer that reads `triptych.galleries` from the beginning, and keeps everything in memory:

    galleries = Galleries()
    for record in consumer:
        changed = galleries.feed(record.key, record.value)
        if changed and (gallery := galleries.get(changed)):
            print(gallery["name"], len(gallery["items"]))

Records may repeat, start over from any earlier offset, be compacted in any way, or be outdated ones of a producer that
was paused: once what was there at the start has been read, `get` answers galleries as they were after one of their
events, and never goes back. The rules are those of `docs/consumers.md`.
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
"""A gallery or an item, after the sequence of its record."""


@dataclass(slots=True)
class _Entry:
    """The last whole state of a gallery, and what has come since.

    Attributes:
        sequence, gallery, items: the last whole state; -1 if there was none.
        head: the record of the next state, if it has come.
        pending: items that belong to the next state.
        removed: items that the next state does not have.
        count: how many items there are with what has come.
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
        """As JSON types."""
        items, pending = ({id_: list(one) for id_, one in known.items()} for known in (self.items, self.pending))
        head = list(self.head) if self.head else None
        return [self.sequence, self.gallery, items, head, pending, sorted(self.removed), self.count, self.highest]

    @classmethod
    def load(cls, saved: list[Any]) -> "_Entry":
        """From what `save` has made."""
        sequence, gallery, items, head, pending, removed, count, highest = saved
        items, pending = ({id_: (one[0], one[1]) for id_, one in known.items()} for known in (items, pending))
        return cls(
            sequence, gallery, items, (head[0], head[1]) if head else None, pending, set(removed), count, highest
        )


class ReadAgain(Exception):
    """What was saved is too old: tombstones that came later may be gone. Read the topic from the beginning."""


class Galleries:
    """All galleries with all their items, in memory."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._deleted: set[str] = set()

    def save(self, read_until: datetime) -> dict[str, Any]:
        """All that is known, as JSON types, to be stored together with the offsets behind the last records fed.

        Args:
            read_until: with its zone; everything published before was fed. It is the present if the end of the topic
                was reached, otherwise the timestamp of the last record.
        """
        return {
            "readUntil": read_until.isoformat(),
            "galleries": {gallery_id: entry.save() for gallery_id, entry in self._entries.items()},
            "deleted": sorted(self._deleted),
        }

    @classmethod
    def resume(cls, saved: dict[str, Any], retention: timedelta = TOMBSTONE_RETENTION) -> "Galleries":
        """What was saved, to be fed from the offsets stored with it.

        Raises:
            ReadAgain: Kafka may have removed tombstones that were to be read. Galleries and items deleted meanwhile
                would stay for ever: begin with an empty `Galleries`, at the beginning of the topic.
        """
        read_until = datetime.fromisoformat(saved["readUntil"])
        if datetime.now(UTC) - read_until >= retention:
            raise ReadAgain(f"read until {read_until:%Y-%m-%d %H:%M:%S %Z}, tombstones are kept for {retention}")
        galleries = cls()
        galleries._entries = {gallery_id: _Entry.load(entry) for gallery_id, entry in saved["galleries"].items()}
        galleries._deleted = set(saved["deleted"])
        return galleries

    def __iter__(self) -> Iterator[str]:
        """The ids of the galleries that `get` knows."""
        return (gallery_id for gallery_id, entry in self._entries.items() if entry.sequence >= 0)

    def get(self, gallery_id: str) -> dict[str, Any] | None:
        """The Gallery of the contract, section 3.1, with all of its items in display order; None if there is none."""
        entry = self._entries.get(gallery_id)
        if entry is None or entry.sequence < 0:
            return None
        items = sorted((item for _, item in entry.items.values()), key=lambda item: -float(item["sortOrder"]))
        return {**entry.gallery, "items": items}

    def sequence(self, gallery_id: str) -> int | None:
        """The sequence of the last event in what `get` answers."""
        entry = self._entries.get(gallery_id)
        return entry.sequence if entry is not None and entry.sequence >= 0 else None

    def feed(self, key: bytes, value: bytes | None) -> str | None:
        """Take a record; the id of the gallery that it brought to a new state or deleted, if any.

        Raises:
            ValueError: the key is of neither form (contract, section 10).
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
            assert value is not None  # noqa: S101 - a tombstone of a gallery was dealt with above
            _take_head(entry, orjson.loads(value))
        elif value is None:
            _remove_item(entry, item_id)
        else:
            _take_item(entry, item_id, orjson.loads(value))
        return gallery_id if _show_if_complete(entry) else None


def _take_head(entry: _Entry, record: dict[str, Any]) -> None:
    kept = entry.head or (entry.sequence, entry.gallery)
    head = (record["sequence"], record["gallery"])
    if head[0] >= kept[0] and head != kept:
        entry.head = head


def _take_item(entry: _Entry, item_id: str, record: dict[str, Any]) -> None:
    if item_id in entry.removed:
        return  # its id is never used again
    item = (record["sequence"], record["item"])
    kept = entry.pending.get(item_id) or entry.items.get(item_id)
    if kept is None:
        if item[0] <= entry.sequence:
            return  # it was deleted before the state that is known
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


def _show_if_complete(entry: _Entry) -> bool:
    """Bring what is shown to what has come, if that is whole; whether it was brought anywhere."""
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

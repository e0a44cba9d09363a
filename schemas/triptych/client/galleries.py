"""Materialises the joined topic in memory: it is fed every record, and returns galleries with all their items.

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
from datetime import UTC, datetime, timedelta
from typing import Any

from triptych.client.joined.memory import MemoryStorage
from triptych.client.joined.rules import feed

TOMBSTONE_RETENTION = timedelta(hours=24)
"""How long Kafka keeps the tombstones of the joined topic, as it is provisioned (`delete.retention.ms`)."""


class ReadAgain(Exception):
    """The saved state is too old: Kafka may have removed later tombstones. Read the topic from the beginning."""


class Galleries:
    """All galleries with all their items, in memory."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()

    def save(self, read_until: datetime) -> dict[str, Any]:
        """The whole state as JSON types. Store it together with the offsets after the last records that were fed.

        Args:
            read_until: a moment with its time zone; every record published before it was fed. It is the present if the
                end of the topic was reached, and otherwise the timestamp of the last record.
        """
        return {"readUntil": read_until.isoformat(), **self._storage.save()}

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
        galleries._storage.load(saved)
        return galleries

    def __iter__(self) -> Iterator[str]:
        """The ids of the galleries that `get` returns."""
        return self._storage.gallery_ids()

    def get(self, gallery_id: str) -> dict[str, Any] | None:
        """The Gallery of the contract, section 3.1, with all its items in display order; None if it does not exist."""
        head = self._storage.head(gallery_id)
        if head is None or head.gallery is None:
            return None
        return {**head.gallery, "items": self._storage.all_items(gallery_id)}

    def sequence(self, gallery_id: str) -> int | None:
        """The sequence of the last event in the state that `get` returns; None if the gallery does not exist."""
        head = self._storage.head(gallery_id)
        return head.sequence if head is not None and head.gallery is not None else None

    def feed(self, key: bytes, value: bytes | None) -> str | None:
        """Process a record; returns the id of the gallery that it brought to a new state or deleted, or None.

        Raises:
            ValueError: this is not a record of the joined topic (contract, section 10).
        """
        changed = feed(self._storage, 0, key, value)
        return changed.gallery_id if changed else None

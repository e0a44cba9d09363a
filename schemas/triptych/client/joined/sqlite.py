"""Stores galleries in a file of SQLite, so that a consumer continues where it was. Its memory is bounded."""

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from triptych.client.joined.storage import Head, ItemState, Position

_SCHEMA = """
CREATE TABLE IF NOT EXISTS galleries (
    gallery_id TEXT PRIMARY KEY, partition INTEGER NOT NULL, site_id TEXT NOT NULL, sequence INTEGER NOT NULL,
    gallery BLOB, next_sequence INTEGER NOT NULL, next_gallery BLOB, count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS galleries_by_partition ON galleries (partition);
CREATE TABLE IF NOT EXISTS items (
    gallery_id TEXT NOT NULL, item_id TEXT NOT NULL, sequence INTEGER NOT NULL, item BLOB, sort_order REAL,
    next_sequence INTEGER NOT NULL, next_item BLOB, next_sort_order REAL, is_removed INTEGER NOT NULL,
    PRIMARY KEY (gallery_id, item_id)
);
CREATE INDEX IF NOT EXISTS items_in_order ON items (gallery_id, sort_order DESC) WHERE item IS NOT NULL;
CREATE INDEX IF NOT EXISTS items_pending ON items (gallery_id, next_sequence) WHERE next_item IS NOT NULL;
CREATE INDEX IF NOT EXISTS items_removed ON items (gallery_id) WHERE is_removed;
CREATE TABLE IF NOT EXISTS deleted (gallery_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (
    partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, read_until TEXT NOT NULL
);
"""
_VERSION = 1


class SQLiteStorage:
    """A `GalleryStorage` in one file, which one consumer writes. Other processes may read the file meanwhile.

    The galleries and the offsets after their records are stored in one transaction.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file, or create it. Raises sqlite3.Error, and ValueError for a file of another version."""
        # Transactions begin and end where this class says so, not where the module guesses.
        self._connection = sqlite3.connect(path, isolation_level=None)
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            self._connection.close()
            raise ValueError(f"{path} is of version {version}, and this one reads {_VERSION}: begin with another file")
        # With a write-ahead log, a crash of the machine may undo the last transactions, but each of them as a whole.
        self._connection.executescript(
            f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA} PRAGMA user_version = {_VERSION};"
        )

    def head(self, gallery_id: str) -> Head | None:
        """See `GalleryStorage`."""
        found = self._one(
            "SELECT partition, site_id, sequence, gallery, next_sequence, next_gallery, count FROM galleries"
            " WHERE gallery_id = ?",
            gallery_id,
        )
        if found is None:
            return None
        partition, site_id, sequence, gallery, next_sequence, next_gallery, count = found
        return Head(partition, site_id, sequence, _loads(gallery), next_sequence, _loads(next_gallery), count)

    def set_head(self, gallery_id: str, head: Head) -> None:
        """See `GalleryStorage`."""
        partition, site_id, sequence, gallery, next_sequence, next_gallery, count = head
        shown, following = _dumps(gallery), _dumps(next_gallery)
        self._write(
            "REPLACE INTO galleries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(gallery_id, partition, site_id, sequence, shown, next_sequence, following, count),
        )

    def item(self, gallery_id: str, item_id: str) -> ItemState | None:
        """See `GalleryStorage`."""
        found = self._one(
            "SELECT sequence, item, next_sequence, next_item, is_removed FROM items"
            " WHERE gallery_id = ? AND item_id = ?",
            *(gallery_id, item_id),
        )
        if found is None:
            return None
        sequence, item, next_sequence, next_item, is_removed = found
        return ItemState(sequence, _loads(item), next_sequence, _loads(next_item), bool(is_removed))

    def set_item(self, gallery_id: str, item_id: str, state: ItemState) -> None:
        """See `GalleryStorage`."""
        sequence, item, next_sequence, next_item, is_removed = state
        self._write(
            "REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(gallery_id, item_id, sequence, _dumps(item), _sort_order(item)),
            *(next_sequence, _dumps(next_item), _sort_order(next_item), is_removed),
        )

    def highest_pending(self, gallery_id: str) -> int:
        """See `GalleryStorage`."""
        found = self._one(
            "SELECT next_sequence FROM items WHERE gallery_id = ? AND next_item IS NOT NULL"
            " ORDER BY next_sequence DESC LIMIT 1",
            gallery_id,
        )
        return int(found[0]) if found is not None else -1

    def show_pending(self, gallery_id: str, *, forget_removed: bool) -> None:
        """See `GalleryStorage`."""
        if forget_removed:
            self._write("DELETE FROM items WHERE gallery_id = ? AND is_removed", gallery_id)
        else:
            self._write(
                "UPDATE items SET sequence = -1, item = NULL, sort_order = NULL WHERE gallery_id = ? AND is_removed",
                gallery_id,
            )
        self._write(
            "UPDATE items SET sequence = next_sequence, item = next_item, sort_order = next_sort_order,"
            " next_sequence = -1, next_item = NULL, next_sort_order = NULL"
            " WHERE gallery_id = ? AND next_item IS NOT NULL",
            gallery_id,
        )

    def delete(self, gallery_id: str) -> None:
        """See `GalleryStorage`."""
        self._write("DELETE FROM galleries WHERE gallery_id = ?", gallery_id)
        self._write("DELETE FROM items WHERE gallery_id = ?", gallery_id)
        self._write("REPLACE INTO deleted VALUES (?)", gallery_id)

    def is_deleted(self, gallery_id: str) -> bool:
        """See `GalleryStorage`."""
        return self._one("SELECT 1 FROM deleted WHERE gallery_id = ?", gallery_id) is not None

    def items(self, gallery_id: str, after: float | None, limit: int) -> list[dict[str, Any]]:
        """See `GalleryStorage`."""
        before = "" if after is None else " AND sort_order < ?"
        values = (gallery_id, limit) if after is None else (gallery_id, after, limit)
        found = self._connection.execute(
            f"SELECT item FROM items WHERE gallery_id = ? AND item IS NOT NULL{before}"  # noqa: S608 - two constants
            " ORDER BY sort_order DESC LIMIT ?",
            values,
        )
        return [orjson.loads(item) for (item,) in found]

    def gallery_ids(self) -> Iterator[str]:
        """See `GalleryStorage`."""
        for (gallery_id,) in self._connection.execute("SELECT gallery_id FROM galleries WHERE sequence >= 0"):
            yield gallery_id

    def positions(self) -> Mapping[int, Position]:
        """See `GalleryStorage`."""
        found = self._connection.execute("SELECT partition, next_offset, read_until FROM positions")
        return {partition: Position(offset, datetime.fromisoformat(until)) for partition, offset, until in found}

    def set_position(self, partition: int, position: Position) -> None:
        """See `GalleryStorage`."""
        self._write(
            "REPLACE INTO positions VALUES (?, ?, ?)", partition, position.offset, position.read_until.isoformat()
        )

    def forget(self, partition: int) -> None:
        """See `GalleryStorage`."""
        of_partition = "SELECT gallery_id FROM galleries WHERE partition = ?"
        self._write(f"DELETE FROM items WHERE gallery_id IN ({of_partition})", partition)  # noqa: S608 - a constant
        for table in ("galleries", "positions"):
            self._write(f"DELETE FROM {table} WHERE partition = ?", partition)  # noqa: S608 - two constants

    def commit(self) -> None:
        """See `GalleryStorage`."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """See `GalleryStorage`."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file. What is not committed is dropped."""
        self._connection.close()

    def _one(self, statement: str, *values: object) -> Any:
        return self._connection.execute(statement, values).fetchone()

    def _write(self, statement: str, *values: object) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(statement, values)


def _dumps(value: dict[str, Any] | None) -> bytes | None:
    return None if value is None else orjson.dumps(value)


def _loads(text: bytes | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value: dict[str, Any] = orjson.loads(text)
    return value


def _sort_order(item: dict[str, Any] | None) -> float | None:
    return None if item is None else float(item["sortOrder"])

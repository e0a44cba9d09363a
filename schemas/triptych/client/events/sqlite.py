"""Stores in a file of SQLite which events were handled, so that repeats are recognised after a restart."""

import sqlite3
import time
from collections.abc import Collection
from pathlib import Path

import orjson

from triptych.client.events.sequences import Seen

KEPT_SECONDS = 30 * 86_400
"""How long a gallery without events is remembered: as long as events are kept by default, so none comes again later."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sequences (
    gallery_id TEXT PRIMARY KEY, partition INTEGER NOT NULL, last INTEGER NOT NULL, missing BLOB NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sequences_by_partition ON sequences (partition);
CREATE INDEX IF NOT EXISTS sequences_by_time ON sequences (at);
"""


class SQLiteSequences:
    """`Sequences` in one file, which one process uses."""

    def __init__(self, path: str | Path, kept_seconds: float = KEPT_SECONDS) -> None:
        """Open the file, or create it; galleries without events for `kept_seconds` are forgotten.

        Raises sqlite3.Error.
        """
        self._connection = sqlite3.connect(path, isolation_level=None)
        # With a write-ahead log, a crash of the machine may undo the last transactions: their events are handled again.
        self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}")
        self._connection.execute("DELETE FROM sequences WHERE at < ?", (time.time() - kept_seconds,))

    async def get(self, gallery_id: str) -> Seen | None:
        """See `Sequences`."""
        statement = "SELECT last, missing FROM sequences WHERE gallery_id = ?"
        found = self._connection.execute(statement, (gallery_id,)).fetchone()
        if found is None:
            return None
        return Seen(found[0], tuple((first, last) for first, last in orjson.loads(found[1])))

    async def put(self, partition: int, gallery_id: str, seen: Seen) -> None:
        """See `Sequences`."""
        values = (gallery_id, partition, seen.last, orjson.dumps(seen.missing), time.time())
        self._connection.execute("REPLACE INTO sequences VALUES (?, ?, ?, ?, ?)", values)

    async def lost(self, partitions: Collection[int]) -> None:
        """See `Sequences`."""
        rows = [(partition,) for partition in partitions]
        self._connection.executemany("DELETE FROM sequences WHERE partition = ?", rows)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

"""Owns a copy, on disk, of what the events topic says about each gallery, compared with what the databases have.

Memory does not grow with the topic: the copy is a temporary SQLite file, which is removed when the copy is closed.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from triptych.command.domain.corrections import Published

GALLERIES_AT_ONCE = 1_000
ITEMS_AT_ONCE = 5_000
_TABLES = """
    CREATE TABLE galleries (
        id TEXT PRIMARY KEY, site TEXT, sequence INTEGER, is_deleted INTEGER, stored INTEGER, is_live INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE items (gallery TEXT, item TEXT, PRIMARY KEY (gallery, item)) WITHOUT ROWID;
"""
_UPSERT = """
    INSERT INTO galleries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
        sequence = MAX(sequence, excluded.sequence), is_deleted = MAX(is_deleted, excluded.is_deleted),
        stored = excluded.stored, is_live = excluded.is_live
"""
# A gallery has to be corrected if consumers know a higher sequence of it than the write model.
_KINDS = {
    "raised": "sequence > stored AND is_live AND NOT is_deleted",
    "deleted": "sequence > stored AND is_live AND is_deleted",
    "withdrawn": "sequence > stored AND NOT is_live AND NOT is_deleted",
    "reserved": "sequence > stored AND NOT is_live AND is_deleted",
    "behind": "sequence < stored",
}


class Seen(NamedTuple):
    """What some records say about a gallery, and what the write model has: 0 as `stored` if it never had it."""

    gallery_id: str
    site_id: str
    sequence: int
    is_deleted: bool
    stored: int
    is_live: bool


class PublishedCopy(AbstractContextManager["PublishedCopy"]):
    """The galleries of the events topic, by id.

    Kinds of galleries: `raised`, `deleted`, `withdrawn` and `reserved` are those whose events go further than the write
    model, by the correction that they need; `behind` are those whose last events the topic does not have.
    """

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="triptych-published-")
        self._rows = sqlite3.connect(Path(self._directory.name) / "galleries", isolation_level=None)
        self._rows.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_TABLES}")

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._directory.cleanup()

    def add(self, seen: Iterable[Seen], items_gone: Iterable[tuple[str, str]]) -> None:
        """Add what a chunk of records says, and the items, each with its gallery, that it deletes."""
        self._rows.execute("BEGIN")
        self._rows.executemany(_UPSERT, seen)
        self._rows.executemany("INSERT OR IGNORE INTO items VALUES (?, ?)", items_gone)
        self._rows.execute("COMMIT")

    def count(self, kind: str) -> int:
        """The number of galleries of a kind."""
        query = f"SELECT COUNT(*) FROM galleries WHERE {_KINDS[kind]}"  # noqa: S608 - of our own words
        return int(self._rows.execute(query).fetchone()[0])

    def count_items_gone(self) -> int:
        """The number of items whose deletion is beyond the write model's sequence, in galleries that it has."""
        query = f"SELECT COUNT(*) FROM items JOIN galleries ON id = gallery WHERE {_KINDS['raised']}"  # noqa: S608
        return int(self._rows.execute(query).fetchone()[0])

    def some(self, kind: str, count: int) -> list[str]:
        """The ids of the first galleries of a kind."""
        query = f"SELECT id FROM galleries WHERE {_KINDS[kind]} ORDER BY id LIMIT ?"  # noqa: S608
        return [row[0] for row in self._rows.execute(query, (count,))]

    def galleries_ahead(self) -> Iterator[list[Published]]:
        """The galleries whose events go further than the write model, in chunks."""
        return self._galleries("sequence > stored")

    def deletions_lost(self) -> Iterator[list[Published]]:
        """The galleries that are deleted in the write model, and whose deletion the topic does not have, in chunks."""
        return self._galleries("sequence < stored AND NOT is_live AND NOT is_deleted")

    def _galleries(self, condition: str) -> Iterator[list[Published]]:
        query = f"""
            SELECT id, site, sequence, is_deleted FROM galleries WHERE {condition} AND id > ? ORDER BY id LIMIT ?
        """  # noqa: S608 - of our own words
        last = ""
        while rows := self._rows.execute(query, (last, GALLERIES_AT_ONCE)).fetchall():
            yield [Published(id_, site, sequence, bool(is_deleted)) for id_, site, sequence, is_deleted in rows]
            last = rows[-1][0]

    def items_gone(self) -> Iterator[list[tuple[str, str]]]:
        """The items whose deletion was published and is beyond the write model, each with its gallery, in chunks."""
        query = """
            SELECT gallery, item FROM items WHERE (gallery, item) > (?, ?) ORDER BY gallery, item LIMIT ?
        """
        last = ("", "")
        while rows := self._rows.execute(query, (*last, ITEMS_AT_ONCE)).fetchall():
            yield rows
            last = rows[-1]

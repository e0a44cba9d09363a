"""Owns a copy of the joined topic on disk that has, for each record, its sort order, its sequence and a hash.

Memory does not grow with the topic: the copy is a temporary SQLite file, which is removed when the copy is closed.
"""

import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from triptych.contract.joined import HEAD_ITEMS_MAX, parse_key
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader, start_client
from triptych.kit.kafka.layout import Layout
from triptych.kit.process.settings import KitSettings
from triptych.projector.rebuild.digests import GALLERIES_AT_ONCE, Digest, fields_of, hash_of
from triptych.projector.rebuild.verification import ReportProgress

RECORDS_AT_ONCE = 5_000
POLL_MS = 200
_HEAD = ""
_TABLES = """
    CREATE TABLE records (
        gallery TEXT, item TEXT, sequence INTEGER, sort_order REAL, hash BLOB, first BLOB, PRIMARY KEY (gallery, item)
    ) WITHOUT ROWID;
    CREATE TABLE suspects (gallery TEXT PRIMARY KEY, reached INTEGER) WITHOUT ROWID;
"""
_Row = tuple[str, str, int, float, bytes, bytes]
_ALL = b"all"
_TRUNCATED = b"not"


class JoinedCopy(AbstractAsyncContextManager["JoinedCopy"]):
    """The topic up to the offsets that were read last, without records whose key is of neither form."""

    def __init__(self, settings: KitSettings, topic: str, layout: Layout | None = None) -> None:
        """`layout` has the partitions; records that a gallery has left behind on a former partition are ignored."""
        self._layout = layout
        self._settings = settings
        self._topic = topic
        self._directory = tempfile.TemporaryDirectory(prefix="triptych-joined-")
        self._rows = sqlite3.connect(Path(self._directory.name) / "records", isolation_level=None)
        self._rows.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_TABLES}")
        self._reader: AIOKafkaConsumer | None = None

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            await self._reader.stop()
        self._rows.close()
        self._directory.cleanup()

    async def read(self, report: ReportProgress) -> None:
        """Read the topic up to its present end, from where the last call ended.

        Raises:
            StartRefused, TransientFailure: Kafka does not answer.
        """
        try:
            reader = await self._started_reader()
            partitions = sorted(reader.assignment())
            ends = await reader.end_offsets(partitions)
            at = {partition: await reader.position(partition) for partition in partitions}
            total, done = sum(max(0, ends[partition] - at[partition]) for partition in partitions), 0
            while any(at[partition] < ends[partition] for partition in partitions):
                found = await reader.getmany(timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE)
                self._take(record for records in found.values() for record in records)
                now = {partition: await reader.position(partition) for partition in partitions}
                done += sum(now[partition] - at[partition] for partition in partitions)
                at = now
                report(min(done, total), total)
        except KafkaError as error:
            raise TransientFailure(f"cannot read {self._topic}: {error!r}") from error

    def ids(self) -> Iterator[list[str]]:
        """The ids of all galleries that have records, in order and in chunks."""
        last = ""
        while chunk := self._column(
            "SELECT DISTINCT gallery FROM records WHERE gallery > ? ORDER BY gallery LIMIT ?", last, GALLERIES_AT_ONCE
        ):
            yield chunk
            last = chunk[-1]

    def digests(self, gallery_ids: Collection[str]) -> dict[str, Digest]:
        """The digests of those galleries that have records, by gallery id."""
        found = ((gallery_id, self._digest(gallery_id)) for gallery_id in gallery_ids)
        return {gallery_id: digest for gallery_id, digest in found if digest is not None}

    def item_ids(self, gallery_id: str, after: str, count: int) -> list[str]:
        """Up to `count` ids of a gallery's items after the id `after`, in order."""
        query = "SELECT item FROM records WHERE gallery = ? AND item > ? ORDER BY item LIMIT ?"
        return self._column(query, gallery_id, after, count)

    def suspect(self, reached: dict[str, int]) -> None:
        """Add galleries to compare again, with the sequence that each must reach."""
        self._rows.executemany("INSERT OR IGNORE INTO suspects VALUES (?, ?)", reached.items())

    def clear(self, gallery_ids: Iterable[str]) -> None:
        """Remove these galleries from the suspects."""
        self._rows.executemany("DELETE FROM suspects WHERE gallery = ?", ((id_,) for id_ in gallery_ids))

    def suspects(self, after: str = "", count: int = GALLERIES_AT_ONCE) -> dict[str, int]:
        """Up to `count` suspects after the id `after`, in order, with the sequence that each must reach."""
        query = "SELECT gallery, reached FROM suspects WHERE gallery > ? ORDER BY gallery LIMIT ?"
        return dict(self._rows.execute(query, (after, count)).fetchall())

    def all_suspects(self) -> Iterator[dict[str, int]]:
        """All suspects, in order and in chunks. Those that were yielded may be cleared meanwhile."""
        last = ""
        while chunk := self.suspects(last):
            yield chunk
            last = max(chunk)

    def count_suspects(self) -> int:
        """The number of suspects."""
        return int(self._rows.execute("SELECT count(*) FROM suspects").fetchone()[0])

    def _column(self, query: str, *values: object) -> list[Any]:
        return [row[0] for row in self._rows.execute(query, values)]

    def _digest(self, gallery_id: str) -> Digest | None:
        content, sequence, listed, is_whole = 0, 0, None, True
        query = "SELECT item, sequence, hash, first FROM records WHERE gallery = ? ORDER BY item"
        for item, number, hashed, first in self._rows.execute(query, (gallery_id,)):
            content ^= int.from_bytes(hashed)
            if item == _HEAD:  # it sorts before every item id
                sequence, listed = number, first
            elif listed is None:
                return Digest(0, "items without a gallery")
            else:
                is_whole = is_whole and number <= sequence
        if listed is None:
            return None
        query = "SELECT hash FROM records WHERE gallery = ? AND item > '' ORDER BY sort_order DESC LIMIT ?"
        if not _are_first(listed, self._column(query, gallery_id, HEAD_ITEMS_MAX)):
            return Digest(sequence, "other first items")
        return Digest(sequence, f"{content:x}" if is_whole else "not whole")

    def _take(self, records: Iterable[ConsumerRecord[Any, Any]]) -> None:
        latest: dict[tuple[str, str], bytes | None] = {}
        for record in records:
            try:
                gallery_id, item_id = parse_key(record.key or b"")
            except ValueError:
                continue
            if self._layout and self._layout.is_former_place(gallery_id.encode(), record.partition):
                continue
            latest[gallery_id, item_id or _HEAD] = record.value
        rows = [_row(*key, value) for key, value in latest.items() if value is not None]
        deleted = [key for key, value in latest.items() if value is None]
        self._rows.execute("BEGIN")
        self._rows.executemany("DELETE FROM records WHERE gallery = ? AND item = ?", deleted)
        self._rows.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._rows.execute("COMMIT")

    async def _started_reader(self) -> AIOKafkaConsumer:
        if self._reader is None:
            reader = make_reader(self._settings, auto_offset_reset="earliest")
            reader.subscribe(topics=[self._topic])
            await start_client(reader, self._settings)
            self._reader = reader
            await reader.seek_to_beginning()
        return self._reader


def _row(gallery_id: str, item_id: str, value: bytes) -> _Row:
    """The row of a record. A record that the projector cannot have written gets a hash that nothing else has."""
    try:
        record = orjson.loads(value)
        sequence = int(record["sequence"])
        if item_id != _HEAD:
            item = record["item"]
            return gallery_id, item_id, sequence, float(item["sortOrder"]), hash_of(item), b""
        gallery = record["gallery"]
        hashed = hash_of(fields_of({**gallery, "_id": gallery["id"], "siteId": record["siteId"]}))
        first = b"".join(map(hash_of, record["items"]))
        return gallery_id, _HEAD, sequence, 0.0, hashed, (_TRUNCATED if record["itemsTruncated"] else _ALL) + first
    except (ValueError, KeyError, TypeError):
        return gallery_id, item_id, 0, 0.0, hash_of({"unreadable": value.hex()}), _ALL


def _are_first(listed: bytes, wanted: Sequence[bytes]) -> bool:
    """Whether a head record lists the first items: all of them, or fewer if it says that it was truncated."""
    items, expected = listed[len(_ALL) :], b"".join(wanted)
    return items == expected if listed.startswith(_ALL) else expected.startswith(items)

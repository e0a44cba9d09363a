"""Keeps on disk what a run observes, and gives it to the judge in parts that fit into memory.

A part has all that concerns some galleries. Promises are made for a gallery or for a command, which concerns one
gallery, so what is judged in parts is judged as a whole.
"""

import contextlib
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.support.chaos.history import Answer, Command, Delivery, Event, ForeignRead, History, Joined, State

EVENTS_OF_A_PART = 20_000
SLOTS = 1 << 14
"""Galleries that have the same slot are always in one part."""
BUFFERED = 2_000
"""The most joined records in memory. Only the last record of each key is written."""
TABLES = {
    "events": "slot, partition, offset, key, site, cause, value, at, gallery, PRIMARY KEY (partition, offset)",
    "replies": "command, place, content",
    "joined": "slot, partition, offset, key, value, PRIMARY KEY (key, partition)",
    "deliveries": "slot, site, event, value, has_succeeded",
    "outcomes": "slot, event, status",
    "sequences": "slot, gallery, sequence",
    "states": "slot, gallery, head, items",
    "foreign_reads": "slot, site, status, shown",
    "commands": "command PRIMARY KEY, part",
}


def slot_of(gallery: str) -> int:
    """The slot of a gallery."""
    return zlib.crc32(gallery.encode()) % SLOTS


class Recording:
    """What was observed, in a file of SQLite that only this process reads, so nothing has to survive a crash."""

    def __init__(self, file: Path) -> None:
        self._data = sqlite3.connect(file)
        self._data.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        for name, columns in TABLES.items():
            self._data.execute(f"CREATE TABLE {name} ({columns})")
        self._joined: dict[tuple[str, int], tuple[int, bytes | None]] = {}
        self.joined_records = 0
        """All that were read, although only the last of each key is kept."""

    def close(self) -> None:
        """Forget everything."""
        self._data.close()

    def add_event(self, event: Event) -> None:
        """Add a record of the events topic, each partition in order. The same record again changes nothing."""
        value = orjson.dumps(event.value)
        row = (event.partition, event.offset, event.key, event.site, event.cause, value, event.at, event.gallery)
        self._insert("events", slot_of(event.gallery), *row)

    def add_reply(self, command: str, place: str, content: bytes) -> None:
        """Add a reply on a topic."""
        self._insert("replies", command, place, content)

    def add_joined(self, partition: int, offset: int, key: str, value: bytes | None) -> None:
        """Add a joined record, each partition in order. It replaces the former one of its key, as compaction does."""
        self.joined_records += 1
        self._joined[key, partition] = offset, value
        if len(self._joined) >= BUFFERED:
            self._write_joined()

    def add_delivery(self, site: str, event: str, value: dict[str, Any], *, has_succeeded: bool) -> None:
        """Add a request that a receiver got."""
        gallery = str(value.get("entityId", ""))
        self._insert("deliveries", slot_of(gallery), site, event, orjson.dumps(value), has_succeeded)

    def add_outcome(self, gallery: str, event: str, status: str) -> None:
        """Add how the delivery of an event ended."""
        self._insert("outcomes", slot_of(gallery), event, status)

    def add_sequence(self, gallery: str, sequence: int) -> None:
        """Add the last sequence of a gallery in the write model."""
        self._insert("sequences", slot_of(gallery), gallery, sequence)

    def add_state(self, gallery: str, state: State) -> None:
        """Add what HTTP shows of a gallery."""
        self._insert("states", slot_of(gallery), gallery, orjson.dumps(state.gallery), orjson.dumps(state.items))

    def add_foreign_read(self, gallery: str, read: ForeignRead) -> None:
        """Add what the key of another site got when it asked for a gallery."""
        self._insert("foreign_reads", slot_of(gallery), read.site, read.status, orjson.dumps(read.galleries))

    def sites(self) -> dict[str, str]:
        """The site of each gallery that has events, by gallery."""
        return dict(self._data.execute("SELECT gallery, min(site) FROM events GROUP BY gallery"))

    def count(self, table: str) -> int:
        """The number of events, deliveries, replies or states."""
        return int(self._data.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # our own name

    def parts(
        self,
        made: History,
        commands: Sequence[Command],
        answers: Iterable[Answer],
        most_events: int = EVENTS_OF_A_PART,
    ) -> Iterator[History]:
        """What is judged so far: `made`, which has what concerns no gallery, and then each part.

        Args:
            made: what is observed without a recording.
            commands: all that were sent.
            answers: those that are not in the recording.
            most_events: about how many events a part has.
        """
        self._write_joined()
        for name in TABLES.keys() - {"replies", "commands"}:
            self._data.execute(f"CREATE INDEX IF NOT EXISTS slot_of_{name} ON {name} (slot)")
        number = self.count("events") // most_events + 1
        sent = self._by_part(commands, number)
        part_of = dict(self._data.execute("SELECT command, part FROM commands"))
        answered: dict[int, list[Answer]] = defaultdict(list)
        for answer in answers:
            answered[part_of.get(answer.command, 0)].append(answer)
        yield made
        for part in range(number):
            found = History(made.partitions, commands=sent[part], listening=made.listening)
            found.answers = [*self._replies(part), *answered[part]]
            first, end = -(-part * SLOTS // number), -(-(part + 1) * SLOTS // number)
            self._fill(found, first, end)
            yield found

    def _by_part(self, commands: Sequence[Command], number: int) -> dict[int, list[Command]]:
        """Commands by part. One that names no gallery, as a request without an answer, is where its events are."""
        self._data.execute("CREATE INDEX IF NOT EXISTS cause ON events (cause)")
        self._data.execute("CREATE INDEX IF NOT EXISTS command ON replies (command)")
        sent: dict[int, list[Command]] = defaultdict(list)
        for command in commands:
            gallery = command.gallery
            if gallery is None:
                query = "SELECT gallery FROM events WHERE cause = ?"
                gallery = (self._data.execute(query, (command.id,)).fetchone() or ("",))[0]
            part = slot_of(gallery) * number // SLOTS
            sent[part].append(command)
            self._insert("commands", command.id, part)
        return sent

    def _replies(self, part: int) -> Iterator[Answer]:
        # A reply to what nobody sent is in the first part.
        query = (
            "SELECT command, place, content FROM replies LEFT JOIN commands USING (command) WHERE ifnull(part, 0) = ?"
        )
        for command, place, content in self._data.execute(query, (part,)):
            yield Answer(command, "topic", place, orjson.loads(content))

    def _fill(self, part: History, first: int, end: int) -> None:
        def rows(columns: str, table: str, order: str = "rowid") -> Iterator[tuple[Any, ...]]:
            query = f"SELECT {columns} FROM {table} WHERE slot >= ? AND slot < ? ORDER BY {order}"  # noqa: S608
            return self._data.execute(query, (first, end))

        for partition, offset, key, site, cause, value, at in rows(
            "partition, offset, key, site, cause, value, at", "events", "partition, rowid"
        ):
            part.events.append(Event(partition, offset, key, site, cause, orjson.loads(value), at))
        for partition, offset, key, value in rows("partition, offset, key, value", "joined"):
            part.joined.append(Joined(partition, offset, key, value and orjson.loads(value)))
        for site, event, value, has_succeeded in rows("site, event, value, has_succeeded", "deliveries"):
            part.deliveries.append(Delivery(site, event, orjson.loads(value), has_succeeded=bool(has_succeeded)))
        for gallery, head, items in rows("gallery, head, items", "states"):
            part.states[gallery] = State(orjson.loads(head), tuple(orjson.loads(items)))
        for site, status, shown in rows("site, status, shown", "foreign_reads"):
            part.foreign_reads.append(ForeignRead(site, status, tuple(orjson.loads(shown))))
        part.outcomes = dict(rows("event, status", "outcomes"))
        part.sequences = dict(rows("gallery, sequence", "sequences"))

    def _write_joined(self) -> None:
        for (key, partition), (offset, value) in self._joined.items():
            self._insert("joined", slot_of(key.partition("/")[0]), partition, offset, key, value)
        self._joined.clear()

    def _insert(self, table: str, *values: object) -> None:
        marks = ", ".join("?" * len(values))
        self._data.execute(f"REPLACE INTO {table} VALUES ({marks})", values)  # noqa: S608  # our own name


@contextlib.contextmanager
def open_recording(file: Path) -> Iterator[Recording]:
    """A recording during the block; the file is removed at its end."""
    made = Recording(file)
    try:
        yield made
    finally:
        made.close()
        file.unlink()

"""Keeps documents in versions, so that each read sees one moment, and enforces unique indexes and write conflicts.

A transaction writes into an overlay. What it writes is locked until it ends: another transaction that writes the same
document, or takes the same value of a unique index, fails at once with a write conflict, and so does one that began
before the last commit there. A write outside of transactions waits instead (`Locked`).
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import bson
from bson.codec_options import CodecOptions

from tests.support.simulation.mongo.expressions import MISSING
from tests.support.simulation.mongo.matching import Document, matches, values_at

_OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True)
SCANNED_MAX = 8
"""The most documents of a collection that are looked through without an index."""
Resource = tuple[str, str, Hashable]
"""What a transaction locks: a collection, `_id` or the name of a unique index, and a value there."""


class WriteConflict(Exception):
    """Another transaction has written this, or is writing it."""


class Duplicate(Exception):
    """A unique index has the value already."""


class Locked(Exception):
    """A transaction is writing this; the write can be repeated when it has ended."""

    def __init__(self, owner: "Transaction") -> None:
        self.owner = owner


def stored(document: Mapping[str, Any]) -> Document:
    """A copy of a document as MongoDB stores it."""
    return bson.decode(bson.encode(document), _OPTIONS)


def key_of(value: Any) -> Hashable:
    """A value of `_id` or of an index, so that equal values are equal keys."""
    if isinstance(value, Mapping):
        return tuple((name, key_of(one)) for name, one in value.items())
    if isinstance(value, list):
        return ("[]", *map(key_of, value))
    return value if isinstance(value, Hashable) else repr(value)


@dataclass
class UniqueIndex:
    """A unique index; `partial` says which documents are in it, if not all are."""

    name: str
    fields: tuple[str, ...]
    partial: Mapping[str, Any] | None

    def key(self, document: Document | None, now: datetime) -> Hashable | None:
        """The document's key in the index; None if it is not in it."""
        if document is None or (self.partial and not matches(document, self.partial, now)):
            return None
        values = [values_at(document, name) for name in self.fields]
        return tuple(None if value is MISSING else key_of(value) for value in values)


@dataclass
class Table:
    """One collection: the versions of each document by key, oldest first, each with the time of its commit.

    `places` shortens searches, and says nothing about what is found: by path and by value there, the keys of documents
    of which some version has that value, each with the number of these versions.
    """

    name: str
    versions: dict[Hashable, list[tuple[int, Document | None]]] = field(default_factory=dict)
    indexes: list[UniqueIndex] = field(default_factory=list)
    owners: dict[Resource, Hashable] = field(default_factory=dict)
    """By value of a unique index, the key of the document that has it, as committed last."""
    places: dict[str, dict[Hashable, dict[Hashable, int]]] = field(default_factory=dict)

    def add(self, key: Hashable, time: int, document: Document | None) -> None:
        """Add the version of a commit."""
        self.versions.setdefault(key, []).append((time, document))
        if document is not None:
            for path, by_value in self.places.items():
                _count(by_value, key, document, path)

    def forget(self, key: Hashable, horizon: int) -> None:
        """Forget the versions of a document that nobody can read who reads `horizon` or later."""
        versions = self.versions.get(key)
        if versions is None:
            return
        while len(versions) > 1 and versions[1][0] <= horizon:
            _, document = versions.pop(0)
            if document is not None:
                for path, by_value in self.places.items():
                    _discount(by_value, key, document, path)
        if len(versions) == 1 and versions[0][1] is None and versions[0][0] <= horizon:
            del self.versions[key]

    def candidates(self, query: Mapping[str, Any]) -> Iterable[Hashable]:
        """The keys of all documents that a filter may find, in an order that depends on nothing outside."""
        best: list[dict[Hashable, int]] | None = None
        for path, values in equalities_of(query):
            if path == "_id":
                return [key for key in dict.fromkeys(map(key_of, values)) if key in self.versions]
            if len(self.versions) <= SCANNED_MAX:
                continue
            by_value = self.places.get(path)
            if by_value is None:
                by_value = self.places[path] = {}
                for key, versions in self.versions.items():
                    for _, document in versions:
                        if document is not None:
                            _count(by_value, key, document, path)
            found = [place for value in values if (place := by_value.get(key_of(value)))]
            if best is None or sum(map(len, found)) < sum(map(len, best)):
                best = found
        if best is None:
            return list(self.versions)
        return list(best[0]) if len(best) == 1 else list(dict.fromkeys(key for place in best for key in place))


def equalities_of(query: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The paths at which a filter wants one of a few values, with these values."""
    for path, condition in query.items():
        if path == "$and":
            for one in condition:
                yield from equalities_of(one)
        elif path.startswith("$"):
            continue
        elif not isinstance(condition, Mapping) or not any(name.startswith("$") for name in condition):
            yield path, [condition]
        elif "$eq" in condition:
            yield path, [condition["$eq"]]
        elif "$in" in condition:
            yield path, list(condition["$in"])


def _values_for(document: Document, path: str) -> list[Hashable]:
    value = values_at(document, path)
    if value is MISSING:
        return [None]
    if isinstance(value, list):
        return list(dict.fromkeys([key_of(value), *map(key_of, value)]))
    return [key_of(value)]


def _count(by_value: dict[Hashable, dict[Hashable, int]], key: Hashable, document: Document, path: str) -> None:
    for value in _values_for(document, path):
        place = by_value.setdefault(value, {})
        place[key] = place.get(key, 0) + 1


def _discount(by_value: dict[Hashable, dict[Hashable, int]], key: Hashable, document: Document, path: str) -> None:
    for value in _values_for(document, path):
        place = by_value[value]
        if place[key] > 1:
            place[key] -= 1
        else:
            del place[key]
            if not place:
                del by_value[value]


@dataclass(eq=False)
class Transaction:
    """A transaction on the server. `process` is the simulated process that runs it."""

    number: int
    process: Any
    snapshot: int | None = None
    overlay: dict[tuple[str, Hashable], Document | None] = field(default_factory=dict)
    locks: set[Resource] = field(default_factory=set)
    taken: dict[Resource, Hashable | None] = field(default_factory=dict)
    state: str = "open"
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """Called when the transaction has ended."""


class Storage:
    """The documents of one database. Times are numbers of commits."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.tables: dict[str, Table] = {}
        self.time = 0
        self.majority = 0
        """What majority reads see."""
        self.snapshots: dict[object, int] = {}
        """The moments that open sessions and transactions read."""
        self.committed: list[Callable[[Any, Mapping[tuple[str, Hashable], Document | None]], None]] = []
        """Called with the process and the written documents of each commit."""
        self._locks: dict[Resource, Transaction] = {}
        self._changed: dict[Resource, int] = {}
        self._outdated: deque[tuple[int, Table, Hashable]] = deque()
        """Documents with versions that nobody will read soon, each with the time of the commit that came last."""

    def table(self, name: str) -> Table:
        """The collection of this name, which begins empty."""
        found = self.tables.get(name)
        if found is None:
            found = self.tables[name] = Table(name)
        return found

    def find(
        self, name: str, query: Mapping[str, Any], at: int | None = None, transaction: Transaction | None = None
    ) -> Iterator[tuple[Hashable, Document]]:
        """The documents that match, with their keys: as of a moment, or the last ones; not to be changed."""
        table, now = self.table(name), self.clock()
        for key in self._candidates(table, query, transaction):
            document = self._read(table, key, at, transaction)
            if document is not None and matches(document, query, now):
                yield key, document

    def current(self, name: str, key: Hashable, transaction: Transaction | None) -> Document | None:
        """The document with this key, as the transaction sees it, or as it was committed last; not to be changed."""
        return self._read(self.table(name), key, None, transaction)

    def begin(self, transaction: Transaction) -> None:
        """Read as of now from here on."""
        if transaction.snapshot is None:
            transaction.snapshot = self.time
            self.snapshots[transaction] = self.time

    def write(
        self,
        name: str,
        changes: Iterable[tuple[Hashable, Document | None]],
        transaction: Transaction | None,
        process: Any = None,
    ) -> None:
        """Replace, insert or delete (None) documents by key: in the transaction, or all at once.

        Raises:
            WriteConflict, Duplicate, Locked: nothing was written.
        """
        if transaction is not None:
            for key, document in changes:
                self._write_in(transaction, self.table(name), key, document)
            return
        alone = Transaction(-1, process, snapshot=self.time)
        try:
            for key, document in changes:
                self._write_in(alone, self.table(name), key, document, waits=True)
        except BaseException:
            self.end(alone, commits=False)
            raise
        self.end(alone, commits=True)

    def end(self, transaction: Transaction, *, commits: bool) -> int:
        """Commit or undo. Returns the time of the commit."""
        transaction.state = "committed" if commits else "aborted"
        for resource in transaction.locks:
            del self._locks[resource]
        self.snapshots.pop(transaction, None)
        if commits and transaction.overlay:
            self.time += 1
            for (name, key), document in transaction.overlay.items():
                table = self.tables[name]
                table.add(key, self.time, document)
                self._outdated.append((self.time, table, key))
            self._forget()
            for resource, key in transaction.taken.items():
                if key is None:
                    self.tables[resource[0]].owners.pop(resource, None)
                else:
                    self.tables[resource[0]].owners[resource] = key
            self._changed.update(dict.fromkeys(transaction.locks, self.time))
            for tell in self.committed:
                tell(transaction.process, transaction.overlay)
        waiting, transaction.waiting = transaction.waiting, []
        for wake in waiting:
            wake()
        return self.time

    def _forget(self) -> None:
        """Forget versions that nobody can read any more."""
        horizon = min([self.majority, *self.snapshots.values()])
        outdated = self._outdated
        while outdated and outdated[0][0] <= horizon:
            _, table, key = outdated.popleft()
            table.forget(key, horizon)

    def _candidates(
        self, table: Table, query: Mapping[str, Any], transaction: Transaction | None
    ) -> Iterable[Hashable]:
        found = table.candidates(query)
        if transaction is None or not transaction.overlay:
            return found
        written = [key for name, key in transaction.overlay if name == table.name]
        return dict.fromkeys([*found, *written])

    def _read(self, table: Table, key: Hashable, at: int | None, transaction: Transaction | None) -> Document | None:
        if transaction is not None and (table.name, key) in transaction.overlay:
            return transaction.overlay[table.name, key]
        at = transaction.snapshot if transaction is not None else at
        for time, document in reversed(table.versions.get(key, ())):
            if at is None or time <= at:
                return document
        return None

    def _write_in(
        self, transaction: Transaction, table: Table, key: Hashable, document: Document | None, *, waits: bool = False
    ) -> None:
        self._lock(transaction, (table.name, "_id", key), waits=waits)
        before = self._read(table, key, None, transaction)
        now = self.clock()
        for index in table.indexes:
            old, new = index.key(before, now), index.key(document, now)
            if old == new:
                continue
            if old is not None:
                resource = (table.name, index.name, old)
                self._lock(transaction, resource, waits=waits)
                transaction.taken[resource] = None
            if new is not None:
                resource = (table.name, index.name, new)
                self._lock(transaction, resource, waits=waits)
                owner = transaction.taken.get(resource, table.owners.get(resource))
                if resource not in transaction.taken:
                    owner = table.owners.get(resource)
                if owner is not None and owner != key:
                    raise Duplicate(f"{table.name}: {index.name} {new}")
                transaction.taken[resource] = key
        transaction.overlay[table.name, key] = document

    def _lock(self, transaction: Transaction, resource: Resource, *, waits: bool) -> None:
        holder = self._locks.get(resource)
        if holder is not None and holder is not transaction:
            raise Locked(holder) if waits else WriteConflict(resource)
        if not waits and transaction.snapshot is not None and self._changed.get(resource, 0) > transaction.snapshot:
            raise WriteConflict(resource)
        self._locks[resource] = transaction
        transaction.locks.add(resource)

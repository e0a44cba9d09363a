"""The driver's collections, as far as the simulated services use them."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import bson
from pymongo import DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from tests.support.simulation.loop import current_process
from tests.support.simulation.mongo import changes
from tests.support.simulation.mongo.cursor import Cursor
from tests.support.simulation.mongo.matching import Document, copied, in_order, projected
from tests.support.simulation.mongo.session import Session
from tests.support.simulation.mongo.storage import Duplicate, Transaction, UniqueIndex, key_of, stored

if TYPE_CHECKING:
    from tests.support.simulation.mongo.client import Database

T = TypeVar("T")
DUPLICATE = 11000


class Collection:
    """A collection of one client."""

    def __init__(self, database: "Database", name: str, *, waits_for_majority: bool = True) -> None:
        self.database = database
        self.name = name
        self._server = database.client.server
        self._storage = self._server.storage
        self._waits_for_majority = waits_for_majority

    def with_options(self, *, write_concern: Any = None, **_: Any) -> "Collection":
        """The same collection, whose writes wait for a majority or not."""
        return Collection(self.database, self.name, waits_for_majority=write_concern.document.get("w") == "majority")

    async def create_indexes(self, models: Sequence[IndexModel]) -> None:
        """Create indexes; only unique ones have an effect."""
        table = self._storage.table(self.name)
        await self._server.call(lambda: self._create(table, models))

    async def index_information(self) -> dict[str, Any]:
        """Nothing: the lifetimes of documents are not simulated."""
        return {}

    def find(
        self,
        query: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        *,
        session: Session | None = None,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> Cursor:
        """A cursor over the documents that match."""

        async def fetch(cursor: Cursor) -> list[Document]:
            def read(transaction: Transaction | None, at: int | None) -> list[Document]:
                matching = (document for _, document in self._storage.find(self.name, query or {}, at, transaction))
                found = in_order(list(matching), cursor.order) if cursor.order else matching
                return [projected(one, fields) for one in islice(found, cursor.first, cursor.end)]

            return await self._read(read, session)

        cursor = Cursor(fetch)
        cursor.order, cursor.most = list(sort), limit
        return cursor

    async def find_raw_batches(
        self, query: Mapping[str, Any], fields: Mapping[str, Any], *, sort: Sequence[tuple[str, int]], batch_size: int
    ) -> AsyncIterator[bytes]:
        """The documents that match, as BSON, a batch at a time."""
        found = await self.find(query, fields, sort=sort).to_list()
        for start in range(0, len(found), batch_size):
            yield b"".join(map(bson.encode, found[start : start + batch_size]))

    async def find_one(
        self,
        query: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        *,
        session: Session | None = None,
        sort: Sequence[tuple[str, int]] = (),
    ) -> Document | None:
        """The first document that matches."""
        found = await self.find(query, fields, session=session, sort=sort, limit=1).to_list()
        return found[0] if found else None

    async def count_documents(self, query: Mapping[str, Any], *, session: Session | None = None, limit: int = 0) -> int:
        """The number of documents that match, at most `limit` if given."""

        def count(transaction: Transaction | None, at: int | None) -> int:
            return sum(1 for _ in self._storage.find(self.name, query, at, transaction))

        found = await self._read(count, session)
        return min(found, limit) if limit else found

    async def aggregate(
        self, pipeline: Sequence[Mapping[str, Any]], *, session: Session | None = None, **_: Any
    ) -> Cursor:
        """A cursor over the results of a pipeline."""

        def read(transaction: Transaction | None, at: int | None) -> list[Document]:
            def documents(name: str, query: Mapping[str, Any]) -> list[Document]:
                return [copied(document) for _, document in self._storage.find(name, query, at, transaction)]

            first: Mapping[str, Any] = pipeline[0].get("$match", {}) if pipeline else {}
            return changes.run(pipeline, documents(self.name, first), documents, self._storage.clock())

        found = await self._read(read, session)

        async def given(_: Cursor) -> list[Document]:
            return found

        return Cursor(given)

    async def insert_one(self, document: Document, *, session: Session | None = None) -> None:
        """Insert a document."""
        try:
            await self._write([InsertOne(document)], session)
        except BulkWriteError as error:
            raise _single(error) from None

    async def insert_many(
        self, documents: Iterable[Document], *, ordered: bool = True, session: Session | None = None
    ) -> None:
        """Insert documents."""
        await self._write([InsertOne(document) for document in documents], session, ordered=ordered)

    async def update_one(
        self, query: Mapping[str, Any], update: Any, *, upsert: bool = False, session: Session | None = None
    ) -> SimpleNamespace:
        """Update the first document that matches."""
        try:
            done = await self._write([UpdateOne(query, update, upsert=upsert)], session)
        except BulkWriteError as error:
            raise _single(error) from None
        return SimpleNamespace(matched_count=done.matched_count, modified_count=done.modified_count)

    async def update_many(
        self, query: Mapping[str, Any], update: Any, *, session: Session | None = None
    ) -> SimpleNamespace:
        """Update all documents that match."""

        def work(transaction: Transaction | None, _: int | None) -> SimpleNamespace:
            now = self._storage.clock()
            found = list(self._storage.find(self.name, query, None, transaction))
            written = [(key, changes.updated(copied(one), update, now, is_new=False)) for key, one in found]
            new = [(key, stored(one)) for key, one in written]
            self._storage.write(self.name, new, transaction, process)
            count = sum(one != before for (_, one), (_, before) in zip(new, found, strict=True))
            return SimpleNamespace(matched_count=len(found), modified_count=count)

        process = current_process()
        return await self._change(work, session)

    async def delete_one(self, query: Mapping[str, Any], *, session: Session | None = None) -> SimpleNamespace:
        """Delete the first document that matches."""
        return await self._write([DeleteOne(query)], session)

    async def delete_many(self, query: Mapping[str, Any], *, session: Session | None = None) -> SimpleNamespace:
        """Delete all documents that match."""

        def work(transaction: Transaction | None, _: int | None) -> SimpleNamespace:
            keys = [key for key, _ in self._storage.find(self.name, query, None, transaction)]
            self._storage.write(self.name, [(key, None) for key in keys], transaction, process)
            return SimpleNamespace(deleted_count=len(keys))

        process = current_process()
        return await self._change(work, session)

    async def find_one_and_update(
        self,
        query: Mapping[str, Any],
        update: Any,
        projection: Mapping[str, Any] | None = None,
        *,
        upsert: bool = False,
        return_document: bool = False,
        sort: Sequence[tuple[str, int]] = (),
        session: Session | None = None,
    ) -> Document | None:
        """Update the first document that matches; gives it as it was before, or after."""

        def work(transaction: Transaction | None, _: int | None) -> Document | None:
            found = list(self._storage.find(self.name, query, None, transaction))
            if sort:
                ordered = in_order([one for _, one in found], sort)
                found = [(key_of(one["_id"]), one) for one in ordered]
            before = found[0][1] if found else None
            operation = UpdateOne({"_id": before["_id"]} if before else query, update, upsert=upsert)
            self._one(operation, transaction, process)
            if not return_document:
                return before and projected(before, projection)
            key = key_of(before["_id"]) if before else key_of(query["_id"])
            after = self._storage.current(self.name, key, transaction)
            return after and projected(after, projection)

        process = current_process()
        try:
            return await self._change(work, session)
        except Duplicate as duplicate:
            raise DuplicateKeyError(str(duplicate), DUPLICATE, {"code": DUPLICATE}) from None

    async def bulk_write(
        self, operations: Sequence[Any], *, ordered: bool = True, session: Session | None = None
    ) -> SimpleNamespace:
        """Carry out several writes. Outside of transactions, each has its own outcome."""
        return await self._write(operations, session, ordered=ordered)

    async def drop(self) -> None:
        """Delete all documents."""
        await self.delete_many({})

    def _create(self, table: Any, models: Sequence[IndexModel]) -> None:
        known = {index.name for index in table.indexes}
        for model in models:
            options = model.document
            if options.get("unique") and options["name"] not in known:
                partial = options.get("partialFilterExpression")
                table.indexes.append(UniqueIndex(options["name"], tuple(options["key"]), partial))

    async def _read(self, work: Callable[[Transaction | None, int | None], T], session: Session | None) -> T:
        if session is not None:
            return await session.carry_out(work)
        return await self._server.call(lambda: work(None, self._storage.majority))

    async def _change(self, work: Callable[[Transaction | None, int | None], T], session: Session | None) -> T:
        if session is not None:
            return await session.carry_out(work)
        return await self._server.call(lambda: work(None, None), waits_for_majority=self._waits_for_majority)

    async def _write(
        self, operations: Sequence[Any], session: Session | None, *, ordered: bool = True
    ) -> SimpleNamespace:
        operations = [_as_sent(one) for one in operations]
        process = current_process()
        progress = _Progress()

        def work(transaction: Transaction | None, _: int | None) -> SimpleNamespace:
            # A write that waits for a transaction goes on where it was.
            while progress.next < len(operations) and not (ordered and progress.errors):
                try:
                    matched, modified, deleted = self._one(operations[progress.next], transaction, process)
                except Duplicate as duplicate:
                    error = {"index": progress.next, "code": DUPLICATE, "errmsg": str(duplicate)}
                    progress.errors.append(error)
                    if transaction is not None:
                        break
                else:
                    progress.matched += matched
                    progress.modified += modified
                    progress.deleted += deleted
                progress.next += 1
            if progress.errors:
                raise BulkWriteError({"writeErrors": progress.errors, "writeConcernErrors": []})
            return SimpleNamespace(
                matched_count=progress.matched, modified_count=progress.modified, deleted_count=progress.deleted
            )

        return await self._change(work, session)

    def _one(self, operation: Any, transaction: Transaction | None, process: Any) -> tuple[int, int, int]:
        """Carry out one write; how many documents were matched, modified and deleted."""
        storage, name = self._storage, self.name
        if isinstance(operation, InsertOne):
            document = operation._doc
            key = key_of(document["_id"])
            if storage.current(name, key, transaction) is not None:
                raise Duplicate(f"{name}: {key!r}")
            storage.write(name, [(key, document)], transaction, process)
            return 0, 0, 0
        found = next(storage.find(name, operation._filter, None, transaction), None)
        if isinstance(operation, DeleteOne):
            if found is None:
                return 0, 0, 0
            storage.write(name, [(found[0], None)], transaction, process)
            return 0, 0, 1
        if found is None and not operation._upsert:
            return 0, 0, 0
        if isinstance(operation, ReplaceOne):
            begun = changes.upserted(operation._filter) if found is None else found[1]
            document = stored({"_id": begun["_id"], **operation._doc})
        else:
            begun = changes.upserted(operation._filter) if found is None else copied(found[1])
            now = storage.clock()
            is_new = found is None
            document = stored(changes.updated(begun, operation._doc, now, is_new=is_new, query=operation._filter))
        if found is None:
            key = key_of(document["_id"])
            if storage.current(name, key, transaction) is not None:
                raise Duplicate(f"{name}: {key!r}")
            storage.write(name, [(key, document)], transaction, process)
            return 0, 0, 0
        storage.write(name, [(found[0], document)], transaction, process)
        return 1, int(document != found[1]), 0


class _Progress:
    def __init__(self) -> None:
        self.next = self.matched = self.modified = self.deleted = 0
        self.errors: list[dict[str, Any]] = []


def _as_sent(operation: Any) -> Any:
    """The write as it is sent: what the caller changes later does not change it."""
    if isinstance(operation, InsertOne):
        document = operation._doc
        if "_id" not in document:
            document["_id"] = bson.ObjectId()
        return InsertOne(stored(document))
    return operation


def _single(error: BulkWriteError) -> DuplicateKeyError:
    problem = error.details["writeErrors"][0]
    return DuplicateKeyError(problem["errmsg"], DUPLICATE, problem)

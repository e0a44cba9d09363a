"""The driver's client, databases, collections, cursors and sessions, as far as the simulated services use them."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import bson
from pymongo import DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure

from tests.support.simulation.loop import current_process
from tests.support.simulation.mongo import changes
from tests.support.simulation.mongo.matching import Document, in_order, projected
from tests.support.simulation.mongo.server import Server, failure
from tests.support.simulation.mongo.storage import Duplicate, Transaction, UniqueIndex, WriteConflict, key_of, stored

T = TypeVar("T")
IN_TRANSACTION = ("TransientTransactionError",)
COMMIT = ("UnknownTransactionCommitResult", "RetryableWriteError")
DUPLICATE = 11000


class Client:
    """A client of one process."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.admin = Admin(self)
        self._idle_sessions: list[bytes] = []
        self._numbers: dict[bytes, int] = {}

    def database(self, name: str = "simulation") -> "Database":
        """A database; all of them have the same collections."""
        return Database(self, name)

    def __getitem__(self, name: str) -> "Database":
        return self.database(name)

    def start_session(self, *, snapshot: bool = False, **_: Any) -> "Session":
        """A session: the last one that was ended, as the driver's pool gives it, or a new one."""
        if self._idle_sessions:
            return Session(self, self._idle_sessions.pop(), snapshot=snapshot)
        return Session(self, self.server.chance.randbytes(16), snapshot=snapshot)

    def next_number(self, session_id: bytes) -> int:
        """The number of the session's next transaction."""
        self._numbers[session_id] = self._numbers.get(session_id, 0) + 1
        return self._numbers[session_id]

    def return_session(self, session_id: bytes) -> None:
        """Keep a session for the next caller."""
        self._idle_sessions.append(session_id)


class Admin:
    """The database `admin`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def command(self, name: str, argument: Any = None, *, session: "Session | None" = None) -> Document:
        """Carry out a command."""
        server = self._client.server
        match name:
            case "killSessions":
                ids = [one["id"] for one in argument]

                def kill() -> None:
                    for session_id in ids:
                        server.undo(session_id)

                await server.call(kill)
            case "abortTransaction":
                assert session is not None
                await session.abort_on_server()
            case _:
                raise NotImplementedError(name)
        return {"ok": 1.0}


class Session:
    """A session, with at most one transaction at a time."""

    def __init__(self, client: Client, session_id: bytes, *, snapshot: bool) -> None:
        self.client = client
        self.session_id = {"id": session_id}
        self._id = session_id
        self._state = "none"
        self._number = 0
        self._is_dirty = False
        self._snapshot: int | None = None
        self._reads_one_moment = snapshot

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end_session()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and not ended."""
        return self._state in ("starting", "open")

    async def end_session(self) -> None:
        """Abort what is open, and give the session back."""
        if self.in_transaction:
            await self.abort_transaction()
        self.client.server.storage.snapshots.pop(self, None)
        if not self._is_dirty:
            self.client.return_session(self._id)

    async def start_transaction(self, *_: Any, **__: Any) -> None:
        """Begin a transaction with the next request."""
        self._number, self._state = self.client.next_number(self._id), "starting"

    async def commit_transaction(self) -> None:
        """Commit; a second call finds out what became of the first."""
        if self._state == "starting":
            self._state = "committed"
            return
        self._state = "committed"
        server = self.client.server
        await self._noting_loss(
            server.call(lambda: server.commit(self._id, self._number), waits_for_majority=True, labels=COMMIT)
        )

    async def abort_transaction(self) -> None:
        """Abort. As with the driver, an error is not reported."""
        state, self._state = self._state, "aborted"
        if state == "open":
            with contextlib.suppress(AutoReconnect, OperationFailure):
                await self.abort_on_server()

    async def abort_on_server(self) -> None:
        """Abort on the server. Raises the driver's errors."""
        server = self.client.server

        def abort() -> None:
            server.storage.end(server.transaction(self._id, self._number), commits=False)

        await self._noting_loss(server.call(abort))

    async def carry_out(self, work: Callable[[Transaction | None, int | None], T]) -> T:
        """Carry out a request of this session; `work` gets the transaction, or the moment to read."""
        server = self.client.server
        storage = server.storage
        if not self.in_transaction:

            def read() -> T:
                if self._snapshot is None and self._reads_one_moment:
                    self._snapshot = storage.snapshots[self] = storage.majority
                return work(None, storage.majority if self._snapshot is None else self._snapshot)

            return await self._noting_loss(server.call(read))
        is_first, self._state = self._state == "starting", "open"
        process = current_process()

        def write() -> T:
            found = (
                server.begin(self._id, self._number, process)
                if is_first
                else server.transaction(self._id, self._number)
            )
            storage.begin(found)
            try:
                return work(found, None)
            except WriteConflict as conflict:
                storage.end(found, commits=False)
                raise failure(112, f"write conflict: {conflict}", *IN_TRANSACTION) from None
            except Exception:
                storage.end(found, commits=False)
                raise

        return await self._noting_loss(server.call(write, labels=IN_TRANSACTION))

    async def _noting_loss(self, request: Coroutine[Any, Any, T]) -> T:
        try:
            return await request
        except AutoReconnect:
            self._is_dirty = True
            raise


class Database:
    """A database of one client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def __getitem__(self, name: str) -> "Collection":
        return Collection(self, name)

    async def list_collection_names(self) -> list[str]:
        """The names of the collections that exist."""
        return await self.client.server.call(lambda: list(self.client.server.storage.tables))

    async def create_collection(self, name: str, **_: Any) -> None:
        """Create a collection, unless it exists."""
        await self.client.server.call(lambda: self.client.server.storage.table(name))

    async def command(self, *_: Any, **__: Any) -> Document:
        """Commands that change options of collections have no effect here."""
        return {"ok": 1.0}


class Cursor:
    """The results of a query, which is sent when the first of them is needed."""

    def __init__(self, fetch: Callable[["Cursor"], Any]) -> None:
        self._fetch = fetch
        self.order: list[tuple[str, int]] = []
        self.most = 0

    def sort(self, keys: str | Sequence[tuple[str, int]], direction: int = 1) -> "Cursor":
        """Sort the results."""
        self.order = [(keys, direction)] if isinstance(keys, str) else list(keys)
        return self

    def limit(self, most: int) -> "Cursor":
        """Give no more results than this; 0 for all."""
        self.most = most
        return self

    def batch_size(self, _: int) -> "Cursor":
        """Results come in one batch here."""
        return self

    async def to_list(self, _: int | None = None) -> list[Document]:
        """All results."""
        found: list[Document] = await self._fetch(self)
        return found

    async def __aiter__(self) -> AsyncIterator[Document]:
        for document in await self.to_list():
            yield document


class Collection:
    """A collection of one client."""

    def __init__(self, database: Database, name: str, *, waits_for_majority: bool = True) -> None:
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
                found = [document for _, document in self._storage.find(self.name, query or {}, at, transaction)]
                if cursor.order:
                    found = in_order(found, cursor.order)
                return [projected(stored(one), fields) for one in (found[: cursor.most] if cursor.most else found)]

            return await self._read(read, session)

        cursor = Cursor(fetch)
        cursor.order, cursor.most = list(sort), limit
        return cursor

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
                return [stored(document) for _, document in self._storage.find(name, query, at, transaction)]

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
            written = [(key, changes.updated(stored(one), update, now, is_new=False)) for key, one in found]
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
                return before and projected(stored(before), projection)
            key = key_of(before["_id"]) if before else key_of(query["_id"])
            after = self._storage.current(self.name, key, transaction)
            return after and projected(stored(after), projection)

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
            if next(storage.find(name, {"_id": document["_id"]}, None, transaction), None) is not None:
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
            begun = changes.upserted(operation._filter) if found is None else stored(found[1])
            now = storage.clock()
            document = stored(changes.updated(begun, operation._doc, now, is_new=found is None))
        if found is None:
            key = key_of(document["_id"])
            if next(storage.find(name, {"_id": document["_id"]}, None, transaction), None) is not None:
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

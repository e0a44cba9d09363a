"""The only file that names the MongoDB driver: connecting, transactions, and what its errors mean.

PyMongo's `AsyncMongoClient` is the default; Motor works as well (design, section 4). Where the two differ, this file
hides it: both are handed out under PyMongo's types, and everything else uses only calls that are the same in both.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, cast

from bson import Binary
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.kit.failures import StartRefused, TransientFailure

__all__ = [
    "ASCENDING",
    "DESCENDING",
    "Binary",
    "BulkWriteError",
    "Collection",
    "Database",
    "DeleteOne",
    "Document",
    "DriverName",
    "DuplicateKeyError",
    "IndexModel",
    "InsertOne",
    "PyMongoError",
    "ReplaceOne",
    "Session",
    "UpdateOne",
    "WriteConcern",
    "aggregate",
    "connect",
    "end_sessions",
    "find_raw",
    "is_dropped",
    "is_duplicate_key",
    "is_transient",
    "open_database",
    "snapshot_session",
    "transaction",
]

log = logging.getLogger(__name__)

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = AsyncDatabase[Document]
Collection: TypeAlias = AsyncCollection[Document]
Session: TypeAlias = AsyncClientSession

DriverName = Literal["pymongo", "motor"]
DUPLICATE_KEY = 11000
COMMIT_ATTEMPTS = 5
RAW_AT_ONCE = 2_000
"""Documents."""
# Codes of a server that is stepping down, shutting down or has lost its majority; PyMongo gives most of them a class of
# their own, but inside bulk writes they arrive as bare codes.
_AWAY_CODES = {6, 7, 89, 91, 112, 189, 251, 262, 9001, 10107, 11600, 11602, 13435, 13436, 24, 50, 64, 246}
# User not found, unauthorised, authentication failed, disk full: somebody has to mend the server, not the record.
_UNFIT_CODES = {11, 13, 18, 14031}
# Namespace not found, query plan killed: the collection was dropped while it was read.
_DROPPED_CODES = {26, 175}
TRANSIENT_CODES = frozenset(_AWAY_CODES | _UNFIT_CODES)


def connect(uri: str, driver: DriverName = "pymongo") -> AsyncMongoClient[Document]:
    """A client of the chosen driver; it connects on first use.

    Raises:
        StartRefused: the address cannot be read, asks for less than majority writes, or the driver is not installed.
    """
    options: dict[str, Any] = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "tz_aware": True}
    try:
        client = _client(uri, driver, options)
        requested = client.options.write_concern.document.get("w", "majority")
    except (ConfigurationError, InvalidURI) as error:
        raise StartRefused(f"TRIPTYCH_MONGO_URI cannot be used: {error}") from None
    if requested != "majority":
        raise StartRefused(
            f"TRIPTYCH_MONGO_URI asks for write concern w={requested}, which can lose acknowledged commands. "
            "Remove it, or set w=majority."
        )
    return client


def _client(uri: str, driver: DriverName, options: dict[str, Any]) -> AsyncMongoClient[Document]:
    if driver == "pymongo":
        return AsyncMongoClient(uri, **options)
    try:
        from motor.motor_asyncio import AsyncIOMotorClient
    except ImportError:
        raise StartRefused("TRIPTYCH_MONGO_DRIVER=motor needs Motor: pip install 'triptych[motor]'") from None
    return cast("AsyncMongoClient[Document]", AsyncIOMotorClient(uri, **options))


@asynccontextmanager
async def open_database(uri: str, name: str, driver: DriverName = "pymongo") -> AsyncIterator[Database]:
    """A database with majority reads and writes, on a server that was seen to do transactions.

    Raises:
        StartRefused: nobody answers at the address, or the server is a standalone without transactions.
    """
    client = connect(uri, driver)
    try:
        await _require_transactions(client)
        yield client.get_database(
            name, read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority", wtimeout=10_000)
        )
    finally:
        closing = client.close()
        if asyncio.iscoroutine(closing):  # Motor closes at once and returns None
            await closing


async def _require_transactions(client: AsyncMongoClient[Document]) -> None:
    try:
        hello = await client.admin.command("hello")
    except ConnectionFailure as error:
        raise StartRefused(f"MongoDB does not answer (TRIPTYCH_MONGO_URI): {error}") from None
    except OperationFailure as error:
        raise StartRefused(f"MongoDB refuses the connection (TRIPTYCH_MONGO_URI): {error}") from None
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StartRefused(
            "MongoDB runs as a standalone server, which has no transactions. Start it with --replSet rs0 and run "
            "rs.initiate() once; a replica set of one member is enough."
        )


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Session]:
    """One transaction: committed when the block ends, aborted when it raises.

    The driver's own helper repeats a failed transaction for up to two minutes; here the caller decides, since only it
    knows whether loading and deciding have to be done again.

    Raises:
        TransientFailure: the server was away, or another transaction wrote the same documents (write conflict).
    """
    # Motor hands out sessions through a coroutine, PyMongo directly.
    starting = database.client.start_session()
    session = await starting if asyncio.iscoroutine(starting) else starting
    async with session:
        begun = session.start_transaction()
        if asyncio.iscoroutine(begun):
            await begun
        try:
            yield session
        except PyMongoError as error:
            await _abort(session)
            if is_transient(error):
                raise TransientFailure(f"MongoDB transaction: {error}") from error
            raise
        except BaseException:
            await _abort(session)
            raise
        await _commit(session)


@asynccontextmanager
async def snapshot_session(database: Database) -> AsyncIterator[Session]:
    """Reads in this session all see the database as it was at the first of them."""
    starting = database.client.start_session(snapshot=True)
    session = await starting if asyncio.iscoroutine(starting) else starting
    async with session:
        yield session


async def end_sessions(database: Database, session_ids: Sequence[bytes]) -> None:
    """Abort the transactions of these sessions, whose processes are gone or shall not go on."""
    if not session_ids:
        return
    try:
        await database.client.admin.command("killSessions", [{"id": session_id} for session_id in session_ids])
    except OperationFailure as error:
        log.warning("MongoDB does not let us end the transactions of a former owner, and may do so late: %s", error)


async def _commit(session: Session) -> None:
    for attempt in range(1, COMMIT_ATTEMPTS + 1):
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            # Committing again is safe: the server knows this transaction and answers what became of it.
            if error.has_error_label("UnknownTransactionCommitResult") and attempt < COMMIT_ATTEMPTS:
                continue
            if is_transient(error):
                raise TransientFailure(f"MongoDB commit: {error}") from error
            raise
        else:
            return


async def _abort(session: Session) -> None:
    if session.in_transaction:
        try:
            await session.abort_transaction()
        except PyMongoError:
            return  # the server drops it by itself; the first error is the one worth telling


async def aggregate(collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
    """The results of an aggregation. Raises the driver's errors."""
    starting: Any = collection.aggregate(list(pipeline))
    # PyMongo hands out cursors through a coroutine, Motor directly.
    cursor = await starting if asyncio.iscoroutine(starting) else starting
    found: list[Document] = await cursor.to_list(None)
    return found


async def find_raw(
    collection: Collection, query: Mapping[str, Any], projection: Mapping[str, Any], order: Sequence[tuple[str, int]]
) -> AsyncIterator[bytes]:
    """What `find` would give as BSON, many documents at a time, for readers that compare instead of reading them.

    Raises the driver's errors.
    """
    # Parts of megabytes take twice the time: memory of their size is asked of the kernel, and given back, each time.
    parts: Any = collection.find_raw_batches(query, projection, sort=list(order), batch_size=RAW_AT_ONCE)
    async for part in parts:
        yield part


def is_dropped(error: BaseException) -> bool:
    """Whether the collection was dropped while it was read."""
    return isinstance(error, OperationFailure) and error.code in _DROPPED_CODES


def is_duplicate_key(error: BaseException) -> bool:
    """Whether a unique index refused the write, singly or in a bulk."""
    if isinstance(error, BulkWriteError):
        return any(problem.get("code") == DUPLICATE_KEY for problem in error.details.get("writeErrors", ()))
    return isinstance(error, DuplicateKeyError)


def is_transient(error: BaseException) -> bool:
    """Whether the same operation may succeed when repeated."""
    if not isinstance(error, PyMongoError) or is_duplicate_key(error):
        return False
    if isinstance(error, ConnectionFailure):
        return True
    if any(error.has_error_label(label) for label in ("TransientTransactionError", "RetryableWriteError")):
        return True
    return isinstance(error, OperationFailure) and error.code in TRANSIENT_CODES

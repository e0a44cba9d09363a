"""The only file that names the MongoDB driver: connecting, sessions, and what its errors mean.

PyMongo's `AsyncMongoClient` is the default; Motor works as well. Where the two differ, this file
hides it: both are handed out under PyMongo's types, and everything else uses only calls that are the same in both.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, TypeAlias, cast

from bson import Binary
from pymongo import (
    ASCENDING,
    DESCENDING,
    AsyncMongoClient,
    DeleteOne,
    IndexModel,
    InsertOne,
    ReplaceOne,
    UpdateOne,
    timeout,
)
from pymongo.asynchronous import pool
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidOperation,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo.address import is_direct, weaknesses
from triptych.kit.mongo.codes import DROPPED_CODES, DUPLICATE_KEY, TRANSIENT_CODES
from triptych.kit.process.waits import waiting_for

__all__ = [
    "ASCENDING",
    "DESCENDING",
    "MAJORITY_MS",
    "Binary",
    "BulkWriteError",
    "Collection",
    "ConnectionFailure",
    "Database",
    "DeleteOne",
    "Document",
    "DriverName",
    "DuplicateKeyError",
    "IndexModel",
    "InsertOne",
    "OperationFailure",
    "PyMongoError",
    "ReadConcern",
    "ReplaceOne",
    "Session",
    "UpdateOne",
    "WriteConcern",
    "aggregate",
    "begin_transaction",
    "connect",
    "find_raw",
    "is_dropped",
    "is_duplicate_key",
    "is_transient",
    "open_database",
    "open_session",
    "patient",
    "snapshot_session",
]

log = logging.getLogger(__name__)

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = AsyncDatabase[Document]
Collection: TypeAlias = AsyncCollection[Document]
Cursor: TypeAlias = AsyncCursor[Document]
Session: TypeAlias = AsyncClientSession

DriverName = Literal["pymongo", "motor"]
MAJORITY_MS = 5_000
"""How long a write waits for a majority before it is said that its outcome is not known."""
RAW_AT_ONCE = 2_000
"""Documents."""
_OPTIONS: Mapping[str, Any] = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    # A server that does not answer is noticed within this and the time to connect.
    "heartbeatFrequencyMS": 5_000,
    "tz_aware": True,
}
# A connection whose packets are lost is noticed within this; one option of the address may change it.
_SOCKET_MS = 30_000
_PATIENT_SECONDS = 24 * 3_600.0
MAJORITY = WriteConcern("majority", wtimeout=MAJORITY_MS)
_REPEATABLE = ("TransientTransactionError", "RetryableWriteError", "UnknownTransactionCommitResult")
_ANSWER_SECONDS = 4.0
_STANDALONE = (
    "MongoDB runs as a standalone server, which has no transactions. Start it with --replSet rs0 and run "
    "rs.initiate() once; a replica set of one member is enough."
)
# In the driver's words: all servers answer, and none is a member of the set that the address names.
_NO_MEMBER = "No replica set members available"
_UNRESOLVED = "DNS"  # in its words for a mongodb+srv address that cannot be looked up
_CLOSED = "after close"  # in the driver's words for a client that this process has closed


async def _send_all(conn: Any, message: bytes) -> None:
    """Send as PyMongo does. Its own `asyncio.wait_for` loses a cancellation that comes together with the result."""
    try:
        async with asyncio.timeout(conn.gettimeout):
            await conn.write(message)
    except TimeoutError as error:
        raise TimeoutError("timed out") from error


if sys.version_info < (3, 12):  # later versions of Python lose none
    pool.async_sendall = _send_all  # type: ignore[assignment, attr-defined]


def connect(uri: str, driver: DriverName = "pymongo") -> AsyncMongoClient[Document]:
    """A client of the chosen driver; it connects on first use.

    Raises:
        StartRefused: the address cannot be read, has an option that weakens a promise, or the driver is not installed.
    """
    try:
        client = _client(uri, driver, dict(_OPTIONS))
    except (ConfigurationError, InvalidURI) as error:
        raise StartRefused(f"TRIPTYCH_MONGO_URI cannot be used: {error}") from None
    found = weaknesses(uri)
    if found:
        raise StartRefused("TRIPTYCH_MONGO_URI asks for what cannot be promised with:\n  " + "\n  ".join(found))
    return client


def _client(uri: str, driver: DriverName, options: dict[str, Any]) -> AsyncMongoClient[Document]:
    if "sockettimeoutms" not in uri.lower():
        options["socketTimeoutMS"] = _SOCKET_MS
    if driver == "pymongo":
        return AsyncMongoClient(uri, **options)
    try:
        from motor.motor_asyncio import AsyncIOMotorClient
    except ImportError:
        raise StartRefused("TRIPTYCH_MONGO_DRIVER=motor needs Motor: pip install 'triptych[motor]'") from None
    return cast("AsyncMongoClient[Document]", AsyncIOMotorClient(uri, **options))


@asynccontextmanager
async def open_database(uri: str, name: str, driver: DriverName = "pymongo") -> AsyncIterator[Database]:
    """A database with majority reads and writes, both on the primary, of a server that was seen to do transactions.

    Raises:
        NotYetAvailable: nobody answers at the address, or nobody yet who may write.
        StartRefused: the address cannot be used (see `connect`), its user or password is wrong, the server is a
            standalone without transactions, or the address ties us to one of several servers.
    """
    client = connect(uri, driver)
    try:
        await _require_transactions(client, is_direct=is_direct(uri))
        yield client.get_database(
            name,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=MAJORITY,
        )
    finally:
        closing = client.close()
        if asyncio.iscoroutine(closing):  # Motor closes at once and returns None
            await closing


async def _require_transactions(client: AsyncMongoClient[Document], *, is_direct: bool) -> None:
    try:
        with timeout(min(_ANSWER_SECONDS, client.options.server_selection_timeout)):
            hello = await client.admin.command("hello")
    except PyMongoError as error:
        # What follows differs from one try to the next, and would make each a new line of the log.
        words = str(error).partition(", Timeout:")[0]
        if _NO_MEMBER in words:
            raise StartRefused(f"{words} (TRIPTYCH_MONGO_URI). {_STANDALONE} Or its set has another name.") from None
        if is_transient(error) or _UNRESOLVED in words:
            raise NotYetAvailable(f"MongoDB does not answer (TRIPTYCH_MONGO_URI): {words}") from None
        raise StartRefused(f"MongoDB refuses the connection (TRIPTYCH_MONGO_URI): {words}") from None
    if "setName" not in hello and hello.get("isreplicaset"):
        raise NotYetAvailable("MongoDB's replica set has no members yet: run rs.initiate() once.")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StartRefused(_STANDALONE)
    if is_direct and len(hello.get("hosts", ())) > 1:
        raise StartRefused(
            "TRIPTYCH_MONGO_URI has directConnection=true, but the replica set has several members: nothing could be "
            f"written after the next election. Remove it, and set replicaSet={hello['setName']}."
        )


async def open_session(database: Database, *, snapshot: bool = False) -> Session:
    """A session, to be used as a context manager. With `snapshot` its reads all see the database at one moment."""
    # Motor hands out sessions through a coroutine, PyMongo directly.
    starting = database.client.start_session(snapshot=snapshot)
    return await starting if asyncio.iscoroutine(starting) else starting


async def begin_transaction(session: Session) -> None:
    """Begin a transaction that is decided by a majority."""
    # What is not said here would be the server's default: writes of one member, in sets with an arbiter.
    begun: Any = session.start_transaction(
        ReadConcern("snapshot"), MAJORITY, ReadPreference.PRIMARY, max_commit_time_ms=2 * MAJORITY_MS
    )
    if asyncio.iscoroutine(begun):  # PyMongo's; Motor has begun already
        await begun


@asynccontextmanager
async def snapshot_session(database: Database) -> AsyncIterator[Session]:
    """Reads in this session all see the database as it was at the first of them."""
    async with await open_session(database, snapshot=True) as session:
        yield session


async def aggregate(
    collection: Collection, pipeline: Sequence[Mapping[str, Any]], *, at_once: int | None = None
) -> list[Document]:
    """The results of an aggregation, so many in the first answer. Raises the driver's errors."""
    options: dict[str, Any] = {} if at_once is None else {"batchSize": at_once}
    starting: Any = collection.aggregate(list(pipeline), **options)
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


@contextmanager
def patient() -> Iterator[None]:
    """What the block asks of MongoDB may take hours: the building of indexes, on many documents."""
    with waiting_for("MongoDB to build indexes"), timeout(_PATIENT_SECONDS):
        yield


def is_dropped(error: BaseException) -> bool:
    """Whether the collection was dropped while it was read."""
    return isinstance(error, OperationFailure) and error.code in DROPPED_CODES


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
    if isinstance(error, InvalidOperation):
        return _CLOSED in str(error)  # this process ends
    if any(error.has_error_label(label) for label in _REPEATABLE):
        return True
    return isinstance(error, OperationFailure) and not TRANSIENT_CODES.isdisjoint(_codes(error))


def _codes(error: OperationFailure) -> Iterator[int | None]:
    yield error.code
    if isinstance(error, BulkWriteError):
        # Inside a bulk, what went wrong has no class of its own.
        for kind in ("writeErrors", "writeConcernErrors"):
            for problem in error.details.get(kind, ()):
                yield problem.get("code")

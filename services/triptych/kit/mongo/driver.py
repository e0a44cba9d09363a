"""The file that names the MongoDB driver, with `network.py`: connecting, sessions, and what its errors mean.

PyMongo's `AsyncMongoClient` is the default; Motor works as well. This file hides their differences: it returns the
objects of both under PyMongo's types. All other modules use only calls that are the same in both.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, TypeAlias, cast

from bson import Binary, Timestamp
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
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from triptych.kit.failures import Fault, NotYetAvailable, StartRefused, fault_of, server_of
from triptych.kit.mongo import network
from triptych.kit.mongo.address import NOT_ENCODED, has_bare_secret, is_direct, weaknesses
from triptych.kit.mongo.codes import DROPPED_CODES, DUPLICATE_KEY, TRANSIENT_CODES
from triptych.kit.mongo.refusals import STANDALONE, start_failure
from triptych.kit.mongo.routers import note_server
from triptych.kit.process.clock import CLOCK
from triptych.kit.process.stopping import DATABASE, stop_deadline
from triptych.kit.process.supervision import unlimited
from triptych.kit.process.waits import waiting_for
from triptych.kit.tracing.spans import tracer_in_use

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
    "Timestamp",
    "UpdateOne",
    "WriteConcern",
    "aggregate",
    "begin_transaction",
    "building_indexes",
    "connect",
    "find_raw",
    "is_dropped",
    "is_duplicate_key",
    "is_transient",
    "open_database",
    "open_session",
    "snapshot_session",
]

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = AsyncDatabase[Document]
Collection: TypeAlias = AsyncCollection[Document]
Cursor: TypeAlias = AsyncCursor[Document]
Session: TypeAlias = AsyncClientSession

DriverName = Literal["pymongo", "motor"]
MAJORITY_MS = 5_000
"""How long a write waits for a majority before its outcome counts as unknown."""
RAW_BATCH_DOCUMENTS = 2_000
_OPTIONS: Mapping[str, Any] = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    # A server that does not answer is noticed within this time plus the time to connect.
    "heartbeatFrequencyMS": 5_000,
    "tz_aware": True,
}
# A connection whose packets are lost is noticed within this time; `socketTimeoutMS` in the address may change it.
_SOCKET_MS = 30_000
_INDEX_BUILD_SECONDS = 24 * 3_600.0
MAJORITY = WriteConcern("majority", wtimeout=MAJORITY_MS)
_REPEATABLE = ("TransientTransactionError", "RetryableWriteError", "UnknownTransactionCommitResult")
_ANSWER_SECONDS = 4.0
_CLOSED = "after close"  # text of the driver's error if this process has closed the client


network.install()


class _Heartbeats(ServerHeartbeatListener):
    """Tells the clock of this process the time of the server that takes writes."""

    def __init__(self) -> None:
        self._time = CLOCK.source()

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """Nothing to do."""

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        """Nothing to do: the monotonic clock counts on."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        """Note the time. A router of a cluster counts as a server that takes writes, whichever it is."""
        if event.reply.is_writable:
            is_router = event.reply.document.get("msg") == "isdbgrid"
            self._time.note("router" if is_router else event.connection_id, event.reply.document["localTime"])

    def close(self) -> None:
        """The client is closed."""
        self._time.close()


def connect(
    uri: str,
    driver: DriverName = "pymongo",
    options: Mapping[str, Any] | None = None,
    listeners: Sequence[Any] = (),
) -> AsyncMongoClient[Document]:
    """A client of the chosen driver, with `options` besides those of the address. It connects on first use.

    `listeners` are the driver's.

    Raises:
        StartRefused: the address cannot be read, or has an option that weakens a promise; or the driver is not
            installed.
    """
    if has_bare_secret(uri):
        raise StartRefused(NOT_ENCODED)
    try:
        client = _client(uri, driver, {**_OPTIONS, "event_listeners": [*_listeners(), *listeners], **(options or {})})
    except (ConfigurationError, InvalidURI, OSError, ValueError) as error:  # the latter two for files, and for hosts
        raise StartRefused(f"TRIPTYCH_MONGO_URI cannot be used: {error}") from None
    found = weaknesses(uri)
    if found:
        raise StartRefused("TRIPTYCH_MONGO_URI asks for what cannot be promised with:\n  " + "\n  ".join(found))
    return client


def _listeners() -> list[Any]:
    tracer = tracer_in_use()
    return [] if tracer is None else tracer.mongo_listeners()


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
async def open_database(
    uri: str, name: str, driver: DriverName = "pymongo", options: Mapping[str, Any] | None = None
) -> AsyncIterator[Database]:
    """A database with majority reads and writes on the primary, once the server has shown that it has transactions.

    Raises:
        NotYetAvailable: no server answers at the address, or none is writable yet.
        StartRefused: the address cannot be used (see `connect`), a certificate, user or password is refused, the
            server is a standalone without transactions, or the address limits the client to one of several servers.
    """
    heartbeats = _Heartbeats()
    client = connect(uri, driver, options, [heartbeats])
    try:
        await _require_transactions(client, name, is_direct=is_direct(uri))
        yield client.get_database(
            name,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=MAJORITY,
        )
    finally:
        heartbeats.close()
        closing = client.close()
        if asyncio.iscoroutine(closing):  # Motor closes at once and returns None
            # The driver asks the server to end its sessions, which a server that stands still does not answer.
            async with stop_deadline().step("the connection to MongoDB", DATABASE):
                await closing


async def _require_transactions(client: AsyncMongoClient[Document], name: str, *, is_direct: bool) -> None:
    try:
        with timeout(min(_ANSWER_SECONDS, client.options.server_selection_timeout)):
            hello = await client.admin.command("hello")
            if hello.get("isWritablePrimary"):
                # The server answers `hello` without authentication.
                await client[name].command("listCollections", nameOnly=True, authorizedCollections=True)
    except PyMongoError as error:
        raise start_failure(error, is_transient=is_transient(error)) from None
    if "setName" not in hello and hello.get("isreplicaset"):
        raise NotYetAvailable("MongoDB's replica set has no members yet: run rs.initiate() once.")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StartRefused(STANDALONE)
    note_server(client, hello)
    if is_direct and len(hello.get("hosts", ())) > 1:
        raise StartRefused(
            "TRIPTYCH_MONGO_URI has directConnection=true, but the replica set has several members: nothing could be "
            f"written after the next election. Remove it, and set replicaSet={hello['setName']}."
        )


async def open_session(database: Database, *, snapshot: bool = False) -> Session:
    """A session, to be used as a context manager. With `snapshot`, all its reads see the database at one moment."""
    # Motor returns sessions from a coroutine, PyMongo directly.
    starting = database.client.start_session(snapshot=snapshot)
    return await starting if asyncio.iscoroutine(starting) else starting


async def begin_transaction(session: Session) -> None:
    """Begin a transaction that commits by a majority."""
    # The server's defaults are weaker: in a set with an arbiter, one member's write is enough.
    begun: Any = session.start_transaction(
        ReadConcern("snapshot"), MAJORITY, ReadPreference.PRIMARY, max_commit_time_ms=2 * MAJORITY_MS
    )
    if asyncio.iscoroutine(begun):  # PyMongo; Motor has begun already
        await begun


@asynccontextmanager
async def snapshot_session(database: Database) -> AsyncIterator[Session]:
    """A session in which all reads see the database as it was at the first read."""
    async with await open_session(database, snapshot=True) as session:
        yield session


async def aggregate(
    collection: Collection, pipeline: Sequence[Mapping[str, Any]], session: Session | None = None, *, at_once: int = 0
) -> list[Document]:
    """The results of an aggregation, `at_once` of them, if given, in the first response. Raises the driver's errors."""
    options: dict[str, Any] = {"batchSize": at_once} if at_once else {}
    starting: Any = collection.aggregate(list(pipeline), session=session, **options)
    # PyMongo returns cursors from a coroutine, Motor directly.
    cursor = await starting if asyncio.iscoroutine(starting) else starting
    found: list[Document] = await cursor.to_list(None)
    return found


async def find_raw(
    collection: Collection, query: Mapping[str, Any], projection: Mapping[str, Any], order: Sequence[tuple[str, int]]
) -> AsyncIterator[bytes]:
    """The documents of a `find` as undecoded BSON, many at a time, for callers that only compare them.

    Raises the driver's errors.
    """
    # Batches of megabytes take twice the time: memory of that size is requested from the kernel and returned each time.
    batches: Any = collection.find_raw_batches(query, projection, sort=list(order), batch_size=RAW_BATCH_DOCUMENTS)
    async for batch in batches:
        yield batch


@contextmanager
def building_indexes() -> Iterator[None]:
    """Allow the block's operations up to a day: building an index on many documents may take hours."""
    with unlimited(), waiting_for("MongoDB to build indexes"), timeout(_INDEX_BUILD_SECONDS):
        yield


def is_dropped(error: BaseException) -> bool:
    """Whether the collection was dropped during a read."""
    return isinstance(error, OperationFailure) and error.code in DROPPED_CODES


def is_duplicate_key(error: BaseException) -> bool:
    """Whether a unique index refused the write, alone or in a bulk write."""
    if isinstance(error, BulkWriteError):
        return any(problem.get("code") == DUPLICATE_KEY for problem in error.details.get("writeErrors", ()))
    return isinstance(error, DuplicateKeyError)


def is_transient(error: BaseException) -> bool:
    """Whether the same operation may succeed when it is repeated."""
    if not isinstance(error, PyMongoError) or is_duplicate_key(error):
        return False
    if isinstance(error, ConnectionFailure) or any(error.has_error_label(label) for label in _REPEATABLE):
        return True
    if isinstance(error, InvalidOperation):
        return _CLOSED in str(error)  # this process is stopping
    return isinstance(error, OperationFailure) and not TRANSIENT_CODES.isdisjoint(_codes(error))


@fault_of.register(PyMongoError)
def _(error: PyMongoError) -> Fault:
    return Fault.DEPENDENCY if is_transient(error) else Fault.OURS


@server_of.register(PyMongoError)
def _(_: PyMongoError) -> str:
    return "mongodb"


def _codes(error: OperationFailure) -> Iterator[int | None]:
    yield error.code
    if isinstance(error, BulkWriteError):
        # The errors inside a bulk write have only codes, no classes.
        for kind in ("writeErrors", "writeConcernErrors"):
            for problem in error.details.get(kind, ()):
                yield problem.get("code")

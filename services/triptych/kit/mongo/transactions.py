"""Runs transactions: their start, commit and abort, and what follows if the outcome is unknown.

A transaction that stays open on the server blocks all writes to the same documents until MongoDB's own limit, a minute.
A transaction whose abort or commit was not confirmed is therefore remembered, and ended before the next one of this
process begins.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from triptych.kit.failures import OutcomeUnknown, TransientFailure
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.codes import BAD_SERVER_CODES
from triptych.kit.mongo.driver import (
    ConnectionFailure,
    Database,
    OperationFailure,
    PyMongoError,
    Session,
    Timestamp,
    begin_transaction,
    is_transient,
    open_session,
    snapshot_session,
)
from triptych.kit.mongo.routers import has_shards
from triptych.kit.process.waits import waiting_for

log = get_logger(__name__)

# A commit is sent a second time at once to learn its outcome. After that, the caller repeats the work and logs why.
COMMIT_ATTEMPTS = 2
_left_open: WeakKeyDictionary[Any, set[bytes]] = WeakKeyDictionary()
"""By client, the ids of sessions whose transactions may still be open on the server."""


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Session]:
    """A transaction that commits when the block ends and aborts when the block raises.

    The driver's own helper repeats a failed transaction for up to two minutes. Here the caller decides, because only
    the caller knows whether it has to load and decide again.

    Raises:
        TransientFailure: the server was away, or another transaction wrote the same documents (write conflict).
        OutcomeUnknown: a TransientFailure after which the transaction may have been committed.
    """
    await end_left_open(database)
    async with await open_session(database) as session:
        await begin_transaction(session)
        try:
            yield session
        except BaseException as error:
            await _abort(database, session, error)
            if is_transient(error):
                raise TransientFailure(f"MongoDB transaction: {error}") from error
            raise
        await _commit(database, session)


async def end_sessions(database: Database, session_ids: Iterable[bytes]) -> None:
    """Abort the transactions of these sessions: their process is gone, or no longer owns what it writes."""
    session_ids = list(session_ids)
    if not session_ids:
        return
    try:
        await database.client.admin.command("killSessions", [{"id": session_id} for session_id in session_ids])
    except OperationFailure as error:
        if is_transient(error) and error.code not in BAD_SERVER_CODES:
            raise
        log.warning("MongoDB refuses to end open transactions, and may end them itself only later", error=error)


async def end_left_open(database: Database) -> None:
    """End transactions of this process that may still be open because their abort or commit was not confirmed.

    Raises:
        TransientFailure: MongoDB is away. The next call tries again.
    """
    left_open = _left_open.get(database.client) if _left_open else None
    if not left_open:
        return
    ended = set(left_open)
    try:
        await end_sessions(database, ended)
    except PyMongoError as error:
        raise TransientFailure(f"MongoDB does not end the transactions that were left open: {error}") from error
    left_open -= ended


async def wait_for_majority(database: Database) -> None:
    """Return when majority reads show everything that was written before. Raises the driver's errors.

    On a cluster, this holds for the collections that are not divided; see `settled_reads`.
    """
    with waiting_for("MongoDB to confirm writes by a majority"):
        # A majority has this write only after it has all earlier ones. A linearizable read proves the same, but takes
        # 100 ms instead of 4 (measured), because it does not wake the journal.
        await database["barrier"].update_one({"_id": 0}, {"$inc": {"count": 1}}, upsert=True)


@asynccontextmanager
async def settled_reads(database: Database) -> AsyncIterator[Session | None]:
    """A session for the block's reads, which show everything that was written before; None if they need no session.

    Raises the driver's errors.
    """
    if not has_shards(database):
        await wait_for_majority(database)
    async with reads_of_all_shards(database) as session:
        yield session


@asynccontextmanager
async def committed_reads(database: Database) -> AsyncIterator[Session | None]:
    """A session for the block's reads before a write: they wait for transactions whose outcome is being distributed.

    The outcome of a transaction on several shards reaches each of them at another moment. Until then, a plain read on a
    shard shows the state before the transaction. This concerns the transactions of an owner that died, and those whose
    commit was not answered. A write on top of such a read would undo what was committed. None on a replica set.

    Raises the driver's errors.
    """
    if not has_shards(database):
        yield None
        return
    async with await open_session(database) as session:
        # Any moment will do: MongoDB waits for prepared transactions in every read after a moment.
        session.advance_operation_time(Timestamp(1, 1))
        yield session


@asynccontextmanager
async def reads_of_all_shards(database: Database) -> AsyncIterator[Session | None]:
    """A session for the block's reads, which show each committed transaction whole; None on a replica set.

    On a cluster, a majority on one shard says nothing of the others. Besides, a transaction on several shards may be
    committed on one and still be prepared on another, where majority reads show the state before it. A read at a moment
    waits until each shard has a majority for that moment and knows the outcome of transactions that were prepared
    before. The moment is not before the last answer that this process has received from MongoDB. MongoDB keeps it for
    five minutes; a block that takes longer fails with a transient error.

    Raises the driver's errors.
    """
    if not has_shards(database):
        yield None
        return
    async with snapshot_session(database) as session:
        yield session


async def _commit(database: Database, session: Session) -> None:
    """Commit. Raises TransientFailure if the transaction is known to be undone, otherwise OutcomeUnknown."""
    try:
        with waiting_for("MongoDB to commit by a majority"):
            await _try_to_commit(session)
    except BaseException:
        _remember_open(database, session)
        raise


async def _try_to_commit(session: Session) -> None:
    is_undone = True
    for attempt in range(1, COMMIT_ATTEMPTS + 1):
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            is_undone = is_undone and error.has_error_label("TransientTransactionError")
            if is_undone:
                raise TransientFailure(f"MongoDB commit: {error}") from error
            if attempt == COMMIT_ATTEMPTS:
                raise OutcomeUnknown(f"MongoDB did not say whether it has committed: {error}") from error
            # Committing again is safe: the server knows this transaction and returns its outcome.
        else:
            return


async def _abort(database: Database, session: Session, cause: BaseException) -> None:
    """Abort because of `cause`. A transaction that may stay open is remembered and ended before the next begins."""
    if not session.in_transaction:
        return
    _remember_open(database, session)
    # Every error that the server itself reports has ended the transaction there. If the cause is not an error of the
    # driver, the server is asked to abort directly, since the driver's own abort hides whether it succeeded.
    if not isinstance(cause, PyMongoError):
        try:
            await database.client.admin.command("abortTransaction", session=session)
        except OperationFailure:
            pass  # the transaction had already ended, or had not begun
        except ConnectionFailure:
            return
    elif isinstance(cause, ConnectionFailure):
        return
    _left_open[database.client].discard(session.session_id["id"])
    try:
        await session.abort_transaction()
    except PyMongoError:
        return  # `cause` is the error worth reporting


def _remember_open(database: Database, session: Session) -> None:
    _left_open.setdefault(database.client, set()).add(session.session_id["id"])

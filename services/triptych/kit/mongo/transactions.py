"""Transactions: their beginning and end, and what is done when nobody knows how one has ended.

A transaction that stays open on the server stops all writes to the same documents until MongoDB's own limit, a minute.
So one whose abort or commit was not confirmed is remembered, and ended before the next one of this process begins.
"""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from triptych.kit.failures import OutcomeUnknown, TransientFailure
from triptych.kit.mongo.codes import BAD_SERVER_CODES
from triptych.kit.mongo.driver import (
    ConnectionFailure,
    Database,
    OperationFailure,
    PyMongoError,
    Session,
    begin_transaction,
    is_transient,
    open_session,
)
from triptych.kit.process.waits import waiting_for

log = logging.getLogger(__name__)

# A commit is asked for its outcome once more, at once; after that the work is done again, and says why it waits.
COMMIT_ATTEMPTS = 2
_left_open: WeakKeyDictionary[Any, set[bytes]] = WeakKeyDictionary()
"""Sessions whose transactions may be open, for nobody knows whether they were aborted."""


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Session]:
    """One transaction: committed when the block ends, aborted when it raises.

    The driver's own helper repeats a failed transaction for up to two minutes; here the caller decides, since only it
    knows whether loading and deciding have to be done again.

    Raises:
        TransientFailure: the server was away, or another transaction wrote the same documents (write conflict).
        OutcomeUnknown: a TransientFailure after which the transaction may be committed.
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
    """Abort the transactions of these sessions, whose processes are gone or shall not go on."""
    session_ids = list(session_ids)
    if not session_ids:
        return
    try:
        await database.client.admin.command("killSessions", [{"id": session_id} for session_id in session_ids])
    except OperationFailure as error:
        if is_transient(error) and error.code not in BAD_SERVER_CODES:
            raise
        log.warning("MongoDB does not let us end transactions that were left open, and may do so late: %s", error)


async def end_left_open(database: Database) -> None:
    """End transactions of our own that may still be open, since aborting them failed.

    Their locks would stop every later write to the same documents until MongoDB's own limit, which is a minute.

    Raises:
        TransientFailure: MongoDB is away; they are tried again by the next call.
    """
    left = _left_open.get(database.client)
    if not left:
        return
    ended = set(left)
    try:
        await end_sessions(database, ended)
    except PyMongoError as error:
        raise TransientFailure(f"MongoDB does not end the transactions that were left open: {error}") from error
    left -= ended


async def wait_for_majority(database: Database) -> None:
    """Return when majority reads show everything that was written before. Raises the driver's errors."""
    with waiting_for("MongoDB to confirm writes by a majority"):
        # A majority has this write only after all earlier ones. A linearizable read says so too, but takes 100 ms
        # instead of 4 (measured), since it does not wake the journal.
        await database["barrier"].update_one({"_id": 0}, {"$inc": {"count": 1}}, upsert=True)


async def _commit(database: Database, session: Session) -> None:
    """Raises TransientFailure if the transaction is known to be undone, otherwise OutcomeUnknown."""
    try:
        with waiting_for("MongoDB to commit by a majority"):
            await _try_to_commit(session)
    except BaseException:
        _leave_open(database, session)
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
            # Committing again is safe: the server knows this transaction, and answers with its outcome.
        else:
            return


async def _abort(database: Database, session: Session, cause: BaseException) -> None:
    """Abort for `cause`; a transaction that may be open after that is remembered, and ended before the next begins."""
    if not session.in_transaction:
        return
    _leave_open(database, session)
    # Every error that the server itself reports has ended the transaction there. The driver's own abort hides whether
    # it was successful, so it is asked first.
    if not isinstance(cause, PyMongoError):
        try:
            await database.client.admin.command("abortTransaction", session=session)
        except OperationFailure:
            pass  # it had ended, or not begun
        except ConnectionFailure:
            return
    elif isinstance(cause, ConnectionFailure):
        return
    _left_open[database.client].discard(session.session_id["id"])
    try:
        await session.abort_transaction()
    except PyMongoError:
        return  # the first error is the one worth telling


def _leave_open(database: Database, session: Session) -> None:
    _left_open.setdefault(database.client, set()).add(session.session_id["id"])

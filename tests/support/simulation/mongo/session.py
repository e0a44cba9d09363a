"""The driver's session and its transaction, as far as the simulated services use them."""

import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo.errors import AutoReconnect, OperationFailure

from tests.support.simulation.loop import current_process
from tests.support.simulation.mongo.server import failure
from tests.support.simulation.mongo.storage import Transaction, WriteConflict

if TYPE_CHECKING:
    from tests.support.simulation.mongo.client import Client

T = TypeVar("T")
IN_TRANSACTION = ("TransientTransactionError",)
COMMIT = ("UnknownTransactionCommitResult", "RetryableWriteError")


class Session:
    """A session, with at most one transaction at a time."""

    def __init__(self, client: "Client", session_id: bytes, *, snapshot: bool) -> None:
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

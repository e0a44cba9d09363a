"""A MongoDB server on the simulated network: requests arrive late, fail, or take effect without an answer.

Writes reach a majority some time after they are committed. Until then, no majority read shows them, and a write that
waits for the majority is not answered.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from pymongo.errors import AutoReconnect, OperationFailure

from tests.support.simulation.clocks import wall_clock
from tests.support.simulation.loop import OUTSIDE, Process, SimulatedLoop, current_process
from tests.support.simulation.mongo.storage import Locked, Storage, Transaction
from tests.support.simulation.network import Network

T = TypeVar("T")
TRANSACTION_SECONDS = 60.0
"""MongoDB's own limit for a transaction that is left open (`transactionLifetimeLimitSeconds`)."""


def failure(code: int, text: str, *labels: str) -> OperationFailure:
    """An error of the server as the driver raises it."""
    return OperationFailure(text, code, {"code": code, "errmsg": text, "errorLabels": list(labels)})


class Server:
    """The server; `Client` speaks to it."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random, network: Network) -> None:
        self.loop = loop
        self.network = network
        self.chance = chance
        self.storage = Storage(lambda: datetime.fromtimestamp(wall_clock(loop), UTC))
        self.transactions: dict[bytes, Transaction] = {}
        """The last transaction of each session."""
        self._majority_waits: list[tuple[int, Callable[[], None]]] = []
        self._majority_planned = 0

    async def call(self, work: Callable[[], T], *, waits_for_majority: bool = False, labels: tuple[str, ...] = ()) -> T:
        """Carry out one request of the current process; `work` runs on the server, at once.

        Raises:
            AutoReconnect: the request or its answer was lost. It has `labels`.
            OperationFailure: of the server.
        """
        process = current_process()
        answer: asyncio.Future[T] = self.loop.create_future()
        fate = self.network.fate(process)

        def arrive() -> None:
            if fate.is_lost:
                self._answer(process, answer, None, AutoReconnect("the connection was closed", list(labels)), fate.back)
                return
            try:
                result = work()
            except Locked as locked:
                locked.owner.waiting.append(lambda: self._later(arrive, 0.001))
                return
            except Exception as raised:  # noqa: BLE001 - the driver's errors, or a fault of the model, go to the caller
                self._answer(process, answer, None, raised, fate.back)
                return
            self._plan_majority()
            error = AutoReconnect("the answer was lost", list(labels)) if fate.is_unanswered else None
            if waits_for_majority and error is None and self.storage.majority < self.storage.time:
                wait = (self.storage.time, lambda: self._answer(process, answer, result, None, fate.back))
                self._majority_waits.append(wait)
            else:
                self._answer(process, answer, result, error, fate.back)

        if process is not None and process.is_dead:
            raise asyncio.CancelledError
        self._later(arrive, fate.there)
        return await answer

    def begin(self, session_id: bytes, number: int, process: Process | None) -> Transaction:
        """Begin transaction `number` of a session. One that the session has left open is undone."""
        self.undo(session_id)
        made = self.transactions[session_id] = Transaction(number, process)
        self._later(lambda: self._expire(made), TRANSACTION_SECONDS)
        return made

    def undo(self, session_id: bytes) -> None:
        """Abort the open transaction of a session, if there is one."""
        found = self.transactions.get(session_id)
        if found is not None and found.state == "open":
            self.storage.end(found, commits=False)

    def transaction(self, session_id: bytes, number: int) -> Transaction:
        """The open transaction of this number. Raises OperationFailure if there is none."""
        found = self.transactions.get(session_id)
        if found is None or found.number != number or found.state != "open":
            raise failure(251, f"transaction {number} does not exist", "TransientTransactionError")
        return found

    def commit(self, session_id: bytes, number: int) -> None:
        """Commit a transaction; again, if it was committed before. Raises OperationFailure."""
        found = self.transactions.get(session_id)
        if found is not None and found.number == number and found.state == "committed":
            return
        self.storage.end(self.transaction(session_id, number), commits=True)

    def _expire(self, transaction: Transaction) -> None:
        if transaction.state == "open":
            self.storage.end(transaction, commits=False)

    def _answer(
        self, process: Process | None, answer: asyncio.Future[Any], result: Any, error: Exception | None, delay: float
    ) -> None:
        def give() -> None:
            if answer.done() or (process is not None and process.is_dead):
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        self._later(give, delay)

    def _plan_majority(self) -> None:
        time = self.storage.time
        if time > self._majority_planned:
            self._majority_planned = time
            self._later(lambda: self._reach(time), self.network.majority_seconds())

    def _reach(self, time: int) -> None:
        self.storage.majority = max(self.storage.majority, time)
        ready = [give for at, give in self._majority_waits if at <= self.storage.majority]
        self._majority_waits = [wait for wait in self._majority_waits if wait[0] > self.storage.majority]
        for give in ready:
            give()

    def _later(self, work: Callable[[], object], seconds: float) -> None:
        self.loop.call_later(seconds, work, context=OUTSIDE)

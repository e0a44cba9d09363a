"""Limits the bytes of items that responses hold in memory at the same time, in total and for each site."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure
from triptych.readmodel.weighing import LARGE_BYTES, Room

RESERVATION = "reservation"
"""The key of the response's reservation in the state of its request."""
WAIT_SECONDS = 5.0
"""How long a response waits for bytes; beyond, the client gets 503 and a Retry-After."""


class Budget:
    """Reserves bytes for responses, first come, first served. No site gets more than half of all bytes."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._site_limit = max(LARGE_BYTES, total // 2)
        self._taken_by_site: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], tuple[str, int]] = {}

    @property
    def free(self) -> int:
        """The bytes that are not reserved."""
        return self._free

    async def take(self, site_id: str, count: int) -> None:
        """Wait for `count` bytes; the caller must give them back with `give_back`.

        Raises:
            HttpFailure: 503, the bytes were not free in time.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = site_id, count
        self._serve()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if self._waiting.pop(turn, None) is None:
                self.give_back(site_id, count)  # granted just before the wait ended
            self._serve()
            if isinstance(error, TimeoutError):
                raise HttpFailure(503, RETRY_AFTER) from None
            raise

    def give_back(self, site_id: str, count: int) -> None:
        """Free `count` bytes of a site."""
        self._free += count
        self._taken_by_site[site_id] -= count
        if not self._taken_by_site[site_id]:
            del self._taken_by_site[site_id]
        self._serve()

    def _serve(self) -> None:
        for turn, (site_id, count) in list(self._waiting.items()):
            if self._taken_by_site[site_id] + count > self._site_limit:
                continue
            if count > self._free:
                return  # a smaller request must not overtake this one, which could otherwise wait for ever
            del self._waiting[turn]
            self._free -= count
            self._taken_by_site[site_id] += count
            turn.set_result(None)


class Reservation(Room):
    """The bytes reserved for one response, from its first read to its last byte; `release` must follow."""

    def __init__(self, budget: Budget, site_id: str) -> None:
        super().__init__()
        self._budget = budget
        self._site_id = site_id
        self._reserved = 0

    async def begin(self) -> None:
        """Wait for `small_bytes`. Raises HttpFailure (503)."""
        await self._take(self.small_bytes)

    async def enlarge(self) -> None:
        """Wait for `large_bytes`. Raises HttpFailure (503)."""
        if self._reserved < self.large_bytes:
            # Released first: responses that hold bytes while they wait for more could block each other.
            self.release()
            await self._take(self.large_bytes)

    def shrink(self, count: int) -> None:
        """Keep at most `count` bytes."""
        if count < self._reserved:
            self._budget.give_back(self._site_id, self._reserved - count)
            self._reserved = count

    def release(self) -> None:
        """Give back all bytes."""
        self.shrink(0)

    async def _take(self, count: int) -> None:
        await self._budget.take(self._site_id, count)
        self._reserved = count


async def budget_of(request: Request, budget: Budget, site_id: str) -> Reservation:
    """Reserve bytes for the response to a request; `OuterMiddleware` releases them when the response has ended.

    Raises:
        HttpFailure: 503, the bytes were not free in time.
    """
    reservation = Reservation(budget, site_id)
    await reservation.begin()
    request.scope["state"][RESERVATION] = reservation
    return reservation


def shrink_reservation(request: Request, count: int) -> None:
    """Reduce the reservation to the size of the response, once its body is encoded."""
    reservation: Reservation | None = request.scope["state"].get(RESERVATION)
    if reservation is not None:
        reservation.shrink(count)


def release_reservation(state: Mapping[str, Any]) -> None:
    """Release the reservation of a request, by the request's state, when its response was sent or abandoned."""
    reservation: Reservation | None = state.get(RESERVATION)
    if reservation is not None:
        reservation.release()

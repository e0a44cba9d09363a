"""Bounds the bytes of items that all answers together hold at a time, in all and of one site."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure
from triptych.readmodel.weighing import LARGE_BYTES, Room

HOLDING = "holding"
"""Where the state of a request keeps what its answer holds."""
WAIT_SECONDS = 5.0
"""How long an answer waits for its turn; then the client is asked to come again."""


class Budget:
    """Hands out bytes; those who wait get them in their order. No site gets more than half of them."""

    def __init__(self, in_all: int) -> None:
        self._free = in_all
        self._share = max(LARGE_BYTES, in_all // 2)
        self._of_site: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], tuple[str, int]] = {}

    @property
    def free(self) -> int:
        """What is left."""
        return self._free

    async def take(self, site_id: str, count: int) -> None:
        """Wait for bytes; `give_back` has to follow.

        Raises:
            Failure: 503, there were none in time.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = site_id, count
        self._serve()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if self._waiting.pop(turn, None) is None:
                self.give_back(site_id, count)  # granted at the very moment
            self._serve()
            if isinstance(error, TimeoutError):
                raise HttpFailure(503, RETRY_AFTER) from None
            raise

    def give_back(self, site_id: str, count: int) -> None:
        """They are not held any more."""
        self._free += count
        self._of_site[site_id] -= count
        if not self._of_site[site_id]:
            del self._of_site[site_id]
        self._serve()

    def _serve(self) -> None:
        for turn, (site_id, count) in list(self._waiting.items()):
            if self._of_site[site_id] + count > self._share:
                continue
            if count > self._free:
                return  # nobody passes those who wait for much, or they would wait for ever
            del self._waiting[turn]
            self._free -= count
            self._of_site[site_id] += count
            turn.set_result(None)


class Holding(Room):
    """What one answer holds, from its first read to its last byte; `release` has to follow."""

    def __init__(self, budget: Budget, site_id: str) -> None:
        super().__init__()
        self._budget = budget
        self._site_id = site_id
        self._held = 0

    async def begin(self) -> None:
        """Wait for the small room. Raises Failure (503)."""
        await self._take(self.small_bytes)

    async def enlarge(self) -> None:
        """Wait for the large one. Raises Failure (503)."""
        if self._held < self.large_bytes:
            # Given back before: to hold some while waiting for more would let those who wait block each other.
            self.release()
            await self._take(self.large_bytes)

    def shrink(self, count: int) -> None:
        """Keep only this number of bytes."""
        if count < self._held:
            self._budget.give_back(self._site_id, self._held - count)
            self._held = count

    def release(self) -> None:
        """Keep nothing."""
        self.shrink(0)

    async def _take(self, count: int) -> None:
        await self._budget.take(self._site_id, count)
        self._held = count


async def budget_of(request: Request, budget: Budget, site_id: str) -> Holding:
    """What the answer to a request holds; `Edge` releases it when the answer is sent, or given up.

    Raises:
        Failure: 503, there is no room in time.
    """
    holding = Holding(budget, site_id)
    await holding.begin()
    request.scope["state"][HOLDING] = holding
    return holding


def kept(request: Request, count: int) -> None:
    """The answer to a request is written: it holds this number of bytes from now on."""
    holding: Holding | None = request.scope["state"].get(HOLDING)
    if holding is not None:
        holding.shrink(count)


def release(state: Mapping[str, Any]) -> None:
    """The answer to the request with this state is sent, or given up."""
    holding: Holding | None = state.get(HOLDING)
    if holding is not None:
        holding.release()

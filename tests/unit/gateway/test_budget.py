"""Reservations of bytes for responses, and the order in which they are granted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from triptych.gateway.http import budget as module
from triptych.gateway.http.budget import Budget, Reservation
from triptych.gateway.http.errors import HttpFailure
from triptych.kit.mongo.driver import Document
from triptych.readmodel.weighing import LARGE_BYTES, SMALL_BYTES, count_fitting_items

TOTAL = 4 * LARGE_BYTES


@asynccontextmanager
async def reserved(budget: Budget, site_id: str, *, large: bool) -> AsyncIterator[Reservation]:
    reservation = Reservation(budget, site_id)
    await reservation.begin()
    try:
        if large:
            await reservation.enlarge()
        yield reservation
    finally:
        reservation.release()


async def test_no_site_gets_more_than_half_and_all_get_no_more_than_all() -> None:
    budget, most, now = Budget(TOTAL), {"a": 0, "b": 0}, {"a": 0, "b": 0}

    async def respond(site_id: str) -> None:
        async with reserved(budget, site_id, large=True) as reservation:
            now[site_id] += 1
            most[site_id] = max(most[site_id], now[site_id])
            assert sum(now.values()) * LARGE_BYTES <= TOTAL - budget.free
            await asyncio.sleep(0)
            reservation.shrink(1_000)
            now[site_id] -= 1

    await asyncio.gather(*(respond(site_id) for site_id in "ab" * 20))
    assert most == {"a": 2, "b": 2}
    assert budget.free == TOTAL


async def test_a_site_at_its_half_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    budget = Budget(TOTAL)
    async with reserved(budget, "a", large=True), reserved(budget, "a", large=True):
        waiting = asyncio.create_task(budget.take("a", SMALL_BYTES))
        async with reserved(budget, "b", large=True):
            with pytest.raises(HttpFailure) as refusal:
                await waiting
        assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "1"})
    assert budget.free == TOTAL


async def test_a_wait_that_is_cancelled_reserves_nothing() -> None:
    budget = Budget(LARGE_BYTES)
    async with reserved(budget, "a", large=True):
        waiting = [asyncio.create_task(budget.take("b", SMALL_BYTES)) for _ in range(2)]
        await asyncio.sleep(0)
    # Both waits have been granted, and are cancelled before their tasks run again.
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert budget.free == LARGE_BYTES


@pytest.mark.parametrize(("sizes", "fitting"), [([50, None, None], 3), ([50, 50, None], 2), ([500, 50], 1), ([], 0)])
def test_as_many_items_as_fit_and_at_least_one(sizes: list[int | None], fitting: int) -> None:
    found: list[Document] = [{"item": {}} if size is None else {"size": size} for size in sizes]
    assert count_fitting_items(found, 10, 100) == fitting

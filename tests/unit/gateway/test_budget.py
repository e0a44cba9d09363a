"""Turns of answers that hold many bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from triptych.gateway.http import budget as module
from triptych.gateway.http.budget import Budget, Holding
from triptych.gateway.http.errors import HttpFailure
from triptych.kit.mongo.driver import Document
from triptych.readmodel.weighing import LARGE_BYTES, SMALL_BYTES, count_fitting_items

IN_ALL = 4 * LARGE_BYTES


@asynccontextmanager
async def held(budget: Budget, site_id: str, *, large: bool) -> AsyncIterator[Holding]:
    holding = Holding(budget, site_id)
    await holding.begin()
    try:
        if large:
            await holding.enlarge()
        yield holding
    finally:
        holding.release()


async def test_no_site_gets_more_than_half_and_all_get_no_more_than_all() -> None:
    budget, most, now = Budget(IN_ALL), {"a": 0, "b": 0}, {"a": 0, "b": 0}

    async def answer(site_id: str) -> None:
        async with held(budget, site_id, large=True) as holding:
            now[site_id] += 1
            most[site_id] = max(most[site_id], now[site_id])
            assert sum(now.values()) * LARGE_BYTES <= IN_ALL - budget.free
            await asyncio.sleep(0)
            holding.shrink(1_000)
            now[site_id] -= 1

    await asyncio.gather(*(answer(site_id) for site_id in "ab" * 20))
    assert most == {"a": 2, "b": 2}
    assert budget.free == IN_ALL


async def test_a_site_at_its_half_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    budget = Budget(IN_ALL)
    async with held(budget, "a", large=True), held(budget, "a", large=True):
        waiting = asyncio.create_task(budget.take("a", SMALL_BYTES))
        async with held(budget, "b", large=True):
            with pytest.raises(HttpFailure) as refusal:
                await waiting
        assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "1"})
    assert budget.free == IN_ALL


async def test_whoever_gives_up_holds_nothing() -> None:
    budget = Budget(LARGE_BYTES)
    async with held(budget, "a", large=True):
        waiting = [asyncio.create_task(budget.take("b", SMALL_BYTES)) for _ in range(2)]
        await asyncio.sleep(0)
    # Granted by now, and cancelled before they hear of it.
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert budget.free == LARGE_BYTES


@pytest.mark.parametrize(("sizes", "fitting"), [([50, None, None], 3), ([50, 50, None], 2), ([500, 50], 1), ([], 0)])
def test_as_many_items_as_fit_and_at_least_one(sizes: list[int | None], fitting: int) -> None:
    found: list[Document] = [{"item": {}} if size is None else {"size": size} for size in sizes]
    assert count_fitting_items(found, 10, 100) == fitting

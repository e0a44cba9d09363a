"""`run_all`: all coroutines end, and the most important failure is raised."""

import asyncio

import pytest

from triptych.kit.failures import OwnershipLost, TransientFailure
from triptych.kit.run_all import run_all


async def test_all_end_although_one_fails() -> None:
    ended: list[int] = []
    first_failed = asyncio.Event()

    async def fail() -> None:
        first_failed.set()
        raise TransientFailure("first")

    async def end() -> None:
        await first_failed.wait()
        await asyncio.sleep(0)
        ended.append(1)

    with pytest.raises(TransientFailure, match="first"):
        await run_all([fail(), end(), end()])
    assert ended == [1, 1]


async def test_lost_ownership_is_raised_before_other_failures() -> None:
    async def fail(error: Exception) -> None:
        raise error

    with pytest.raises(OwnershipLost):
        await run_all([fail(TransientFailure("a")), fail(OwnershipLost("b")), fail(ValueError("c"))])
    with pytest.raises(ValueError, match="alone"):
        await run_all([fail(ValueError("alone"))])


async def test_nothing_to_do_is_done() -> None:
    await run_all([])

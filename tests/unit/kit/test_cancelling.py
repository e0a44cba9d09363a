"""Tasks end although a library loses a cancellation."""

import asyncio

import pytest

from triptych.kit.process.cancelling import cancel_all


async def losing(count: int) -> None:
    """Lose this many cancellations, as PyMongo may, and then end by the next one."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if count == 0:
                raise
            count -= 1


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_lost_cancellation_is_repeated(count: int) -> None:
    tasks = [asyncio.create_task(losing(count)), asyncio.create_task(losing(0))]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await cancel_all(tasks, 0.01)
    assert all(task.cancelled() for task in tasks)


async def test_tasks_that_have_ended_or_fail_while_they_end_are_left_alone() -> None:
    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while ending")

    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    fails = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await cancel_all([ended, fails])
    assert isinstance(fails.exception(), ValueError)

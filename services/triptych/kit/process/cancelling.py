"""Cancels tasks and waits for their end, although a library may lose a cancellation."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 2.0


async def cancel_all(tasks: Iterable["asyncio.Task[Any]"], again_seconds: float | None = None) -> None:
    """Cancel these tasks until all of them have ended. What they raise is not raised here.

    A cancellation that comes together with the result of an await can be lost: PyMongo loses it now and then (measured:
    a loop with a query every 2 s, 1 of 16 stops on a loaded machine), as does `asyncio.wait_for` up to Python 3.11.

    Args:
        tasks: may have ended already.
        again_seconds: how long a task may take to end before it is cancelled again; `AGAIN_SECONDS` if not given.
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN_SECONDS if again_seconds is None else again_seconds)

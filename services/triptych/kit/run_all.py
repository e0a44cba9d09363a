"""Awaits several pieces of work side by side, each to its end, whatever becomes of the others."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from triptych.kit.failures import OwnershipLost


async def run_all(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all; a single one without the cost of a task.

    Raises:
        OwnershipLost: one of them did, which decides what happens next; otherwise it is what the first one raised.
    """
    if len(works) == 1:
        await works[0]
        return
    ends = await asyncio.gather(*works, return_exceptions=True)
    failures = [end for end in ends if end is not None]
    if failures:
        raise next((failure for failure in failures if isinstance(failure, OwnershipLost)), failures[0])

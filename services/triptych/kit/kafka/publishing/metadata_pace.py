"""Limits how often a producer asks for metadata: aiokafka's asks again at once while a partition has no leader."""

import asyncio
from collections import deque

from aiokafka.client import AIOKafkaClient

UPDATES, WINDOW_SECONDS = 5, 0.25
"""Within this time, `UPDATES` updates begin at once. Each further one begins when the time has passed."""


def pace_updates(client: AIOKafkaClient) -> None:
    """Let metadata updates that somebody waits for begin `UPDATES` times in `WINDOW_SECONDS` at most.

    A topic that is deleted, or a partition without a leader, would otherwise keep one processor of the client and one
    of the broker busy until its records are given up. An answer that is under way is waited for, as before.
    """
    ask = client.force_metadata_update
    begun: deque[float] = deque([float("-inf")] * UPDATES, maxlen=UPDATES)
    later: asyncio.Future[bool] | None = None

    def begin() -> asyncio.Future[bool]:
        if client._md_update_fut is None:
            begun.append(asyncio.get_running_loop().time())
        answer: asyncio.Future[bool] = ask()
        return answer

    def paced() -> asyncio.Future[bool]:
        nonlocal later
        loop = asyncio.get_running_loop()
        if later is not None:
            return asyncio.shield(later)
        wait = begun[0] + WINDOW_SECONDS - loop.time()
        if client._md_update_fut is not None or wait <= 0:
            return begin()
        later = loop.create_future()
        loop.call_later(wait, begin_later, later)
        return asyncio.shield(later)

    def begin_later(waiting: asyncio.Future[bool]) -> None:
        nonlocal later
        later = None
        begin().add_done_callback(lambda answer: _pass_on(answer, waiting))

    client.force_metadata_update = paced


def _pass_on(answer: asyncio.Future[bool], waiting: asyncio.Future[bool]) -> None:
    if answer.cancelled():
        waiting.cancel()
    elif not waiting.done():
        waiting.set_result(answer.result())

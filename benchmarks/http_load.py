"""Sends HTTP requests and measures their times: at a steady rate, with a fixed number in flight, or many at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx

from benchmarks.scenario import RoundFailed
from triptych.devstack.children import Child

Request: TypeAlias = Callable[[], Awaitable[None]]
"""Sends one request and checks the response. Raises RoundFailed if the response is wrong."""

START_SECONDS = 60.0


async def at_rate(request: Request, per_second: float, count: int) -> list[float]:
    """Send `count` requests at a steady rate, without waiting for earlier responses; their times in milliseconds.

    Each request is timed from the moment it was due, so that a stall of the server is fully counted.
    """
    started = time.perf_counter()

    async def one(number: int) -> float:
        due = started + number / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await request()
        return 1000 * (time.perf_counter() - due)

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def at_a_time(request: Request, width: int, count: int) -> tuple[list[float], float]:
    """Send `count` requests, `width` of them in flight; their times in milliseconds, and the requests per second."""
    times: list[float] = []
    remaining = count

    async def worker() -> None:
        nonlocal remaining
        while remaining > 0:
            remaining -= 1
            started = time.perf_counter()
            await request()
            times.append(1000 * (time.perf_counter() - started))

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(width)))
    return times, count / (time.perf_counter() - started)


async def together(request: Request, width: int, count: int) -> float:
    """Send `count` requests, `width` at once and the next when all are answered; the requests per second."""
    started = time.perf_counter()
    for _ in range(count // width):
        await asyncio.gather(*(request() for _ in range(width)))
    return count / (time.perf_counter() - started)


async def until_ready(child: Child, url: str) -> None:
    """Wait until a child process responds with 200 at this address.

    Raises:
        RoundFailed: the process has ended, or is not ready in time.
    """
    deadline = time.monotonic() + START_SECONDS
    async with httpx.AsyncClient() as client:
        while True:
            if (code := child.poll()) is not None:
                raise RoundFailed(f"the process for {url} ended with exit code {code}")
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > deadline:
                raise RoundFailed(f"{url} is not ready after {START_SECONDS:g} s")
            await asyncio.sleep(0.05)

"""What pages of the console cost the gateway while nothing happens: each holds one stream of the site's events."""

import asyncio
import time
from contextlib import AsyncExitStack

import aiohttp

from benchmarks.figures import Figures
from benchmarks.http_load import until_ready
from benchmarks.process import cpu_nanoseconds
from benchmarks.scenario import Round, RoundFailed, Scenario
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.gateway.access.keys import store_key

KEY = "bench-key"
PAGES = 100
SECONDS = 45.0
SETTLE_SECONDS = 5.0
STOP_SECONDS = 10.0


async def _share_of_core(child: Child) -> float:
    """The processor time of a process while nothing happens, in percent of a core."""
    await asyncio.sleep(SETTLE_SECONDS)
    begun, used = time.monotonic(), cpu_nanoseconds(child.pid)
    await asyncio.sleep(SECONDS)
    return 100 * (cpu_nanoseconds(child.pid) - used) / 1e9 / (time.monotonic() - begun)


async def product(of_round: Round) -> Figures:
    """The gateway without a page, and with pages."""
    await store_key(of_round.database, KEY, site_id=None, scopes=["read"], name=KEY)
    (port,) = free_ports(1)
    child = of_round.start("triptych.gateway", gateway_port=port)
    base = f"http://127.0.0.1:{port}"
    try:
        await until_ready(child, f"{base}/health/ready")
        alone = await _share_of_core(child)
        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(limit=0)
            timeout = aiohttp.ClientTimeout(total=None)
            session = await stack.enter_async_context(
                aiohttp.ClientSession(headers={"Authorization": KEY}, connector=connector, timeout=timeout)
            )
            for _ in range(PAGES):
                answer = await stack.enter_async_context(session.get(f"{base}/progallery/v2/events"))
                if answer.status != 200:
                    raise RoundFailed(f"a stream was answered with {answer.status}")
            with_pages = await _share_of_core(child)
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)
    return {"alone_percent_of_core": alone, "with_pages_percent_of_core": with_pages}


SCENARIO = Scenario(
    name="idle-pages",
    description=f"{PAGES} pages of the console, each with a stream, while nothing happens for {SECONDS:g} s",
    variants={"product": product},
)

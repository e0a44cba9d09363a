"""Keeps the number of partitions that a process uses up to date (`triptych.kit.startup.layouts`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.layout import Layout, LiveCounts
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.supervision import SUPERVISOR, progress
from triptych.kit.startup.layouts import StoredLayout

log = get_logger(__name__)

INTERVAL_SECONDS = 0.5


class LayoutWatch:
    """The layout as a process without a consumer group sees it, and as its checks of topics do."""

    def __init__(self, stored: StoredLayout, counts: LiveCounts) -> None:
        self._stored = stored
        self.counts = counts
        self.layout = Layout(counts.partitions)

    def allowed(self) -> int | None:
        """The other number of partitions that topics may have now."""
        return self.layout.growing_to

    async def read(self) -> None:
        """Read the layout. Raises the driver's errors."""
        self.layout = await self._stored.read()
        self.counts.partitions = self.layout.partitions

    async def run(self) -> None:
        """Read it at each interval until cancelled."""
        while True:
            progress()
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.read()
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    raise
                log.debug("the number of partitions cannot be read now", error=error)


@asynccontextmanager
async def watching_layout(stored: StoredLayout, counts: LiveCounts) -> AsyncIterator[LayoutWatch]:
    """A watch that has read the layout once, and reads it until the block ends. Raises the driver's errors."""
    watch = LayoutWatch(stored, counts)
    await watch.read()
    async with SUPERVISOR.running("topic layout", watch.run):
        yield watch

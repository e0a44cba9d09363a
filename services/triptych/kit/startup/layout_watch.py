"""Reads the stored layout regularly, once for everything in a process that follows it (`triptych.kit.startup.layouts`).

The data is right however late a change is noticed, because whoever claims partitions reads the layout itself. But work
on new partitions waits until then. So the layout is read often while partitions are being added, and rarely otherwise.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.layout import Layout, LiveCounts
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.supervision import SUPERVISOR, progress
from triptych.kit.startup.layouts import StoredLayout

log = get_logger(__name__)

IDLE_SECONDS = 2.0
GROWING_SECONDS = 0.5
"""The interval while partitions are being added."""


def interval(layout: Layout) -> float:
    """The seconds until the layout is read again."""
    return IDLE_SECONDS if layout.growing_to is None else GROWING_SECONDS


class LayoutWatch:
    """The layout as the process has read it last.

    Attributes:
        counts: the numbers of partitions by this layout.
        layout: what was read last.
    """

    def __init__(self, stored: StoredLayout, counts: LiveCounts) -> None:
        self._stored = stored
        self.counts = counts
        self.layout = Layout(counts.partitions)

    def allowed(self) -> int | None:
        """The other number of partitions that topics may have now."""
        return self.layout.growing_to

    async def read(self) -> Layout:
        """Read the layout now. Raises the driver's errors."""
        self.layout = layout = await self._stored.read()
        self.counts.partitions = layout.partitions
        return layout

    async def run(self) -> None:
        """Read it at each interval until cancelled."""
        while True:
            progress()
            await asyncio.sleep(interval(self.layout))
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

"""Lets a consumer claim its partitions again if another process has claimed them, to which the group gives none.

A claim may arrive late: its process was killed or paused after it had sent it, and the group has given the partitions
to this process since. A batch finds out when it cannot be committed. But work without batches, such as that of jobs,
would stand still until the next record.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.process.supervision import SUPERVISOR, progress, unlimited

log = get_logger(__name__)

INTERVAL_SECONDS = 5.0
"""A process that has lost its partitions learns it from the group within this time, and then owns none."""


@asynccontextmanager
async def watching_claims(consumer: BatchConsumer, ownership: Ownership) -> AsyncIterator[None]:
    """Prepare the consumer's partitions again when their claims are lost at two looks, until the block ends."""

    async def watch() -> None:
        was_lost = False
        while True:
            progress()
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                is_lost = await ownership.is_lost()
                if is_lost and was_lost:
                    log.warning("another process has claimed partitions that are assigned here", topic=consumer.topic)
                    with unlimited():  # a batch in progress may wait for a server
                        await consumer.prepare_again()
                was_lost = is_lost
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    raise
                log.debug("claims cannot be looked at now", error=error)

    async with SUPERVISOR.running(f"claims of {consumer.label}", watch):
        yield

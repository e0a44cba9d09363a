"""Tells of events that were lost before the relay had planned their deliveries: in the log, the metrics, the readiness
and to each listener that may have wanted one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import Counter

from triptych.kit.kafka.publishing.dead_letters import IncomingRecord
from triptych.webhooks.relay.offsets import ExpiredRange, PlannedOffsets, expired
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus
from triptych.webhooks.store.operational_events import OperationalEventKind, OperationalEvents

log = logging.getLogger(__name__)

# Losses that are not told again when the partitions come back before anything of them was committed.
REMEMBERED = 1_000
EXPIRED = Counter("triptych_webhook_expired_events_total", "Events that expired before their deliveries were planned")


class Offsets(Protocol):
    """The offsets of the events topic, by partition. Every call raises TransientFailure if Kafka is away."""

    async def committed(self) -> dict[int, int]:
        """Those of the relay's group, where it has committed."""

    async def beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first ones that the topic still has."""

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Those behind the last records."""


class ExpiryReporter:
    """Of the partitions of this process."""

    def __init__(
        self,
        offsets: Offsets,
        operations: OperationalEvents,
        listeners: Callable[[], Awaitable[Iterable[Listener]]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`listeners` gives all of them as they are now."""
        self._offsets = offsets
        self._operations = operations
        self._listeners = listeners
        self._clock = clock
        self._progress = PlannedOffsets()
        self._told: dict[ExpiredRange, datetime] = {}
        self._last: ExpiredRange | None = None
        self._last_at = clock()
        self._count = 0

    async def begin(self, partitions: frozenset[int]) -> None:
        """Start with these partitions.

        Raises:
            TransientFailure, the driver's errors: nothing is noted; try again.
        """
        committed, beginnings, ends = await asyncio.gather(
            self._offsets.committed(), self._offsets.beginnings(partitions), self._offsets.ends(partitions)
        )
        await self._tell(self._progress.begin(committed, beginnings, ends))

    async def check(self, records: Sequence[IncomingRecord]) -> None:
        """Look for what has expired before or between these records. Raises as `begin` does."""
        gaps = self._progress.gaps(records)
        if gaps:
            beginnings = await self._offsets.beginnings({gap.partition for gap in gaps})
            found = [expired(gap, beginnings[gap.partition]) for gap in gaps]
            await self._tell([loss for loss in found if loss is not None])

    def finish(self, records: Sequence[IncomingRecord]) -> None:
        """Note that the deliveries of these records are planned."""
        self._progress.finish(records)

    async def detail(self) -> str | None:
        """The last loss since the process started, and how many there were; None without one."""
        if self._last is None:
            return None
        return f"{self._last} ({self._last_at:%Y-%m-%d %H:%M:%S} UTC; losses since the start: {self._count})"

    async def _tell(self, losses: Sequence[ExpiredRange]) -> None:
        for loss in losses:
            if loss in self._told:
                continue
            now = self._clock()
            concerned = [(one.site_id, one.id) for one in await self._listeners() if may_concern(one, loss)]
            if concerned and loss != self._last:
                self._last, self._last_at = loss, now
                self._count += 1
                EXPIRED.inc(loss.count)
                log.error("%s; listeners that may have wanted some: %d", loss, len(concerned))
            text = f"{loss}; some of them may have been for this listener"
            place = f"{loss.partition}:{loss.first}-{loss.end}"
            await self._operations.tell_each(OperationalEventKind.EVENTS_EXPIRED, concerned, place, text, now)
            self._told[loss] = now
            if len(self._told) > REMEMBERED:
                self._told.pop(next(iter(self._told)))


def may_concern(listener: Listener, loss: ExpiredRange) -> bool:
    """Whether some of what was lost may have been for a listener: it was there before the last of it was published."""
    if listener.status is ListenerStatus.DELETED:
        return False
    return loss.is_topic_new or listener.begins is None or listener.begins.get(loss.partition, 0) < loss.end

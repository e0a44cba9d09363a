"""Reports events that expired before the relay planned their deliveries.

It reports them in the log, in a metric, in the readiness, and to each listener that may have wanted one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client import Counter

from triptych.kit.kafka.consuming.gaps import expired
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.clock import utc_now
from triptych.webhooks.relay.offsets import ExpiredRange, PlannedOffsets
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus
from triptych.webhooks.store.operational_events import OperationalEventKind, OperationalEvents

log = get_logger(__name__)

# The number of reported ranges to remember, so that a range is not reported again when its partition is assigned again.
REMEMBERED_MAX = 1_000
EXPIRED = Counter("triptych_webhook_expired_events_total", "Events that expired before their deliveries were planned")


class Offsets(Protocol):
    """Reads offsets of the events topic, by partition. Every call raises TransientFailure if Kafka does not answer."""

    async def committed(self) -> dict[int, int]:
        """The offsets that the relay's group has committed."""

    async def beginnings(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offsets that the topic still has."""

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offsets after the last records."""


class ExpiryReporter:
    """Finds and reports expired events in the partitions of this process."""

    def __init__(
        self,
        offsets: Offsets,
        operational_events: OperationalEvents,
        listeners: Callable[[], Awaitable[Iterable[Listener]]],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`listeners` returns all current listeners."""
        self._offsets = offsets
        self._operational_events = operational_events
        self._listeners = listeners
        self._clock = clock
        self._planned = PlannedOffsets()
        self._reported: dict[ExpiredRange, datetime] = {}
        self._last: ExpiredRange | None = None
        self._last_at = clock()
        self._count = 0

    async def begin(self, partitions: frozenset[int]) -> None:
        """Start with these partitions, and report what has expired in them.

        Raises:
            TransientFailure, the driver's errors: the range is not marked as reported; call again.
        """
        committed, beginnings, ends = await asyncio.gather(
            self._offsets.committed(), self._offsets.beginnings(partitions), self._offsets.ends(partitions)
        )
        await self._report(self._planned.begin(committed, beginnings, ends))

    async def check(self, records: Sequence[IncomingRecord]) -> None:
        """Report events that expired before or between these records. Raises the same errors as `begin`."""
        gaps = self._planned.gaps(records)
        if gaps:
            beginnings = await self._offsets.beginnings({gap.partition for gap in gaps})
            await self._report([ExpiredRange(*gone) for gone in expired(gaps, beginnings)])

    def finish(self, records: Sequence[IncomingRecord]) -> None:
        """Mark these records as planned."""
        self._planned.finish(records)

    async def detail(self) -> str | None:
        """The last expired range since the process started, and their number; None if there was none."""
        if self._last is None:
            return None
        return f"{self._last} ({self._last_at:%Y-%m-%d %H:%M:%S} UTC; losses since the start: {self._count})"

    async def _report(self, ranges: Sequence[ExpiredRange]) -> None:
        for expired_range in ranges:
            if expired_range in self._reported:
                continue
            now = self._clock()
            concerned = [(one.site_id, one.id) for one in await self._listeners() if may_concern(one, expired_range)]
            if concerned and expired_range != self._last:
                self._last, self._last_at = expired_range, now
                self._count += 1
                EXPIRED.inc(expired_range.count)
                log.error(
                    "events have expired that listeners may have wanted",
                    partition=expired_range.partition,
                    offset=expired_range.first,
                    last_offset=expired_range.end - 1,
                    problem=str(expired_range),
                    count=len(concerned),
                )
            text = f"{expired_range}; some of them may have been for this listener"
            occurrence = f"{expired_range.partition}:{expired_range.first}-{expired_range.end}"
            await self._operational_events.record_each(
                OperationalEventKind.EVENTS_EXPIRED, concerned, occurrence, text, now
            )
            self._reported[expired_range] = now
            if len(self._reported) > REMEMBERED_MAX:
                self._reported.pop(next(iter(self._reported)))


def may_concern(listener: Listener, expired_range: ExpiredRange) -> bool:
    """Whether some expired events may have been for a listener: it existed before the last of them was published."""
    if listener.status is ListenerStatus.DELETED:
        return False
    if expired_range.is_topic_new or listener.begins is None:
        return True
    return listener.begins.get(expired_range.partition, 0) < expired_range.end

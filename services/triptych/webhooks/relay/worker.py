"""Sends claimed deliveries within the limits of their lanes, and records the outcomes."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from prometheus_client import Gauge

from triptych.kit.logs.batch_lines import TimedLines, gathered_in
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.cancelling import cancel_all
from triptych.kit.process.clock import utc_now
from triptych.kit.process.stopping import DELIVERIES, stop_deadline
from triptych.webhooks.model.delivery import (
    Dead,
    DeathReason,
    Delivered,
    Policy,
    Retry,
    SentRequest,
    Verdict,
    judge,
    was_interrupted_too_often,
)
from triptych.webhooks.relay.lanes import Lane
from triptych.webhooks.relay.listener_health import ListenerHealth
from triptych.webhooks.relay.outcome_metrics import count_outcome
from triptych.webhooks.relay.outcome_writer import OutcomeWriter
from triptych.webhooks.relay.sender import DeliverySender
from triptych.webhooks.settings import LEASE_MARGIN, WebhookSettings
from triptych.webhooks.store.deliveries import ClaimedDelivery, DeliveryRepository
from triptych.webhooks.store.listener_documents import Listener

log = get_logger(__name__)

IN_FLIGHT = Gauge("triptych_webhook_in_flight", "Requests in flight")

# The most claimed deliveries: in multiples of the requests in flight, and in bytes of their events.
CLAIMED_PER_SLOT = 4
CLAIMED_BYTES_MAX = 64 * 1024 * 1024


class Worker:
    """Sends the deliveries that this process has claimed."""

    def __init__(
        self,
        settings: WebhookSettings,
        repository: DeliveryRepository,
        sender: DeliverySender,
        outcome_writer: OutcomeWriter,
        listener_health: ListenerHealth,
        owns: Callable[[str], bool],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._concurrency = settings.webhooks_concurrency
        self._minimum_wait = settings.webhooks_minimum_wait.total_seconds()
        self._repository = repository
        self._sender = sender
        self._outcome_writer = outcome_writer
        self._listener_health = listener_health
        self._owns = owns
        self._clock = clock
        self._waiting_for_slot: deque[Lane] = deque()
        self._timed: set[Lane] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._claimed = 0
        self._claimed_bytes = 0
        self._in_flight = 0
        self._is_stopping = False
        self._lines = TimedLines()
        self.has_room = asyncio.Event()
        """Set when some lane may claim more."""

    @property
    def free_claims(self) -> int:
        """How many more deliveries all lanes together may claim. This bounds memory."""
        if self._is_stopping or self._claimed_bytes >= CLAIMED_BYTES_MAX:
            return 0
        return max(0, self._concurrency * CLAIMED_PER_SLOT - self._claimed)

    def accept(self, lane: Lane, claimed: ClaimedDelivery) -> None:
        """Send a claimed delivery as soon as its lane allows."""
        lane.queue.append(claimed)
        self._count_claimed(claimed, 1)
        self._start_ready(lane)

    def release_queue(self, lane: Lane) -> None:
        """Release the deliveries that the lane has not started."""
        while lane.queue:
            claimed = lane.queue.popleft()
            self._count_claimed(claimed, -1)
            self.release_claim(claimed)

    def release_claim(self, claimed: ClaimedDelivery) -> None:
        """Release a claimed delivery, so that any process may send it; its attempt does not count."""
        self.spawn(self._outcome_writer.record(self._repository.release_update(claimed, self._clock())))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run in the background until done; `stop` waits for it."""
        with gathered_in(self._lines):
            task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    async def stop(self) -> None:
        """Start no more requests, and wait for those in flight, within a deadline."""
        self._is_stopping = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=stop_deadline().remaining(DELIVERIES))
            if late:
                log.warning("requests were abandoned, to end in time, and are sent again later", count=len(late))
            await cancel_all(late)  # sent again when their leases have ended
        self._lines.write()

    def _start_ready(self, lane: Lane) -> None:
        """Start the deliveries that may start now, and arrange a later start for the others."""
        loop = asyncio.get_running_loop()
        while lane.queue and not self._is_stopping:
            at = lane.may_start_at(loop.time())
            if at is None:
                return  # the end of a request calls this again
            if at > loop.time():
                if lane not in self._timed:
                    self._timed.add(lane)
                    loop.call_at(at, self._start_timed, lane)
                return
            if self._in_flight >= self._concurrency:
                if lane not in self._waiting_for_slot:
                    self._waiting_for_slot.append(lane)
                return
            self._start(lane, lane.queue.popleft())

    def _start_timed(self, lane: Lane) -> None:
        self._timed.discard(lane)
        self._start_ready(lane)

    def _start(self, lane: Lane, claimed: ClaimedDelivery) -> None:
        needed = lane.listener.timeout_seconds + LEASE_MARGIN.total_seconds()
        if lane.is_closed or claimed.until - time.monotonic() < needed or not self._owns(claimed.listener_id):
            self._count_claimed(claimed, -1)
            lane.may_have_due = True
            self.release_claim(claimed)
            return
        lane.start(asyncio.get_running_loop().time())
        self._in_flight += 1
        IN_FLIGHT.set(self._in_flight)
        self.spawn(self._deliver(lane, claimed))

    async def _deliver(self, lane: Lane, claimed: ClaimedDelivery) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        is_delivered = False
        try:
            sent, verdict = await self._attempt(lane.listener, claimed)
            is_delivered = isinstance(verdict, Delivered)
            now = self._clock()
            await self._outcome_writer.record(self._repository.outcome_update(claimed, verdict, sent, now))
            count_outcome(claimed, verdict, sent, now)
            if claimed.ordered and not isinstance(verdict, Retry):
                await self._repository.promote(claimed.listener_id, [claimed.gallery_id], now)
                lane.may_have_due = True
            await self._listener_health.apply_verdict(lane, claimed, verdict, sent, now)
        finally:
            lane.finish(loop.time(), loop.time() - started, success=is_delivered)
            self._count_claimed(claimed, -1)
            self._in_flight -= 1
            IN_FLIGHT.set(self._in_flight)
            self._start_ready(lane)
            while self._waiting_for_slot and self._in_flight < self._concurrency:
                self._start_ready(self._waiting_for_slot.popleft())
            if lane.may_have_due and lane.wants_more:
                self.has_room.set()

    async def _attempt(self, listener: Listener, claimed: ClaimedDelivery) -> tuple[SentRequest | None, Verdict]:
        if claimed.value is None:
            return None, Dead(DeathReason.EVENT_EXPIRED)
        if was_interrupted_too_often(claimed.attempts, claimed.failures):
            return None, Dead(DeathReason.INTERRUPTED)
        sent = await self._sender.send(listener, claimed, claimed.value)
        policy = Policy(listener.format, listener.retry_delays, self._minimum_wait)
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - to spread load, not to be secret
        return sent, judge(sent.response, claimed.failures, policy, self._clock(), jitter)

    def _count_claimed(self, claimed: ClaimedDelivery, step: int) -> None:
        self._claimed += step
        self._claimed_bytes += step * len(claimed.value or b"")

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The delivery is sent again after its lease has ended.
            event = "outcomes of deliveries were not fully recorded"
            self._lines.add(log, logging.ERROR, event, [task], lambda _: {}, error=error)

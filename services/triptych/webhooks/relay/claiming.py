"""Owns a lane for each listener of this process, and claims due deliveries where lanes have free slots."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import datetime

from prometheus_client import Gauge

from triptych.kit.backoff import Backoff, is_set_within
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.clock import utc_now
from triptych.kit.process.supervision import progress, unlimited
from triptych.kit.process.waits import Trouble
from triptych.webhooks.relay.lanes import Lane, LaneState
from triptych.webhooks.relay.listener_cache import ListenerCache
from triptych.webhooks.relay.outcome_metrics import count_cancelled
from triptych.webhooks.relay.shards import Shards
from triptych.webhooks.relay.worker import Worker
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.deliveries import ClaimedDelivery, DeliveryRepository, Due
from triptych.webhooks.store.listener_documents import ListenerStatus
from triptych.webhooks.store.operational_events import OperationalEventKind, OperationalEvents

log = get_logger(__name__)

OLDEST_DUE = Gauge("triptych_webhook_oldest_due_seconds", "How long the oldest due delivery has been waiting")
STUCK = Gauge("triptych_webhook_stuck_listeners", "Listeners whose due deliveries wait for 60 s without an attempt")
BEHIND = Gauge("triptych_webhook_behind_listeners", "Listeners whose deliveries have been due for more than 60 s")
LISTENERS = Gauge("triptych_webhook_listeners", "Listeners of this process's shards, by state", ["state"])

SCAN_SECONDS = 1.0
# The largest share of time that scans may take, however many listeners there are.
SCAN_SHARE = 0.1
# A scan that waited for a MongoDB that stood still took long, but cost nothing: it must not put off the next one for
# minutes, in which lanes whose deliveries became due meanwhile would stand still.
LONGEST_SCAN_PAUSE_SECONDS = 5.0
RECONCILE_SECONDS = 30.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.5
LANES_AT_ONCE = 64
LISTENERS_AT_ONCE = 500
# The most deliveries to claim together. Their events are read too; the largest event is a quarter of a megabyte.
CLAIMED_AT_ONCE = 500
# A listener whose deliveries have been due for longer is reported (docs/architecture/relay.md).
BEHIND_SECONDS = 60.0
_IDLE = (ListenerStatus.PAUSED, ListenerStatus.DISABLED)
_STATES = (*(state.value for state in LaneState), *(status.value for status in _IDLE))
# Deliveries that wait for longer without an attempt to any of their listener make the process unready.
STUCK_SECONDS = 60.0


def pause_after_scan(seconds: float) -> float:
    """Seconds from the end of a scan that took `seconds` to the next one."""
    return min(max(SCAN_SECONDS, seconds / SCAN_SHARE), LONGEST_SCAN_PAUSE_SECONDS)


class DeliveryClaimer:
    """The lanes of this process's shards."""

    def __init__(
        self,
        settings: WebhookSettings,
        repository: DeliveryRepository,
        listener_cache: ListenerCache,
        shards: Shards,
        worker: Worker,
        operational_events: OperationalEvents,
        left_behind: Sequence[str] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`left_behind` has the ids among relays of killed processes in whose place this one was started."""
        self._left_behind = left_behind
        self._concurrency = settings.webhooks_listener_concurrency
        self._repository = repository
        self._listener_cache = listener_cache
        self._shards = shards
        self._worker = worker
        self._operational_events = operational_events
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._behind: set[str] = set()
        self._stuck: list[str] = []
        self._trouble: str | None = None
        self._wait = Trouble("due deliveries to be claimed")
        self.is_stopping = False

    @property
    def problem(self) -> str | None:
        """Why deliveries cannot be claimed, or which are not sent; None if all is well."""
        if self._trouble is not None or not self._stuck:
            return self._trouble
        return (
            f"due deliveries have waited for {STUCK_SECONDS:.0f} s without an attempt; listeners: {len(self._stuck)}, "
            f"one of them {self._stuck[0]}"
        )

    async def refresh(self) -> None:
        """Load every change of a listener made before this call. Raises the driver's errors."""
        if await self._listener_cache.refresh():
            self._sync_lanes()

    def free_slots(self, listener_id: str) -> int:
        """How many new deliveries of a listener this process may plan as already claimed."""
        lane = self._lanes.get(listener_id)
        if lane is None or lane.may_have_due or lane.listener.ordered or not self._shards.owns(listener_id):
            return 0
        return min(lane.free_slots, self._worker.free_claims)

    def accept(self, claims: Sequence[ClaimedDelivery]) -> None:
        """Send claimed deliveries."""
        for claimed in claims:
            lane = self._lanes.get(claimed.listener_id)
            if lane is None or self.is_stopping:
                self._worker.release_claim(claimed)
            else:
                self._worker.accept(lane, claimed)

    def notice(self, listener_ids: Iterable[str]) -> None:
        """Look for due deliveries of these listeners now."""
        for listener_id in listener_ids:
            lane = self._lanes.get(listener_id)
            if lane is not None:
                lane.may_have_due = True
                self._worker.has_room.set()

    async def run(self) -> None:
        """Claim due deliveries until `stop`."""
        scan_at = reconcile_at = 0.0
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while not self.is_stopping:
            progress()
            with unlimited():
                await is_set_within(self._worker.has_room, max(0.0, scan_at - time.monotonic()))
            self._worker.has_room.clear()
            started = time.monotonic()
            try:
                if started >= scan_at:
                    await self._scan()
                    scan_at = time.monotonic() + pause_after_scan(time.monotonic() - started)
                if started >= reconcile_at:
                    await self._reconcile()
                    reconcile_at = started + RECONCILE_SECONDS
                await self._claim_due()
                self._trouble = None
                self._wait.end()
                backoff.reset()
            except Exception as error:
                if self._trouble is None:
                    log.warning("deliveries cannot be claimed", exc_info=error)
                self._trouble = f"{type(error).__name__}: {error}"
                self._wait.begin()  # an alert has to see it: the ages of deliveries are not measured meanwhile
                for lane in self._lanes.values():
                    lane.waits_since = None  # no fault of the lane
                await backoff.pause()

    def stop(self) -> None:
        """Claim nothing more, and release deliveries that were not started."""
        self.is_stopping = True
        self._wait.end()
        self._worker.has_room.set()
        for lane in self._lanes.values():
            self._worker.release_queue(lane)

    async def _scan(self) -> None:
        """Load changes of listeners, and find the lanes with due deliveries."""
        await self._listener_cache.refresh()
        self._sync_lanes()  # the shards of this process may have changed too
        now = self._clock()
        if count := await self._repository.release_lost(self._lanes, now):
            log.info("claims whose answer was lost were released", count=count)
        due = await self._repository.due(list(self._lanes), 1, now)
        for listener_id in due.keys() & self._lanes.keys():
            self._lanes[listener_id].may_have_due = True
        self._report_stuck(due)
        self._count_listeners()
        await self._report_behind(due, now)

    def _report_stuck(self, due: Container[str]) -> None:
        now = asyncio.get_running_loop().time()
        for listener_id, lane in self._lanes.items():
            lane.note_waiting(now, has_due=listener_id in due)
        stuck = [name for name, lane in self._lanes.items() if lane.seconds_without_start(now) >= STUCK_SECONDS]
        STUCK.set(len(stuck))
        report(
            log,
            logging.ERROR,
            "due deliveries have waited without an attempt",
            sorted(set(stuck) - set(self._stuck)),
            lambda listener_id: {"listener_id": listener_id, "site_id": self._lanes[listener_id].listener.site_id},
            seconds=STUCK_SECONDS,
        )
        self._stuck = stuck

    async def _report_behind(self, due: dict[str, Due], now: datetime) -> None:
        ages = {listener_id: (now - one.oldest).total_seconds() for listener_id, one in due.items()}
        OLDEST_DUE.set(max(ages.values(), default=0.0))
        behind = {listener_id for listener_id, age in ages.items() if age > BEHIND_SECONDS}
        listeners = self._listener_cache.listeners
        newly_behind = sorted(behind - self._behind)
        report(
            log,
            logging.WARNING,
            "deliveries have been due for long",
            newly_behind,
            lambda id_: {"listener_id": id_, "site_id": listeners[id_].site_id, "seconds": round(ages[id_])},
        )
        for listener_id in newly_behind:
            text = f"deliveries have been due for {ages[listener_id]:.0f} s"
            listener = listeners[listener_id]
            await self._operational_events.record(
                OperationalEventKind.LISTENER_BEHIND, listener.site_id, listener_id, text, now
            )
        self._behind = behind
        BEHIND.set(len(behind))

    def _count_listeners(self) -> None:
        """Set the number of listeners by state: active ones by how they answer, the others by their status."""
        states: Counter[str] = Counter(lane.state for lane in self._lanes.values())
        for listener in self._listener_cache.listeners.values():
            if listener.status in _IDLE and self._shards.owns(listener.id):
                states[listener.status.value] += 1
        for state in _STATES:
            LISTENERS.labels(state).set(states[state])

    def _sync_lanes(self) -> None:
        """Keep exactly one lane for each active listener of this process's shards."""
        active = {
            listener.id: listener
            for listener in self._listener_cache.listeners.values()
            if listener.status is ListenerStatus.ACTIVE and self._shards.owns(listener.id)
        }
        for listener_id in self._lanes.keys() - active.keys():
            self._worker.release_queue(self._lanes.pop(listener_id))
        for listener_id, listener in active.items():
            if listener_id in self._lanes:
                self._lanes[listener_id].update(listener)
            else:
                self._lanes[listener_id] = Lane(listener, self._concurrency)
                if listener.ordered:  # the previous owner may have died between an outcome and a promotion
                    self._worker.spawn(self._repository.promote_all(listener_id, self._clock()))

    async def _reconcile(self) -> None:
        """Finish cancellations and promotions that a crash of any process may have left undone."""
        now = self._clock()
        if self._left_behind:
            await self._release_left_behind(now)
        for listener in list(self._listener_cache.listeners.values()):
            progress()
            if not self._shards.owns(listener.id):
                continue
            if listener.status in (ListenerStatus.DISABLED, ListenerStatus.DELETED):
                count_cancelled(await self._repository.cancel(listener.id, listener.status, now))
            elif listener.ordered:
                await self._repository.promote_all(listener.id, now)

    async def _release_left_behind(self, now: datetime) -> None:
        """Release what killed predecessors had claimed, also for listeners of shards that other processes own now."""
        listener_ids = list(self._listener_cache.listeners)
        for start in range(0, len(listener_ids), LISTENERS_AT_ONCE):
            progress()
            some = listener_ids[start : start + LISTENERS_AT_ONCE]
            if count := await self._repository.release_left_behind(some, self._left_behind, now):
                log.info("claims of a killed process were released", count=count)
        self._left_behind = ()
        self.notice(listener_ids)

    async def _claim_due(self) -> None:
        lanes = [
            lane
            for listener_id, lane in self._lanes.items()
            if lane.may_have_due and lane.wants_more and self._shards.owns(listener_id)
        ]
        if not lanes or not self._worker.free_claims:
            return
        # The lanes with the fewest claimed deliveries first, so that a long backlog does not delay other listeners.
        lanes.sort(key=lambda lane: len(lane.queue) + lane.in_flight)
        limits = {lane.listener.id: lane.free_slots for lane in lanes[:LANES_AT_ONCE]}
        for lane in lanes[:LANES_AT_ONCE]:
            lane.may_have_due = False  # before the query, so that a delivery planned meanwhile is noticed
        now = self._clock()
        try:
            due = await self._repository.due(list(limits), max(limits.values()), now)
            free = min(self._worker.free_claims, CLAIMED_AT_ONCE)
            wanted: list[str] = []
            for listener_id, found in due.items():
                ids = found.delivery_ids[: min(limits[listener_id], free - len(wanted))]
                wanted += ids
                if len(ids) < len(found.delivery_ids) or len(ids) == limits[listener_id]:
                    self.notice([listener_id])
            claims = await self._repository.claim(wanted, now) if wanted else []
        except BaseException:
            self.notice(limits)
            raise
        self.accept(claims)
        if len(lanes) > LANES_AT_ONCE:
            self._worker.has_room.set()

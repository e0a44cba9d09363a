"""Updates a listener after an attempt: its run of failures, its problem, its status and its operational events."""

import logging
from datetime import datetime, timedelta

from prometheus_client import Counter

from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger
from triptych.webhooks.model.delivery import Dead, DeathReason, Delivered, SentRequest, Verdict
from triptych.webhooks.model.failing import after_failure, is_overdue, must_be_stored
from triptych.webhooks.relay.lanes import Lane
from triptych.webhooks.relay.outcome_metrics import count_cancelled
from triptych.webhooks.store.deliveries import ClaimedDelivery, DeliveryRepository
from triptych.webhooks.store.listener_documents import ListenerStatus
from triptych.webhooks.store.operational_events import OperationalEventKind, OperationalEvents

log = get_logger(__name__)

DISABLED = Counter("triptych_webhook_disabled_listeners_total", "Listeners disabled because of their failures")


class ListenerHealth:
    """Applies the verdicts on attempts to the state of their listeners."""

    def __init__(
        self, repository: DeliveryRepository, operational_events: OperationalEvents, disable_after: timedelta
    ) -> None:
        self._repository = repository
        self._operational_events = operational_events
        self._disable_after = disable_after

    async def apply_verdict(
        self, lane: Lane, claimed: ClaimedDelivery, verdict: Verdict, sent: SentRequest | None, now: datetime
    ) -> None:
        """Update the listener after an attempt. Raises the driver's errors."""
        if not lane.is_run_known:
            lane.run = lane.stored_run = await self._repository.run_of(claimed.listener_id)
            lane.is_run_known = True
        if isinstance(verdict, Delivered):
            if lane.run is not None:
                lane.run = lane.stored_run = None
                await self._repository.store_run(claimed.listener_id, None)
            return
        lane.run = run = after_failure(lane.run, now, self._disable_after)
        if must_be_stored(lane.stored_run, run, self._disable_after):
            lane.stored_run = run
            await self._repository.store_run(claimed.listener_id, run)
        if isinstance(verdict, Dead):
            await self._on_dead_delivery(lane, claimed, verdict, sent, now)
        if is_overdue(run, self._disable_after):
            await self._disable(lane, f"every delivery has failed since {run.since:%Y-%m-%d %H:%M} UTC", now)

    async def _on_dead_delivery(
        self, lane: Lane, claimed: ClaimedDelivery, dead: Dead, sent: SentRequest | None, now: datetime
    ) -> None:
        listener = lane.listener
        text = f"delivery {claimed.delivery_id} of event {claimed.event_id} is dead: {dead.reason.value}"
        report(log, logging.ERROR, "deliveries are dead", [claimed], named_in_log, kind_of=lambda _: dead.reason.value)
        await self._operational_events.record(
            OperationalEventKind.DELIVERY_DEAD, listener.site_id, listener.id, text, now
        )
        if dead.reason is DeathReason.GONE:
            await self._disable(lane, "it answered 410 Gone", now)
        elif dead.reason is DeathReason.FORBIDDEN_ADDRESS and sent is not None:
            await self._repository.flag(listener.id, sent.response.text)
            await self._operational_events.record(
                OperationalEventKind.ADDRESS_FORBIDDEN, listener.site_id, listener.id, sent.response.text, now
            )

    async def _disable(self, lane: Lane, problem: str, now: datetime) -> None:
        listener = lane.listener
        lane.is_closed = True
        if not await self._repository.disable(listener.id, problem, now):
            return
        DISABLED.inc()
        log.error("a listener is disabled", listener_id=listener.id, site_id=listener.site_id, problem=problem)
        await self._operational_events.record(
            OperationalEventKind.LISTENER_DISABLED, listener.site_id, listener.id, problem, now
        )
        count_cancelled(await self._repository.cancel(listener.id, ListenerStatus.DISABLED, now))


def named_in_log(claimed: ClaimedDelivery) -> dict[str, object]:
    """The fields of a log line that name a delivery."""
    return {
        "site_id": claimed.site_id,
        "gallery_id": claimed.gallery_id,
        "event_id": claimed.event_id,
        "listener_id": claimed.listener_id,
        "delivery_id": claimed.delivery_id,
        "attempts": claimed.attempts,
    }

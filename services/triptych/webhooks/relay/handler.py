"""Plans the deliveries for batches of events, and stores them before the offsets are committed."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from prometheus_client import Counter

from triptych.contract.codec.cloudevents import Reason, Undecodable
from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import decode_event
from triptych.contract.codec.trace_context import sampled_context
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.kit.chunks import until_full
from triptych.kit.kafka.consuming.spans import record_spans
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.kafka.transit import replay_of
from triptych.kit.mongo.driver import Binary, Document
from triptych.kit.process.clock import utc_now
from triptych.kit.process.supervision import progress
from triptych.kit.tracing.spans import BatchSpans
from triptych.webhooks.relay.claiming import DeliveryClaimer
from triptych.webhooks.relay.expired_events import ExpiryReporter
from triptych.webhooks.relay.listener_cache import ListenerCache
from triptych.webhooks.relay.outcome_metrics import count_cancelled
from triptych.webhooks.store.deliveries import ClaimedDelivery, DeliveryRepository, claimed_of
from triptych.webhooks.store.delivery_documents import cancelled, new_delivery, trace_fields
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus, Published

PLANNED = Counter("triptych_webhook_planned_total", "Deliveries planned")

# The size of a chunk of deliveries, so that memory stays bounded with many events or many listeners.
PLANNED_AT_ONCE = 2_000
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()


class DeliveryPlanner:
    """The `BatchHandler` of the events topic."""

    def __init__(
        self,
        repository: DeliveryRepository,
        listener_cache: ListenerCache,
        claimer: DeliveryClaimer,
        publisher: Publisher,
        dead_letters: DeadLetterPublisher,
        expiry_reporter: ExpiryReporter,
        lease: timedelta,
        retention: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._repository = repository
        self._listener_cache = listener_cache
        self._claimer = claimer
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._expiry_reporter = expiry_reporter
        self._lease = lease
        self._retention = retention
        self._clock = clock

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Report expired events. Planning a delivery twice does no harm: the second insert finds the first."""
        await self._expiry_reporter.begin(partitions)

    async def released(self) -> None:
        """Nothing to do: planned deliveries belong to no partition."""

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Nothing to do: the listeners of unreadable events are unknown, and the dead letters hold their bytes."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Plan a delivery for each event and each listener that wants it; see `BatchHandler`."""
        with record_spans(records, sampled_context) as spans:
            await self._handle(records, spans)

    async def _handle(self, records: Sequence[IncomingRecord], spans: BatchSpans) -> None:
        # This loads every listener whose creation was answered before these events were published.
        await self._claimer.refresh()
        await self._expiry_reporter.check(records)
        events: list[tuple[Document, Published]] = []
        refused: list[tuple[IncomingRecord, str, str]] = []
        for index, record in enumerate(records):
            if _is_snapshot(record):
                continue  # snapshots are for read models; listeners get changes only
            try:
                site_id = event_headers(record.headers).site_id
                if self._listener_cache.of_site(site_id):
                    event = self._event_document(site_id, record.value)
                    if index in spans.contexts:
                        event |= trace_fields(*spans.contexts[index])
                    events.append((event, _published(record)))
            except Undecodable as error:
                refused.append((record, error.reason, error.text))
        planned = self._with_listeners(events)
        async for chunk in until_full(planned, limit=PLANNED_AT_ONCE, weigh=lambda one: len(one[1])):
            await self._plan(chunk)
            progress()
        await self._publisher.publish(await self._dead_letters.letters(refused))
        self._dead_letters.report(refused)
        self._expiry_reporter.finish(records)

    def _event_document(self, site_id: str, value: bytes | None) -> Document:
        """The stored document of an event. Raises Undecodable."""
        event = decode_event(value)
        try:
            occurred_at = datetime.fromisoformat(event.event_time)
        except ValueError:
            raise Undecodable(Reason.BAD_DATA, "eventTime must be an ISO 8601 time") from None
        return {
            "_id": event.id,
            "siteId": site_id,
            "eventType": event.event_type.value,
            "galleryId": event.gallery_id,
            "sequence": event.sequence,
            "occurredAt": occurred_at,
            "value": Binary(value or b""),
            "expiresAt": self._clock() + self._retention,
        }

    async def _with_listeners(
        self, events: Sequence[tuple[Document, Published]]
    ) -> AsyncIterator[tuple[Document, list[Listener]]]:
        """Each event with the listeners that want it."""
        for event, published in events:
            yield (
                event,
                [
                    listener
                    for listener in self._listener_cache.of_site(event["siteId"])
                    if listener.wants(event["siteId"], event["eventType"], event["galleryId"])
                    and listener.is_older_than(published)
                ],
            )

    async def _plan(self, chunk: Sequence[tuple[Document, list[Listener]]]) -> None:
        now = self._clock()
        token, until = self._repository.new_token(), time.monotonic() + self._lease.total_seconds()
        free_slots: dict[str, int] = {}
        deliveries: list[Document] = []
        claims: list[ClaimedDelivery] = []
        promotable: dict[str, set[str]] = {}
        unclaimed: set[str] = set()
        born_cancelled: set[str] = set()
        for event, wanting in chunk:
            for listener in wanting:
                delivery = new_delivery(listener, event, now)
                if listener.status is ListenerStatus.DISABLED:
                    delivery = cancelled(delivery, listener.status, now, now + self._retention)
                    born_cancelled.add(delivery["_id"])
                elif listener.ordered:
                    promotable.setdefault(listener.id, set()).add(event["galleryId"])
                elif free_slots.setdefault(listener.id, self._claimer.free_slots(listener.id)) > 0:
                    # Insert the delivery as already claimed: no query, and the attempt is counted before its POST.
                    free_slots[listener.id] -= 1
                    delivery = self._repository.lease(delivery, token, now)
                    claims.append(claimed_of(delivery, until, event))
                else:
                    unclaimed.add(listener.id)
                deliveries.append(delivery)
        try:
            new_ids = await self._repository.plan([event for event, _ in chunk], deliveries)
            PLANNED.inc(len(new_ids))
            count_cancelled(len(born_cancelled & new_ids))
            for listener_id, gallery_ids in promotable.items():
                await self._repository.promote(listener_id, gallery_ids, now)
        except BaseException:
            self._repository.lose(token)  # the repeated batch finds the deliveries planned, and claims none of them
            raise
        self._claimer.accept([claimed for claimed in claims if claimed.delivery_id in new_ids])
        self._claimer.notice([*unclaimed, *promotable])


def _published(record: IncomingRecord) -> Published:
    """Where and when the event was published. A replayed one is not for listeners that were created meanwhile."""
    if (replay := replay_of(record.headers)) is not None:
        return Published(replay.origin.partition, replay.origin.offset, None)
    at = datetime.fromtimestamp(record.timestamp / 1000, UTC) if record.timestamp > 0 else None
    return Published(record.partition, record.offset, at)


def _is_snapshot(record: IncomingRecord) -> bool:
    # The value of a header may be null, although the client's types exclude it.
    return any(name == "ce_type" and value and value.startswith(_SNAPSHOT_TYPE) for name, value in record.headers)

"""Plans deliveries for batches of events, durably, before their offsets are committed."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from prometheus_client import Counter

from triptych.contract.codec.cloudevents import Reason, Undecodable
from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import decode_event
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher, IncomingRecord
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.mongo.driver import Binary, Document
from triptych.webhooks.relay.claiming import DeliveryClaimer
from triptych.webhooks.relay.expired_events import ExpiryReporter
from triptych.webhooks.relay.listener_cache import ListenerCache
from triptych.webhooks.store.deliveries import ClaimedDelivery, DeliveryRepository, claimed_of
from triptych.webhooks.store.delivery_documents import cancelled, new_delivery
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus, Published

PLANNED = Counter("triptych_webhook_planned_total", "Deliveries planned")

# An event for many listeners, or many events for some: inserted in parts, so that memory stays bounded.
PLANNED_AT_ONCE = 2_000
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()


class DeliveryPlanner:
    """A `BatchHandler` for the events topic."""

    def __init__(
        self,
        repository: DeliveryRepository,
        directory: ListenerCache,
        intake: DeliveryClaimer,
        publisher: Publisher,
        dead_letters: DeadLetterPublisher,
        losses: ExpiryReporter,
        lease: timedelta,
        retention: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._repository = repository
        self._directory = directory
        self._intake = intake
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._losses = losses
        self._lease = lease
        self._retention = retention
        self._clock = clock

    async def assigned(self, partitions: frozenset[int]) -> None:
        """See what was lost. Whoever plans a delivery again finds that it is there."""
        await self._losses.begin(partitions)

    async def released(self) -> None:
        """Nothing to forget: what is planned belongs to no partition."""

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Nothing to do: nobody can tell whose events they were, and their bytes are in the dead letters."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Plan a delivery for each event and each listener that wants it; see `BatchHandler`."""
        # Every listener whose creation was answered before these events were published is known after this.
        await self._intake.refresh()
        await self._losses.check(records)
        events: list[tuple[Document, Published]] = []
        refused: list[tuple[IncomingRecord, str, str]] = []
        for record in records:
            if _is_snapshot(record):
                continue  # for read models; a listener is sent changes
            try:
                site_id = event_headers(record.headers).site_id
                if self._directory.of_site(site_id):
                    events.append((self._event_document(site_id, record.value), _published(record)))
            except Undecodable as error:
                refused.append((record, error.reason, error.text))
        for part in self._chunks(events):
            await self._plan(part)
        await self._publisher.publish(await self._dead_letters.letters(refused))
        for refusal in refused:
            self._dead_letters.report(*refusal)
        self._losses.finish(records)

    def _event_document(self, site_id: str, value: bytes | None) -> Document:
        """What is kept of an event. Raises Undecodable."""
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

    def _chunks(self, events: Sequence[tuple[Document, Published]]) -> Iterator[list[tuple[Document, list[Listener]]]]:
        """Events with the listeners that want them, none of the parts much larger than `PLANNED_AT_ONCE`."""
        part: list[tuple[Document, list[Listener]]] = []
        count = 0
        for event, published in events:
            wanting = [
                listener
                for listener in self._directory.of_site(event["siteId"])
                if listener.wants(event["siteId"], event["eventType"], event["galleryId"])
                and listener.is_older_than(published)
            ]
            part.append((event, wanting))
            count += len(wanting)
            if count >= PLANNED_AT_ONCE:
                yield part
                part, count = [], 0
        if part:
            yield part

    async def _plan(self, part: Sequence[tuple[Document, list[Listener]]]) -> None:
        now = self._clock()
        token, until = str(uuid.uuid4()), time.monotonic() + self._lease.total_seconds()
        rooms: dict[str, int] = {}
        deliveries: list[Document] = []
        in_hand: list[ClaimedDelivery] = []
        lanes: dict[str, set[str]] = {}
        behind: set[str] = set()
        for event, wanting in part:
            for listener in wanting:
                delivery = new_delivery(listener, event, now)
                if listener.status is ListenerStatus.DISABLED:
                    delivery = cancelled(delivery, listener.status, now, now + self._retention)
                elif listener.ordered:
                    lanes.setdefault(listener.id, set()).add(event["galleryId"])
                elif rooms.setdefault(listener.id, self._intake.room(listener.id)) > 0:
                    # Planned as already taken in hand: no look-up, and the attempt is counted before its POST.
                    rooms[listener.id] -= 1
                    delivery = self._repository.lease(delivery, token, now)
                    in_hand.append(claimed_of(delivery, until, bytes(event["value"])))
                else:
                    behind.add(listener.id)
                deliveries.append(delivery)
        new = await self._repository.plan([event for event, _ in part], deliveries)
        PLANNED.inc(len(new))
        for listener_id, gallery_ids in lanes.items():
            await self._repository.promote(listener_id, gallery_ids, now)
        self._intake.accept([claimed for claimed in in_hand if claimed.delivery_id in new])
        self._intake.notice([*behind, *lanes])


def _published(record: IncomingRecord) -> Published:
    at = datetime.fromtimestamp(record.timestamp / 1000, UTC) if record.timestamp > 0 else None
    return Published(record.partition, record.offset, at)


def _is_snapshot(record: IncomingRecord) -> bool:
    # A value may be null, whatever the client's types say.
    return any(name == "ce_type" and value and value.startswith(_SNAPSHOT_TYPE) for name, value in record.headers)

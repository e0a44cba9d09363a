"""Reads the delivery log and sends again: one delivery, all dead ones, or the events of a time range or gallery.

Sending again inserts a new delivery, marked as manual. So each request sends, and the log of the earlier delivery does
not change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, Document, UpdateOne, aggregate
from triptych.kit.mongo.routers import within
from triptych.kit.process.clock import utc_now
from triptych.webhooks.store.cursors import read_cursor, write_cursor
from triptych.webhooks.store.delivery_documents import DELIVERIES, EVENTS, DeliveryStatus, new_delivery
from triptych.webhooks.store.example_event import example_event
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.listeners import LISTENERS
from triptych.webhooks.store.ordering import promote

CHUNK = 500
SEARCHED = 2_000
"""How many deliveries are searched for those of one event type, for one page."""
LISTENERS_ASKED = 1_000
"""The listeners of a site whose deliveries of an event are looked for."""


@dataclass(frozen=True, slots=True)
class Range:
    """The events to replay: at or after `since`, before `until`, of one gallery or of all."""

    since: datetime | None = None
    until: datetime | None = None
    gallery_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResendStep:
    """The result of one step. The next step continues at `cursor`, which is None when nothing is left."""

    seen: int
    """The number of dead deliveries or events that the step has read."""
    queued: int
    """The number of new deliveries."""
    cursor: str | None
    through: datetime | None = None
    """When the last event that a replay has read happened."""


@dataclass(frozen=True, slots=True)
class DeliveriesPage:
    """A page of deliveries without their logs. The next page begins after `cursor`, which is None at the end."""

    deliveries: list[Document]
    cursor: str | None


class DeliveryLog:
    """The deliveries of all sites. Every query names one site."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._deliveries = database[DELIVERIES]
        self._events = database[EVENTS]
        self._clock = clock

    async def page(
        self,
        listener: Listener,
        status: DeliveryStatus | None,
        limit: int,
        before: str | None = None,
        event_type: str | None = None,
    ) -> DeliveriesPage:
        """Deliveries of a listener without their logs, newest first, from the next one older than `before`.

        No index has the event type, because each delivery would pay for it. So a page of one type is taken from
        `SEARCHED` deliveries, and may be short.
        """
        query: Document = {"siteId": listener.site_id, "listenerId": listener.id}
        query["status"] = {"$in": [one.value for one in DeliveryStatus]} if status is None else status.value
        if before is not None:
            query["_id"] = {"$lt": before}
        newest_first = [("_id", DESCENDING)]
        if event_type is None:
            found = await self._deliveries.find(query, {"log": 0}).sort(newest_first).limit(limit).to_list(None)
            return DeliveriesPage(found, found[-1]["_id"] if len(found) == limit else None)
        searched = {"$match": query}, {"$sort": {"_id": DESCENDING}}, {"$limit": SEARCHED}
        of_type = {"$match": {"eventType": event_type}}, {"$limit": limit}, {"$project": {"log": 0}}
        found = await aggregate(self._deliveries, [*searched, *of_type])
        if len(found) == limit:
            return DeliveriesPage(found, found[-1]["_id"])
        last = self._deliveries.find(query, {"_id": 1}).sort(newest_first).skip(SEARCHED - 1).limit(1)
        return DeliveriesPage(found, next((one["_id"] for one in await last.to_list(None)), None))

    async def event_of(self, delivery: Document) -> bytes | None:
        """The value of the record of a delivery's event; None if the event has expired."""
        found = await self._events.find_one({"_id": delivery["eventId"]}, {"value": 1})
        return None if found is None else bytes(found["value"])

    async def get(self, site_id: str, delivery_id: str) -> Document | None:
        """One delivery with its log; None if the site has no delivery with this id."""
        return await self._deliveries.find_one({"_id": delivery_id, "siteId": site_id})

    async def of_event(self, site_id: str, event_id: str, limit: int) -> list[Document]:
        """The deliveries that an event has caused, with their logs, by listener; without those sent again."""
        known = self._database[LISTENERS].find({"siteId": site_id}, {"_id": 1}).sort("_id", ASCENDING)
        listener_ids = [one["_id"] for one in await known.limit(LISTENERS_ASKED).to_list(None)]
        query = {"listenerId": {"$in": listener_ids}, "eventId": event_id, "manual": False, "siteId": site_id}
        return await self._deliveries.find(query).sort("listenerId", ASCENDING).limit(limit).to_list(None)

    async def resend(self, listener: Listener, delivery: Document) -> Document:
        """Send a delivery again, in any state; the new delivery."""
        (sent,) = await self._send_again(listener, [delivery])
        return sent

    async def send_example(self, listener: Listener) -> Document:
        """Send a test event, marked as manual; the new delivery."""
        event = example_event(listener, self._clock())
        await self._events.insert_one(event)
        (sent,) = await self._insert(listener, [event])
        return sent

    async def resend_dead(self, listener: Listener, cursor: str | None = None) -> ResendStep:
        """Send up to `CHUNK` dead deliveries after `cursor` again, each once."""
        query: Document = {"siteId": listener.site_id, "listenerId": listener.id, "status": DeliveryStatus.DEAD.value}
        if cursor is not None:
            query["_id"] = {"$gt": cursor}
        found = await self._deliveries.find(query, {"log": 0}).sort([("_id", ASCENDING)]).limit(CHUNK).to_list(None)
        unsent = [delivery for delivery in found if not delivery.get("resentAt")]
        await self._send_again(listener, unsent)
        return ResendStep(len(found), len(unsent), found[-1]["_id"] if len(found) == CHUNK else None)

    async def count_dead(self, listener: Listener) -> int:
        """How many dead deliveries a listener has, including those sent again."""
        return await self._deliveries.count_documents(
            {"siteId": listener.site_id, "listenerId": listener.id, "status": DeliveryStatus.DEAD.value}
        )

    async def replay(self, listener: Listener, which: Range, cursor: str | None = None) -> ResendStep:
        """Send those of up to `CHUNK` stored events after `cursor` that the listener wants.

        Raises InvalidCursor if no step has returned this cursor.
        """
        query = _range_query(listener.site_id, which)
        if cursor is not None:
            moment, event_id = read_cursor(cursor)
            query = {
                "$and": [
                    query,
                    {
                        "$or": [
                            {"occurredAt": {"$gt": moment}},
                            {"occurredAt": moment, "_id": {"$gt": event_id}},
                        ]
                    },
                ]
            }
        order = [("occurredAt", ASCENDING), ("_id", ASCENDING)]
        events = await self._events.find(query, {"value": 0}).sort(order).limit(CHUNK).to_list(None)
        wanted = [event for event in events if listener.wants(event["siteId"], event["eventType"], event["galleryId"])]
        await self._insert(listener, wanted)
        has_more = len(events) == CHUNK
        next_cursor = write_cursor(events[-1]["occurredAt"], events[-1]["_id"]) if has_more else None
        return ResendStep(len(events), len(wanted), next_cursor, events[-1]["occurredAt"] if events else None)

    async def count_events(self, site_id: str, which: Range) -> int:
        """How many stored events are in a range."""
        return await self._events.count_documents(_range_query(site_id, which))

    async def _send_again(self, listener: Listener, deliveries: Sequence[Document]) -> list[Document]:
        now = self._clock()
        events = [{**delivery, "_id": delivery["eventId"]} for delivery in deliveries]
        sent = await self._insert(listener, events)
        if deliveries:
            by_id = (
                within(self._database, {"_id": delivery["_id"]}, listenerId=listener.id) for delivery in deliveries
            )
            await self._deliveries.bulk_write(
                [UpdateOne(query, {"$set": {"resentAt": now}}) for query in by_id], ordered=False
            )
        return sent

    async def _insert(self, listener: Listener, events: Sequence[Document]) -> list[Document]:
        if not events:
            return []
        now = self._clock()
        new = [new_delivery(listener, event, now, manual=True) for event in events]
        await self._deliveries.insert_many(new)
        if listener.ordered:
            await promote(self._deliveries, listener.id, {delivery["galleryId"] for delivery in new}, now)
        return new


def _range_query(site_id: str, which: Range) -> Document:
    query: Document = {"siteId": site_id}
    if which.gallery_id is not None:
        query["galleryId"] = which.gallery_id
    bounds = {name: at for name, at in (("$gte", which.since), ("$lt", which.until)) if at is not None}
    if bounds:
        query["occurredAt"] = bounds
    return query

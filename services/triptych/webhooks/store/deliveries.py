"""Plans, claims and ends deliveries in MongoDB. Every write after a claim carries the token of the lease."""

import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from triptych.kit.mongo.driver import ASCENDING, Binary, Database, Document, UpdateOne, aggregate
from triptych.kit.mongo.inserting import insert_new
from triptych.kit.mongo.routers import within
from triptych.webhooks.model.delivery import Dead, Delivered, Retry, SentRequest, Verdict
from triptych.webhooks.model.failing import FailureRun
from triptych.webhooks.store.delivery_documents import (
    DELIVERIES,
    EVENTS,
    OPEN_STATUSES,
    TRACE_FIELDS,
    DeliveryStatus,
    ended,
    trace_of,
)
from triptych.webhooks.store.listener_documents import ListenerStatus
from triptych.webhooks.store.listeners import LISTENERS, announce_change
from triptych.webhooks.store.ordering import promote, promote_all

LOG_MAX = 40
"""The most attempts in the log of a delivery. Its listener allows 31; more would be a fault, and must not grow it."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this process has claimed until its lease ends, at `until` on the monotonic clock."""

    delivery_id: str
    site_id: str
    listener_id: str
    event_id: str
    gallery_id: str
    occurred_at: datetime
    manual: bool
    ordered: bool
    attempts: int
    """The current attempt included."""
    failures: int
    lease: str
    until: float
    value: bytes | None
    """The value of the event's record; None if the event has expired."""
    trace: tuple[str, str | None] | None = None
    """The traceparent and the tracestate in which the attempts are traced; None if the event is not traced."""


@dataclass(frozen=True, slots=True)
class Due:
    """Deliveries of one listener that may be sent now, oldest first."""

    delivery_ids: tuple[str, ...]
    oldest: datetime


class DeliveryRepository:
    """The deliveries in MongoDB. All methods raise the driver's errors."""

    def __init__(self, database: Database, lease: timedelta, retention: timedelta, claimer: str) -> None:
        """`claimer` is the id of this process among relays."""
        self._claimer = claimer
        self._database = database
        self._deliveries = database[DELIVERIES]
        self._events = database[EVENTS]
        self._listeners = database[LISTENERS]
        self._lease = lease
        self._retention = retention
        self._lost: dict[str, float] = {}
        """The tokens of claims whose answer was lost, and the ends of their leases on the monotonic clock."""

    def new_token(self) -> str:
        """A token for claims that are made together. It begins with the id of this process."""
        return f"{self._claimer}/{uuid.uuid4()}"

    def lease(self, delivery: Document, token: str, now: datetime) -> Document:
        """The new delivery as if it had been claimed: inserting it claims it."""
        return {**delivery, "dueAt": now + self._lease, "lease": token, "attempts": 1}

    def lose(self, token: str) -> None:
        """Note that nobody holds what was claimed with this token, since the answer to the claim was lost."""
        self._lost[token] = time.monotonic() + self._lease.total_seconds()

    async def release_lost(self, listener_ids: Iterable[str], now: datetime) -> int:
        """Make the deliveries of these listeners due whose claims were lost; the result is their number.

        MongoDB may carry a claim out later than it is given up, so a token is asked for until its lease would end.
        """
        self._lost = {token: until for token, until in self._lost.items() if until > time.monotonic()}
        if not self._lost:
            return 0
        done = await self._deliveries.update_many(
            {
                "listenerId": {"$in": list(listener_ids)},
                "status": DeliveryStatus.PENDING.value,
                "dueAt": {"$gt": now, "$lte": now + self._lease},
                "lease": {"$in": list(self._lost)},
            },
            {"$set": {"dueAt": now, "lease": None}, "$inc": {"attempts": -1}},
        )
        return done.modified_count

    async def plan(self, events: Sequence[Document], deliveries: Sequence[Document]) -> set[str]:
        """Store events and deliveries; the ids of the deliveries that were not planned before."""
        await insert_new(self._events, events)
        existing = await insert_new(self._deliveries, deliveries)
        return {delivery["_id"] for index, delivery in enumerate(deliveries) if index not in existing}

    async def due(self, listener_ids: Sequence[str], limit: int, now: datetime) -> dict[str, Due]:
        """Up to `limit` due deliveries of each of these listeners, in one query that reads no other deliveries."""
        found = await aggregate(
            self._listeners,
            [
                {"$match": {"_id": {"$in": list(listener_ids)}}},
                {"$project": {"_id": 1}},
                {
                    "$lookup": {
                        "from": DELIVERIES,
                        "localField": "_id",
                        "foreignField": "listenerId",
                        "pipeline": [
                            {"$match": {"status": DeliveryStatus.PENDING.value, "dueAt": {"$lte": now}}},
                            {"$sort": {"dueAt": ASCENDING}},
                            {"$limit": limit},
                            {"$project": {"dueAt": 1}},
                        ],
                        "as": "due",
                    }
                },
                {"$match": {"due.0": {"$exists": True}}},
            ],
        )
        return {row["_id"]: Due(tuple(one["_id"] for one in row["due"]), row["due"][0]["dueAt"]) for row in found}

    async def claim(self, delivery_ids: Sequence[str], now: datetime) -> list[ClaimedDelivery]:
        """Claim deliveries and count the attempt. Deliveries that another process claimed first are left out."""
        token = self.new_token()
        try:
            return await self._claim(token, delivery_ids, now)
        except BaseException:
            self.lose(token)
            raise

    async def _claim(self, token: str, delivery_ids: Sequence[str], now: datetime) -> list[ClaimedDelivery]:
        until = time.monotonic() + self._lease.total_seconds()
        ids = {"$in": list(delivery_ids)}
        await self._deliveries.update_many(
            {"_id": ids, "status": DeliveryStatus.PENDING.value, "dueAt": {"$lte": now}},
            {"$set": {"dueAt": now + self._lease, "lease": token}, "$inc": {"attempts": 1}},
        )
        claimed = await self._deliveries.find({"_id": ids, "lease": token}, {"log": 0}).to_list(None)
        wanted = {"_id": {"$in": list({delivery["eventId"] for delivery in claimed})}}
        found = self._events.find(wanted, {"value": 1, **dict.fromkeys(TRACE_FIELDS, 1)})
        events = {event["_id"]: event async for event in found}
        claimed.sort(key=lambda delivery: str(delivery["_id"]))
        return [claimed_of(delivery, until, events.get(delivery["eventId"])) for delivery in claimed]

    async def release_left_behind(self, listener_ids: Iterable[str], claimers: Iterable[str], now: datetime) -> int:
        """Make deliveries due that killed processes had claimed. Their receivers may get them twice.

        Args:
            listener_ids: of the listeners whose deliveries are meant.
            claimers: the ids of the killed processes among relays.
            now: the current time.

        Returns:
            How many were released.
        """
        tokens = f"^(?:{'|'.join(map(re.escape, claimers))})/"
        done = await self._deliveries.update_many(
            {
                "listenerId": {"$in": list(listener_ids)},
                "status": DeliveryStatus.PENDING.value,
                "dueAt": {"$gt": now, "$lte": now + self._lease},
                "lease": {"$regex": tokens},
            },
            {"$set": {"dueAt": now, "lease": None}},
        )
        return done.modified_count

    async def write(self, outcomes: Sequence[UpdateOne]) -> int:
        """Write the outcomes of claimed deliveries; the number not written because the lease was lost."""
        done = await self._deliveries.bulk_write(list(outcomes), ordered=False)
        return len(outcomes) - done.matched_count

    def outcome_update(
        self, claimed: ClaimedDelivery, verdict: Verdict, sent: SentRequest | None, now: datetime
    ) -> UpdateOne:
        """The update that records the outcome of an attempt."""
        fields: Document
        match verdict:
            case Delivered():
                fields = {"status": DeliveryStatus.DELIVERED.value, **ended(None, now, now + self._retention)}
            case Dead(reason):
                fields = {"status": DeliveryStatus.DEAD.value, **ended(reason.value, now, now + self._retention)}
            case Retry(due_at):
                fields = {"dueAt": due_at, "lease": None}
        change: dict[str, Any] = {"$set": fields}
        if not isinstance(verdict, Delivered):
            change["$inc"] = {"failures": 1}
        if sent is not None:
            change["$push"] = {"log": {"$each": [_log_entry(sent, now)], "$slice": -LOG_MAX}}
        return UpdateOne(self._claimed_filter(claimed), change)

    def release_update(self, claimed: ClaimedDelivery, now: datetime) -> UpdateOne:
        """The update that releases a claimed delivery whose attempt did not start."""
        return UpdateOne(
            self._claimed_filter(claimed), {"$set": {"dueAt": now, "lease": None}, "$inc": {"attempts": -1}}
        )

    def _claimed_filter(self, claimed: ClaimedDelivery) -> Document:
        by_lease = {"_id": claimed.delivery_id, "lease": claimed.lease}
        return within(self._database, by_lease, listenerId=claimed.listener_id)

    async def promote(self, listener_id: str, gallery_ids: Iterable[str], now: datetime) -> None:
        """See `triptych.webhooks.store.ordering`."""
        await promote(self._deliveries, listener_id, gallery_ids, now)

    async def promote_all(self, listener_id: str, now: datetime) -> None:
        """See `triptych.webhooks.store.ordering`."""
        await promote_all(self._deliveries, listener_id, now)

    async def run_of(self, listener_id: str) -> FailureRun | None:
        """The current run of failures of a listener; None after a success."""
        found = await self._listeners.find_one({"_id": listener_id}, {"failingSince": 1, "failedAt": 1})
        if found is None or found["failingSince"] is None or found.get("failedAt") is None:
            return None
        return FailureRun(found["failingSince"], found["failedAt"])

    async def store_run(self, listener_id: str, run: FailureRun | None) -> None:
        """Store the current run of failures of a listener."""
        values = {"failingSince": run and run.since, "failedAt": run and run.last}
        await self._listeners.update_one({"_id": listener_id}, {"$set": values})

    async def flag(self, listener_id: str, problem: str) -> None:
        """Store a problem of a listener, for its administrators."""
        await self._listeners.update_one({"_id": listener_id}, {"$set": {"problem": problem}})

    async def disable(self, listener_id: str, problem: str, now: datetime) -> bool:
        """Disable a listener; False if it was not active."""
        done = await self._listeners.update_one(
            {"_id": listener_id, "status": ListenerStatus.ACTIVE.value},
            {"$set": {"status": ListenerStatus.DISABLED.value, "problem": problem, "updatedAt": now}},
        )
        if not done.modified_count:
            return False
        await announce_change(self._database)
        return True

    async def cancel(self, listener_id: str, status: ListenerStatus, now: datetime) -> int:
        """Cancel the open deliveries of a listener. Claimed deliveries may still arrive until their leases end.

        Returns:
            How many were cancelled.
        """
        done = await self._deliveries.update_many(
            {
                "listenerId": listener_id,
                "status": {"$in": list(OPEN_STATUSES)},
                "$or": [{"lease": None}, {"dueAt": {"$lte": now}}],
            },
            {
                "$set": {
                    "status": DeliveryStatus.CANCELLED.value,
                    **ended(f"listener-{status.value}", now, now + self._retention),
                }
            },
        )
        return done.modified_count


def claimed_of(delivery: Mapping[str, Any], until: float, event: Mapping[str, Any] | None) -> ClaimedDelivery:
    """A claimed delivery, from its stored document and that of its event, which is None if it has expired."""
    return ClaimedDelivery(
        delivery_id=delivery["_id"],
        site_id=delivery["siteId"],
        listener_id=delivery["listenerId"],
        event_id=delivery["eventId"],
        gallery_id=delivery["galleryId"],
        occurred_at=delivery["occurredAt"],
        manual=delivery["manual"],
        ordered=delivery["ordered"],
        attempts=delivery["attempts"],
        failures=delivery["failures"],
        lease=delivery["lease"],
        until=until,
        value=None if event is None else bytes(event["value"]),
        trace=None if event is None else trace_of(event),
    )


def _log_entry(sent: SentRequest, now: datetime) -> Document:
    response = sent.response
    return {
        "at": now,
        "url": sent.url,
        "headers": dict(sent.headers),
        "status": response.status,
        "failure": response.failure,
        "text": response.text,
        "seconds": round(response.seconds, 4),
        "answer": Binary(response.body),
    }

"""Defines the documents of deliveries and events: states, fields, indexes, and their form for administrators."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import uuid_utils

from triptych.contract.base import format_instant
from triptych.kit.mongo.driver import ASCENDING, Document, IndexModel
from triptych.kit.mongo.sharding import ShardKey
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus

DELIVERIES = "deliveries"
EVENTS = "webhook_events"

TRACE_FIELDS = ("traceparent", "tracestate")
"""Fields of an event that is traced."""


class DeliveryStatus(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    """Due at `dueAt`. While a process has claimed the delivery, `dueAt` is the end of its lease."""
    WAITING = "waiting"
    """Waits for an earlier event of the same gallery, since the listener is ordered."""
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
    """The listener was deleted or disabled."""


OPEN_STATUSES = (DeliveryStatus.PENDING.value, DeliveryStatus.WAITING.value)

INDEXES: Mapping[str, list[IndexModel]] = {
    DELIVERIES: [
        # The unique indexes begin with the listener, and one process at a time serves it.
        ShardKey("listenerId"),
        # One delivery for each event and listener. Resent deliveries are marked `manual` and are not counted.
        IndexModel(
            [("listenerId", ASCENDING), ("eventId", ASCENDING)],
            unique=True,
            partialFilterExpression={"manual": False},
        ),
        IndexModel(
            [("listenerId", ASCENDING), ("dueAt", ASCENDING)],
            partialFilterExpression={"status": DeliveryStatus.PENDING.value},
        ),
        # An ordered listener has at most one pending delivery for each gallery, even if two processes promote.
        IndexModel(
            [("listenerId", ASCENDING), ("galleryId", ASCENDING)],
            name="head",
            unique=True,
            partialFilterExpression={"ordered": True, "status": DeliveryStatus.PENDING.value},
        ),
        IndexModel(
            [("listenerId", ASCENDING), ("galleryId", ASCENDING), ("sequence", ASCENDING)],
            name="lane",
            partialFilterExpression={"status": DeliveryStatus.WAITING.value},
        ),
        IndexModel([("listenerId", ASCENDING), ("status", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    EVENTS: [
        ShardKey("_id"),
        IndexModel([("siteId", ASCENDING), ("occurredAt", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("siteId", ASCENDING), ("galleryId", ASCENDING), ("occurredAt", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
}


def trace_fields(traceparent: str | None, tracestate: str | None) -> Document:
    """The fields of an event whose deliveries are traced in this context."""
    values = zip(TRACE_FIELDS, (traceparent, tracestate), strict=True)
    return {name: value for name, value in values if value is not None}


def trace_of(event: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """The traceparent and the tracestate of a stored event; None if the event is not traced."""
    traceparent = event.get("traceparent")
    return None if traceparent is None else (traceparent, event.get("tracestate"))


def new_delivery(listener: Listener, event: Mapping[str, Any], now: datetime, *, manual: bool = False) -> Document:
    """A delivery to insert, from an event's stored document. If the listener is ordered, it waits to be promoted."""
    status = DeliveryStatus.WAITING if listener.ordered else DeliveryStatus.PENDING
    delivery: Document = {
        "_id": str(uuid_utils.uuid7()),
        "siteId": listener.site_id,
        "listenerId": listener.id,
        "eventId": event["_id"],
        "eventType": event["eventType"],
        "galleryId": event["galleryId"],
        "sequence": event["sequence"],
        "occurredAt": event["occurredAt"],
        "manual": manual,
        "ordered": listener.ordered,
        "status": status.value,
        "dueAt": now,
        "lease": None,
        "attempts": 0,
        "failures": 0,
        "reason": None,
        "log": [],
        "createdAt": now,
    }
    return delivery


def cancelled(delivery: Document, status: ListenerStatus, now: datetime, expires_at: datetime) -> Document:
    """The same delivery for a listener that gets nothing. It is stored as cancelled, so that it can be resent."""
    return {**delivery, "status": DeliveryStatus.CANCELLED.value, **ended(f"listener-{status.value}", now, expires_at)}


def ended(reason: str | None, now: datetime, expires_at: datetime) -> Document:
    """The fields of a delivery that has ended."""
    return {"reason": reason, "endedAt": now, "expiresAt": expires_at, "lease": None}


def delivery_wire(document: Mapping[str, Any], *, with_log: bool) -> dict[str, Any]:
    """A delivery as administrators see it."""
    ended_at = document.get("endedAt")
    is_open = document["status"] in OPEN_STATUSES
    wire: dict[str, Any] = {
        "id": document["_id"],
        "listenerId": document["listenerId"],
        "eventId": document["eventId"],
        "eventType": document["eventType"],
        "galleryId": document["galleryId"],
        "sequence": str(document["sequence"]),
        "eventTime": format_instant(document["occurredAt"]),
        "manual": document["manual"],
        "status": document["status"],
        "reason": document["reason"],
        "attempts": document["attempts"],
        "nextAttemptDate": format_instant(document["dueAt"]) if is_open and document["lease"] is None else None,
        "createdDate": format_instant(document["createdAt"]),
        "endedDate": None if ended_at is None else format_instant(ended_at),
        "resentDate": format_instant(document["resentAt"]) if document.get("resentAt") else None,
    }
    if with_log:
        wire["log"] = [_attempt_wire(attempt) for attempt in document["log"]]
    return wire


def _attempt_wire(attempt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "date": format_instant(attempt["at"]),
        "url": attempt["url"],
        "requestHeaders": attempt["headers"],
        "status": attempt["status"],
        "failure": attempt["failure"],
        "text": attempt["text"],
        "latencySeconds": attempt["seconds"],
        "answer": bytes(attempt["answer"]).decode("utf-8", "replace"),
    }

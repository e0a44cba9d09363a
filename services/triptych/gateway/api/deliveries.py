"""Endpoints that read the delivery log and send deliveries again."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, ConfigDict, Field
from starlette.responses import Response

from triptych.contract.base import Guid, Instant, ViolatedRule, WireModel, broken, format_instant
from triptych.contract.codec.events import EventType
from triptych.gateway.api.dependencies import Gateway
from triptych.gateway.api.listener_models import (
    DeliveriesAnswer,
    DeliveryAnswer,
    EventDeliveriesAnswer,
    LoggedDeliveryAnswer,
    ProgressAnswer,
)
from triptych.gateway.api.listeners import PAGE_MAX, Admin, Cursor, Limit, ListenerAdmin, ListenerId
from triptych.gateway.api.openapi import json_body
from triptych.gateway.http.bodies import parse_body, read_body
from triptych.gateway.http.errors import ApplicationFailure, not_found
from triptych.gateway.http.responses import JsonAnswer
from triptych.gateway.http.strictness import refuse_body, refuse_unknown
from triptych.kit.mongo.driver import Document
from triptych.webhooks.model.signing import shown_body
from triptych.webhooks.store.cursors import EXAMPLE, InvalidCursor, read_cursor
from triptych.webhooks.store.delivery_documents import DeliveryStatus, delivery_wire
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus
from triptych.webhooks.store.resending import Range, ResendStep

router = APIRouter(prefix="/v1", tags=["deliveries"])
DeliveryId: TypeAlias = Annotated[Guid, Path(alias="deliveryId")]


def _check_cursor(cursor: str) -> str:
    try:
        read_cursor(cursor)
    except InvalidCursor:
        expected = "the cursor of an earlier answer"
        raise broken(ViolatedRule.FORMAT, f"must be {expected}", data={"expected": expected}) from None
    return cursor


class StepBody(WireModel):
    """The cursor of the previous step. A misspelt field would mean all deliveries, so it is refused."""

    model_config = ConfigDict(extra="forbid")

    cursor: Guid | None = None


class ReplayBody(WireModel):
    """Which events to send again: from `since` on, before `until`, of one gallery or of all.

    A misspelt field would mean more events, so it is refused.
    """

    model_config = ConfigDict(extra="forbid")

    cursor: (
        Annotated[
            str,
            Field(max_length=200, json_schema_extra={"example": EXAMPLE}),
            AfterValidator(_check_cursor),
        ]
        | None
    ) = None
    since: Instant | None = None
    until: Instant | None = None
    gallery_id: Guid | None = None


BODIES = (StepBody, ReplayBody)


@router.get("/listeners/{listenerId}/deliveries", response_model=DeliveriesAnswer)
async def list_deliveries(
    admin: Admin,
    listener_id: ListenerId,
    status: DeliveryStatus | None = None,
    event_type: Annotated[EventType | None, Query(alias="eventType")] = None,
    limit: Limit = PAGE_MAX,
    cursor: Cursor = None,
) -> Response:
    """The deliveries of a listener, newest first; the `cursor` of the response leads to older ones.

    A page of one event type may be short, or empty: continue as long as there is a cursor.
    """
    listener = await admin.listener(listener_id)
    page = await admin.deliveries.page(listener, status, limit, cursor, event_type and event_type.value)
    deliveries = [delivery_wire(one, with_log=False) for one in page.deliveries]
    return JsonAnswer({"deliveries": deliveries, "cursor": page.cursor})


@router.get("/deliveries", response_model=EventDeliveriesAnswer)
async def list_deliveries_of_event(admin: Admin, event_id: Annotated[Guid, Query(alias="eventId")]) -> Response:
    """The deliveries that an event has caused, one for each listener, with their attempts; up to 100."""
    found = await admin.deliveries.of_event(admin.site_id, event_id, PAGE_MAX)
    return JsonAnswer({"deliveries": [delivery_wire(one, with_log=True) for one in found]})


@router.get("/deliveries/{deliveryId}", response_model=LoggedDeliveryAnswer)
async def get_delivery(admin: Admin, delivery_id: DeliveryId) -> Response:
    """One delivery with each of its attempts: headers sent, status, latency, first bytes of the response."""
    delivery = await _delivery(admin, delivery_id)
    listener = await admin.listeners.get_any(admin.site_id, delivery["listenerId"])
    event = await admin.deliveries.event_of(delivery)
    body = None if listener is None or event is None else shown_body(listener.format, event, admin.site_id)
    return JsonAnswer({"delivery": {**delivery_wire(delivery, with_log=True), "body": body}})


@router.post("/deliveries/{deliveryId}/resend", response_model=DeliveryAnswer)
async def resend_delivery(admin: Admin, delivery_id: DeliveryId, request: Request) -> Response:
    """Send a delivery again, in any state; the response is the new delivery."""
    refuse_unknown(request)
    delivery = await _delivery(admin, delivery_id)
    listener = _sendable(await admin.listener(delivery["listenerId"]))
    sent = await admin.deliveries.resend(listener, delivery)
    return JsonAnswer({"delivery": delivery_wire(sent, with_log=False)})


@router.post("/listeners/{listenerId}/test", response_model=DeliveryAnswer)
async def test_listener(admin: Admin, listener_id: ListenerId, request: Request) -> Response:
    """Send a test event, for a gallery that does not exist. The response is its delivery, which is attempted soon."""
    refuse_unknown(request)
    await refuse_body(request)
    listener = _sendable(await admin.listener(listener_id))
    if listener.status is ListenerStatus.PAUSED:
        raise ApplicationFailure(409, "FAILED_PRECONDITION", "the listener is paused; resume it first")
    return JsonAnswer({"delivery": delivery_wire(await admin.deliveries.send_example(listener), with_log=False)})


@router.post(
    "/listeners/{listenerId}/resend-dead",
    response_model=ProgressAnswer,
    openapi_extra=json_body(StepBody, {}, required=False),
)
async def resend_dead_deliveries(admin: Admin, gateway: Gateway, listener_id: ListenerId, request: Request) -> Response:
    """Send dead deliveries of a listener again, each once, a page at a time: repeat with the cursor of the response."""
    refuse_unknown(request)
    raw = await read_body(request, gateway.settings.gateway_body_limit)
    body = parse_body(StepBody, raw or bytearray(b"{}"))
    listener = _sendable(await admin.listener(listener_id))
    return _progress(await admin.deliveries.resend_dead(listener, body.cursor))


@router.post(
    "/listeners/{listenerId}/replay",
    response_model=ProgressAnswer,
    openapi_extra=json_body(ReplayBody, {"since": "2026-01-01T00:00:00Z"}, required=False),
)
async def replay_events(admin: Admin, gateway: Gateway, listener_id: ListenerId, request: Request) -> Response:
    """Send a listener the events of a time range or a gallery, one page at a time: repeat with the cursor."""
    refuse_unknown(request)
    raw = await read_body(request, gateway.settings.gateway_body_limit)
    body = parse_body(ReplayBody, raw or bytearray(b"{}"))
    listener = _sendable(await admin.listener(listener_id))
    which = Range(body.since, body.until, body.gallery_id)
    return _progress(await admin.deliveries.replay(listener, which, body.cursor))


async def _delivery(admin: ListenerAdmin, delivery_id: str) -> Document:
    delivery = await admin.deliveries.get(admin.site_id, delivery_id)
    if delivery is None:
        raise not_found("delivery", deliveryId=delivery_id)
    return delivery


def _sendable(listener: Listener) -> Listener:
    if listener.status is ListenerStatus.DISABLED:
        raise ApplicationFailure(409, "FAILED_PRECONDITION", "the listener is disabled; resume it first")
    return listener


def _progress(progress: ResendStep) -> Response:
    through = None if progress.through is None else format_instant(progress.through)
    return JsonAnswer(
        {"queued": progress.queued, "cursor": progress.cursor, "seen": progress.seen, "throughDate": through}
    )

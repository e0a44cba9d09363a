"""Endpoints of live events, as Server-Sent Events (HTML standard, section 9.2); they are not part of the contract."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse

from triptych.contract.domain_event import slug_of
from triptych.gateway.api.dependencies import Gateway, GatewayState, Reader
from triptych.gateway.api.parameters import GalleryId
from triptych.gateway.http.errors import not_found
from triptych.gateway.http.responses import failures
from triptych.gateway.live.feed import FeedRecord
from triptych.gateway.live.streams import format_event_id, parse_event_id
from triptych.gateway.live.subscription import EventFilter, Heartbeat, Positions, Subscription, type_of

router = APIRouter(prefix="/v2", tags=["events"])

RETRY_MS = 1_000
COMMENT_AWAY = b": Kafka does not answer\n"
"""In front of a heartbeat: no events can come. Clients ignore comments, unless they show them to people."""
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
# Before OpenAPI 3.2, which has `itemSchema`, the schema of an event stream describes each of its events.
_SERVER_SENT_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "description": "The position after the event, to be sent as `Last-Event-ID`."},
        "event": {"type": "string", "description": "The slug of the event.", "example": "gallery_item_updated"},
        "data": {"type": "string", "contentMediaType": "application/json", "description": "The event as on the topic."},
        "retry": {"type": "integer", "description": "Milliseconds to wait before reconnecting."},
    },
}
_DESCRIBED = {
    "content": {"text/event-stream": {"schema": _SERVER_SENT_EVENT}},
    "description": "Events as they happen. Frames without data give the position only.",
}

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID")]


@router.get("/events", response_class=StreamingResponse, responses={200: _DESCRIBED, **failures(410)})
async def stream_site(caller: Reader, gateway: Gateway, last_event_id: LastEventId = None) -> Response:
    """All events of the site."""
    return await _stream(gateway, EventFilter(caller.site_id), last_event_id)


@router.get(
    "/galleries/{galleryId}/events", response_class=StreamingResponse, responses={200: _DESCRIBED, **failures(404, 410)}
)
async def stream_gallery(
    caller: Reader, gateway: Gateway, gallery_id: GalleryId, last_event_id: LastEventId = None
) -> Response:
    """All events of a gallery and its items."""
    if await gateway.views.get_gallery(caller.site_id, gallery_id, 1) is None:
        raise not_found("gallery", galleryId=gallery_id)
    return await _stream(gateway, EventFilter(caller.site_id, gallery_id), last_event_id)


async def _stream(gateway: GatewayState, event_filter: EventFilter, last_event_id: str | None) -> Response:
    frames = _frames(gateway, event_filter, parse_event_id(last_event_id) if last_event_id else None)
    first = await anext(frames)  # before the response begins, so that a refusal has its own status

    async def body() -> AsyncIterator[bytes]:
        async with aclosing(frames):
            yield first
            async for frame in frames:
                yield frame

    return StreamingResponse(body(), media_type="text/event-stream", headers=_HEADERS)


async def _frames(gateway: GatewayState, event_filter: EventFilter, since: Positions | None) -> AsyncGenerator[bytes]:
    async with gateway.streams.subscribe(event_filter) as subscription:
        if since is not None:
            async with gateway.streams.replay(since, subscription.start_positions) as missed:
                positions = {partition: since.get(partition, 0) for partition in subscription.start_positions}
                yield _position_frame(positions)
                async for record in missed:
                    if event_filter.includes(record):
                        yield _event_frame(record, positions)
        # Also after a replay: its last records may not have passed the filter.
        yield _position_frame(subscription.start_positions)
        async for frame in _live(gateway, subscription, dict(subscription.start_positions)):
            yield frame


async def _live(gateway: GatewayState, subscription: Subscription, positions: dict[int, int]) -> AsyncGenerator[bytes]:
    # A stream has a limited lifetime, because its key may be revoked, and so that load balancers can move clients.
    deadline = time.monotonic() + gateway.settings.gateway_stream_lifetime.total_seconds()
    while time.monotonic() < deadline:
        queued = await subscription.next()
        if queued is None:
            return
        if isinstance(queued, Heartbeat):
            # Everything before it is sent, so a resumed stream need not read the records before these positions again.
            for partition, offset in queued.positions.items():
                positions[partition] = max(offset, positions.get(partition, 0))
            yield (COMMENT_AWAY if queued.problem else b"") + _position_frame(positions)
        else:
            yield _event_frame(queued, positions)


def _position_frame(positions: Positions) -> bytes:
    """A frame without an event: it gives the client the stream's position, and shows that the stream is alive."""
    return f"retry: {RETRY_MS}\nid: {format_event_id(positions)}\n\n".encode()


def _event_frame(record: FeedRecord, positions: dict[int, int]) -> bytes:
    positions[record.partition] = record.offset + 1
    event_type = type_of(record)
    slug = slug_of(event_type) if event_type else ""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (format_event_id(positions).encode(), slug.encode(), record.value)

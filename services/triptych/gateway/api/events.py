"""Endpoints of live events, as Server-Sent Events (HTML standard, section 9.2), which the contract does not know."""

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
from triptych.gateway.live.streams import Positions, Subscription, Wanted, format_event_id, parse_event_id, type_of

router = APIRouter(prefix="/v2", tags=["events"])

RETRY_MS = 1_000
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_DESCRIBED = {
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
    "description": "Events as they happen; `event` is the slug, `data` the event of the events topic.",
}

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID")]


@router.get("/events", response_class=StreamingResponse, responses={200: _DESCRIBED, **failures(410)})
async def stream_site(caller: Reader, gateway: Gateway, last_event_id: LastEventId = None) -> Response:
    """Everything that happens in the site."""
    return await _stream(gateway, Wanted(caller.site_id), last_event_id)


@router.get(
    "/galleries/{galleryId}/events", response_class=StreamingResponse, responses={200: _DESCRIBED, **failures(404, 410)}
)
async def stream_gallery(
    caller: Reader, gateway: Gateway, gallery_id: GalleryId, last_event_id: LastEventId = None
) -> Response:
    """Everything that happens to a gallery and its items."""
    if await gateway.views.get_gallery(caller.site_id, gallery_id, 1) is None:
        raise not_found("gallery", galleryId=gallery_id)
    return await _stream(gateway, Wanted(caller.site_id, gallery_id), last_event_id)


async def _stream(gateway: GatewayState, wanted: Wanted, last_event_id: str | None) -> Response:
    frames = _frames(gateway, wanted, parse_event_id(last_event_id) if last_event_id else None)
    first = await anext(frames)  # here, where a refusal is still an answer of its own

    async def body() -> AsyncIterator[bytes]:
        async with aclosing(frames):
            yield first
            async for frame in frames:
                yield frame

    return StreamingResponse(body(), media_type="text/event-stream", headers=_HEADERS)


async def _frames(gateway: GatewayState, wanted: Wanted, since: Positions | None) -> AsyncGenerator[bytes]:
    async with gateway.streams.subscribe(wanted) as subscription:
        if since is not None:
            async with gateway.streams.replay(since, subscription.begins) as missed:
                places = {partition: since[partition] for partition in subscription.begins}
                yield _place_frame(places)
                async for record in missed:
                    if wanted.includes(record):
                        yield _event_frame(record, places)
        # Also after a replay, whose last records may have been of no interest.
        yield _place_frame(subscription.begins)
        async for frame in _live(gateway, subscription, dict(subscription.begins)):
            yield frame


async def _live(gateway: GatewayState, subscription: Subscription, places: dict[int, int]) -> AsyncGenerator[bytes]:
    heartbeat_seconds = gateway.settings.gateway_stream_heartbeat.total_seconds()
    # Not for ever: the key may have been revoked, and load balancers like to move clients.
    ends = time.monotonic() + gateway.settings.gateway_stream_lifetime.total_seconds()
    while time.monotonic() < ends:
        try:
            record = await subscription.next(heartbeat_seconds)
        except TimeoutError:
            # The stream has given all that was heard for it; the rest need not be looked through again.
            heard = gateway.streams.places_of(subscription.wanted)
            places.update({partition: max(offset, places.get(partition, 0)) for partition, offset in heard.items()})
            yield _place_frame(places)
            continue
        if record is None:
            return
        yield _event_frame(record, places)


def _place_frame(places: Positions) -> bytes:
    """Tells the client where the stream stands, and that it is alive, without an event."""
    return f"retry: {RETRY_MS}\nid: {format_event_id(places)}\n\n".encode()


def _event_frame(record: FeedRecord, places: dict[int, int]) -> bytes:
    places[record.partition] = record.offset + 1
    event_type = type_of(record)
    slug = slug_of(event_type) if event_type else ""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (format_event_id(places).encode(), slug.encode(), record.value)

"""Endpoints of the history: the events of a gallery, and a gallery as it was. They are not part of Wix's contract."""

import asyncio
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import Field, model_validator
from starlette.responses import Response

from triptych.contract.base import Guid, Instant, ViolatedRule, WireModel, broken
from triptych.contract.commands import EventSequence
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item
from triptych.gateway.api.dependencies import Gateway, GatewayState, Reader
from triptych.gateway.api.parameters import GalleryId
from triptych.gateway.http.budget import budget_of, shrink_reservation
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure, not_found
from triptych.gateway.http.responses import JsonAnswer, failures
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER, parse_positions
from triptych.history.cursors import InvalidCursor, read_events_cursor, read_items_cursor
from triptych.history.moments import Absence, Moment, NotShown
from triptych.kit.backoff import Backoff

router = APIRouter(prefix="/v2/galleries/{galleryId}", tags=["history"])

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 0.2
Slug = Literal["created", "updated", "deleted", "gallery_item_created", "gallery_item_updated", "gallery_item_deleted"]


class HistoryQuery(WireModel):
    """Which events of a gallery to list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=100)] | None = None
    order: Literal["newest", "oldest"] = "newest"
    type: Slug | None = None
    item_id: Guid | None = None

    @model_validator(mode="after")
    def _check_cursor(self) -> Self:
        if self.cursor:
            try:
                read_events_cursor(self.cursor)
            except InvalidCursor:
                raise _bad_cursor() from None
        return self


class MomentQuery(WireModel):
    """A moment of a gallery: after the event with this sequence, or after the last event up to this time.

    Without both, the moment is that of the last event in the history.
    """

    sequence: EventSequence | None = None
    time: Instant | None = None
    item_limit: Annotated[int, Field(ge=1, le=200)] = 50

    @model_validator(mode="after")
    def _check_moment(self) -> Self:
        if self.sequence is not None and self.time is not None:
            raise broken(ViolatedRule.CUSTOM, "must be absent when a sequence is given", field="time")
        return self


class ItemsAtQuery(MomentQuery):
    """Which items of a gallery at a moment to list."""

    cursor: Annotated[str, Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _check_cursor(self) -> Self:
        if self.cursor:
            try:
                read_items_cursor(self.cursor)
            except InvalidCursor:
                raise _bad_cursor() from None
        return self


class HistoricEvent(WireModel):
    """An event of a gallery. `event` is the event as it is on the events topic."""

    sequence: int
    type: Slug
    time: Instant
    item_id: Guid | None = None
    command_id: str | None = None
    source: str | None = None
    event: dict[str, Any]


class HistoryAnswer(WireModel):
    """A page of a gallery's events.

    The history has every event from `earliestSequence` to `completeThrough`. `nextCursor` is there if more events may
    follow.
    """

    events: list[HistoricEvent]
    next_cursor: str | None = None
    complete_through: int
    earliest_sequence: int | None = None


class GalleryAtAnswer(WireModel):
    """A gallery as it was at a sequence, with its first items; `nextCursor` is there if more items may follow."""

    sequence: int
    gallery: Gallery
    next_cursor: str | None = None


class ItemsAtAnswer(WireModel):
    """Items of a gallery as it was at a sequence; `nextCursor` is there if more items may follow."""

    sequence: int
    items: list[Item]
    next_cursor: str | None = None


@router.get("/history", response_model=HistoryAnswer, responses=failures(404, 409))
async def list_history(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """The events of a gallery, as long as they are kept, also after its deletion."""
    site_id = caller.site_id
    positions = parse_positions(request.headers.get(CONSISTENT_HEADER, ""))
    wanted = max((one.sequence for one in positions if one.gallery_id == gallery_id), default=0)
    try:
        reach = await gateway.history.reach(site_id, gallery_id)
        if wanted and (reach is None or reach.sequence < wanted):
            await _until_reached(gateway, site_id, gallery_id, wanted)
            reach = await gateway.history.reach(site_id, gallery_id)
    except NotShown as reason:
        raise await _failure(gateway, site_id, gallery_id, reason) from None
    if reach is None:
        if await gateway.views.sequence_of(site_id, gallery_id) is None:
            raise not_found("gallery", galleryId=gallery_id)
        return JsonAnswer({"events": [], "completeThrough": 0})
    await budget_of(request, gateway.budget, site_id)
    page = await gateway.history.events(
        site_id,
        gallery_id,
        query.limit,
        query.cursor or None,
        item_id=query.item_id,
        slug=query.type,
        is_newest_first=query.order == "newest",
    )
    content = {"events": page.events, "completeThrough": reach.sequence}
    if reach.complete_from is not None:
        content["earliestSequence"] = reach.complete_from
    return _paged(request, content, page.next_cursor)


@router.get("/as-of", response_model=GalleryAtAnswer, responses=failures(404, 409, 410))
async def get_gallery_as_of(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, query: Annotated[MomentQuery, Query()]
) -> Response:
    """A gallery as it was at a sequence or a time, with its first items in display order, also after its deletion."""
    await budget_of(request, gateway.budget, caller.site_id)
    moment = await _moment(gateway, caller.site_id, gallery_id, query)
    page = await gateway.history.items(moment, query.item_limit)
    gallery = {**moment.gallery, "items": page.items}
    return _paged(request, {"sequence": moment.sequence, "gallery": gallery}, page.next_cursor)


@router.get("/as-of/items", response_model=ItemsAtAnswer, responses=failures(404, 409, 410))
async def list_items_as_of(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, query: Annotated[ItemsAtQuery, Query()]
) -> Response:
    """A page of the items of a gallery as it was, in display order at that time."""
    await budget_of(request, gateway.budget, caller.site_id)
    moment = await _moment(gateway, caller.site_id, gallery_id, query)
    page = await gateway.history.items(moment, query.item_limit, query.cursor or None)
    return _paged(request, {"sequence": moment.sequence, "items": page.items}, page.next_cursor)


async def _moment(gateway: GatewayState, site_id: str, gallery_id: str, query: MomentQuery) -> Moment:
    """The moment that a request names. What readers see already, and the history has not come to yet, is waited for."""
    try:
        sequence = query.sequence
        if sequence is None:
            # The last event up to a time may be one that the history does not have yet.
            shown = await gateway.views.sequence_of(site_id, gallery_id) or 0
            reach = await gateway.history.reach(site_id, gallery_id)
            if reach is None or reach.sequence < shown:
                await _until_reached(gateway, site_id, gallery_id, shown)
            sequence = await gateway.history.sequence_at(site_id, gallery_id, query.time)
        try:
            return await gateway.history.moment(site_id, gallery_id, sequence)
        except NotShown as reason:
            if reason.absence not in (Absence.NOT_REACHED, Absence.UNKNOWN):
                raise
            if not await _until_reached(gateway, site_id, gallery_id, sequence):
                raise
        return await gateway.history.moment(site_id, gallery_id, sequence)
    except NotShown as reason:
        raise await _failure(gateway, site_id, gallery_id, reason) from None


async def _until_reached(gateway: GatewayState, site_id: str, gallery_id: str, sequence: int) -> bool:
    """Wait until the history has an event that readers see already; whether it does in time."""
    shown = await gateway.views.sequence_of(site_id, gallery_id)
    if shown is None or shown < sequence:
        return False
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    try:
        async with asyncio.timeout(gateway.settings.gateway_view_timeout.total_seconds()):
            while True:
                reach = await gateway.history.reach(site_id, gallery_id)
                if reach is not None and reach.sequence >= sequence:
                    return True
                await backoff.pause()
    except TimeoutError:
        return False


async def _failure(gateway: GatewayState, site_id: str, gallery_id: str, reason: NotShown) -> HttpFailure:
    """The failure that says why a gallery cannot be shown as it was (contract, section 5)."""
    data: dict[str, Any] = {"galleryId": gallery_id}
    if reason.complete_through is not None:
        data["completeThrough"] = reason.complete_through
    if reason.earliest is not None:
        data["earliestSequence"] = reason.earliest
    match reason.absence:
        case Absence.OFF:
            return ApplicationFailure(409, "FAILED_PRECONDITION", "no history is kept here", data)
        case Absence.UNKNOWN if await gateway.views.sequence_of(site_id, gallery_id) is None:
            return not_found("gallery", galleryId=gallery_id)
        case Absence.UNKNOWN:
            return ApplicationFailure(410, "OUT_OF_RANGE", "the history does not have this gallery", data)
        case Absence.NOT_REACHED:
            return ApplicationFailure(409, "FAILED_PRECONDITION", "the history has not come to this sequence", data)
        case Absence.NOT_KEPT:
            return ApplicationFailure(410, "OUT_OF_RANGE", "the history does not reach back to this moment", data)
        case Absence.NOT_THERE:
            return ApplicationFailure(404, "NOT_FOUND", "the gallery was not there at this moment", data)


def _paged(request: Request, content: dict[str, Any], next_cursor: str | None) -> Response:
    answer = JsonAnswer(content if next_cursor is None else {**content, "nextCursor": next_cursor})
    shrink_reservation(request, len(answer.body))
    return answer


def _bad_cursor() -> Exception:
    expected = "the nextCursor of a page"
    return broken(ViolatedRule.FORMAT, f"must be {expected}", field="cursor", data={"expected": expected})

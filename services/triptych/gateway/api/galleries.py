"""Endpoints of galleries (contract, section 2)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from triptych.contract.base import Guid, Instant, WireModel
from triptych.contract.commands import (
    CreateGallery,
    DeleteGallery,
    EventSequence,
    RebalanceItems,
    RestoreGallery,
    UpdateGallery,
)
from triptych.contract.gallery import GalleryPatch, NewGallery
from triptych.gateway.api import examples
from triptych.gateway.api.dependencies import Gateway, GatewayState, Reader, Write
from triptych.gateway.api.openapi import json_body
from triptych.gateway.api.parameters import GalleriesQuery, GalleryId, ItemsPageQuery
from triptych.gateway.http.bodies import make_command, parse_body, read_body
from triptych.gateway.http.budget import budget_of
from triptych.gateway.http.errors import not_found
from triptych.gateway.http.etags import answer_read
from triptych.gateway.http.long_responses import RemainingItems, stream_gallery
from triptych.gateway.http.responses import (
    READ,
    WITH_BODY,
    WRITE,
    GalleriesAnswer,
    GalleryAnswer,
    GalleryIdAnswer,
    JsonAnswer,
    failures,
)
from triptych.gateway.http.strictness import REPEATED, refuse_body, refuse_unknown
from triptych.gateway.writing.writes import Written
from triptych.readmodel.gallery_lists import read_gallery_cursor

router = APIRouter(prefix="/v2/galleries", tags=["galleries"])

PARTIAL_HEADER = "X-Triptych-Partial"
"""Names the field of a response that is incomplete, because it is too large."""


class CreateGalleryBody(WireModel):
    """The body of createGallery; every field may be missing."""

    gallery: NewGallery | None = None
    clone_from_gallery_id: Guid | None = None


class UpdateGalleryBody(WireModel):
    """The body of updateGallery."""

    gallery: GalleryPatch


class RestoreGalleryBody(WireModel):
    """The state to restore: after the event with a sequence, or after the last event up to a time; one of the two.

    With `asNewGallery`, a new gallery gets the former state. The gallery itself stays as it is, and may be deleted.
    """

    sequence: EventSequence | None = None
    time: Instant | None = None
    as_new_gallery: bool = False


BODIES = (CreateGalleryBody, UpdateGalleryBody, RestoreGalleryBody)


@router.get("", response_model=GalleriesAnswer, responses=READ)
async def list_galleries(
    request: Request, caller: Reader, gateway: Gateway, query: Annotated[GalleriesQuery, Query()]
) -> Response:
    """A page of the site's galleries, newest first (D4), or of those whose name begins with a text, by name."""
    room = await budget_of(request, gateway.budget, caller.site_id)
    after = read_gallery_cursor(query.cursor, is_search=query.name is not None) if query.cursor else None
    page = await gateway.views.list_galleries(
        caller.site_id, query.limit, query.offset, query.item_limit, room, name=query.name, after=after
    )
    content: dict[str, Any] = {
        "totalGalleries": page.total,
        "galleries": [gallery.to_wire() for gallery in page.galleries],
    }
    if query.cursor is not None and page.next_cursor is not None:
        content["nextCursor"] = page.next_cursor
    answer = answer_read(request, content)
    if any(gallery.next_cursor for gallery in page.galleries):
        answer.headers[PARTIAL_HEADER] = "items"
    return answer


@router.get("/{galleryId}", response_model=GalleryAnswer, responses={**READ, **failures(404)})
async def get_gallery(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, page: Annotated[ItemsPageQuery, Query()]
) -> Response:
    """One gallery with a page of its items."""
    room = await budget_of(request, gateway.budget, caller.site_id)
    found = await gateway.views.get_gallery(caller.site_id, gallery_id, page.item_limit, page.item_offset, room)
    if found is None:
        raise not_found("gallery", galleryId=gallery_id)
    if found.next_cursor is not None:
        count = page.item_limit - len(found.items)
        remaining = RemainingItems(gateway.views, caller.site_id, gallery_id, found.next_cursor, count, room)
        return stream_gallery(found.gallery, found.items, remaining)
    return answer_read(request, {"gallery": found.to_wire()}, found.sequence)


@router.post(
    "",
    response_model=GalleryAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(CreateGalleryBody, examples.CREATE_GALLERY, required=False),
)
async def create_gallery(write: Write, gateway: Gateway, request: Request) -> Response:
    """Create a gallery with its items, or a copy of another one."""
    raw = await read_body(request, gateway.settings.gateway_body_limit)
    body = parse_body(CreateGalleryBody, raw or bytearray(b"{}"))
    command = make_command(
        CreateGallery, gallery=body.gallery, clone_from_gallery_id=body.clone_from_gallery_id, **write.expectation
    )
    return await answer_gallery(request, gateway, write.site_id, await gateway.writes.perform(write, command))


@router.patch(
    "/{galleryId}",
    response_model=GalleryAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(UpdateGalleryBody, examples.UPDATE_GALLERY),
)
async def update_gallery(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Change the fields that are given; `items` with an id change that item, and others are created (D6)."""
    body = parse_body(UpdateGalleryBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = UpdateGallery(gallery_id=gallery_id, gallery=body.gallery, **write.expectation)
    return await answer_gallery(request, gateway, write.site_id, await gateway.writes.perform(write, command))


@router.delete("/{galleryId}", response_model=GalleryIdAnswer, responses={**WRITE, **failures(404)})
async def delete_gallery(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Delete a gallery and its items."""
    refuse_unknown(request, *REPEATED)
    await refuse_body(request)
    command = DeleteGallery(gallery_id=gallery_id, **write.expectation)
    written = await gateway.writes.perform(write, command)
    return JsonAnswer({"galleryId": gallery_id}, headers=written.headers)


@router.post(
    "/{galleryId}/rebalance", response_model=GalleryAnswer, responses={**WRITE, **failures(404)}, tags=["beyond"]
)
async def rebalance_gallery(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Space the sort orders of all items evenly, without changing the display order."""
    refuse_unknown(request, *REPEATED)
    command = RebalanceItems(gallery_id=gallery_id, **write.expectation)
    return await answer_gallery(request, gateway, write.site_id, await gateway.writes.perform(write, command))


@router.post(
    "/{galleryId}/restore",
    response_model=GalleryAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(RestoreGalleryBody, examples.RESTORE_GALLERY),
    tags=["beyond"],
)
async def restore_gallery(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Bring a gallery back to a former state, or give that state to a new gallery."""
    refuse_unknown(request, *REPEATED)
    body = parse_body(RestoreGalleryBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = make_command(
        RestoreGallery,
        gallery_id=None if body.as_new_gallery else gallery_id,
        from_gallery_id=gallery_id if body.as_new_gallery else None,
        sequence=body.sequence,
        time=body.time,
        **write.expectation,
    )
    return await answer_gallery(request, gateway, write.site_id, await gateway.writes.perform(write, command))


async def answer_gallery(request: Request, gateway: GatewayState, site_id: str, written: Written) -> Response:
    """The gallery after a write, with its first items: from the read model, or, until that shows it, the write model.

    Raises:
        HttpFailure: 404 if the gallery was deleted meanwhile, 504 if neither model has it.
    """
    position, limit = written.position, ItemsPageQuery().item_limit
    room = await budget_of(request, gateway.budget, site_id)
    if written.is_shown:
        shown = await gateway.views.get_gallery(site_id, position.gallery_id, limit, room=room)
        if shown is None:
            raise not_found("gallery", galleryId=position.gallery_id)
        gallery, is_cut = shown.to_wire(), shown.next_cursor is not None
    else:
        unshown = await gateway.unshown.get_gallery(site_id, position, limit, room)
        if unshown is None:
            raise written.not_shown()
        gallery, is_cut = unshown.to_wire(), unshown.is_cut
    partial = {PARTIAL_HEADER: "items"} if is_cut else {}
    return JsonAnswer({"gallery": gallery}, headers={**written.headers, **partial})

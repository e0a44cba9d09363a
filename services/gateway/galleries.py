"""Endpoints of galleries (wire contract, section 2)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from schemas.base import Guid, WireModel
from schemas.commands import CreateGallery
from schemas.gallery import NewGallery
from schemas.violations import violations_of
from services.gateway.answers import GalleriesAnswer, GalleryAnswer, JsonAnswer
from services.gateway.bodies import parse_body, read_body
from services.gateway.context import Gateway, Reader, WriteOrder
from services.gateway.errors import Invalid, not_found
from services.gateway.openapi import json_body
from services.gateway.parameters import GalleriesPage, GalleryId, ItemsPage

router = APIRouter(prefix="/v2/galleries", tags=["galleries"])


class CreateGalleryBody(WireModel):
    """What createGallery takes; everything may be missing."""

    gallery: NewGallery | None = None
    clone_from_gallery_id: Guid | None = None


@router.get("", response_model=GalleriesAnswer)
async def list_galleries(caller: Reader, gateway: Gateway, page: Annotated[GalleriesPage, Query()]) -> Response:
    """A page of the site's galleries, newest first (D4)."""
    total, galleries = await gateway.views.list_galleries(caller.site_id, page.limit, page.offset, page.item_limit)
    return JsonAnswer({"totalGalleries": total, "galleries": [gallery.to_wire() for gallery in galleries]})


@router.get("/{galleryId}", response_model=GalleryAnswer)
async def get_gallery(
    caller: Reader, gateway: Gateway, gallery_id: GalleryId, page: Annotated[ItemsPage, Query()]
) -> Response:
    """One gallery with a page of its items."""
    return await _gallery_answer(gateway, caller.site_id, gallery_id, page)


@router.post("", response_model=GalleryAnswer, openapi_extra=json_body(CreateGalleryBody, required=False))
async def create_gallery(order: WriteOrder, gateway: Gateway, request: Request) -> Response:
    """Create a gallery with its items, or a copy of another one."""
    raw = await read_body(request, gateway.settings.gateway_body_limit)
    body = parse_body(CreateGalleryBody, raw or bytearray(b"{}"))
    try:
        command = CreateGallery(gallery=body.gallery, clone_from_gallery_id=body.clone_from_gallery_id)
    except ValidationError as error:
        raise Invalid(violations_of(error)) from None
    written = await gateway.writes.perform(order, command)
    answer = await _gallery_answer(gateway, order.site_id, written.position.gallery_id, ItemsPage())
    answer.headers.update(written.headers)
    return answer


async def _gallery_answer(gateway: Gateway, site_id: str, gallery_id: str, page: ItemsPage) -> Response:
    gallery = await gateway.views.get_gallery(site_id, gallery_id, page.item_limit, page.item_offset)
    if gallery is None:
        raise not_found("gallery", galleryId=gallery_id)
    return JsonAnswer({"gallery": gallery.to_wire()})

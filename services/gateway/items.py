"""Endpoints of items (wire contract, section 2)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from schemas.base import WireModel
from schemas.commands import CreateItems
from schemas.item import NewItem
from services.gateway.answers import ItemAnswer, ItemsAnswer, JsonAnswer
from services.gateway.bodies import parse_body, read_body
from services.gateway.context import Gateway, Reader, WriteOrder
from services.gateway.errors import Refused, not_found
from services.gateway.openapi import json_body
from services.gateway.parameters import GalleryId, ItemId, ItemsPage

router = APIRouter(prefix="/v2/galleries/{galleryId}/items", tags=["items"])


class CreateItemBody(WireModel):
    """What createGalleryItem takes."""

    item: NewItem


@router.get("", response_model=ItemsAnswer)
async def list_items(
    caller: Reader, gateway: Gateway, gallery_id: GalleryId, page: Annotated[ItemsPage, Query()]
) -> Response:
    """A page of a gallery's items, by descending sortOrder (D3)."""
    items = await gateway.views.list_items(caller.site_id, gallery_id, page.item_limit, page.item_offset)
    if items is None:
        raise not_found("gallery", galleryId=gallery_id)
    return JsonAnswer({"items": items})


@router.get("/{itemId}", response_model=ItemAnswer)
async def get_item(caller: Reader, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId) -> Response:
    """One item."""
    return await _item_answer(gateway, caller.site_id, gallery_id, item_id)


@router.post("", response_model=ItemAnswer, openapi_extra=json_body(CreateItemBody))
async def create_item(order: WriteOrder, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Create an item in a gallery."""
    body = parse_body(CreateItemBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = CreateItems(gallery_id=gallery_id, items=(body.item,))
    written = await gateway.writes.perform(order, command, request_path)
    if len(written.item_ids) != 1:
        # The command id was used before, for a write of another kind.
        raise Refused(409, "ALREADY_EXISTS", "the idempotency key belongs to another request")
    answer = await _item_answer(gateway, order.site_id, gallery_id, written.item_ids[0])
    answer.headers.update(written.headers)
    return answer


def request_path(field: str) -> str:
    """The path in a createGalleryItem of a field of its command: `items[0].image` is `item.image`."""
    first = "items[0]"
    return "item" + field.removeprefix(first) if field.startswith(first) else field


async def _item_answer(gateway: Gateway, site_id: str, gallery_id: str, item_id: str) -> Response:
    item = await gateway.views.get_item(site_id, gallery_id, item_id)
    if item is None:
        raise not_found("item", galleryId=gallery_id, itemId=item_id)
    return JsonAnswer({"item": item})

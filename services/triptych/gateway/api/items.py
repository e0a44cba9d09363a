"""Endpoints of items (contract, section 2), and moving one."""

import logging
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from triptych.contract.base import Guid, WireModel
from triptych.contract.commands import DELETED_ITEMS_MAX, ClearGallery, CreateItems, DeleteItems, MoveItem, UpdateItem
from triptych.contract.item import ItemPatch, NewItem
from triptych.gateway.api import examples
from triptych.gateway.api.dependencies import Gateway, GatewayState, Reader, WriteOrder
from triptych.gateway.api.galleries import answer_gallery
from triptych.gateway.api.openapi import json_body
from triptych.gateway.api.parameters import GalleryId, ItemId, ItemsQuery
from triptych.gateway.http.bodies import make_command, parse_body, read_body
from triptych.gateway.http.budget import budget_of
from triptych.gateway.http.errors import not_found
from triptych.gateway.http.etags import answer_read
from triptych.gateway.http.long_responses import Rest, stream_items
from triptych.gateway.http.responses import (
    READ,
    WITH_BODY,
    WRITE,
    GalleryAnswer,
    ItemAnswer,
    ItemIdAnswer,
    ItemIdsAnswer,
    ItemsAnswer,
    JsonAnswer,
    failures,
)
from triptych.gateway.http.strictness import REPEATED, refuse_body, refuse_unknown
from triptych.gateway.writing.writes import Written, key_reused
from triptych.kit.attribution import about
from triptych.readmodel.queries import ALL, ItemFilter, ViewItemsPage

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v2/galleries/{galleryId}/items", tags=["items"])

ItemIds = Annotated[list[Guid], Field(min_length=1, max_length=DELETED_ITEMS_MAX)]


class CreateItemBody(WireModel):
    """What createGalleryItem takes."""

    item: NewItem


class UpdateItemBody(WireModel):
    """What updateGalleryItem takes."""

    item: ItemPatch


class DeleteItemsBody(WireModel):
    """What bulkDeleteGalleryItems takes."""

    item_ids: ItemIds


class MoveItemBody(WireModel):
    """Where an item goes in display order: one of the three."""

    before: Guid | None = None
    after: Guid | None = None
    to: Literal["start", "end"] | None = None


BODIES = (CreateItemBody, UpdateItemBody, DeleteItemsBody, MoveItemBody)


@router.get("", response_model=ItemsAnswer, responses={**READ, **failures(404)})
async def list_items(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, query: Annotated[ItemsQuery, Query()]
) -> Response:
    """A page of a gallery's items, by descending sortOrder (D3)."""
    views, site_id, wanted = gateway.views, caller.site_id, ItemFilter(query.type, query.tag)
    room = await budget_of(request, gateway.budget, site_id)
    if query.cursor is None and wanted == ALL:
        page = await views.get_gallery(site_id, gallery_id, query.item_limit, query.item_offset, room)
        if page is None:
            raise not_found("gallery", galleryId=gallery_id)
        if page.next_cursor is not None:
            count = query.item_limit - len(page.items)
            return stream_items(page.items, Rest(views, site_id, gallery_id, page.next_cursor, count, room))
        return answer_read(request, {"items": page.items}, page.sequence)
    # First, so that the tag never promises a later state than that of the items.
    sequence = await views.sequence_of(site_id, gallery_id)
    if query.cursor is None:
        found = await views.list_items(site_id, gallery_id, query.item_limit, query.item_offset, wanted, room)
        if found is not None and found.next_cursor is not None:
            count = query.item_limit - len(found.items)
            rest = Rest(views, site_id, gallery_id, found.next_cursor, count, room, wanted)
            return stream_items(found.items, rest)
    else:
        cursor = query.cursor or None
        found = await views.list_items_after(site_id, gallery_id, query.item_limit, cursor, wanted, room)
    if found is None:
        raise not_found("gallery", galleryId=gallery_id)
    return answer_read(request, _cursor_page(found), sequence)


@router.get("/{itemId}", response_model=ItemAnswer, responses={**READ, **failures(404)})
async def get_item(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId
) -> Response:
    """One item."""
    # First, so that the tag never promises a later state than the item's.
    sequence = await gateway.views.sequence_of(caller.site_id, gallery_id)
    item = await gateway.views.get_item(caller.site_id, gallery_id, item_id)
    if item is None:
        raise not_found("item", galleryId=gallery_id, itemId=item_id)
    return answer_read(request, {"item": item}, sequence)


@router.post(
    "",
    response_model=ItemAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(CreateItemBody, examples.CREATE_ITEM),
)
async def create_item(order: WriteOrder, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Create an item in a gallery."""
    body = parse_body(CreateItemBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = CreateItems(gallery_id=gallery_id, items=(body.item,), **order.expectation)
    written = await gateway.writes.perform(order, command, request_path)
    if len(written.item_ids) != 1:
        raise key_reused()
    return await _answer_item(gateway, order.site_id, written, written.item_ids[0])


@router.patch(
    "/{itemId}",
    response_model=ItemAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(UpdateItemBody, examples.UPDATE_ITEM),
)
async def update_item(
    order: WriteOrder, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId, request: Request
) -> Response:
    """Change the fields of an item that are given; another medium replaces the old one (D10)."""
    body = parse_body(UpdateItemBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = UpdateItem(gallery_id=gallery_id, item_id=item_id, item=body.item, **order.expectation)
    return await _answer_item(gateway, order.site_id, await gateway.writes.perform(order, command), item_id)


@router.delete("/{itemId}", response_model=ItemIdAnswer, responses={**WRITE, **failures(404)})
async def delete_item(
    order: WriteOrder, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId, request: Request
) -> Response:
    """Delete an item."""
    refuse_unknown(request, *REPEATED)
    await refuse_body(request)
    command = DeleteItems(gallery_id=gallery_id, item_ids=(item_id,), **order.expectation)
    written = await gateway.writes.perform(order, command)
    if written.item_ids != (item_id,):
        raise not_found("item", galleryId=gallery_id, itemId=item_id)
    return JsonAnswer({"itemId": item_id}, headers=written.headers)


@router.delete("", response_model=GalleryAnswer, responses={**WRITE, **failures(404)}, deprecated=True)
async def delete_items(
    order: WriteOrder,
    gateway: Gateway,
    gallery_id: GalleryId,
    request: Request,
    items_ids: Annotated[list[Guid] | None, Query(alias="itemsIds", max_length=DELETED_ITEMS_MAX)] = None,
) -> Response:
    """Delete the items named, or all items of the gallery if none is (D8)."""
    # Ids under a misspelt name, or in a body, would otherwise be none, and everything would be deleted.
    refuse_unknown(request, "itemsIds", *REPEATED)
    await refuse_body(request)
    if items_ids:
        command: DeleteItems | ClearGallery = DeleteItems(
            gallery_id=gallery_id, item_ids=tuple(items_ids), **order.expectation
        )
    else:
        log.warning(
            "deleteGalleryItems without ids empties gallery %s of site %s",
            gallery_id,
            order.site_id,
            extra=about(site=order.site_id, source=order.source, command=order.command_id),
        )
        command = ClearGallery(gallery_id=gallery_id, **order.expectation)
    return await answer_gallery(request, gateway, order.site_id, await gateway.writes.perform(order, command))


@router.post(
    "/delete",
    response_model=ItemIdsAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(DeleteItemsBody, examples.DELETE_ITEMS),
)
async def bulk_delete_items(order: WriteOrder, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Delete the items named; ids that are not in the gallery are skipped and left out of the answer (D9)."""
    refuse_unknown(request, *REPEATED)
    body = parse_body(DeleteItemsBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = DeleteItems(gallery_id=gallery_id, item_ids=tuple(body.item_ids), **order.expectation)
    written = await gateway.writes.perform(order, command)
    return JsonAnswer({"itemIds": list(written.item_ids)}, headers=written.headers)


@router.post(
    "/{itemId}/move",
    response_model=ItemAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(MoveItemBody, examples.MOVE_ITEM),
    tags=["beyond"],
)
async def move_item(
    order: WriteOrder, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId, request: Request
) -> Response:
    """Move an item in display order: right before or after another one, or to one of the ends."""
    refuse_unknown(request, *REPEATED)
    body = parse_body(MoveItemBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = make_command(
        MoveItem,
        gallery_id=gallery_id,
        item_id=item_id,
        before=body.before,
        after=body.after,
        to=body.to,
        **order.expectation,
    )
    return await _answer_item(gateway, order.site_id, await gateway.writes.perform(order, command), item_id)


def request_path(field: str) -> str:
    """The path in a createGalleryItem of a field of its command: `items[0].image` is `item.image`."""
    first = "items[0]"
    return "item" + field.removeprefix(first) if field.startswith(first) else field


async def _answer_item(gateway: GatewayState, site_id: str, written: Written, item_id: str) -> Response:
    """The item after a write, as the join tells it, or the write's own event, or else the read model.

    Raises:
        Failure: 404 if it was deleted meanwhile, 504 if none of them tells.
    """
    gallery_id = written.position.gallery_id
    item = written.items.get(item_id) or written.echo.items.get(item_id)
    if item is None and not written.is_shown:
        raise written.unseen()
    if item is None:
        item = await gateway.views.get_item(site_id, gallery_id, item_id)
    if item is None:
        raise not_found("item", galleryId=gallery_id, itemId=item_id)
    return JsonAnswer({"item": item}, headers=written.headers)


def _cursor_page(page: ViewItemsPage) -> dict[str, Any]:
    content: dict[str, Any] = {"items": page.items}
    if page.next_cursor is not None:
        content["nextCursor"] = page.next_cursor
    return content

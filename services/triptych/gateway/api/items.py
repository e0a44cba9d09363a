"""Endpoints of items (contract, section 2), including those that move items."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from triptych.contract.base import Guid, WireModel
from triptych.contract.commands import (
    DELETED_ITEMS_MAX,
    MOVED_ITEMS_MAX,
    ClearGallery,
    CreateItems,
    DeleteItems,
    MoveItem,
    MoveItems,
    UpdateItem,
)
from triptych.contract.item import ItemPatch, NewItem
from triptych.gateway.api import examples
from triptych.gateway.api.dependencies import Gateway, GatewayState, Reader, Write
from triptych.gateway.api.galleries import answer_gallery
from triptych.gateway.api.openapi import json_body
from triptych.gateway.api.parameters import GalleryId, ItemId, ItemsQuery
from triptych.gateway.http.bodies import make_command, parse_body, read_body
from triptych.gateway.http.budget import budget_of
from triptych.gateway.http.errors import not_found
from triptych.gateway.http.etags import answer_read
from triptych.gateway.http.long_responses import RemainingItems, stream_items
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
from triptych.gateway.writing.log_fields import named_in_log
from triptych.gateway.writing.rejections import key_reused
from triptych.gateway.writing.writes import Written
from triptych.kit.logs.loggers import get_logger
from triptych.readmodel.queries import ALL, ItemFilter, ItemName, ViewItemsPage

log = get_logger(__name__)

router = APIRouter(prefix="/v2/galleries/{galleryId}/items", tags=["items"])

ItemIds = Annotated[list[Guid], Field(min_length=1, max_length=DELETED_ITEMS_MAX)]


class CreateItemBody(WireModel):
    """The body of createGalleryItem."""

    item: NewItem


class UpdateItemBody(WireModel):
    """The body of updateGalleryItem."""

    item: ItemPatch


class DeleteItemsBody(WireModel):
    """The body of bulkDeleteGalleryItems."""

    item_ids: ItemIds


class MoveItemBody(WireModel):
    """The new position of an item in display order; exactly one field is given."""

    before: Guid | None = None
    after: Guid | None = None
    to: Literal["start", "end"] | None = None


class MoveItemsBody(MoveItemBody):
    """Items to move as one block, in this order, and their new position; exactly one of the other fields is given."""

    item_ids: Annotated[list[Guid], Field(min_length=1, max_length=MOVED_ITEMS_MAX)]


BODIES = (CreateItemBody, UpdateItemBody, DeleteItemsBody, MoveItemBody, MoveItemsBody)


@router.get("", response_model=ItemsAnswer, responses={**READ, **failures(404)})
async def list_items(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, query: Annotated[ItemsQuery, Query()]
) -> Response:
    """A page of a gallery's items, by descending sortOrder (D3)."""
    views, site_id, item_filter = gateway.views, caller.site_id, ItemFilter(query.type, query.tag)
    room = await budget_of(request, gateway.budget, site_id)
    if query.cursor is None and item_filter == ALL:
        page = await views.get_gallery(site_id, gallery_id, query.item_limit, query.item_offset, room)
        if page is None:
            raise not_found("gallery", galleryId=gallery_id)
        if page.next_cursor is not None:
            count = query.item_limit - len(page.items)
            return stream_items(page.items, RemainingItems(views, site_id, gallery_id, page.next_cursor, count, room))
        return answer_read(request, {"items": page.items}, page.sequence)
    # The sequence is read first, so that the tag is never later than the state of the items.
    sequence = await views.sequence_of(site_id, gallery_id)
    if query.cursor is None:
        found = await views.list_items(site_id, gallery_id, query.item_limit, query.item_offset, item_filter, room)
        if found is not None and found.next_cursor is not None:
            count = query.item_limit - len(found.items)
            remaining = RemainingItems(views, site_id, gallery_id, found.next_cursor, count, room, item_filter)
            return stream_items(found.items, remaining)
    else:
        cursor = query.cursor or None
        found = await views.list_items_after(site_id, gallery_id, query.item_limit, cursor, item_filter, room)
    if found is None:
        raise not_found("gallery", galleryId=gallery_id)
    return answer_read(request, _cursor_page(found), sequence)


@router.get("/{itemId}", response_model=ItemAnswer, responses={**READ, **failures(404)})
async def get_item(
    request: Request, caller: Reader, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId
) -> Response:
    """One item."""
    # The sequence is read first, so that the tag is never later than the state of the item.
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
async def create_item(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Create an item in a gallery."""
    body = parse_body(CreateItemBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = CreateItems(gallery_id=gallery_id, items=(body.item,), **write.expectation)
    written = await gateway.writes.perform(write, command, request_path)
    if len(written.item_ids) != 1:
        raise key_reused()
    return await _answer_item(gateway, write.site_id, written, written.item_ids[0])


@router.patch(
    "/{itemId}",
    response_model=ItemAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(UpdateItemBody, examples.UPDATE_ITEM),
)
async def update_item(
    write: Write, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId, request: Request
) -> Response:
    """Change the fields of an item that are given; another medium replaces the old one (D10)."""
    body = parse_body(UpdateItemBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = UpdateItem(gallery_id=gallery_id, item_id=item_id, item=body.item, **write.expectation)
    return await _answer_item(gateway, write.site_id, await gateway.writes.perform(write, command), item_id)


@router.delete("/{itemId}", response_model=ItemIdAnswer, responses={**WRITE, **failures(404)})
async def delete_item(
    write: Write, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId, request: Request
) -> Response:
    """Delete an item."""
    refuse_unknown(request, *REPEATED)
    await refuse_body(request)
    command = DeleteItems(gallery_id=gallery_id, item_ids=(item_id,), **write.expectation)
    written = await gateway.writes.perform(write, command)
    if written.item_ids != (item_id,):
        raise not_found("item", galleryId=gallery_id, itemId=item_id)
    return JsonAnswer({"itemId": item_id}, headers=written.headers)


@router.delete("", response_model=GalleryAnswer, responses={**WRITE, **failures(404)}, deprecated=True)
async def delete_items(
    write: Write,
    gateway: Gateway,
    gallery_id: GalleryId,
    request: Request,
    items_ids: Annotated[list[Guid] | None, Query(alias="itemsIds", max_length=DELETED_ITEMS_MAX)] = None,
) -> Response:
    """Delete the named items, or all items of the gallery if no item is named (D8)."""
    # Otherwise ids under a misspelt name, or in a body, would be ignored, and all items would be deleted.
    refuse_unknown(request, "itemsIds", *REPEATED)
    await refuse_body(request)
    if items_ids:
        command: DeleteItems | ClearGallery = DeleteItems(
            gallery_id=gallery_id, item_ids=tuple(items_ids), **write.expectation
        )
    else:
        log.warning("deleteGalleryItems without ids empties a gallery", gallery_id=gallery_id, **named_in_log(write))
        command = ClearGallery(gallery_id=gallery_id, **write.expectation)
    return await answer_gallery(request, gateway, write.site_id, await gateway.writes.perform(write, command))


@router.post(
    "/delete",
    response_model=ItemIdsAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(DeleteItemsBody, examples.DELETE_ITEMS),
)
async def bulk_delete_items(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Delete the named items; ids that are not in the gallery are skipped and left out of the response (D9)."""
    refuse_unknown(request, *REPEATED)
    body = parse_body(DeleteItemsBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = DeleteItems(gallery_id=gallery_id, item_ids=tuple(body.item_ids), **write.expectation)
    written = await gateway.writes.perform(write, command)
    return JsonAnswer({"itemIds": list(written.item_ids)}, headers=written.headers)


@router.post(
    "/move",
    response_model=ItemIdsAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(MoveItemsBody, examples.MOVE_ITEMS),
    tags=["beyond"],
)
async def move_items(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Move items as one block in the order given: directly before or after another item, or to the start or end.

    The response has those whose place has changed.
    """
    refuse_unknown(request, *REPEATED)
    body = parse_body(MoveItemsBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = make_command(
        MoveItems,
        gallery_id=gallery_id,
        item_ids=tuple(body.item_ids),
        before=body.before,
        after=body.after,
        to=body.to,
        **write.expectation,
    )
    written = await gateway.writes.perform(write, command)
    return JsonAnswer({"itemIds": list(written.item_ids)}, headers=written.headers)


@router.post(
    "/{itemId}/move",
    response_model=ItemAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(MoveItemBody, examples.MOVE_ITEM),
    tags=["beyond"],
)
async def move_item(
    write: Write, gateway: Gateway, gallery_id: GalleryId, item_id: ItemId, request: Request
) -> Response:
    """Move an item in display order: directly before or after another item, or to the start or end."""
    refuse_unknown(request, *REPEATED)
    body = parse_body(MoveItemBody, await read_body(request, gateway.settings.gateway_body_limit))
    command = make_command(
        MoveItem,
        gallery_id=gallery_id,
        item_id=item_id,
        before=body.before,
        after=body.after,
        to=body.to,
        **write.expectation,
    )
    return await _answer_item(gateway, write.site_id, await gateway.writes.perform(write, command), item_id)


def request_path(field: str) -> str:
    """The field path in a createGalleryItem for a field path in its command: `item.image` for `items[0].image`."""
    first = "items[0]"
    return "item" + field.removeprefix(first) if field.startswith(first) else field


async def _answer_item(gateway: GatewayState, site_id: str, written: Written, item_id: str) -> Response:
    """The item after a write: from the notice about it, from the read model, or until that shows it the write model.

    Raises:
        HttpFailure: 404 if the item was deleted meanwhile, 504 if neither model has it.
    """
    gallery_id = written.position.gallery_id
    if written.is_shown:
        item = written.items.get(item_id) or await gateway.item_reads.get(ItemName(site_id, gallery_id, item_id))
        if item is None:
            raise not_found("item", galleryId=gallery_id, itemId=item_id)
    else:
        item = await gateway.unshown.get_item(site_id, written.position, item_id)
        if item is None:
            raise written.not_shown()
    return JsonAnswer({"item": item}, headers=written.headers)


def _cursor_page(page: ViewItemsPage) -> dict[str, Any]:
    content: dict[str, Any] = {"items": page.items}
    if page.next_cursor is not None:
        content["nextCursor"] = page.next_cursor
    return content

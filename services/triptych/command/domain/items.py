"""Decides what commands do to the items of a gallery, without I/O: create, update, delete, clear."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from triptych.command.domain.order.neighbours import LOWEST, OrderRange, neighbourhood_of
from triptych.command.domain.order.sort_orders import first_repeated, sort_orders_above, sort_orders_below
from triptych.command.domain.state import (
    Change,
    CommandContext,
    Find,
    GalleryHead,
    NeedsMoreLoaded,
    Rejected,
    StoredItem,
    shortest,
)
from triptych.contract.base import ViolatedRule
from triptych.contract.codec.events import item_created, item_deleted, item_updated
from triptych.contract.item import ITEM_BYTES_MAX, MEDIA, ItemPatch, NewItem
from triptych.contract.replies import ErrorCode, Violation

_FIRST_FIELDS = {"id": "", "sortOrder": 0}  # first in the JSON, where people look for them
_TYPES = {"image": "IMAGE", "video": "VIDEO", "text": "TEXT"}


def create_items(
    head: GalleryHead,
    items: Sequence[NewItem],
    contents: Sequence[Mapping[str, Any]],
    taken: Mapping[float, str],
    context: CommandContext,
) -> Change:
    """Add items to a gallery. Items without a sort order are shown in the given order, before the older ones.

    Args:
        head: the gallery.
        items: 1 to 500.
        contents: the same items in wire form.
        taken: item ids by sort order; complete for the requested values and, if the head's `highest` reaches the
            defaults, for the defaults.
        context: the context of the command.

    Raises:
        Rejected: a sort order is taken, by an item of the gallery or of this call (contract, section 4).
    """
    sort_orders = sort_orders_above([item.sort_order for item in items], default_base(head, context.now_ms), taken)
    defaults = [sort_order for item, sort_order in zip(items, sort_orders, strict=True) if item.sort_order is None]
    head = head._replace(last_default=max(defaults, default=head.last_default))
    return _add_items(head, contents, sort_orders, taken, context)


def append_items(
    head: GalleryHead,
    items: Sequence[NewItem],
    contents: Sequence[Mapping[str, Any]],
    taken: Mapping[float, str],
    ranges: Sequence[OrderRange],
    context: CommandContext,
) -> Change:
    """Add items to a gallery. Items without a sort order are shown in the given order, after the older ones.

    Args:
        head, items, contents, context: see `create_items`.
        taken: item ids by sort order; complete for the requested values.
        ranges: the loaded ranges of the gallery's order, with its end.

    Raises:
        Rejected: a sort order is taken, or the sort orders at the end reach the lowest double.
        NeedsMoreLoaded: the end of the order is not loaded.
    """
    end = neighbourhood_of(ranges, LOWEST, 1)
    if end is None:
        raise NeedsMoreLoaded
    lowest = end.entries[0][0] if end.entries else None
    asked = [item.sort_order for item in items]
    sort_orders = sort_orders_below(asked, lowest, default_base(head, context.now_ms), context)
    if sort_orders is None:
        raise Rejected(ErrorCode.FAILED_PRECONDITION, "the sort orders reach the lowest number there is")
    return _add_items(head, contents, sort_orders, taken, context)


def _add_items(
    head: GalleryHead,
    contents: Sequence[Mapping[str, Any]],
    sort_orders: Sequence[float],
    taken: Mapping[float, str],
    context: CommandContext,
) -> Change:
    for position, sort_order in enumerate(sort_orders):
        refuse_taken(taken, sort_order, f"items[{position}].sortOrder")
    refuse_repeated(sort_orders, "items")
    after = head._replace(
        total_items=head.total_items + len(contents),
        sequence=head.sequence + len(contents),
        highest=max(head.highest, *sort_orders),
    )
    created = new_items(head, contents, sort_orders, context)
    return Change(
        after,
        {item.item_id: item for item in created},
        events=tuple(created_events(created, head.sequence + 1, context)),
        item_ids=tuple(item.item_id for item in created),
    )


def update_item(
    head: GalleryHead,
    item: StoredItem | None,
    patch: ItemPatch,
    changes: Mapping[str, Any],
    taken: Mapping[float, str],
    context: CommandContext,
) -> Change:
    """Change the fields of an item that the patch sets (contract, section 2.2); `changes` are they in wire form.

    Raises:
        Rejected: the item does not exist, another item has the sort order, or the item would exceed 256 KiB (D21).
    """
    if item is None:
        raise Rejected(ErrorCode.NOT_FOUND, "item not found", galleryId=head.gallery_id)
    after = patched(item, patch, changes, taken, context, "item")
    event = item_updated(context.new_event_id(), head.gallery_id, head.sequence + 1, context.at, after.body)
    return Change(
        head._replace(sequence=head.sequence + 1, highest=max(head.highest, after.sort_order)),
        {item.item_id: after},
        events=(event,),
        item_ids=(item.item_id,),
    )


def delete_items(head: GalleryHead, item_ids: Iterable[str], find: Find, context: CommandContext) -> Change:
    """Delete items; ids that are not in the gallery are skipped, and repeated ids count once (D9)."""
    present = [item_id for item_id in dict.fromkeys(item_ids) if find(item_id) is not None]
    return without(head, present, context)


def without(head: GalleryHead, item_ids: Sequence[str], context: CommandContext, originated_from: str = "") -> Change:
    """Remove items from a gallery that has all of them."""
    events = tuple(
        item_deleted(context.new_event_id(), head.gallery_id, sequence, context.at, item_id, originated_from)
        for sequence, item_id in enumerate(item_ids, head.sequence + 1)
    )
    after = head._replace(total_items=head.total_items - len(item_ids), sequence=head.sequence + len(item_ids))
    return Change(after, dict.fromkeys(item_ids), events=events, item_ids=tuple(item_ids))


def patched(
    item: StoredItem,
    patch: ItemPatch,
    changes: Mapping[str, Any],
    taken: Mapping[float, str],
    context: CommandContext,
    field: str,
) -> StoredItem:
    """The item after a patch; `field` is the field path of the patch. Raises Rejected like `update_item`."""
    sort_order = item.sort_order if patch.sort_order is None else patch.sort_order
    refuse_taken(taken, sort_order, f"{field}.sortOrder", item.item_id)
    body = {**item.body, **changes, "id": item.item_id}
    if None in changes.values():
        body = {name: value for name, value in body.items() if value is not None}
    medium = next((name for name in MEDIA if name in changes), None)
    if medium is not None:
        body = {name: value for name, value in body.items() if name == medium or name not in MEDIA}
        body["type"] = _TYPES[medium]
    body["sortOrder"] = shortest(sort_order)
    body["updatedDate"] = context.date
    if len(orjson.dumps(body)) > ITEM_BYTES_MAX:
        description = f"must be at most {ITEM_BYTES_MAX} bytes as JSON"
        violation = Violation(
            field=field,
            description=description,
            violated_rule=ViolatedRule.MAX_SIZE,
            data={"threshold": ITEM_BYTES_MAX},
        )
        raise Rejected(ErrorCode.INVALID_ARGUMENT, f"{field} {description}", [violation])
    return StoredItem(item.item_id, item.gallery_id, item.site_id, sort_order, body)


def default_base(head: GalleryHead, now_ms: int) -> float:
    """The lowest sort order that a default may get now. Clocks repeat and go back; defaults do not (D1)."""
    return max(float(now_ms), head.last_default + 1)


def refuse_taken(taken: Mapping[float, str], sort_order: float, field: str, own_id: str | None = None) -> None:
    """Raise Rejected if another item than `own_id` has this sort order (D5)."""
    blocking = taken.get(sort_order)
    if blocking is not None and blocking != own_id:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is taken by another item of the gallery",
            itemId=blocking,
            sortOrder=shortest(sort_order),
            field=field,
        )


def refuse_repeated(sort_orders: Sequence[float], field: str) -> None:
    """Raise Rejected if two items of one call ask for the same sort order (contract, section 4, rule 4)."""
    position = first_repeated(sort_orders)
    if position is not None:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is given to two items of the same call",
            sortOrder=shortest(sort_orders[position]),
            field=f"{field}[{position}].sortOrder",
        )


def new_items(
    head: GalleryHead,
    contents: Sequence[Mapping[str, Any]],
    sort_orders: Sequence[float],
    context: CommandContext,
    first_index: int = 0,
) -> list[StoredItem]:
    """Stored items from their wire form; an item's id is derived from the command and the item's position in it."""
    return [
        new_item(head, content, sort_order, context, context.item_id(index))
        for index, (content, sort_order) in enumerate(zip(contents, sort_orders, strict=True), first_index)
    ]


def new_item(
    head: GalleryHead, content: Mapping[str, Any], sort_order: float, context: CommandContext, item_id: str
) -> StoredItem:
    """An item from its content in wire form; id, sort order, type and dates in the content are replaced."""
    body = {
        **_FIRST_FIELDS,
        **content,
        "id": item_id,
        "sortOrder": shortest(sort_order),
        "type": next(_TYPES[medium] for medium in MEDIA if medium in content),
        "createdDate": context.date,
        "updatedDate": context.date,
    }
    return StoredItem(item_id, head.gallery_id, head.site_id, sort_order, body)


def created_events(items: Sequence[StoredItem], first_sequence: int, context: CommandContext) -> list[dict[str, Any]]:
    """An event for each new item."""
    return [
        item_created(context.new_event_id(), item.gallery_id, sequence, context.at, item.body)
        for sequence, item in enumerate(items, first_sequence)
    ]


def updated_events(items: Sequence[StoredItem], first_sequence: int, context: CommandContext) -> list[dict[str, Any]]:
    """An event for each changed item."""
    return [
        item_updated(context.new_event_id(), item.gallery_id, sequence, context.at, item.body)
        for sequence, item in enumerate(items, first_sequence)
    ]

"""What commands do to the items of a gallery, purely: create, change, delete, clear."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from triptych.command.domain.order.sort_orders import first_repeated, sort_orders_above
from triptych.command.domain.state import Change, CommandContext, Find, GalleryHead, Rejected, StoredItem, shortest
from triptych.contract.base import ViolatedRule
from triptych.contract.codec.events import item_created, item_deleted, item_updated
from triptych.contract.item import ITEM_BYTES_MAX, MEDIA, ItemPatch, NewItem
from triptych.contract.replies import ErrorCode, Violation

_FIRST_FIELDS = {"id": "", "sortOrder": 0}  # so that people who read JSON find them first
_TYPES = {"image": "IMAGE", "video": "VIDEO", "text": "TEXT"}


def create_items(
    head: GalleryHead,
    items: Sequence[NewItem],
    contents: Sequence[Mapping[str, Any]],
    taken: Mapping[float, str],
    origin: CommandContext,
) -> Change:
    """Items added to a gallery, shown in the order given and before the older ones unless they say otherwise.

    Args:
        head: the gallery.
        items: 1 to 500.
        contents: the same in wire form.
        taken: item ids by sort order; complete for the values asked for and, if the head's `highest` reaches up to
            them, for the defaults.
        origin: of the command.

    Raises:
        Rejected: a sort order is taken, by an item of the gallery or of this call (contract, section 4).
    """
    places = sort_orders_above([item.sort_order for item in items], default_base(head, origin.now_ms), taken)
    for position, place in enumerate(places):
        refuse_taken(taken, place, f"items[{position}].sortOrder")
    refuse_repeated(places, "items")
    defaults = [place for item, place in zip(items, places, strict=True) if item.sort_order is None]
    after = head._replace(
        total_items=head.total_items + len(items),
        sequence=head.sequence + len(items),
        last_default=max(defaults, default=head.last_default),
        highest=max(head.highest, *places),
    )
    created = new_items(head, contents, places, origin)
    return Change(
        after,
        {item.item_id: item for item in created},
        events=tuple(created_events(created, head.sequence + 1, origin)),
        item_ids=tuple(item.item_id for item in created),
    )


def update_item(
    head: GalleryHead,
    item: StoredItem | None,
    patch: ItemPatch,
    changes: Mapping[str, Any],
    taken: Mapping[float, str],
    origin: CommandContext,
) -> Change:
    """An item with the fields of the patch changed (contract, section 2.2); `changes` are these in wire form.

    Raises:
        Rejected: no such item, the sort order is another item's, or the item grows beyond 256 KiB (D21).
    """
    if item is None:
        raise Rejected(ErrorCode.NOT_FOUND, "item not found", galleryId=head.gallery_id)
    after = patched(item, patch, changes, taken, origin, "item")
    event = item_updated(origin.new_event_id(), head.gallery_id, head.sequence + 1, origin.at, after.body)
    return Change(
        head._replace(sequence=head.sequence + 1, highest=max(head.highest, after.sort_order)),
        {item.item_id: after},
        events=(event,),
        item_ids=(item.item_id,),
    )


def delete_items(head: GalleryHead, item_ids: Iterable[str], find: Find, origin: CommandContext) -> Change:
    """Items deleted; ids that are not in the gallery are skipped, repeated ones count once (D9)."""
    present = [item_id for item_id in dict.fromkeys(item_ids) if find(item_id) is not None]
    return without(head, present, origin)


def without(head: GalleryHead, item_ids: Sequence[str], origin: CommandContext, originated_from: str = "") -> Change:
    """The gallery without these items, all of which it has."""
    events = tuple(
        item_deleted(origin.new_event_id(), head.gallery_id, sequence, origin.at, item_id, originated_from)
        for sequence, item_id in enumerate(item_ids, head.sequence + 1)
    )
    after = head._replace(total_items=head.total_items - len(item_ids), sequence=head.sequence + len(item_ids))
    return Change(after, dict.fromkeys(item_ids), events=events, item_ids=tuple(item_ids))


def patched(
    item: StoredItem,
    patch: ItemPatch,
    changes: Mapping[str, Any],
    taken: Mapping[float, str],
    origin: CommandContext,
    field: str,
) -> StoredItem:
    """The item after a patch; `field` is where the patch stands in the command. Raises Rejected, see `update_item`."""
    place = item.sort_order if patch.sort_order is None else patch.sort_order
    refuse_taken(taken, place, f"{field}.sortOrder", item.item_id)
    body = {**item.body, **changes, "id": item.item_id}
    if None in changes.values():
        body = {name: value for name, value in body.items() if value is not None}
    medium = next((name for name in MEDIA if name in changes), None)
    if medium is not None:
        body = {name: value for name, value in body.items() if name == medium or name not in MEDIA}
        body["type"] = _TYPES[medium]
    body["sortOrder"] = shortest(place)
    body["updatedDate"] = origin.date
    if len(orjson.dumps(body)) > ITEM_BYTES_MAX:
        description = f"must be at most {ITEM_BYTES_MAX} bytes as JSON"
        violation = Violation(
            field=field,
            description=description,
            violated_rule=ViolatedRule.MAX_SIZE,
            data={"threshold": ITEM_BYTES_MAX},
        )
        raise Rejected(ErrorCode.INVALID_ARGUMENT, f"{field} {description}", [violation])
    return StoredItem(item.item_id, item.gallery_id, item.site_id, place, body)


def default_base(head: GalleryHead, now_ms: int) -> float:
    """The lowest sort order that a default may get now; clocks repeat and go back, defaults do not (D1)."""
    return max(float(now_ms), head.last_default + 1)


def refuse_taken(taken: Mapping[float, str], place: float, field: str, own_id: str | None = None) -> None:
    """Raise Rejected if another item than `own_id` has this sort order (D5)."""
    blocking = taken.get(place)
    if blocking is not None and blocking != own_id:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is taken by another item of the gallery",
            itemId=blocking,
            sortOrder=shortest(place),
            field=field,
        )


def refuse_repeated(places: Sequence[float], field: str) -> None:
    """Raise Rejected if two items of one call ask for the same sort order (contract, section 4, rule 4)."""
    position = first_repeated(places)
    if position is not None:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is given to two items of the same call",
            sortOrder=shortest(places[position]),
            field=f"{field}[{position}].sortOrder",
        )


def new_items(
    head: GalleryHead,
    contents: Sequence[Mapping[str, Any]],
    places: Sequence[float],
    origin: CommandContext,
    first_index: int = 0,
) -> list[StoredItem]:
    """Items as they are stored, from their wire form; their ids follow from the command and their position in it."""
    return [
        new_item(head, content, place, origin, origin.item_id(index))
        for index, (content, place) in enumerate(zip(contents, places, strict=True), first_index)
    ]


def new_item(
    head: GalleryHead, content: Mapping[str, Any], place: float, origin: CommandContext, item_id: str
) -> StoredItem:
    """An item from its content in wire form; id, sort order, type and dates of the content are replaced."""
    body = {
        **_FIRST_FIELDS,
        **content,
        "id": item_id,
        "sortOrder": shortest(place),
        "type": next(_TYPES[medium] for medium in MEDIA if medium in content),
        "createdDate": origin.date,
        "updatedDate": origin.date,
    }
    return StoredItem(item_id, head.gallery_id, head.site_id, place, body)


def created_events(items: Sequence[StoredItem], first_sequence: int, origin: CommandContext) -> list[dict[str, Any]]:
    """One event per new item."""
    return [
        item_created(origin.new_event_id(), item.gallery_id, sequence, origin.at, item.body)
        for sequence, item in enumerate(items, first_sequence)
    ]


def updated_events(items: Sequence[StoredItem], first_sequence: int, origin: CommandContext) -> list[dict[str, Any]]:
    """One event per changed item."""
    return [
        item_updated(origin.new_event_id(), item.gallery_id, sequence, origin.at, item.body)
        for sequence, item in enumerate(items, first_sequence)
    ]

"""Decides what commands do to a gallery as a whole, without I/O: create, clone, update, delete, republish."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from triptych.command.domain.items import (
    created_events,
    default_base,
    new_item,
    new_items,
    patched,
    refuse_repeated,
    refuse_taken,
    without,
)
from triptych.command.domain.order.sort_orders import new_list_sort_orders, sort_orders_above
from triptych.command.domain.state import Change, CommandContext, Find, GalleryHead, Rejected, StoredItem
from triptych.contract.base import ViolatedRule
from triptych.contract.codec.events import (
    GALLERY_DELETED_ORIGIN,
    gallery_created,
    gallery_deleted,
    gallery_updated,
    item_created,
    item_updated,
)
from triptych.contract.gallery import GalleryPatch
from triptych.contract.item import ItemEntry, NewItem
from triptych.contract.replies import ErrorCode, Violation
from triptych.contract.snapshots import snapshot_ended, snapshot_item, snapshot_started
from triptych.contract.violations import VIOLATIONS_MAX, violations_of
from triptych.writemodel.galleries import Status


def new_head(gallery_id: str, name: str | None, sort_order: float, context: CommandContext) -> GalleryHead:
    """A gallery before its first event."""
    return GalleryHead(
        gallery_id=gallery_id,
        site_id=context.site_id,
        name=name,
        sort_order=sort_order,
        created_date=context.date,
        total_items=0,
        sequence=0,
        last_default=float(context.now_ms),
        highest=float("-inf"),
    )


def create_gallery(head: GalleryHead, items: Sequence[NewItem], context: CommandContext) -> Change:
    """Create a gallery with its items, all at once (contract, section 2.2).

    Raises:
        Rejected: two items ask for the same sort order (contract, section 4, rule 4).
    """
    sort_orders = new_list_sort_orders([item.sort_order for item in items], context.now_ms)
    refuse_repeated(sort_orders, "gallery.items")
    return _with_first_items(head, new_items(head, [item.to_wire() for item in items], sort_orders, context), context)


def clone_gallery(head: GalleryHead, source: Sequence[StoredItem], context: CommandContext) -> Change:
    """Create a gallery with copies of another gallery's items, which are given in display order (D2)."""
    sort_orders = new_list_sort_orders([None] * len(source), context.now_ms)
    return _with_first_items(head, copies(head, [item.body for item in source], 0, sort_orders, context), context)


def copies(
    head: GalleryHead,
    bodies: Sequence[Mapping[str, Any]],
    first: int,
    sort_orders: Sequence[float],
    context: CommandContext,
) -> list[StoredItem]:
    """Copies of items; `first` is the position of the first copy in its gallery."""
    return [
        new_item(head, body, sort_order, context, context.item_id(position))
        for position, (body, sort_order) in enumerate(zip(bodies, sort_orders, strict=True), first)
    ]


def _with_first_items(head: GalleryHead, created: Sequence[StoredItem], context: CommandContext) -> Change:
    after = head._replace(
        total_items=len(created),
        sequence=1 + len(created),
        highest=max((item.sort_order for item in created), default=head.highest),
    )
    event = gallery_created(context.new_event_id(), head.gallery_id, 1, context.at, after.to_wire())
    return Change(
        after,
        {item.item_id: item for item in created},
        events=(event, *created_events(created, 2, context)),
        item_ids=tuple(item.item_id for item in created),
    )


def update_gallery(
    head: GalleryHead,
    patch: GalleryPatch,
    find: Find,
    taken: Mapping[float, str],
    context: CommandContext,
) -> Change:
    """Change the fields of a gallery that the patch sets, and merge its `items` by id (D6).

    Args:
        head: the gallery; the caller has checked that the requested sort order is free in the site.
        patch: the fields in `model_fields_set` change.
        find: finds the items that the patch names.
        taken: see `create_items`.
        context: the context of the command.

    Raises:
        Rejected: an item breaks a rule; nothing changes.
    """
    after = head._replace(
        name=patch.name if "name" in patch.model_fields_set else head.name,
        sort_order=head.sort_order if patch.sort_order is None else patch.sort_order,
        sequence=head.sequence + 1,
    )
    entries = patch.items or ()
    merged = _merge(after, entries, find, taken, context)
    created = [item for item in merged if find(item.item_id) is None]
    after = after._replace(
        total_items=head.total_items + len(created),
        last_default=max(
            [
                head.last_default,
                *(
                    item.sort_order
                    for entry, item in zip(entries, merged, strict=True)
                    if entry.sort_order is None and find(item.item_id) is None
                ),
            ]
        ),
        highest=max([head.highest, *(item.sort_order for item in merged)]),
        sequence=after.sequence + len(merged),
    )
    first = gallery_updated(context.new_event_id(), head.gallery_id, head.sequence + 1, context.at, after.to_wire())
    events = [
        (item_created if find(item.item_id) is None else item_updated)(
            context.new_event_id(), head.gallery_id, sequence, context.at, item.body
        )
        for sequence, item in enumerate(merged, head.sequence + 2)
    ]
    return Change(
        after,
        {item.item_id: item for item in merged},
        events=(first, *events),
        item_ids=tuple(item.item_id for item in merged),
    )


def _merge(
    head: GalleryHead,
    entries: Sequence[ItemEntry],
    find: Find,
    taken: Mapping[float, str],
    context: CommandContext,
) -> list[StoredItem]:
    """The entries as items, in their order: a changed item if the id is in the gallery, otherwise a new item."""
    known = [find(entry.id) if entry.id else None for entry in entries]
    named = [item.item_id for item in known if item is not None]
    if len(set(named)) != len(named):
        raise Rejected(ErrorCode.INVALID_ARGUMENT, "gallery.items names an item twice", _named_again(known))
    # Items that this call moves free their sort orders for the other entries.
    leaving = {
        item.item_id for entry, item in zip(entries, known, strict=True) if item and entry.sort_order is not None
    }
    others = {sort_order: item_id for sort_order, item_id in taken.items() if item_id not in leaving}
    asked = [entry.sort_order for entry, item in zip(entries, known, strict=True) if item is None]
    # A default must not take a sort order that this call gives to another item.
    given = {entry.sort_order for entry in entries if entry.sort_order is not None}
    sort_orders = iter(sort_orders_above(asked, default_base(head, context.now_ms), others.keys() | given))
    merged: list[StoredItem] = []
    for position, (entry, item) in enumerate(zip(entries, known, strict=True)):
        field = f"gallery.items[{position}]"
        if item is not None:
            merged.append(patched(item, entry, entry.to_wire(), others, context, field))
            continue
        sort_order = next(sort_orders)
        refuse_taken(others, sort_order, f"{field}.sortOrder")
        item_id = context.item_id(position)
        merged.append(new_item(head, _content(entry, field), sort_order, context, item_id))
    refuse_repeated([item.sort_order for item in merged], "gallery.items")
    return merged


def _named_again(known: Sequence[StoredItem | None]) -> list[Violation]:
    """A violation for every entry that names the item of an earlier entry."""
    first: dict[str, int] = {}
    again: list[Violation] = []
    for position, item in enumerate(known):
        if item is not None and first.setdefault(item.item_id, position) != position:
            description = f"must not be that of gallery.items[{first[item.item_id]}] too"
            field = f"gallery.items[{position}].id"
            again.append(Violation(field=field, description=description, violated_rule=ViolatedRule.CUSTOM))
    return again[:VIOLATIONS_MAX]


def _content(entry: ItemEntry, field: str) -> dict[str, Any]:
    try:
        return entry.to_new_item().to_wire()
    except ValidationError as error:
        violations = violations_of(error, field)
        raise Rejected(ErrorCode.INVALID_ARGUMENT, f"{field} creates an item and has no medium", violations) from None


def delete_gallery(head: GalleryHead, item_ids: Sequence[str], context: CommandContext) -> Change:
    """Delete a gallery with its last items: an event for each item, then the gallery's (contract, section 6.3)."""
    emptied = without(head, item_ids, context, GALLERY_DELETED_ORIGIN)
    sequence = emptied.head.sequence + 1
    event = gallery_deleted(context.new_event_id(), head.gallery_id, sequence, context.at)
    after = emptied.head._replace(sequence=sequence, status=Status.DELETED)
    return Change(after, emptied.items, events=(*emptied.events, event))


def republish(head: GalleryHead, items: Sequence[StoredItem], context: CommandContext) -> Change:
    """Publish the state of a gallery as a snapshot, for readers that lost events; the gallery does not change."""
    snapshot_id = context.new_event_id()
    snapshot = (
        snapshot_started(snapshot_id, head.gallery_id, head.sequence, head.to_wire()),
        *(
            snapshot_item(snapshot_id, head.gallery_id, head.sequence, position, item.body)
            for position, item in enumerate(items)
        ),
        snapshot_ended(snapshot_id, head.gallery_id, head.sequence, head.total_items),
    )
    return Change(head, snapshot=snapshot)

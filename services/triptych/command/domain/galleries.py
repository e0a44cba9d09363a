"""What commands do to a gallery as a whole, purely: create, clone, change, delete, publish again."""

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


def new_head(gallery_id: str, name: str | None, sort_order: float, origin: CommandContext) -> GalleryHead:
    """A gallery before its first event."""
    return GalleryHead(
        gallery_id=gallery_id,
        site_id=origin.site_id,
        name=name,
        sort_order=sort_order,
        created_date=origin.date,
        total_items=0,
        sequence=0,
        last_default=float(origin.now_ms),
        highest=float("-inf"),
    )


def create_gallery(head: GalleryHead, items: Sequence[NewItem], origin: CommandContext) -> Change:
    """A new gallery with its items, in one step (contract, section 2.2).

    Raises:
        Rejected: two items ask for the same sort order (contract, section 4, rule 4).
    """
    places = new_list_sort_orders([item.sort_order for item in items], origin.now_ms)
    refuse_repeated(places, "gallery.items")
    return _with_first_items(head, new_items(head, [item.to_wire() for item in items], places, origin), origin)


def clone_gallery(head: GalleryHead, source: Sequence[StoredItem], origin: CommandContext) -> Change:
    """A new gallery with the content of another, whose items are given in display order (D2)."""
    places = new_list_sort_orders([None] * len(source), origin.now_ms)
    return _with_first_items(head, copies(head, [item.body for item in source], 0, places, origin), origin)


def copies(
    head: GalleryHead, bodies: Sequence[Mapping[str, Any]], first: int, places: Sequence[float], origin: CommandContext
) -> list[StoredItem]:
    """Copies of items, the first of which is at position `first` of its gallery."""
    return [
        new_item(head, body, place, origin, origin.item_id(position))
        for position, (body, place) in enumerate(zip(bodies, places, strict=True), first)
    ]


def _with_first_items(head: GalleryHead, created: Sequence[StoredItem], origin: CommandContext) -> Change:
    after = head._replace(
        total_items=len(created),
        sequence=1 + len(created),
        highest=max((item.sort_order for item in created), default=head.highest),
    )
    event = gallery_created(origin.new_event_id(), head.gallery_id, 1, origin.at, after.to_wire())
    return Change(
        after,
        {item.item_id: item for item in created},
        events=(event, *created_events(created, 2, origin)),
        item_ids=tuple(item.item_id for item in created),
    )


def update_gallery(
    head: GalleryHead,
    patch: GalleryPatch,
    find: Find,
    taken: Mapping[float, str],
    origin: CommandContext,
) -> Change:
    """A gallery with the fields of the patch changed and its `items` merged by id (D6).

    Args:
        head: the gallery; the caller has made sure that the sort order asked for is free in the site.
        patch: `model_fields_set` is what changes.
        find: knows the items that the patch names.
        taken: see `create_items`.
        origin: of the command.

    Raises:
        Rejected: an item breaks a rule; nothing is changed.
    """
    after = head._replace(
        name=patch.name if "name" in patch.model_fields_set else head.name,
        sort_order=head.sort_order if patch.sort_order is None else patch.sort_order,
        sequence=head.sequence + 1,
    )
    entries = patch.items or ()
    merged = _merge(after, entries, find, taken, origin)
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
    first = gallery_updated(origin.new_event_id(), head.gallery_id, head.sequence + 1, origin.at, after.to_wire())
    events = [
        (item_created if find(item.item_id) is None else item_updated)(
            origin.new_event_id(), head.gallery_id, sequence, origin.at, item.body
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
    origin: CommandContext,
) -> list[StoredItem]:
    """The entries as items, in their order: changed ones where the id is in the gallery, otherwise new ones."""
    known = [find(entry.id) if entry.id else None for entry in entries]
    named = [item.item_id for item in known if item is not None]
    if len(set(named)) != len(named):
        raise Rejected(ErrorCode.INVALID_ARGUMENT, "gallery.items names an item twice", _named_again(known))
    # What the call itself gives away or takes over is not in anybody's way.
    leaving = {
        item.item_id for entry, item in zip(entries, known, strict=True) if item and entry.sort_order is not None
    }
    others = {place: item_id for place, item_id in taken.items() if item_id not in leaving}
    asked = [entry.sort_order for entry, item in zip(entries, known, strict=True) if item is None]
    # What the call gives to the other items is not free for a default either.
    given = {entry.sort_order for entry in entries if entry.sort_order is not None}
    places = iter(sort_orders_above(asked, default_base(head, origin.now_ms), others.keys() | given))
    merged: list[StoredItem] = []
    for position, (entry, item) in enumerate(zip(entries, known, strict=True)):
        field = f"gallery.items[{position}]"
        if item is not None:
            merged.append(patched(item, entry, entry.to_wire(), others, origin, field))
            continue
        place = next(places)
        refuse_taken(others, place, f"{field}.sortOrder")
        item_id = origin.item_id(position)
        merged.append(new_item(head, _content(entry, field), place, origin, item_id))
    refuse_repeated([item.sort_order for item in merged], "gallery.items")
    return merged


def _named_again(known: Sequence[StoredItem | None]) -> list[Violation]:
    """A violation for every entry whose item an earlier one names already."""
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


def delete_gallery(head: GalleryHead, item_ids: Sequence[str], origin: CommandContext) -> Change:
    """A gallery deleted with its last items: one event for each of them, then its own (contract, section 6.3)."""
    emptied = without(head, item_ids, origin, GALLERY_DELETED_ORIGIN)
    sequence = emptied.head.sequence + 1
    event = gallery_deleted(origin.new_event_id(), head.gallery_id, sequence, origin.at)
    after = emptied.head._replace(sequence=sequence, status=Status.DELETED)
    return Change(after, emptied.items, events=(*emptied.events, event))


def republish(head: GalleryHead, items: Sequence[StoredItem], origin: CommandContext) -> Change:
    """The state of a gallery as records for whoever lost it; the gallery does not change."""
    snapshot_id = origin.new_event_id()
    snapshot = (
        snapshot_started(snapshot_id, head.gallery_id, head.sequence, head.to_wire()),
        *(
            snapshot_item(snapshot_id, head.gallery_id, head.sequence, position, item.body)
            for position, item in enumerate(items)
        ),
        snapshot_ended(snapshot_id, head.gallery_id, head.sequence, head.total_items),
    )
    return Change(head, snapshot=snapshot)

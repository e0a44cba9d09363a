"""Says, without I/O, which galleries, items and sort orders commands name."""

from collections.abc import Sequence

from triptych.command.domain.decide import DIRECT_ITEMS
from triptych.command.domain.unit_of_work import ReceivedCommand, UnitOfWork
from triptych.contract.commands import (
    CreateGallery,
    CreateItems,
    DeleteItems,
    MoveItem,
    MoveItems,
    UpdateGallery,
    UpdateItem,
)


def galleries_of(commands: Sequence[ReceivedCommand]) -> set[str]:
    """The ids of the galleries that commands concern, sources of clones included."""
    ids = {command.gallery_id for command in commands}
    for command in commands:
        data = command.envelope.data
        if isinstance(data, CreateGallery) and data.clone_from_gallery_id:
            ids.add(data.clone_from_gallery_id)
    return ids


def items_of(commands: Sequence[ReceivedCommand]) -> set[str]:
    """The ids of the items that commands name."""
    ids: set[str] = set()
    for command in commands:
        match command.envelope.data:
            case UpdateItem(item_id=item_id):
                ids.add(item_id)
            case MoveItem(item_id=item_id, before=before, after=after):
                ids.update(filter(None, (item_id, before, after)))
            case MoveItems(item_ids=item_ids, before=before, after=after):
                ids.update(item_ids, filter(None, (before, after)))
            case DeleteItems(item_ids=item_ids):
                ids.update(item_ids)
            case UpdateGallery(gallery=gallery):
                ids.update(entry.id for entry in gallery.items or () if entry.id)
            case _:
                pass
    return ids


def created_at_most(command: ReceivedCommand, unit: UnitOfWork) -> int:
    """The largest number of items that a command can create in its own transaction."""
    match command.envelope.data:
        case CreateItems(items=items):
            return len(items)
        case UpdateGallery(gallery=patch):
            return len(patch.items or ())
        case CreateGallery(clone_from_gallery_id=str(source)):
            head = unit.heads.get(source)
            return min(head.total_items, DIRECT_ITEMS) if head else 0
        case CreateGallery(gallery=gallery) if gallery is not None:
            return len(gallery.items)
        case _:
            return 0


def asked_sort_orders(command: ReceivedCommand) -> list[float | None]:
    """The sort orders of items that a command asks for; None for each item that may need a default."""
    match command.envelope.data:
        case UpdateItem(item=patch):  # first, because most commands are of this kind
            return [] if patch.sort_order is None else [patch.sort_order]
        case CreateItems(items=items, to="end"):
            return [item.sort_order for item in items if item.sort_order is not None]
        case CreateItems(items=items):
            return [item.sort_order for item in items]
        case UpdateGallery(gallery=gallery):
            return [entry.sort_order for entry in gallery.items or ()]
        case _:
            return []

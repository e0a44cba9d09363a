"""Splits commands into transactions of bounded size, without I/O."""

from collections.abc import Iterator, Mapping, Sequence

from triptych.command.domain.decide import DIRECT_BYTES, DIRECT_ITEMS
from triptych.command.domain.scope import Size, whole_gallery_of
from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.contract.commands import (
    CreateGallery,
    CreateItems,
    DeleteItems,
    MoveItem,
    MoveItems,
    UpdateGallery,
    UpdateItem,
)
from triptych.contract.item import ITEM_BYTES_MAX
from triptych.kit.chunks import by_weight

# A transaction that writes this many galleries and items takes well under a second and is far below MongoDB's limits.
TRANSACTION_WEIGHT = 2_000
# This many bytes weigh as much as one item: the largest gallery that one command may handle fits by either measure.
ITEM_BYTES = DIRECT_BYTES // DIRECT_ITEMS
# Fewer items fit into one transaction however large they are, so that their sizes need no query.
FEW_ITEMS = TRANSACTION_WEIGHT * ITEM_BYTES // ITEM_BYTES_MAX


def chunks(
    commands: Sequence[ReceivedCommand], sizes: Mapping[str, Size], large_items: Mapping[str, int]
) -> Iterator[Sequence[ReceivedCommand]]:
    """Split commands into consecutive chunks. Each chunk fits into one transaction.

    Args:
        commands: in the order in which they are to be decided.
        sizes: the sizes of galleries that `whole_gallery_of` names; those of many items are left out.
        large_items: the bytes in BSON of the items with more than ITEM_BYTES that `changed_items` names.
    """
    bytes_of = dict(large_items)
    return by_weight(commands, [_weight(command, sizes, bytes_of) for command in commands], TRANSACTION_WEIGHT)


def changed_items(commands: Sequence[ReceivedCommand]) -> set[str]:
    """The ids of the items whose sizes count, because commands load and publish them; empty if they are few."""
    named = [item_id for command in commands for item_id in _changed(command)]
    return set(named) if len(named) > FEW_ITEMS else set()


def _changed(command: ReceivedCommand) -> Sequence[str]:
    """The items that a command loads, and publishes as they are then; it may name one more than once."""
    match command.envelope.data:
        case UpdateItem(item_id=item_id) | MoveItem(item_id=item_id):
            return (item_id,)
        case MoveItems(item_ids=item_ids) | DeleteItems(item_ids=item_ids):
            return item_ids
        case UpdateGallery(gallery=patch):
            return [entry.id for entry in patch.items or () if entry.id]
        case _:
            return ()


def _bytes(command: ReceivedCommand, bytes_of: dict[str, int]) -> int:
    """About the bytes that a command brings, or loads and publishes. `bytes_of` is kept up to date: an update adds."""
    size = len(command.record.value)
    changed = sum(bytes_of.get(item_id, 0) for item_id in _changed(command)) if bytes_of else 0
    if size > ITEM_BYTES and isinstance(command.envelope.data, UpdateItem):
        # Each later update of this item publishes what this one brings.
        item_id = command.envelope.data.item_id
        bytes_of[item_id] = max(bytes_of.get(item_id, 0), min(size, ITEM_BYTES_MAX))
    return max(size, changed)


def _weight(command: ReceivedCommand, sizes: Mapping[str, Size], bytes_of: dict[str, int]) -> int:
    """About how many galleries and items a command writes; large ones count several times."""
    weight = 1 + _bytes(command, bytes_of) // ITEM_BYTES
    whole = whole_gallery_of(command)
    if whole is not None:
        size = sizes.get(whole)
        if size is None or size.bytes > DIRECT_BYTES:
            return weight  # becomes a job
        return weight + size.items + size.bytes // ITEM_BYTES
    match command.envelope.data:
        case UpdateItem() | MoveItem():  # first, because most commands are of these kinds
            return weight
        case CreateItems(items=items):
            return weight + len(items)
        case CreateGallery(gallery=gallery) if gallery is not None:
            return weight + len(gallery.items)
        case UpdateGallery(gallery=patch):
            return weight + len(patch.items or ())
        case DeleteItems(item_ids=item_ids) | MoveItems(item_ids=item_ids):
            return weight + len(item_ids)
        case _:
            return weight

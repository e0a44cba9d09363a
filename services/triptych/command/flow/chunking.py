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
from triptych.kit.chunks import by_weight

# A transaction that writes this many galleries and items takes well under a second and is far below MongoDB's limits.
TRANSACTION_WEIGHT = 2_000
# This many bytes weigh as much as one item: the largest gallery that one command may handle fits by either measure.
ITEM_BYTES = DIRECT_BYTES // DIRECT_ITEMS


def chunks(commands: Sequence[ReceivedCommand], sizes: Mapping[str, Size]) -> Iterator[Sequence[ReceivedCommand]]:
    """Split commands into consecutive chunks. Each chunk fits into one transaction, unless its items are large.

    Args:
        commands: in the order in which they are to be decided.
        sizes: the sizes of galleries that `whole_gallery_of` names; those of many items are left out.
    """
    return by_weight(commands, [_weight(command, sizes) for command in commands], TRANSACTION_WEIGHT)


def _weight(command: ReceivedCommand, sizes: Mapping[str, Size]) -> int:
    """About how many galleries and items a command writes; large ones count several times."""
    weight = 1 + len(command.record.value) // ITEM_BYTES
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

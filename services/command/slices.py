"""Cuts a batch into shares that go side by side, and those into transactions of bounded size, purely."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from schemas.commands import (
    ClearGallery,
    CreateGallery,
    CreateItems,
    DeleteGallery,
    DeleteItems,
    MoveItem,
    RebalanceItems,
    RepublishGallery,
    UpdateGallery,
    UpdateItem,
)
from services.command.handlers import DIRECT_BYTES, DIRECT_ITEMS
from services.command.workspace import CommandKey, PlacedCommand

ON_ALL_ITEMS = (DeleteGallery, ClearGallery, RebalanceItems, RepublishGallery)
# A transaction of this many galleries and items takes well under a second and stays far below MongoDB's limits.
TRANSACTION_WEIGHT = 2_000
# So many bytes weigh as much as one item: the largest gallery that one command may deal with fits in either way.
ITEM_BYTES = DIRECT_BYTES // DIRECT_ITEMS

# What these commands do depends on nothing outside their gallery.
ON_ITEMS = (CreateItems, UpdateItem, MoveItem, DeleteItems)
# While MongoDB works on the transaction of one share, the other one decides. A third gains nothing (measured).
SHARES = 2
SHARED_FROM = 200


class Size(NamedTuple):
    """How large a gallery is."""

    items: int
    bytes: int


def whole_gallery_of(command: PlacedCommand) -> str | None:
    """The gallery of which a command deals with every item, if there is one."""
    data = command.envelope.data
    if isinstance(data, CreateGallery):
        return data.clone_from_gallery_id
    return command.gallery_id if isinstance(data, ON_ALL_ITEMS) else None


def shares_of(commands: Sequence[PlacedCommand]) -> list[Sequence[PlacedCommand]]:
    """Parts of a batch that have the same result side by side as one after the other; of many batches it is one.

    Partitions stay whole, because transactions that touch the same one exclude each other (`Ownership.verify`).
    """
    counts = Counter(command.partition for command in commands)
    if (
        len(commands) < SHARED_FROM
        or len(counts) == 1
        or not all(isinstance(command.envelope.data, ON_ITEMS) for command in commands)
        or len({CommandKey.of(command.envelope) for command in commands}) < len(commands)
    ):
        return [commands]
    sizes = [0] * SHARES
    share_of: dict[int, int] = {}
    for partition, count in counts.most_common():
        share = share_of[partition] = sizes.index(min(sizes))
        sizes[share] += count
    return [[command for command in commands if share_of[command.partition] == share] for share in range(SHARES)]


def slices(commands: Sequence[PlacedCommand], sizes: Mapping[str, Size]) -> Iterator[Sequence[PlacedCommand]]:
    """Consecutive parts that fit into one transaction each.

    Args:
        commands: a batch, or a share of one.
        sizes: of the galleries that `whole_gallery_of` names, as far as they have few items.
    """
    start, total = 0, 0
    for position, command in enumerate(commands):
        weight = _weight(command, sizes)
        if total and total + weight > TRANSACTION_WEIGHT:
            yield commands[start:position]
            start, total = position, 0
        total += weight
    if start < len(commands):
        yield commands[start:]


def _weight(command: PlacedCommand, sizes: Mapping[str, Size]) -> int:
    """How many galleries and items a command writes, about, large ones counting several times."""
    weight = 1 + len(command.record.value) // ITEM_BYTES
    whole = whole_gallery_of(command)
    if whole is not None:
        size = sizes.get(whole)
        if size is None or size.bytes > DIRECT_BYTES:
            return weight  # the work of a job
        return weight + size.items + size.bytes // ITEM_BYTES
    match command.envelope.data:
        case CreateItems(items=items):
            return weight + len(items)
        case CreateGallery(gallery=gallery) if gallery is not None:
            return weight + len(gallery.items)
        case UpdateGallery(gallery=patch):
            return weight + len(patch.items or ())
        case DeleteItems(item_ids=item_ids):
            return weight + len(item_ids)
        case _:
            return weight

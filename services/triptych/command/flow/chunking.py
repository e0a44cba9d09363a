"""Cuts a batch into shares that go side by side, and those into transactions of bounded size, purely."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from triptych.command.domain.decide import DIRECT_BYTES, DIRECT_ITEMS
from triptych.command.domain.scope import Size, whole_gallery_of
from triptych.command.domain.unit_of_work import PlacedCommand
from triptych.contract.commands import (
    COMMAND_TYPE_PREFIX,
    CreateGallery,
    CreateItems,
    DeleteItems,
    MoveItem,
    UpdateGallery,
    UpdateItem,
)
from triptych.kit.kafka.publishing.dead_letters import IncomingRecord

# A transaction of this many galleries and items takes well under a second and stays far below MongoDB's limits.
TRANSACTION_WEIGHT = 2_000
# So many bytes weigh as much as one item: the largest gallery that one command may deal with fits in either way.
ITEM_BYTES = DIRECT_BYTES // DIRECT_ITEMS

# What these commands do depends on nothing outside their gallery.
_TYPES_ON_ITEMS = {
    f"{COMMAND_TYPE_PREFIX}{command.__name__}".encode() for command in (CreateItems, UpdateItem, MoveItem, DeleteItems)
}
# While MongoDB works for one share, another one is decoded and decided. A fourth gains nothing (measured).
LANES_MAX = 3
LANES_FROM_RECORDS = 200


def split_into_lanes(records: Sequence[IncomingRecord]) -> list[Sequence[IncomingRecord]]:
    """Parts of a batch that have the same result side by side as one after the other; of many batches it is one.

    Headers tell, so that a share can be decoded while MongoDB works for another; commands in structured mode stay
    in one sequence. Partitions stay whole, because transactions that touch the same one exclude each other
    (`Ownership.fence`).
    """
    counts = Counter(record.partition for record in records)
    if len(records) < LANES_FROM_RECORDS or len(counts) == 1:
        return [records]
    command_ids = set()
    for record in records:
        headers = dict(record.headers)
        if headers.get("ce_type") not in _TYPES_ON_ITEMS:
            return [records]
        command_ids.add(headers.get("ce_id"))
    if len(command_ids) < len(records):
        return [records]
    sizes = [0] * LANES_MAX
    share_of: dict[int, int] = {}
    for partition, count in counts.most_common():
        share = share_of[partition] = sizes.index(min(sizes))
        sizes[share] += count
    shares = ([record for record in records if share_of[record.partition] == number] for number in range(LANES_MAX))
    return [share for share in shares if share]


def chunks(commands: Sequence[PlacedCommand], sizes: Mapping[str, Size]) -> Iterator[Sequence[PlacedCommand]]:
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

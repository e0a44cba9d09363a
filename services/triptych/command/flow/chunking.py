"""Splits a batch into lanes that run concurrently, and each lane into transactions of bounded size, without I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from triptych.command.domain.decide import DIRECT_BYTES, DIRECT_ITEMS
from triptych.command.domain.scope import Size, whole_gallery_of
from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.contract.commands import (
    COMMAND_TYPE_PREFIX,
    CreateGallery,
    CreateItems,
    DeleteItems,
    MoveItem,
    UpdateGallery,
    UpdateItem,
)
from triptych.kit.chunks import by_weight
from triptych.kit.kafka.publishing.dead_letters import IncomingRecord

# A transaction that writes this many galleries and items takes well under a second and is far below MongoDB's limits.
TRANSACTION_WEIGHT = 2_000
# This many bytes weigh as much as one item: the largest gallery that one command may handle fits by either measure.
ITEM_BYTES = DIRECT_BYTES // DIRECT_ITEMS

# The effect of these commands depends on nothing outside their gallery.
_TYPES_ON_ITEMS = {
    f"{COMMAND_TYPE_PREFIX}{command.__name__}".encode() for command in (CreateItems, UpdateItem, MoveItem, DeleteItems)
}
# While MongoDB works for one lane, Python decodes and decides another. A fourth lane gains nothing (measured).
LANES_MAX = 3
LANES_FROM_RECORDS = 200


def split_into_lanes(records: Sequence[IncomingRecord]) -> list[Sequence[IncomingRecord]]:
    """Split a batch into lanes whose result does not depend on whether they run concurrently. Many have one lane.

    The split reads headers alone, so that one lane can be decoded while MongoDB works for another; a batch with a
    command in structured mode is one lane. Each partition is in one lane, because transactions that write to the same
    partition exclude each other (`Ownership.fence`).
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
    lane_of: dict[int, int] = {}
    for partition, count in counts.most_common():
        lane = lane_of[partition] = sizes.index(min(sizes))
        sizes[lane] += count
    lanes = ([record for record in records if lane_of[record.partition] == number] for number in range(LANES_MAX))
    return [lane for lane in lanes if lane]


def chunks(commands: Sequence[ReceivedCommand], sizes: Mapping[str, Size]) -> Iterator[Sequence[ReceivedCommand]]:
    """Split commands into consecutive chunks. Each chunk fits into one transaction.

    Args:
        commands: a batch, or a lane of one.
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

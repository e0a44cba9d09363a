"""Decides, without I/O, whether the commands of a batch depend on the order between partitions."""

from collections.abc import Sequence

from triptych.contract.commands import COMMAND_TYPE_PREFIX, CreateItems, DeleteItems, MoveItem, MoveItems, UpdateItem
from triptych.kit.kafka.reading.reader import IncomingRecord

# The effect of these commands depends on nothing outside their gallery.
_TYPES_ON_ITEMS = {
    f"{COMMAND_TYPE_PREFIX}{command.__name__}".encode()
    for command in (CreateItems, UpdateItem, MoveItem, MoveItems, DeleteItems)
}


def are_independent(records: Sequence[IncomingRecord]) -> bool:
    """Whether these commands have the same results in any order that keeps the order per partition.

    Only headers are read, so that one lane can be decoded while MongoDB works for another. A batch with a command in
    structured mode therefore counts as dependent, and so does a batch with two commands of the same id.
    """
    command_ids = set()
    for record in records:
        headers = dict(record.headers)
        if headers.get("ce_type") not in _TYPES_ON_ITEMS:
            return False
        command_ids.add(headers.get("ce_id"))
    return len(command_ids) == len(records)

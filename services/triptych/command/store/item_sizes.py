"""Finds the moves whose items have too many bytes, before the items are loaded."""

from collections.abc import Sequence

from triptych.command.domain.order.moves import MOVED_BYTES_MAX
from triptych.command.domain.scope import of_kinds
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand
from triptych.contract.commands import MoveItems
from triptych.contract.item import ITEM_BYTES_MAX
from triptych.kit.mongo.driver import Collection, Document, Session, aggregate

# Fewer items cannot have too many bytes, so that their sizes need no query.
_FROM_ITEMS = MOVED_BYTES_MAX // ITEM_BYTES_MAX
_MOVES = frozenset({MoveItems})


async def find_large_moves(
    items: Collection, commands: Sequence[ReceivedCommand], session: Session | None
) -> set[CommandKey]:
    """The moves among these commands whose items have more than MOVED_BYTES_MAX in BSON."""
    found = set()
    for command in of_kinds(commands, _MOVES):
        move = command.envelope.data
        if not isinstance(move, MoveItems) or len(move.item_ids) < _FROM_ITEMS:
            continue
        query = {"_id": {"$in": list(move.item_ids)}, "galleryId": command.gallery_id}
        total = {"_id": None, "bytes": {"$sum": {"$bsonSize": "$item"}}}
        pipeline: list[Document] = [{"$match": query}, {"$group": total}]
        if any(one["bytes"] > MOVED_BYTES_MAX for one in await aggregate(items, pipeline, session)):
            found.add(CommandKey.of(command.envelope))
    return found

"""Loads the order around the positions of moved and added items: for all commands of a batch in one query, or a few."""

from collections.abc import Sequence
from dataclasses import dataclass

from triptych.command.domain.order.moves import NEIGHBOURS_FIRST
from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, Entry, OrderRange, add_range
from triptych.command.domain.scope import of_kinds
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, UnitOfWork
from triptych.command.store.documents import item_of
from triptych.contract.commands import CreateItems, MoveItem, MoveItems
from triptych.kit.chunks import by_count
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Collection, Document, Session, aggregate

# Measured: 40 pipelines in one query cost the processor a ninth, and the caller a third, of what 40 queries cost.
PIPELINES_AT_ONCE = 200
_IN_ORDER = frozenset({CreateItems, MoveItem, MoveItems})
"""The kinds of commands that may need a part of the order."""


@dataclass(frozen=True, slots=True)
class _Search:
    """The items that a move needs: `count` of them in some directions from a sort order, perhaps with their bodies.

    `known` are items that are not counted and not loaded again: there may be a thousand of them around the target.
    """

    gallery_id: str
    sort_order: float
    directions: tuple[int, ...]
    count: int
    has_bodies: bool
    known: frozenset[Entry] = frozenset()

    def pipelines(self) -> list[list[Document]]:
        """A query for each direction."""
        return [self._pipeline(direction) for direction in self.directions]

    def _pipeline(self, direction: int) -> list[Document]:
        bounds = {"$gte" if direction == ASCENDING else "$lte": self.sort_order}
        query: Document = {"galleryId": self.gallery_id, "sortOrder": bounds}
        if self.known:
            query["_id"] = {"$nin": [item_id for _, item_id in self.known]}
        found: list[Document] = [
            {"$match": query},
            {"$sort": {"sortOrder": direction}},
            {"$limit": self.count},
        ]
        return found if self.has_bodies else [*found, {"$project": {"sortOrder": 1}}]

    def order_range(self, pages: Sequence[Sequence[Document]]) -> OrderRange:
        """The range that is loaded once the items in each direction are found."""
        low = high = self.sort_order
        for direction, page in zip(self.directions, pages, strict=True):
            sort_orders = [document["sortOrder"] for document in page]
            is_end = len(page) < self.count
            if direction == ASCENDING:
                high = HIGHEST if is_end else max(sort_orders)
            else:
                low = LOWEST if is_end else min(sort_orders)
        entries = {(document["sortOrder"], document["_id"]) for page in pages for document in page}
        entries.update(entry for entry in self.known if low <= entry[0] <= high)
        return OrderRange(low, high, sorted(entries))


async def load_neighbourhoods(
    items: Collection, unit: UnitOfWork, commands: Sequence[ReceivedCommand], session: Session | None = None
) -> None:
    """Load into the unit of work the order that these commands need; the items that they name are loaded already."""
    needing = of_kinds(commands, _IN_ORDER)
    searches = [search for command in needing if (search := _search(unit, command)) is not None]
    pipelines = [pipeline for search in searches for pipeline in search.pipelines()]
    pages: list[list[Document]] = []
    for chunk in by_count(pipelines, PIPELINES_AT_ONCE):
        pages += await _find(items, chunk, session)
    remaining = iter(pages)
    for search in searches:
        found = [next(remaining) for _ in search.directions]
        if search.has_bodies:
            unit.load_items(item_of(document) for page in found for document in page)
        add_range(unit.loaded_ranges[search.gallery_id], search.order_range(found))


def _search(unit: UnitOfWork, command: ReceivedCommand) -> _Search | None:
    """The search for a command: first in one direction, later in both and with bodies; None if nothing is missing."""
    move, gallery_id = command.envelope.data, command.gallery_id
    if unit.heads.get(gallery_id) is None or gallery_id in unit.fully_loaded:
        return None
    if isinstance(move, CreateItems) and move.to == "end":
        return _Search(gallery_id, LOWEST, (ASCENDING,), 1, has_bodies=False)
    if not isinstance(move, MoveItem | MoveItems):
        return None
    anchor = unit.find_item(gallery_id, move.before or move.after or "")
    if move.to is None and anchor is None:
        return None
    neighbours_known = unit.neighbours_known.setdefault(CommandKey.of(command.envelope), NEIGHBOURS_FIRST)
    sort_order = anchor.sort_order if anchor else (HIGHEST if move.to == "start" else LOWEST)
    if neighbours_known > NEIGHBOURS_FIRST:
        directions: tuple[int, ...] = (DESCENDING, ASCENDING)
    else:
        directions = (DESCENDING,) if move.after or move.to == "start" else (ASCENDING,)
    # Two more: the item at the target and the moved item may be among them.
    count, has_bodies = neighbours_known + 2, neighbours_known > NEIGHBOURS_FIRST
    return _Search(gallery_id, sort_order, directions, count, has_bodies, _known(unit, gallery_id, move))


def _known(unit: UnitOfWork, gallery_id: str, move: MoveItem | MoveItems) -> frozenset[Entry]:
    if isinstance(move, MoveItem):
        return frozenset()
    found = (unit.find_item(gallery_id, item_id) for item_id in move.item_ids)
    return frozenset((item.sort_order, item.item_id) for item in found if item is not None)


async def _find(
    items: Collection, pipelines: Sequence[list[Document]], session: Session | None
) -> list[list[Document]]:
    """Run several pipelines as one query; the results of each, in its order."""
    numbered = [[*pipeline, {"$set": {"pipeline": {"$literal": number}}}] for number, pipeline in enumerate(pipelines)]
    unions = [{"$unionWith": {"coll": items.name, "pipeline": pipeline}} for pipeline in numbered[1:]]
    pages: list[list[Document]] = [[] for _ in pipelines]
    for document in await aggregate(items, [*numbered[0], *unions], session):
        pages[document["pipeline"]].append(document)
    return pages

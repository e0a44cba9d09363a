"""Loads the order around the new places of moved items: for all moves of a batch in one query, or a few."""

from collections.abc import Sequence
from dataclasses import dataclass

from triptych.command.domain.order.moves import FIRST_LOOK
from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, OrderRange, join
from triptych.command.domain.unit_of_work import CommandKey, PlacedCommand, UnitOfWork
from triptych.command.store.documents import item_of
from triptych.contract.commands import MoveItem
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Collection, Document, aggregate

# Measured: 40 lines in one query cost the processor a ninth, and the caller a third, of what 40 queries cost.
LINES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class _Search:
    """What a move needs to know of its gallery: `count` items on some sides of a place, with contents if `is_whole`."""

    gallery_id: str
    place: float
    directions: tuple[int, ...]
    count: int
    is_whole: bool

    def pipelines(self) -> list[list[Document]]:
        """The query for each side."""
        return [self._pipeline(direction) for direction in self.directions]

    def _pipeline(self, direction: int) -> list[Document]:
        bounds = {"$gte" if direction == ASCENDING else "$lte": self.place}
        found: list[Document] = [
            {"$match": {"galleryId": self.gallery_id, "sortOrder": bounds}},
            {"$sort": {"sortOrder": direction}},
            {"$limit": self.count},
        ]
        return found if self.is_whole else [*found, {"$project": {"sortOrder": 1}}]

    def stretch(self, pages: Sequence[Sequence[Document]]) -> OrderRange:
        """What is known once the items of each side are found."""
        low = high = self.place
        for direction, page in zip(self.directions, pages, strict=True):
            places = [document["sortOrder"] for document in page]
            is_end = len(page) < self.count
            if direction == ASCENDING:
                high = HIGHEST if is_end else max(places)
            else:
                low = LOWEST if is_end else min(places)
        entries = {(document["sortOrder"], document["_id"]) for page in pages for document in page}
        return OrderRange(low, high, sorted(entries))


async def load_neighbourhoods(items: Collection, workspace: UnitOfWork, commands: Sequence[PlacedCommand]) -> None:
    """Add to the workspace what the moves among these commands need; the items they name are loaded already."""
    searches = [search for command in commands if (search := _search(workspace, command)) is not None]
    pipelines = [pipeline for search in searches for pipeline in search.pipelines()]
    pages: list[list[Document]] = []
    for start in range(0, len(pipelines), LINES_AT_ONCE):
        pages += await _find(items, pipelines[start : start + LINES_AT_ONCE])
    remaining = iter(pages)
    for search in searches:
        found = [next(remaining) for _ in search.directions]
        if search.is_whole:
            workspace.load_items(item_of(document) for page in found for document in page)
        join(workspace.loaded_ranges[search.gallery_id], search.stretch(found))


def _search(workspace: UnitOfWork, command: PlacedCommand) -> _Search | None:
    """The side of the new place that decides; at a second look both, with contents. None if nothing is missing."""
    move, gallery_id = command.envelope.data, command.gallery_id
    if not isinstance(move, MoveItem) or gallery_id in workspace.fully_loaded:
        return None
    if workspace.heads.get(gallery_id) is None:
        return None
    beside = workspace.find_item(gallery_id, move.before or move.after or "")
    if move.to is None and beside is None:
        return None
    look = workspace.neighbours_known.setdefault(CommandKey.of(command.envelope), FIRST_LOOK)
    place = beside.sort_order if beside else (HIGHEST if move.to == "start" else LOWEST)
    if look > FIRST_LOOK:
        directions: tuple[int, ...] = (DESCENDING, ASCENDING)
    else:
        directions = (DESCENDING,) if move.after or move.to == "start" else (ASCENDING,)
    # The place itself and the moved item may be among them.
    return _Search(gallery_id, place, directions, look + 2, look > FIRST_LOOK)


async def _find(items: Collection, pipelines: Sequence[list[Document]]) -> list[list[Document]]:
    """The results of several pipelines, each in its order."""
    numbered = [[*pipeline, {"$set": {"line": {"$literal": line}}}] for line, pipeline in enumerate(pipelines)]
    unions = [{"$unionWith": {"coll": items.name, "pipeline": pipeline}} for pipeline in numbered[1:]]
    pages: list[list[Document]] = [[] for _ in pipelines]
    for document in await aggregate(items, [*numbered[0], *unions]):
        pages[document["line"]].append(document)
    return pages

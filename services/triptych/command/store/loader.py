"""Loads what commands need to know: everything a batch touches, in a bounded number of queries."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from triptych.command.domain.decide import DIRECT_BYTES, DIRECT_ITEMS
from triptych.command.domain.items import default_base
from triptych.command.domain.scope import ON_ALL_ITEMS, Size
from triptych.command.domain.state import GalleryHead, StoredItem
from triptych.command.domain.unit_of_work import CommandKey, PlacedCommand, UnitOfWork
from triptych.command.store.documents import PROCESSED, head_of, item_of
from triptych.command.store.former_outcomes import FormerOutcomes
from triptych.command.store.gallery_places import GallerySortOrders
from triptych.command.store.neighbourhoods import load_neighbourhoods
from triptych.command.store.outcomes import outcome_ids, outcomes_of
from triptych.command.store.pages import fill_page
from triptych.command.store.recent_heads import RecentHeads
from triptych.contract.commands import CreateGallery, CreateItems, DeleteItems, MoveItem, UpdateGallery, UpdateItem
from triptych.contract.identity import derived_item_id
from triptych.kit.mongo.driver import Database, Document, aggregate, snapshot_session
from triptych.writemodel.galleries import GALLERIES, ITEMS

# From this many moves in one gallery on, their neighbourhoods are not looked up one by one.
MANY_MOVES = 16


@dataclass(slots=True)
class LoadHints:
    """What earlier tries of the same commands have taught.

    Attributes:
        neighbours_known: how many neighbours to load for commands that were found to need more than the usual two.
        suspects: commands that a unique index has refused: perhaps their ids were used before.
    """

    neighbours_known: dict[CommandKey, int] = field(default_factory=dict)
    suspects: set[CommandKey] = field(default_factory=set)


class Loader:
    """Reads the write model."""

    def __init__(self, database: Database, recent: RecentHeads) -> None:
        self._database = database
        self._recent = recent
        self._galleries = database[GALLERIES]
        self._items = database[ITEMS]
        self._places = GallerySortOrders(database)
        self.former = FormerOutcomes(database)

    async def load(self, commands: Sequence[PlacedCommand], at: datetime, knowledge: LoadHints) -> UnitOfWork:
        """A workspace for these commands.

        Args:
            commands: to be decided, in this order.
            at: when; defaults of sort orders follow from it.
            knowledge: from earlier tries.
        """
        workspace = UnitOfWork(neighbours_known=dict(knowledge.neighbours_known))
        has_former = await self.former.exist()
        # What was tried before and failed needs more than that; and no index refuses a repetition of what an earlier
        # version has carried out.
        remembered = None if knowledge.suspects or has_former else self._recent.head_for(commands)
        if remembered is None:
            await self._load_named(workspace, commands, has_former)
        else:
            workspace.load_head(remembered)
        fresh = commands
        if workspace.outcomes:  # seldom
            fresh = [command for command in commands if not workspace.is_known(CommandKey.of(command.envelope))]
        now_ms = int(at.timestamp() * 1000)
        # One after the other: seldom is there more than one to do, and tasks would cost each lone command.
        await self._places.load(workspace, fresh, now_ms)
        await self._load_taken(workspace, fresh, now_ms)
        await self._load_whole_galleries(workspace, fresh)
        await load_neighbourhoods(self._items, workspace, fresh)
        if knowledge.suspects:
            for command in fresh:
                if CommandKey.of(command.envelope) in knowledge.suspects:
                    await self._load_spent(workspace, command)
        return workspace

    async def load_head(self, gallery_id: str) -> UnitOfWork:
        """A workspace that knows one gallery's head."""
        workspace = UnitOfWork()
        async for found in self._galleries.find({"_id": gallery_id}):
            workspace.load_head(head_of(found))
        return workspace

    async def has_outcome(self, key: CommandKey) -> bool:
        """Whether a command was answered for good."""
        query = {"_id": str(key), "reply": {"$exists": True}}  # without a reply, its long work has begun
        return await self._database[PROCESSED].find_one(query, {"_id": 1}) is not None

    async def sizes(self, gallery_ids: Iterable[str]) -> dict[str, Size]:
        """Items and bytes of those galleries that have few items."""
        query = {"_id": {"$in": list(gallery_ids)}, "totalItems": {"$lte": DIRECT_ITEMS}}
        small = {found["_id"]: found["totalItems"] async for found in self._galleries.find(query, {"totalItems": 1})}
        total = {"_id": "$galleryId", "bytes": {"$sum": {"$bsonSize": "$item"}}}
        pipeline: list[Document] = [{"$match": {"galleryId": {"$in": list(small)}}}, {"$group": total}]
        size_in_bytes = {found["_id"]: found["bytes"] for found in await aggregate(self._items, pipeline)}
        return {gallery_id: Size(items, size_in_bytes.get(gallery_id, 0)) for gallery_id, items in small.items()}

    async def _load_named(self, workspace: UnitOfWork, commands: Sequence[PlacedCommand], has_former: bool) -> None:
        """What commands name: galleries, their own earlier outcomes, and items.

        In one query, because three cost a lone command 2 ms more (measured). The parts of a union are read one after
        the other, so that no item is older than its gallery, whose sequence is the fence of the write.
        """
        outcome_union = _united(PROCESSED, outcome_ids(commands, has_former=has_former))
        pipeline: list[Document] = [_by_ids(_galleries_of(commands)), outcome_union]
        if item_ids := _items_of(commands):
            pipeline.append(_united(ITEMS, item_ids))
        items: list[StoredItem] = []
        outcomes: dict[str, Document] = {}
        for found in await aggregate(self._galleries, pipeline):
            if "fingerprint" in found or "reply" in found:
                outcomes[found["_id"]] = found
            elif "item" in found:
                items.append(item_of(found))
            else:
                workspace.load_head(head_of(found))
        workspace.load_items(items)
        workspace.load_outcomes(outcomes_of(commands, outcomes))

    async def _load_taken(self, workspace: UnitOfWork, commands: Sequence[PlacedCommand], now_ms: int) -> None:
        asked: dict[str, list[float]] = defaultdict(list)
        missing: dict[str, int] = defaultdict(int)
        for command in commands:
            for place in _asked_places(command):
                if place is None:
                    missing[command.gallery_id] += 1
                else:
                    asked[command.gallery_id].append(place)
        if asked:
            clauses = [{"galleryId": gallery, "sortOrder": {"$in": values}} for gallery, values in asked.items()]
            await self._add_taken(workspace, {"$or": clauses})
        for gallery_id, count in missing.items():
            head = workspace.heads.get(gallery_id)
            if head is not None and head.highest >= default_base(head, now_ms):
                await self._load_window(workspace, head, now_ms, count + len(asked[gallery_id]))

    async def _load_window(self, workspace: UnitOfWork, head: GalleryHead, now_ms: int, count: int) -> None:
        """Learn what is taken from the first default up, until `count` free values are known to lie there."""
        base = default_base(head, now_ms)
        known, width = 0, count
        while known < width:
            bounds = {"$gte": base + known, "$lt": base + width}
            known = width
            width += await self._add_taken(workspace, {"galleryId": head.gallery_id, "sortOrder": bounds})

    async def _add_taken(self, workspace: UnitOfWork, query: Document) -> int:
        found = 0
        async for item in self._items.find(query, {"galleryId": 1, "sortOrder": 1}):
            workspace.taken[item["galleryId"]][item["sortOrder"]] = item["_id"]
            found += 1
        return found

    async def _load_whole_galleries(self, workspace: UnitOfWork, commands: Sequence[PlacedCommand]) -> None:
        moves = Counter(command.gallery_id for command in commands if isinstance(command.envelope.data, MoveItem))
        wanted = {gallery_id for gallery_id, count in moves.items() if count >= MANY_MOVES}
        for command in commands:
            data = command.envelope.data
            if isinstance(data, ON_ALL_ITEMS):
                # Also if a job has it: that may be the one that this command has waited for.
                wanted.add(command.gallery_id)
            elif isinstance(data, CreateGallery) and data.clone_from_gallery_id:
                source = workspace.heads.get(data.clone_from_gallery_id)
                if source is not None and source.job is None:
                    wanted.add(source.gallery_id)
        sizes = await self.sizes(wanted) if wanted else {}
        for gallery_id, size in sizes.items():
            if size.bytes > DIRECT_BYTES:
                workspace.over_byte_limit.add(gallery_id)
                continue
            # From one moment: a gallery to clone may belong to another process, which goes on changing it.
            async with snapshot_session(self._database) as session:
                found = self._items.find({"galleryId": gallery_id}, session=session)
                workspace.load_whole(gallery_id, [item_of(document) async for document in found])

    async def _load_spent(self, workspace: UnitOfWork, command: PlacedCommand) -> None:
        """Learn whether items exist that only this command can have created (their ids follow from its own)."""
        envelope = command.envelope
        ids = [
            derived_item_id(envelope.site_id, envelope.command_id, index, envelope.source)
            for index in range(_created_at_most(command, workspace))
        ]
        if await self._items.find_one({"_id": {"$in": ids}}, {"_id": 1}):
            workspace.creations_found.add(CommandKey.of(envelope))

    async def page(
        self, gallery_id: str, bounds: Document | None, direction: int, count: int, *, has_bodies: bool
    ) -> list[StoredItem]:
        """Up to `count` items of a gallery by sort order, within bounds if there are any.

        With bodies, up to STEP_BYTES of them; without, the bodies are empty.
        """
        query: Document = {"galleryId": gallery_id}
        if bounds:
            query["sortOrder"] = bounds
        if has_bodies:
            found = self._items.find(query).sort("sortOrder", direction).limit(count)
            return [item_of(document) for document in await fill_page(found, "item")]
        found = self._items.find(query, {"item": 0}).sort("sortOrder", direction).limit(count)
        return [item_of({**document, "item": {}}) async for document in found]

    async def sweep(self, gallery_id: str) -> None:
        """Remove what is left of a gallery whose deletion has been told."""
        await self._items.delete_many({"galleryId": gallery_id})


def _by_ids(ids: Iterable[str]) -> Document:
    return {"$match": {"_id": {"$in": list(ids)}}}


def _united(collection: str, ids: Iterable[str]) -> Document:
    return {"$unionWith": {"coll": collection, "pipeline": [_by_ids(ids)]}}


def _galleries_of(commands: Sequence[PlacedCommand]) -> set[str]:
    ids = {command.gallery_id for command in commands}
    for command in commands:
        data = command.envelope.data
        if isinstance(data, CreateGallery) and data.clone_from_gallery_id:
            ids.add(data.clone_from_gallery_id)
    return ids


def _items_of(commands: Sequence[PlacedCommand]) -> set[str]:
    """The ids of the items that commands name."""
    ids: set[str] = set()
    for command in commands:
        match command.envelope.data:
            case UpdateItem(item_id=item_id):
                ids.add(item_id)
            case MoveItem(item_id=item_id, before=before, after=after):
                ids.update(filter(None, (item_id, before, after)))
            case DeleteItems(item_ids=item_ids):
                ids.update(item_ids)
            case UpdateGallery(gallery=gallery):
                ids.update(entry.id for entry in gallery.items or () if entry.id)
            case _:
                pass
    return ids


def _created_at_most(command: PlacedCommand, workspace: UnitOfWork) -> int:
    """How many items a command creates in its own transaction, at most."""
    match command.envelope.data:
        case CreateItems(items=items):
            return len(items)
        case UpdateGallery(gallery=patch):
            return len(patch.items or ())
        case CreateGallery(clone_from_gallery_id=str(source)):
            head = workspace.heads.get(source)
            return min(head.total_items, DIRECT_ITEMS) if head else 0
        case CreateGallery(gallery=gallery) if gallery is not None:
            return len(gallery.items)
        case _:
            return 0


def _asked_places(command: PlacedCommand) -> list[float | None]:
    """The sort orders of items that a command asks for; None for each that a default may be needed for."""
    match command.envelope.data:
        case CreateItems(items=items):
            return [item.sort_order for item in items]
        case UpdateItem(item=patch):
            return [] if patch.sort_order is None else [patch.sort_order]
        case UpdateGallery(gallery=gallery):
            return [entry.sort_order for entry in gallery.items or ()]
        case _:
            return []

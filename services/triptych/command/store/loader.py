"""Loads everything that a batch of commands touches, in a bounded number of queries."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from triptych.command.domain.decide import DIRECT_BYTES, DIRECT_ITEMS
from triptych.command.domain.items import default_base
from triptych.command.domain.scope import FEW_ITEMS, ON_ALL_ITEMS, TRANSACTION_BYTES, Size, of_kinds
from triptych.command.domain.state import GalleryHead, StoredItem, TooManyBytes
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, UnitOfWork
from triptych.command.store.documents import PROCESSED, head_of, item_of
from triptych.command.store.former_outcomes import FormerOutcomes
from triptych.command.store.gallery_sort_orders import GallerySortOrders
from triptych.command.store.head_cache import HeadCache
from triptych.command.store.item_sizes import find_large_moves
from triptych.command.store.named import asked_sort_orders, created_at_most, galleries_of, items_of
from triptych.command.store.neighbourhoods import load_neighbourhoods
from triptych.command.store.outcomes import outcome_ids, outcomes_of
from triptych.command.store.pages import fill_page
from triptych.contract.commands import CreateGallery, MoveItem
from triptych.contract.identity import derived_item_id
from triptych.kit.mongo.driver import Database, Document, Session, aggregate, snapshot_session
from triptych.kit.mongo.routers import within
from triptych.kit.mongo.transactions import committed_reads
from triptych.writemodel.galleries import GALLERIES, ITEMS

# From this many moves in one gallery on, the whole gallery is loaded instead of each move's neighbourhood.
MANY_MOVES = 16
_MOVES_OF_ONE = frozenset({MoveItem})
_ON_WHOLE_GALLERIES = ON_ALL_ITEMS | {CreateGallery}


@dataclass(slots=True)
class LoadHints:
    """Facts from earlier attempts at the same commands, which change what the next attempt loads.

    Attributes:
        neighbours_known: the number of neighbours to load, for commands that need more than the usual two.
        conflicted: commands that failed alone in a transaction: a unique index may have refused ids used before.
        must_look_up: whether a transaction was refused. A command may be a repetition, or a cached head outdated.
    """

    neighbours_known: dict[CommandKey, int] = field(default_factory=dict)
    conflicted: set[CommandKey] = field(default_factory=set)
    must_look_up: bool = False


class Loader:
    """Reads the write model into units of work."""

    def __init__(self, database: Database, head_cache: HeadCache) -> None:
        self._database = database
        self._head_cache = head_cache
        self._galleries = database[GALLERIES]
        self._items = database[ITEMS]
        self._gallery_sort_orders = GallerySortOrders(database)
        self.former_outcomes = FormerOutcomes(database)

    async def load(self, commands: Sequence[ReceivedCommand], at: datetime, hints: LoadHints) -> UnitOfWork:
        """Load a unit of work for these commands.

        Args:
            commands: the commands to decide, in this order.
            at: the time of execution; default sort orders follow from it.
            hints: facts from earlier attempts.
        """
        async with committed_reads(self._database) as session:
            return await self._load(commands, at, hints, session)

    async def _load(
        self, commands: Sequence[ReceivedCommand], at: datetime, hints: LoadHints, session: Session | None
    ) -> UnitOfWork:
        unit = UnitOfWork(neighbours_known=dict(hints.neighbours_known))
        unit.over_move_limit = await find_large_moves(self._items, commands, session)
        loadable = commands
        if unit.over_move_limit:
            loadable = [one for one in commands if CommandKey.of(one.envelope) not in unit.over_move_limit]
        has_former = await self.former_outcomes.exist()
        # No index refuses the repetition of a command that an earlier version of the service has carried out.
        cached = None if hints.must_look_up or has_former else self._head_cache.heads_for(commands)
        if cached is None:
            await self._load_named(unit, commands, loadable, has_former, session)
        else:
            for head in cached:
                unit.load_head(head)
            if item_ids := items_of(loadable):
                unit.load_items(await self._find_items(item_ids, loadable, session))
        fresh = commands
        if unit.outcomes:  # seldom
            fresh = [command for command in commands if not unit.is_known(CommandKey.of(command.envelope))]
        now_ms = int(at.timestamp() * 1000)
        # Sequentially: there is seldom more than one to do, and concurrent tasks would slow each single command down.
        await self._gallery_sort_orders.load(unit, fresh, now_ms)
        await self._load_taken(unit, fresh, now_ms, session)
        await self._load_whole_galleries(unit, fresh)
        await load_neighbourhoods(self._items, unit, fresh, session)
        if hints.conflicted:
            for command in fresh:
                if CommandKey.of(command.envelope) in hints.conflicted:
                    await self._find_created_items(unit, command)
        return unit

    async def load_head(self, gallery_id: str) -> UnitOfWork:
        """Load a unit of work with one gallery's head, if the gallery has a document."""
        unit = UnitOfWork()
        async for found in self._galleries.find({"_id": gallery_id}):
            unit.load_head(head_of(found))
        return unit

    async def has_outcome(self, key: CommandKey) -> bool:
        """Whether the final outcome of a command is stored."""
        query = {"_id": str(key), "reply": {"$exists": True}}  # without a reply, its job is running
        return await self._database[PROCESSED].find_one(query, {"_id": 1}) is not None

    async def sizes(self, gallery_ids: Iterable[str]) -> dict[str, Size]:
        """The sizes of the galleries that have at most DIRECT_ITEMS items."""
        query = {"_id": {"$in": list(gallery_ids)}, "totalItems": {"$lte": DIRECT_ITEMS}}
        small = {found["_id"]: found["totalItems"] async for found in self._galleries.find(query, {"totalItems": 1})}
        total = {"_id": "$galleryId", "bytes": {"$sum": {"$bsonSize": "$item"}}}
        pipeline: list[Document] = [{"$match": {"galleryId": {"$in": list(small)}}}, {"$group": total}]
        size_in_bytes = {found["_id"]: found["bytes"] for found in await aggregate(self._items, pipeline)}
        return {gallery_id: Size(items, size_in_bytes.get(gallery_id, 0)) for gallery_id, items in small.items()}

    async def _load_named(
        self,
        unit: UnitOfWork,
        commands: Sequence[ReceivedCommand],
        loadable: Sequence[ReceivedCommand],
        has_former: bool,
        session: Session | None,
    ) -> None:
        """Load the galleries that commands name, and their earlier outcomes, and the items that `loadable` ones name.

        One query does it, because three cost a single command 2 ms more (measured). MongoDB reads the pipelines of a
        union one after the other, so that no item is older than its gallery, whose sequence is the fence of the write.
        """
        outcome_union = _union_with(PROCESSED, _by_ids(outcome_ids(commands, has_former=has_former)))
        pipeline: list[Document] = [{"$match": _by_ids(galleries_of(commands))}, outcome_union]
        item_ids = items_of(loadable)
        if 0 < len(item_ids) <= FEW_ITEMS:
            pipeline.append(_union_with(ITEMS, self._named_items(item_ids, loadable)))
        items: list[StoredItem] = []
        outcomes: dict[str, Document] = {}
        for found in await aggregate(self._galleries, pipeline, session):
            if "fingerprint" in found or "reply" in found:
                outcomes[found["_id"]] = found
            elif "item" in found:
                items.append(item_of(found))
            else:
                unit.load_head(head_of(found))
        if len(item_ids) > FEW_ITEMS:
            items = await self._find_items(item_ids, loadable, session)
        unit.load_items(items)
        unit.load_outcomes(outcomes_of(commands, outcomes))

    async def _find_items(
        self, item_ids: Collection[str], commands: Sequence[ReceivedCommand], session: Session | None
    ) -> list[StoredItem]:
        """The items with these ids, in the galleries of these commands. Raises TooManyBytes for several commands."""
        found = self._items.find(self._named_items(item_ids, commands), session=session)
        if len(item_ids) <= FEW_ITEMS or len(commands) == 1:
            return [item_of(document) async for document in found]
        items: list[StoredItem] = []
        size = 0
        # Counted here: asking MongoDB for the sizes first takes it as long as finding the items.
        async for document in found:
            item = item_of(document)
            size += len(orjson.dumps(item.body))
            if size > TRANSACTION_BYTES:
                raise TooManyBytes
            items.append(item)
        return items

    def _named_items(self, item_ids: Iterable[str], commands: Sequence[ReceivedCommand]) -> Document:
        """The filter for items by id, in the galleries of these commands."""
        return within(
            self._database, _by_ids(item_ids), galleryId={"$in": sorted({command.gallery_id for command in commands})}
        )

    async def _load_taken(
        self, unit: UnitOfWork, commands: Sequence[ReceivedCommand], now_ms: int, session: Session | None
    ) -> None:
        asked: dict[str, list[float]] = defaultdict(list)
        missing: dict[str, int] = defaultdict(int)
        for command in commands:
            for sort_order in asked_sort_orders(command):
                if sort_order is None:
                    missing[command.gallery_id] += 1
                else:
                    asked[command.gallery_id].append(sort_order)
        if asked:
            clauses = [{"galleryId": gallery, "sortOrder": {"$in": values}} for gallery, values in asked.items()]
            await self._add_taken(unit, {"$or": clauses}, session)
        for gallery_id, count in missing.items():
            head = unit.heads.get(gallery_id)
            if head is not None and head.highest >= default_base(head, now_ms):
                await self._load_window(unit, head, now_ms, count + len(asked[gallery_id]), session)

    async def _load_window(
        self, unit: UnitOfWork, head: GalleryHead, now_ms: int, count: int, session: Session | None
    ) -> None:
        """Load which values are taken from the first default up, until `count` free values are known."""
        base = default_base(head, now_ms)
        known, width = 0, count
        while known < width:
            bounds = {"$gte": base + known, "$lt": base + width}
            known = width
            query: Document = {"galleryId": head.gallery_id, "sortOrder": bounds}
            width += await self._add_taken(unit, query, session)

    async def _add_taken(self, unit: UnitOfWork, query: Document, session: Session | None) -> int:
        found = 0
        async for item in self._items.find(query, {"galleryId": 1, "sortOrder": 1}, session=session):
            unit.taken[item["galleryId"]][item["sortOrder"]] = item["_id"]
            found += 1
        return found

    async def _load_whole_galleries(self, unit: UnitOfWork, commands: Sequence[ReceivedCommand]) -> None:
        moves = Counter([command.gallery_id for command in of_kinds(commands, _MOVES_OF_ONE)])
        wanted = {gallery_id for gallery_id, count in moves.items() if count >= MANY_MOVES}
        for command in of_kinds(commands, _ON_WHOLE_GALLERIES):
            data = command.envelope.data
            if not isinstance(data, CreateGallery):
                # Also if the gallery has a job: it may be the job that this command has waited for.
                wanted.add(command.gallery_id)
            elif data.clone_from_gallery_id:
                source = unit.heads.get(data.clone_from_gallery_id)
                if source is not None and source.job is None:
                    wanted.add(source.gallery_id)
        sizes = await self.sizes(wanted) if wanted else {}
        for gallery_id, size in sizes.items():
            if size.bytes > DIRECT_BYTES:
                unit.over_byte_limit.add(gallery_id)
                continue
            # As of one moment: another process may own a gallery to clone, and change it in the meantime.
            async with snapshot_session(self._database) as session:
                found = self._items.find({"galleryId": gallery_id}, session=session)
                unit.load_whole(gallery_id, [item_of(document) async for document in found])

    async def _find_created_items(self, unit: UnitOfWork, command: ReceivedCommand) -> None:
        """Find out whether items exist that only this command can have created: their ids are derived from its own."""
        envelope = command.envelope
        ids = [
            derived_item_id(envelope.site_id, envelope.command_id, index, envelope.source)
            for index in range(created_at_most(command, unit))
        ]
        if await self._items.find_one({"_id": {"$in": ids}}, {"_id": 1}):
            unit.creations_found.add(CommandKey.of(envelope))

    async def page(
        self, gallery_id: str, bounds: Document | None, direction: int, count: int, *, has_bodies: bool
    ) -> list[StoredItem]:
        """Load up to `count` items of a gallery by sort order, within optional bounds.

        With bodies, the page is also limited to STEP_BYTES; without, the bodies are empty.
        """
        query: Document = {"galleryId": gallery_id}
        if bounds:
            query["sortOrder"] = bounds
        async with committed_reads(self._database) as session:
            fields = None if has_bodies else {"item": 0}
            found = self._items.find(query, fields, session=session).sort("sortOrder", direction).limit(count)
            if has_bodies:
                return [item_of(document) for document in await fill_page(found, "item")]
            return [item_of({**document, "item": {}}) async for document in found]

    async def named(self, gallery_id: str, item_ids: Iterable[str]) -> dict[str, StoredItem]:
        """Those of these items that the gallery has, by id."""
        async with committed_reads(self._database) as session:
            found = self._items.find({"_id": {"$in": list(item_ids)}, "galleryId": gallery_id}, session=session)
            return {document["_id"]: item_of(document) async for document in found}

    async def at_sort_orders(self, gallery_id: str, values: Iterable[float]) -> list[StoredItem]:
        """The items of a gallery that have these sort orders."""
        async with committed_reads(self._database) as session:
            found = self._items.find({"galleryId": gallery_id, "sortOrder": {"$in": list(values)}}, session=session)
            return [item_of(document) async for document in found]

    async def find_gallery_at(self, unit: UnitOfWork, site_id: str, sort_order: float) -> str | None:
        """The gallery of a site that has this sort order; `unit` remembers it."""
        await self._gallery_sort_orders.add_taken(unit, site_id, [sort_order])
        return unit.gallery_sort_orders.get((site_id, sort_order))

    async def sweep(self, gallery_id: str) -> None:
        """Delete the items of a gallery whose deletion was already published."""
        await self._items.delete_many({"galleryId": gallery_id})


def _by_ids(ids: Iterable[str]) -> Document:
    return {"_id": {"$in": list(ids)}}


def _union_with(collection: str, query: Document) -> Document:
    return {"$unionWith": {"coll": collection, "pipeline": [{"$match": query}]}}

"""Reads what a batch touches in a few queries, and writes what it decided in one transaction."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from schemas.commands import CreateGallery, CreateItems
from schemas.replies import Reply
from services.command.domain import GalleryHead, StoredItem, default_base
from services.command.outbox import Outbox, OutboxRow
from services.command.workspace import CommandKey, PlacedCommand, Workspace
from services.kit.mongo import (
    ASCENDING,
    BulkWriteError,
    Database,
    Document,
    DuplicateKeyError,
    IndexModel,
    InsertOne,
    UpdateOne,
    is_duplicate_key,
    transaction,
)
from services.kit.ownership import Ownership


def indexes(processed_retention: timedelta) -> dict[str, list[IndexModel]]:
    """Indexes of the write model; the unique ones enforce sort orders (wire contract, section 4, rule 3)."""
    return {
        "galleries": [IndexModel([("siteId", ASCENDING), ("sortOrder", ASCENDING)], unique=True)],
        "items": [IndexModel([("galleryId", ASCENDING), ("sortOrder", ASCENDING)], unique=True)],
        "gallery_places": [],
        "processed_commands": [
            IndexModel([("at", ASCENDING)], expireAfterSeconds=int(processed_retention.total_seconds()))
        ],
    }


class Conflict(Exception):
    """Somebody else changed what the workspace was loaded from: load and decide again."""


class Repository:
    """The write model in MongoDB."""

    def __init__(self, database: Database, ownership: Ownership, outbox: Outbox) -> None:
        self._database = database
        self._ownership = ownership
        self._outbox = outbox
        self._galleries = database["galleries"]
        self._items = database["items"]
        self._places = database["gallery_places"]
        self._processed = database["processed_commands"]

    async def load(self, commands: Sequence[PlacedCommand], at: datetime) -> Workspace:
        """Everything the commands may need to know, in a bounded number of queries."""
        workspace = Workspace()
        await asyncio.gather(self._load_outcomes(workspace, commands), self._load_heads(workspace, commands))
        fresh = [command for command in commands if CommandKey.of(command.envelope) not in workspace.outcomes]
        now_ms = int(at.timestamp() * 1000)
        await asyncio.gather(
            self._load_gallery_places(workspace, fresh, now_ms), self._load_taken(workspace, fresh, now_ms)
        )
        return workspace

    async def _load_outcomes(self, workspace: Workspace, commands: Sequence[PlacedCommand]) -> None:
        keys = {str(key): key for key in (CommandKey.of(command.envelope) for command in commands)}
        async for found in self._processed.find({"_id": {"$in": list(keys)}}):
            workspace.outcomes[keys[found["_id"]]] = Reply.model_validate(found["reply"])

    async def _load_heads(self, workspace: Workspace, commands: Sequence[PlacedCommand]) -> None:
        ids = {command.gallery_id for command in commands}
        async for found in self._galleries.find({"_id": {"$in": list(ids)}}):
            workspace.load_head(_head_of(found))

    async def _load_gallery_places(self, workspace: Workspace, commands: Sequence[PlacedCommand], now_ms: int) -> None:
        asked: dict[str, list[float]] = defaultdict(list)
        missing: dict[str, int] = defaultdict(int)
        for command in commands:
            data = command.envelope.data
            if isinstance(data, CreateGallery):
                if data.gallery is not None and data.gallery.sort_order is not None:
                    asked[command.envelope.site_id].append(data.gallery.sort_order)
                else:
                    missing[command.envelope.site_id] += 1
        for site_id in asked.keys() | missing.keys():
            await self._add_gallery_places(workspace, site_id, asked[site_id])
            free: list[float] = []
            while len(free) < missing[site_id]:
                reserved = await self._reserve(site_id, missing[site_id] - len(free), now_ms)
                await self._add_gallery_places(workspace, site_id, reserved)
                explicit = set(asked[site_id])
                free += [
                    place
                    for place in reserved
                    if (site_id, place) not in workspace.gallery_places and place not in explicit
                ]
            workspace.free_places[site_id] = free[::-1]

    async def _add_gallery_places(self, workspace: Workspace, site_id: str, values: Sequence[float]) -> None:
        if values:
            async for found in self._galleries.find(
                {"siteId": site_id, "sortOrder": {"$in": list(values)}}, {"sortOrder": 1}
            ):
                workspace.gallery_places[site_id, found["sortOrder"]] = found["_id"]

    async def _reserve(self, site_id: str, count: int, now_ms: int) -> list[float]:
        """`count` milliseconds that no other default of the site gets, whichever process asks (D1)."""
        found = await self._places.find_one_and_update(
            {"_id": site_id},
            [{"$set": {"last": {"$add": [{"$max": ["$last", float(now_ms - 1)]}, float(count)]}}}],
            upsert=True,
            return_document=True,
        )
        assert found is not None  # noqa: S101 - an upsert that returns the document after it
        last: float = found["last"]
        return [last - count + 1 + step for step in range(count)]

    async def _load_taken(self, workspace: Workspace, commands: Sequence[PlacedCommand], now_ms: int) -> None:
        asked: dict[str, list[float]] = defaultdict(list)
        missing: dict[str, int] = defaultdict(int)
        for command in commands:
            if isinstance(command.envelope.data, CreateItems) and workspace.heads.get(command.gallery_id):
                for item in command.envelope.data.items:
                    if item.sort_order is None:
                        missing[command.gallery_id] += 1
                    else:
                        asked[command.gallery_id].append(item.sort_order)
        if asked:
            await self._add_taken(
                workspace,
                {"$or": [{"galleryId": gallery, "sortOrder": {"$in": values}} for gallery, values in asked.items()]},
            )
        for gallery_id, count in missing.items():
            head = workspace.heads[gallery_id]
            assert head is not None  # noqa: S101 - only galleries that exist are counted above
            base = default_base(head, now_ms)
            if head.highest >= base:
                await self._load_window(workspace, gallery_id, base, count + len(asked.get(gallery_id, ())))

    async def _load_window(self, workspace: Workspace, gallery_id: str, base: float, count: int) -> None:
        """Learn what is taken from `base` up, until `count` free values are known to lie there."""
        width = count
        known = 0
        while known < width:
            low, known = base + known, width
            found = await self._add_taken(
                workspace, {"galleryId": gallery_id, "sortOrder": {"$gte": low, "$lt": base + width}}
            )
            width += found

    async def _add_taken(self, workspace: Workspace, query: Document) -> int:
        found = 0
        async for item in self._items.find(query, {"galleryId": 1, "sortOrder": 1}):
            workspace.taken[item["galleryId"]][item["sortOrder"]] = item["_id"]
            found += 1
        return found

    async def save(self, workspace: Workspace, commands: Sequence[PlacedCommand], at: datetime) -> list[OutboxRow]:
        """Write what was decided, wholly or not at all; the outbox rows to publish.

        Raises:
            Conflict: a unique index or another writer refused; nothing was written.
            OwnershipLost: another process owns one of the partitions now; nothing was written.
            TransientFailure: the server was away or busy; nothing was written, unless its answer got lost, which a
                repetition finds out.
        """
        rows = self._outbox.rows_of(workspace, self._ownership)
        try:
            async with transaction(self._database) as session:
                await self._ownership.verify(session, {command.partition for command in commands})
                writes = _head_writes(workspace)
                if writes:
                    done = await self._galleries.bulk_write(writes, ordered=False, session=session)
                    if done.inserted_count + done.matched_count != len(writes):
                        raise Conflict("a gallery has moved on")
                items = [_item_document(item) for _, change, _ in workspace.changes for item in change.created]
                if items:
                    await self._items.insert_many(items, ordered=False, session=session)
                await self._outbox.insert(rows, session)
                if workspace.decided:
                    await self._processed.insert_many(
                        [
                            {"_id": str(key), "reply": reply.to_wire(), "at": at}
                            for key, reply in workspace.decided.items()
                        ],
                        ordered=False,
                        session=session,
                    )
        except (BulkWriteError, DuplicateKeyError) as error:
            if is_duplicate_key(error):
                raise Conflict("a unique index refused the write") from error
            raise
        return rows


def _head_writes(workspace: Workspace) -> list[InsertOne[Document] | UpdateOne]:
    writes: list[InsertOne[Document] | UpdateOne] = []
    for gallery_id in dict.fromkeys(change.head.gallery_id for _, change, _ in workspace.changes):
        head = workspace.heads[gallery_id]
        assert head is not None  # noqa: S101 - just changed
        loaded = workspace.loaded_sequences.get(gallery_id)
        if loaded is None:
            writes.append(InsertOne({"_id": gallery_id, **_head_fields(head)}))
        else:
            # The fence against whoever else writes: the gallery must be where it was when it was loaded.
            writes.append(UpdateOne({"_id": gallery_id, "sequence": loaded}, {"$set": _head_fields(head)}))
    return writes


def _head_fields(head: GalleryHead) -> Document:
    return {
        "siteId": head.site_id,
        "name": head.name,
        "sortOrder": head.sort_order,
        "createdDate": head.created_date,
        "totalItems": head.total_items,
        "sequence": head.sequence,
        "lastDefault": head.last_default,
        "highest": head.highest,
    }


def _head_of(document: Document) -> GalleryHead:
    return GalleryHead(
        gallery_id=document["_id"],
        site_id=document["siteId"],
        name=document["name"],
        sort_order=document["sortOrder"],
        created_date=document["createdDate"],
        total_items=document["totalItems"],
        sequence=document["sequence"],
        last_default=document["lastDefault"],
        highest=document["highest"],
    )


def _item_document(item: StoredItem) -> Document:
    return {
        "_id": item.item_id,
        "siteId": item.site_id,
        "galleryId": item.gallery_id,
        "sortOrder": item.sort_order,
        "item": item.body,
    }
